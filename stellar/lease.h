/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases: what a running process uses of the store, a file each in leases/. gc keeps an image that a
 * lease names, and leaves a pack alone that a lease names. A lease lives as long as its owner holds
 * the lock on its file (flock, close-on-exec), so it dies with its process; nothing of it is synced.
 *
 * Only the owner appends. A record is appended by one write(), so readers see whole records; a
 * short last record is one that is being written or was cut by a crash of its owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stellar/abi.h"

enum { LEASE_MAX_BYTES = 64 << 20 }; /* of a file; more than a million records */

struct lease;

/*
 * A new file with a random name in @leases_fd, locked. Made, locked and then looked at again, since
 * gc may take an unlocked file for a dead one: repeats when it did.
 */
int lease_new(struct lease **out, int leases_fd, struct err *e);

/* 0 or -errno with @e filled. A record that is there already is not written twice. Thread: any. */
int lease_add_image(struct lease *l, const struct chunk_id *image, struct err *e);
int lease_add_pack(struct lease *l, const struct pack_id *pack, struct err *e);

/* Removes the file and lets go of the lock. Accepts NULL. */
void lease_free(struct lease *l);

/* What all living leases say. */
struct lease_set {
	struct chunk_id *images; /* owned; each once, sorted */
	size_t image_count;
	struct pack_id *packs; /* owned; each once, sorted */
	size_t pack_count;
	size_t lease_count;
};

/*
 * Reads all; removes those whose owner is gone (when @may_remove: a lock on it can be had). -EBADMSG
 * with @e filled: a living lease holds what is no record, so nothing may be swept.
 */
int lease_set_read(struct lease_set *set, int leases_fd, bool may_remove, struct err *e);
bool lease_set_has_pack(const struct lease_set *set, const struct pack_id *pack);
void lease_set_release(struct lease_set *set); /* accepts a zeroed set */

/*
 * The parser of a lease's file, for fuzzers too: adds what its @len bytes say to @set, which is not
 * sorted by that. @file names it in messages. 0, -EBADMSG or -ENOMEM.
 */
int lease_parse(struct lease_set *set, const uint8_t *bytes, size_t len, const char *file,
		struct err *e);

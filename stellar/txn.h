/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction: puts chunks into the store, and in the end a name. Until the name is there, nothing
 * of it is visible; what it wrote is garbage when it does not get there.
 *
 * Chunks go into packs of its own. A full pack is published (synced, then entered into the index). A
 * chunk that the store has already is not written, and the pack it is in is pinned by the
 * transaction's lease until its end; so are its own packs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "stellar/abi.h"
#include "stellar/codec.h"
#include "stellar/root.h"

struct store;
struct txn;

int txn_begin(struct txn **out, struct store *s, const struct codec_params *codec, struct err *e);

struct txn_stats {
	uint64_t new_chunks, new_raw_bytes, new_stored_bytes;
};
void txn_get_stats(struct txn *t, struct txn_stats *out);

/* One thread's part in it. */
struct txn_worker;

int txn_worker_new(struct txn_worker **out, struct txn *t, struct err *e);
void txn_worker_free(struct txn_worker *w); /* accepts NULL */

struct txn_item {
	enum chunk_kind kind;
	const void *bytes; /* borrowed for the call */
	size_t len; /* 1 to CHUNK_MAX_BYTES */
	struct chunk_id id; /* out */
};

/* Puts chunks, of at most CHUNK_MAX_BYTES together or a single one. 0 or -errno with @e filled: the
 * transaction can only be freed then. Thread: any number at once, each with its own worker. */
int txn_put(struct txn_worker *w, struct txn_item *items, size_t count, struct err *e);

/*
 * Publishes what is left and names the image, durably. The workers do nothing meanwhile. -EEXIST: the
 * name is taken.
 */
int txn_commit(struct txn *t, const struct root *root, bool may_replace, struct err *e);

/* Publishes what is left; names nothing. For chunks that something else than a root refers to. */
int txn_publish(struct txn *t, struct err *e);

/* After its workers. Without a commit before, takes back what was not published. Accepts NULL. */
void txn_free(struct txn *t);

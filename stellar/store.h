/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open store: its folder, keys and index. Everything else takes one of these.
 *
 *	STORE/superblock   what it is (superblock.h)
 *	STORE/packs/       the chunks (pack.h)
 *	STORE/index/       where each chunk is (index.h); can be made anew from the packs
 *	STORE/roots/       names of images (root.h)
 *	STORE/leases/      what running processes use (lease.h)
 *	STORE/lock         shared by everybody who has it open, exclusive to remake the index or the key
 *	STORE/gate         shared to pin a pack, to name an image or to begin using one; gc has it
 *	                   exclusively while it takes chunks out of the index
 *	STORE/gc           held by the one gc that runs
 *
 * Many processes may have a store open; a process opens a store once (LMDB's rule), does not use it
 * after fork(), and may use it from any of its threads where nothing else is said.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stellar/chunk.h"
#include "stellar/codec.h"
#include "stellar/crypt.h"
#include "stellar/id.h"
#include "stellar/lease.h"
#include "stellar/root.h"
#include "stellar/superblock.h"

struct store;

struct store_options {
	struct chunk_params chunking; /* for imports that do not say */
	struct codec_params codec; /* likewise */
	struct key_input key; /* KEY_NONE: not encrypted */
};

/* What init takes when the user does not say; docs/decisions.md has the measurements. */
void store_default_options(struct store_options *o);

/*
 * Makes a store in @path: a folder that does not exist or is empty. Durable when it returns. -EEXIST:
 * there is a store; -ENOTEMPTY; else -errno. @e is filled; what it made is removed then.
 */
int store_init(const char *path, const struct store_options *o, struct err *e);

enum store_mode {
	STORE_READ_ONLY, /* writes only a lease, and not even that on a read-only file system */
	STORE_READ_WRITE,
	STORE_EXCLUSIVE, /* -EBUSY when anybody else has it open; the index may be missing or damaged */
};

/*
 * Opens it; @key as the store wants it. Packs that a crash left without index entries are checked
 * chunk by chunk and entered, unless STORE_READ_ONLY. -ENOENT, -EPROTONOSUPPORT, -EKEYREJECTED,
 * -EBADMSG, -EBUSY, -EACCES... with @e filled: says what to do.
 */
int store_open(struct store **out, const char *path, enum store_mode mode,
	       const struct key_input *key, struct err *e);

/* Accepts NULL. No reader, transaction or volume is left then. */
void store_close(struct store *s);

const char *store_path(const struct store *s);
const struct superblock *store_superblock(const struct store *s);

/* Wraps the master key anew (STORE_EXCLUSIVE), durably. Chunks stay as they are. */
int store_change_key(struct store *s, const struct key_input *key, struct err *e);

/*
 * Trains a zstd dictionary on a sample of the store's data chunks (at most @dictionary_bytes, 1 KiB to
 * 1 MiB) and uses it for chunks compressed from now on. STORE_EXCLUSIVE. -ENODATA: too few samples.
 */
int store_train_dictionary(struct store *s, size_t dictionary_bytes, struct err *e);

/* --- names --------------------------------------------------------------------------------- */

/*
 * Finds the image that @name says: a root's name, or "id:" and 64 hexadecimal digits of an image's
 * id. Takes a lease on it when @lease is not NULL, atomically for gc: *@lease is made when NULL. On a
 * read-only file system there is no lease, and no gc. -ENOENT: no such image.
 */
int store_find(struct store *s, const char *name, struct lease **lease, struct root *out,
	       struct err *e);

/* A further name for what @name says. -EEXIST when taken and not @may_replace. */
int store_tag(struct store *s, const char *name, const char *new_name, bool may_replace,
	      struct err *e);
int store_remove(struct store *s, const char *name, struct err *e);
int store_list(struct store *s, struct root_list *list, struct err *e);

/* --- figures ------------------------------------------------------------------------------- */

struct store_stats {
	uint64_t images;
	uint64_t image_bytes; /* sum of the lengths of all images */
	uint64_t packs;
	uint64_t pack_bytes; /* files as long as they are */
	uint64_t pack_disk_bytes; /* blocks they take */
	uint64_t chunks; /* entries of the index */
	uint64_t raw_bytes; /* of these chunks before compression */
	uint64_t stored_bytes; /* and after */
	uint64_t index_bytes;
	uint64_t leases;
};

int store_stats(struct store *s, struct store_stats *out, struct err *e);

/* --- long work ----------------------------------------------------------------------------- */

/* How long work tells how far it is, and is told to stop. All may be zero. */
struct work_control {
	void (*on_progress)(void *opaque, uint64_t done,
			    uint64_t total); /* bytes; total 0: unknown */
	void *opaque;
	const atomic_bool *is_cancelled; /* looked at often; the work ends with -ECANCELED */
	unsigned threads; /* 0: one for each processor this process may use */
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: which pack holds a chunk, and where. LMDB in index/; readers never wait.
 *
 * It can be made anew from the packs: packs that a crash left out of it are found when the store is
 * opened. It may never know of a chunk that is not durable, so packs are synced first; and what gc
 * takes out must be out for good before a file goes (index_sync()). Each commit is durable when it
 * returns: with a commit's last page left to a later sync, that sync failing, and two commits after
 * it, a crash could go back to pages that were used again.
 *
 * Databases: "chunks": id -> where (24 bytes); "packs": number (big-endian) -> id, length, count;
 * "numbers": pack id -> number; "meta": version, uuid, next number. Numbers are never used twice.
 *
 * LMDB trusts its file. So a digest of the whole file lies beside it while nobody writes (index/digest,
 * written at the end of a writer, removed before the first commit) and is checked when the index is
 * opened; a store from somebody else's hands gets a new index (fsck --rebuild-index).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stellar/abi.h"
#include "stellar/pack.h"

struct index;

enum index_mode { INDEX_READ_ONLY, INDEX_READ_WRITE, INDEX_CREATE };

/*
 * @store_path/index. -ENOENT: there is none; -EUCLEAN: it is damaged or another store's: make it
 * anew; else -errno. @e is filled. Once in a process. INDEX_CREATE: an empty one aside, to be filled
 * and put in place; no one else has the store open.
 */
int index_open(struct index **out, const char *store_path, const uint8_t *uuid,
	       enum index_mode mode, struct err *e);

/* After writing, leaves a digest of it; one that is aside goes. Accepts NULL. */
void index_close(struct index *x);

/* --- reading ------------------------------------------------------------------------------- */

/* A state of the index that stays as it is until renewed. Thread: one at a time. */
struct index_reader;

int index_reader_new(struct index_reader **out, struct index *x, struct err *e);
int index_reader_renew(struct index_reader *r, struct err *e); /* to the newest state */
void index_reader_free(struct index_reader *r); /* accepts NULL */

struct index_entry {
	uint32_t pack; /* number */
	uint32_t number; /* of the entry in the pack's table */
	uint64_t offset;
	uint32_t stored_bytes;
	uint32_t raw_bytes;
	uint8_t kind;
	uint8_t codec;
	bool is_sealed;
};

/* 1: found; 0: not there; -errno with @e filled. */
int index_find(struct index_reader *r, const struct chunk_id *id, struct index_entry *out,
	       struct err *e);

struct index_pack {
	uint32_t number;
	struct pack_id id;
	uint64_t bytes; /* of the file */
	uint32_t count; /* entries of its table */
};

/* Likewise. */
int index_find_pack(struct index_reader *r, uint32_t number, struct index_pack *out, struct err *e);
int index_find_pack_id(struct index_reader *r, const struct pack_id *id, struct index_pack *out,
		       struct err *e);

/* The pack with the least number that is not below @number: 1, 0 at the end, -errno. */
int index_next_pack(struct index_reader *r, uint32_t number, struct index_pack *out, struct err *e);

/* Calls @visit with all chunks by rising id; what it returns other than 0 ends it. */
int index_each_chunk(struct index_reader *r,
		     int (*visit)(void *opaque, const struct chunk_id *id,
				  const struct index_entry *entry),
		     void *opaque, struct err *e);

struct index_stats {
	uint64_t chunks, packs;
	uint64_t bytes; /* of the file */
};
int index_stats(struct index_reader *r, struct index_stats *out, struct err *e);

/* --- writing ------------------------------------------------------------------------------- */

/* One writer at a time in all processes: others wait. Its thread begins and ends it. */
struct index_writer;

int index_begin(struct index_writer **out, struct index *x, struct err *e);

/*
 * Enters a pack that is durable and its chunks. A chunk that is there already keeps its place, unless
 * @is_better says that this one is (gc moves chunks); an entry of kind 0 is left out. Gives the pack's
 * number (of before when it is known).
 */
int index_add_pack(struct index_writer *w, const struct pack_id *id, uint64_t bytes,
		   const struct pack_entry *entries, uint32_t count, bool is_better,
		   uint32_t *number, struct err *e);

/* As index_find() and index_find_pack_id(), in what the writer has so far. */
int index_writer_find(struct index_writer *w, const struct chunk_id *id, struct index_entry *out,
		      struct err *e);
int index_writer_find_pack_id(struct index_writer *w, const struct pack_id *id,
			      struct index_pack *out, struct err *e);

/* Takes a chunk out; not being there is no error. */
int index_remove_chunk(struct index_writer *w, const struct chunk_id *id, struct err *e);
/* Takes a pack out; its chunks are the caller's business. */
int index_remove_pack(struct index_writer *w, uint32_t number, struct err *e);

/* Visible to all who begin to read after it. Frees @w whatever it returns. */
int index_commit(struct index_writer *w, struct err *e);
void index_abort(struct index_writer *w); /* accepts NULL */

/* All commits so far survive a crash then. */
int index_sync(struct index *x, struct err *e);

/* --- whole --------------------------------------------------------------------------------- */

/* 0: as its digest says; -ENODATA: there is none that can tell; -EUCLEAN: damaged. */
int index_check_digest(struct index *x, struct err *e);

/*
 * The same of the file of an index that is not open, in @folder_fd (index/), of any length. -EBADMSG:
 * the digest itself is damaged; -EIO...: it cannot be read.
 */
int index_check_file(int folder_fd, struct err *e);

/* Leaves a digest of it, of any length. 0 or -errno with @e filled. */
int index_leave_digest(struct index *x, struct err *e);

/*
 * Makes @x, which is aside, the store's index in place of whatever is there: after a crash that is there
 * or @x, whole. Closes @x whatever it returns.
 */
int index_put_in_place(struct index *x, struct err *e);

/* Removes what a crash left of one that was aside: its bytes, 0 when there is none. */
uint64_t index_remove_leftover(struct index *x);

/* Makes an empty index in place of whatever is there (no one has the store open). */
int index_remake(const char *store_path, const uint8_t *uuid, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the index share. */
#pragma once

#include <stdint.h>

#include <lmdb.h>

#include "stellar/index.h"

#define INDEX_FILE "data.mdb"
#define INDEX_ASIDE "+tmp.data.mdb" /* a new one, until it is whole */

struct index {
	MDB_env *env; /* owned */
	MDB_dbi chunks, packs, numbers, meta;
	int folder_fd; /* owned: index/ */
	uint8_t uuid[STORE_UUID_BYTES];
	bool is_aside; /* INDEX_ASIDE, which nobody else knows */
	bool is_dirty; /* written since it was opened; set by writers, one at a time */
	bool is_doubtful; /* a write or sync failed: the kernel may have dropped pages */
};

struct index_reader {
	struct index *index; /* borrowed: closed after its readers */
	MDB_txn *txn; /* owned */
};

struct index_writer {
	struct index *index; /* borrowed: as above */
	MDB_txn *txn; /* owned */
};

/* A row of "chunks". */
struct index_row {
	le32 pack;
	le32 number;
	le64 place; /* offset | kind << 48 | codec << 52 | is_sealed << 56 */
	le32 stored_bytes;
	le32 raw_bytes;
};
static_assert(sizeof(struct index_row) == 24, "on-disk size");

/* A row of "packs". */
struct index_pack_row {
	struct pack_id id;
	le64 bytes;
	le32 count;
	le32 zero;
};
static_assert(sizeof(struct index_pack_row) == 32, "on-disk size");

#define INDEX_KEY_ABOUT "about" /* version and uuid */
#define INDEX_KEY_NEXT "next" /* the next number of a pack */

struct index_about {
	le32 version;
	uint8_t uuid[STORE_UUID_BYTES];
};

/* The error of LMDB @code as ours: fills @e with @what and why. */
int index_error(int code, struct err *e, const char *what);

int index_get_chunk(struct index *x, MDB_txn *txn, const struct chunk_id *id,
		    struct index_entry *out, struct err *e);
int index_get_pack_id(struct index *x, MDB_txn *txn, const struct pack_id *id,
		      struct index_pack *out, struct err *e);

/* The digest file: removed durably before a commit; written when nobody else writes. */
int index_digest_drop(struct index *x, struct err *e);
void index_digest_leave(struct index *x);

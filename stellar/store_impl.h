/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the library share of an open store. */
#pragma once

#include <pthread.h>

#include "stellar/index.h"
#include "stellar/pack.h"
#include "stellar/store.h"

struct cached_pack;
struct loaded_dictionary;

struct store {
	char *path; /* owned */
	enum store_mode mode;
	bool is_frozen; /* on a file system that cannot be written: no leases, no gc */
	int dir_fd, packs_fd, roots_fd, leases_fd; /* owned */
	int lock_fd, gate_fd; /* owned: flock */
	struct superblock superblock;
	uint8_t master[MASTER_KEY_BYTES]; /* kept when exclusive, to wrap it anew; wiped */
	struct id_scheme scheme;
	struct sealer *sealer; /* owned; NULL: not encrypted */
	struct pack_place place;
	struct index *index; /* owned; NULL: opened bare */
	pthread_mutex_t gate_lock; /* the gate is one for all threads */
	pthread_mutex_t lock; /* of what follows */
	struct cached_pack *packs; /* owned: a list, the last used first */
	unsigned pack_count;
	struct loaded_dictionary *dictionaries; /* owned: a list */
};

/* As store_open(), but without the index: for fsck. STORE_EXCLUSIVE or STORE_READ_ONLY. */
int store_open_bare(struct store **out, const char *path, enum store_mode mode,
		    const struct key_input *key, struct err *e);
int store_open_index(struct store *s, struct err *e);

/* The gate (store.h). Between them: short work that waits for nothing. */
int store_enter_gate(struct store *s, bool is_exclusive, struct err *e);
void store_leave_gate(struct store *s);

/*
 * Enters packs that no living writer and no index knows, chunk by chunk verified: what a crash left
 * between a pack's sync and its index entries. 0 or -errno with @e filled.
 */
int store_adopt_packs(struct store *s, struct err *e);

/* --- packs that are open ------------------------------------------------------------------- */

/* The pack @info, opened once for all; give it back. NULL with @e filled (e->code -ENOENT: gone). */
struct cached_pack *store_take_pack(struct store *s, const struct index_pack *info, struct err *e);
struct pack *cached_pack_of(struct cached_pack *c);
void store_give_pack(struct store *s, struct cached_pack *c); /* accepts NULL */
void store_close_packs(struct store *s);

/* --- dictionaries -------------------------------------------------------------------------- */

/* The dictionary @id, loaded once for all, of the store. NULL with @e filled. */
const struct codec_dictionary *store_dictionary(struct store *s, const struct chunk_id *id,
						struct err *e);
/* Loads it from @bytes, which are verified. 0 or -errno with @e filled. */
int store_add_dictionary(struct store *s, const struct chunk_id *id, const void *bytes, size_t len,
			 struct err *e);
void store_free_dictionaries(struct store *s);

/* The id of a chunk of @kind. */
void store_id_of(const struct store *s, enum chunk_kind kind, const void *bytes, size_t len,
		 struct chunk_id *id);

bool store_id_is_zero(const struct chunk_id *id);

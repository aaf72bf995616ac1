/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads chunks: index, pack, seal, codec, and then the id, which proves what came out.
 *
 * gc may move a chunk at any time: what is not where the index said is looked up again. Thread: one
 * at a time for a reader; each thread has its own.
 */
#pragma once

#include <sys/types.h>

#include "stellar/abi.h"
#include "stellar/index.h"
#include "stellar/manifest.h"
#include "stellar/pack.h"

struct store;
struct store_reader;

int store_reader_new(struct store_reader **out, struct store *s, struct err *e);
void store_reader_free(struct store_reader *r); /* accepts NULL */

/* Looks at the newest state of the index from here on. */
int store_reader_renew(struct store_reader *r, struct err *e);

/* The index in the state this reader has. */
struct index_reader *store_reader_index(struct store_reader *r);

/* The chunk as it is now: 1, 0: there is none; -errno. Renews when it must. */
int store_reader_find(struct store_reader *r, const struct chunk_id *id, struct index_entry *out,
		      struct err *e);

/*
 * Reads and verifies the chunk @id of @kind into @buf. Its length, or -errno with @e filled: -ENOENT:
 * the store does not have it; -EBADMSG: damaged, of another kind, or longer than @cap; -EIO...
 */
ssize_t store_reader_get(struct store_reader *r, enum chunk_kind kind, const struct chunk_id *id,
			 void *buf, size_t cap, struct err *e);

/* Reads and verifies what @entry of the open pack @p says: of packs that are in no index. */
int store_reader_check(struct store_reader *r, const struct pack *p, const struct pack_entry *entry,
		       void *buf, struct err *e);

/* The same of a payload @stored that has been read already. */
int store_reader_check_stored(struct store_reader *r, const struct pack *p,
			      const struct pack_entry *entry, const void *stored, void *buf,
			      struct err *e);

/* Nodes and images, for manifest.h. */
struct manifest_source store_reader_source(struct store_reader *r);

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of gc share: marks, and what they say of each pack. */
#pragma once

#include "stellar/gc.h"
#include "stellar/id_set.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"

/* A pack that was in the index when gc began. */
struct gc_pack {
	struct index_pack info;
	struct chunk_id dictionary_id; /* zero: none */
	bool is_unreadable; /* its file is missing or damaged: left alone */
	uint64_t *marks; /* owned: a bit for each entry of its table */
};

struct gc {
	struct store *store; /* borrowed */
	const struct gc_options *options;
	struct gc_result *result;
	struct store_reader *reader; /* owned */
	struct gc_pack *packs; /* owned; by rising number */
	size_t pack_count;
	uint32_t *places; /* owned: pack number -> place in packs + 1; 0: not of them */
	uint32_t place_count;
	struct id_set images; /* owned: marked */
	uint64_t work_done, work_total; /* bytes of packs looked at */
};

bool gc_is_cancelled(const struct gc *g, struct err *e);

/* The pack's place in g->packs, or NULL: it came later. */
struct gc_pack *gc_find_pack(struct gc *g, uint32_t number);

bool gc_is_marked(const struct gc_pack *p, uint32_t entry);

/*
 * Marks what roots and leases need that is not marked yet. The leases come first: an import names its
 * image before it lets go of its lease. 1: there was something new; 0: nothing; -errno.
 */
int gc_mark(struct gc *g, struct lease_set *leases, struct err *e);

/* Decides about each pack and takes those that can go. */
int gc_sweep(struct gc *g, struct err *e);

/* Removes files of packs and of an index whose writers died before they were published. */
int gc_remove_leftovers(struct gc *g, struct err *e);

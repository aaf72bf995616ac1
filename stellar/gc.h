/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Garbage collection: what no root and no lease needs goes.
 *
 * Marks from every root and lease, then takes pack by pack: one with nothing alive is removed, one
 * whose living share is below the threshold is repacked. Runs beside readers and writers; each pack
 * is a step of its own, so it may be killed or cancelled at any time and a later one goes on.
 */
#pragma once

#include "stellar/store.h"

struct gc_options {
	unsigned
		live_percent; /* packs with less than this alive are repacked: 0 to 100; 50 is sane */
	bool is_dry_run; /* only says what would go */
	struct work_control work;
};

struct gc_result {
	uint64_t images; /* from roots and leases, marked */
	uint64_t live_chunks, live_bytes; /* stored bytes */
	uint64_t dead_chunks, dead_bytes; /* found; of packs that stayed too */
	uint64_t packs_removed, packs_repacked, packs_kept, packs_pinned;
	uint64_t moved_bytes;
	uint64_t written_bytes; /* new files */
	uint64_t freed_bytes; /* files removed less files written */
	uint64_t leftovers; /* files of writers that died, removed */
};

/* -EBUSY: another gc runs. A root or manifest that cannot be read stops it before anything goes. */
int gc_run(struct store *s, const struct gc_options *o, struct gc_result *out, struct err *e);

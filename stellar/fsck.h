/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks all of a store: every byte of every file is compared with something that proves it. Runs
 * beside readers and writers, not beside gc.
 *
 * A repair loses nothing that could still be read, at any crash: what replaces something damaged is
 * durable before that goes. What cannot be read, or is not the store's, is moved to quarantine/, never
 * deleted. Needs an index in order, or makes one; takes memory for one pack's table, and for the
 * nodes of the manifests (64 bytes for each).
 */
#pragma once

#include "stellar/store.h"

struct fsck_options {
	bool may_repair; /* what can be mended is: STORE_EXCLUSIVE is needed */
	bool must_rebuild_index; /* makes the index anew from the packs alone, whatever it says */
	bool is_quick; /* structure only: chunks are not read; not with one of the above */
	void (*on_problem)(void *opaque, const char *text, bool is_repaired); /* one line each */
	/* Likewise what dead processes left, which is harmless and gone after gc. Both may be NULL. */
	void (*on_leftover)(void *opaque, const char *text);
	void *opaque;
	struct work_control work;
};

struct fsck_result {
	uint64_t packs, chunks, bytes; /* looked at */
	uint64_t images, damaged_images; /* damaged: a chunk of it is missing or wrong */
	uint64_t problems, repaired;
	uint64_t leftovers;
};

/*
 * -EBUSY: a gc runs, or to repair: somebody has the store open. 0: it was done, see result->problems; -errno with @e filled: it could not be done. Opens the store
 * at @path itself, since it may be too damaged to be opened.
 */
int fsck_run(const char *path, const struct key_input *key, const struct fsck_options *o,
	     struct fsck_result *out, struct err *e);

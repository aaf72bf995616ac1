/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as a whole: bytes into the store, out of it, and compared.
 */
#pragma once

#include "stellar/manifest.h"
#include "stellar/store.h"

/* --- import -------------------------------------------------------------------------------- */

struct import_options {
	struct chunk_params chunking; /* method 0: the store's */
	struct codec_params codec;
	bool has_codec; /* false: the store's */
	bool may_replace; /* an image of this name is replaced, all at once */
	struct work_control work;
};

struct import_result {
	struct root root;
	uint64_t data_bytes; /* without zero runs */
	uint64_t zero_bytes;
	uint64_t chunks; /* of data, repetitions counted */
	uint64_t new_chunks; /* data and manifest, that the store did not have */
	uint64_t new_raw_bytes;
	uint64_t new_stored_bytes;
};

/*
 * Reads @fd from its position (a file from 0, by SEEK_DATA and SEEK_HOLE, if it can) to its end and
 * names the image @name, durably and all at once. @source names it in messages. On any error the
 * store holds nothing new that is visible. -ECANCELED: told to stop.
 */
int import_image(struct store *s, int fd, const char *source, const char *name,
		 const struct import_options *o, struct import_result *out, struct err *e);

/* --- export -------------------------------------------------------------------------------- */

struct export_options {
	uint64_t offset; /* where to begin */
	uint64_t bytes; /* UINT64_MAX: to the end */
	bool is_sparse; /* zero runs are not written: @fd is a new file, made as long as it must be */
	bool is_stream; /* write in order; else at offsets from 0, which a file or block device can */
	struct work_control work;
};

/* Writes the bytes, each chunk verified before. 0 or -errno with @e filled. */
int export_image(struct store *s, const struct chunk_id *image, int fd, const char *target,
		 const struct export_options *o, struct err *e);

/* --- look and compare ---------------------------------------------------------------------- */

int image_read_info(struct store *s, const struct chunk_id *image, struct image_info *out,
		    struct err *e);

/* What the image's distinct chunks take. */
struct image_cost {
	uint64_t distinct_chunks, raw_bytes, stored_bytes;
	uint64_t nodes, node_bytes;
};
int image_measure(struct store *s, const struct chunk_id *image, struct image_cost *out,
		  struct err *e);

struct image_diff {
	struct manifest_difference chunks;
	uint64_t different_bytes; /* sum of the ranges */
	uint64_t ranges;
};

/*
 * Compares: chunks as sets, bytes by place. @on_range (may be NULL) gets the ranges that differ, exact
 * to the byte, rising.
 */
int image_diff(struct store *s, const struct chunk_id *a, const struct chunk_id *b,
	       int (*on_range)(void *opaque, uint64_t offset, uint64_t bytes), void *opaque,
	       const struct work_control *work, struct image_diff *out, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image is cut into chunks.
 *
 * First it is divided at the grain of 4 KiB blocks into runs of zeros, which are never stored, and
 * runs of data. Every run of data is then cut by itself, so what a chunk holds depends on nothing
 * outside its run:
 *
 *	fixed:SIZE	at the multiples of SIZE in the image: for disks and memory, which change in
 *			place
 *	fastcdc:AVERAGE	where the content says so (FastCDC with normalized chunking, level 2): for
 *			streams, in which a byte more at the front moves all others
 *
 * FastCDC cuts at the first position, counted from the begin of the chunk, whose gear hash (gear.h)
 * has none of the bits of a mask. From AVERAGE / 4 to before AVERAGE the mask has two bits more than
 * log2 AVERAGE, from there two bits less, so most chunks are near to AVERAGE; at 4 * AVERAGE, or
 * where the run ends, there is a cut anyway. A mask of n bits is that of the bits 63 - floor(48 i/n)
 * for i from 0 to n - 1.
 *
 * All this is part of the format: see docs/format-store.md. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum chunk_method { CHUNK_FIXED = 1, CHUNK_FASTCDC = 2 }; /* as recorded on disk */

enum {
	CHUNK_BLOCK_BYTES = 4096, /* grain of zero runs */
	CHUNK_MAX_BYTES = 16 << 20, /* no chunk of any store is longer */
	CHUNK_FIXED_MIN_BYTES = 4 << 10,
	CHUNK_FIXED_MAX_BYTES = 4 << 20,
	CHUNK_AVERAGE_MIN_BYTES = 4 << 10,
	CHUNK_AVERAGE_MAX_BYTES = 1 << 20,
	CHUNK_PARAMS_TEXT_BYTES = 24,
};

struct chunk_params {
	enum chunk_method method;
	uint32_t min_bytes, average_bytes, max_bytes; /* all the same when fixed */
};

/*
 * "fixed:4K" to "fixed:4M" or "fastcdc:4K" to "fastcdc:1M", powers of two. 0, or -EINVAL with what
 * works.
 */
int chunk_params_parse(struct chunk_params *p, const char *text, struct err *e);

/* The text that gives @p, which is valid. */
void chunk_params_format(const struct chunk_params *p, char text[static CHUNK_PARAMS_TEXT_BYTES]);

/* For parameters from a disk: whether they are some that chunk_params_parse() makes. */
bool chunk_params_are_valid(const struct chunk_params *p);

/*
 * The length of the run of blocks at the begin of @data, a position at a multiple of 4 KiB of the
 * image, that are all zero, or that are not. The last block may be shorter.
 */
size_t chunk_zero_run(const uint8_t *data, size_t len);
size_t chunk_data_run(const uint8_t *data, size_t len);

/*
 * The length of the first chunk of what is at @data, position @offset of the image. @len is what is
 * left of the run, or at least p->max_bytes of it. 0 only when @len is.
 */
size_t chunk_next(const struct chunk_params *p, uint64_t offset, const uint8_t *data, size_t len);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking a compressed kernel on the host: gzip, xz, zstd, and both lz4 frames (the one of the
 * lz4 tool, and the older "legacy" one inside bzImages).
 *
 * The data are hostile. The caller bounds what they may unpack to, since a few KiB can unpack to
 * GiBs; the bound is reserved as address space and costs memory only as it is written. The working
 * memory of the libraries is bounded as well.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "machine/boot/image.h"
#include "machine/mem.h"

enum {
	DECOMPRESS_MAGIC_BYTES = 6, /* enough of the data to tell the format */
	DECOMPRESS_MAX_BYTES = 1 << 30,
	/*
	 * What a file may have beside what is loaded: relocations, symbols, debugging information.
	 */
	DECOMPRESS_EXTRA_BYTES = 64 << 20,
};

struct unpacked {
	uint8_t *bytes; /* owned: a private mapping */
	uint64_t len_bytes;
	uint64_t mapped_bytes; /* all of the mapping */
};

/* "gzip", "xz", "zstd" or "lz4" by the magic in @head; NULL for anything else. */
const char *decompress_format(const uint8_t *head, size_t len);

/*
 * Unpacks all @len bytes of @packed into a new mapping of at most @max_bytes (> 0) and fills @out,
 * which the caller releases. Returns 0, or -errno with @e filled and @out empty: -ENOEXEC for an
 * unknown format, -EFBIG when there is more than @max_bytes, -EBADMSG for damaged or truncated data
 * or something behind their end, -ENOMEM. Thread: any.
 */
int decompress(const uint8_t *packed, size_t len, uint64_t max_bytes, struct unpacked *out,
	       struct err *e);

/* The same for @len bytes at @offset of a file, which must be there. */
int decompress_image(const struct image *image, uint64_t offset, uint64_t len, uint64_t max_bytes,
		     struct unpacked *out, struct err *e);

/* How many bytes a kernel for @mem may unpack to. */
uint64_t decompress_limit(const struct mem *mem);

/* Accepts a zeroed object, and may be called twice. */
void unpacked_release(struct unpacked *u);

/* SPDX-License-Identifier: Apache-2.0 */
/* Data packed by the libraries that unpack them: one packer for each format that is known. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <lz4.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

enum { PACKED_LZ4_BLOCK_BYTES = 8 << 20 };

/* Packs @len bytes at @from into @room bytes at @to; returns how many it took. */
typedef size_t (*pack_fn)(const void *from, size_t len, uint8_t *to, size_t room);

static inline size_t pack_gzip(const void *from, size_t len, uint8_t *to, size_t room)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	z.next_in = (Bytef *)(uintptr_t)from;
	z.avail_in = (uInt)len;
	z.next_out = to;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

/* As Linux's build does: the x86 filter and a CRC32. */
static inline size_t pack_xz(const void *from, size_t len, uint8_t *to, size_t room)
{
	lzma_options_lzma options;
	lzma_filter filters[] = {
		{ LZMA_FILTER_X86, NULL },
		{ LZMA_FILTER_LZMA2, &options },
		{ LZMA_VLI_UNKNOWN, NULL },
	};
	size_t done = 0;

	assert_false(lzma_lzma_preset(&options, 1));
	assert_int_equal(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, from, len, to,
						   &done, room),
			 LZMA_OK);
	return done;
}

static inline size_t pack_zstd(const void *from, size_t len, uint8_t *to, size_t room)
{
	size_t done = ZSTD_compress(to, room, from, len, 3);

	assert_false(ZSTD_isError(done));
	return done;
}

static inline size_t pack_lz4(const void *from, size_t len, uint8_t *to, size_t room)
{
	size_t done = LZ4F_compressFrame(to, room, from, len, NULL);

	assert_false(LZ4F_isError(done));
	return done;
}

static inline size_t pack_lz4_legacy(const void *from, size_t len, uint8_t *to, size_t room)
{
	const char *bytes = from;
	size_t done = 4;

	memcpy(to, "\x02!L\x18", 4);
	for (size_t at = 0; at < len; at += PACKED_LZ4_BLOCK_BYTES) {
		size_t block = len - at < PACKED_LZ4_BLOCK_BYTES ? len - at
								 : PACKED_LZ4_BLOCK_BYTES;
		int n = LZ4_compress_default(bytes + at, (char *)to + done + 4, (int)block,
					     (int)(room - done - 4));

		assert_true(n > 0);
		memcpy(to + done, &n, 4); /* little-endian: x86 */
		done += 4 + (size_t)n;
	}
	return done;
}

struct packer {
	const char *name; /* as decompress_format() says it */
	pack_fn pack;
};

static const struct packer packers[] = {
	{ "gzip", pack_gzip }, { "xz", pack_xz },	   { "zstd", pack_zstd },
	{ "lz4", pack_lz4 },   { "lz4", pack_lz4_legacy },
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the libraries that unpack: see decompress.h. */
#include "machine/boot/decompress.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <lz4.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/bytes.h"
#include "base/cleanup.h"

enum {
	LZ4_LEGACY_MAGIC = 0x184c2102,
	LZ4_LEGACY_BLOCK_BYTES = 8 << 20, /* what a block unpacks to, at most */
	ZLIB_WINDOW_GZIP = 16 + MAX_WBITS, /* a gzip header, any window */
};

/* Dictionaries of Linux's own build are 32 to 128 MiB. */
static const uint64_t xz_max_memory_bytes = 256 * MIB;

/* One way to unpack @from to @to; 0 and *@done bytes there, -EFBIG, -EBADMSG or -ENOMEM. */
typedef int (*unpack_fn)(const uint8_t *from, size_t len, uint8_t *to, size_t room, size_t *done);

struct format {
	const char *name;
	uint8_t magic_len;
	const char *magic; /* in octal, which ends after three digits */
	unpack_fn unpack;
};

static int unpack_gzip(const uint8_t *from, size_t len, uint8_t *to, size_t room, size_t *done)
{
	z_stream z = { 0 };
	int r;

	if (len > UINT_MAX || room > UINT_MAX)
		return -EFBIG;
	if (inflateInit2(&z, ZLIB_WINDOW_GZIP) != Z_OK)
		return -ENOMEM;
	/* zlib reads only; its own declaration is without const. */
	z.next_in = (Bytef *)(uintptr_t)from;
	z.avail_in = (uInt)len;
	z.next_out = to;
	z.avail_out = (uInt)room;
	r = inflate(&z, Z_FINISH);
	*done = room - z.avail_out;
	inflateEnd(&z);
	if (r == Z_STREAM_END)
		return z.avail_in == 0 ? 0 : -EBADMSG;
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_BUF_ERROR && z.avail_out == 0 ? -EFBIG : -EBADMSG;
}

static int unpack_xz(const uint8_t *from, size_t len, uint8_t *to, size_t room, size_t *done)
{
	lzma_stream xz = LZMA_STREAM_INIT;
	lzma_ret r;

	if (lzma_stream_decoder(&xz, xz_max_memory_bytes, 0) != LZMA_OK)
		return -ENOMEM;
	xz.next_in = from;
	xz.avail_in = len;
	xz.next_out = to;
	xz.avail_out = room;
	/* Bounded: the second call without progress fails. */
	do {
		r = lzma_code(&xz, LZMA_FINISH);
	} while (r == LZMA_OK);
	*done = room - xz.avail_out;
	lzma_end(&xz);
	switch (r) {
	case LZMA_STREAM_END:
		return xz.avail_in == 0 ? 0 : -EBADMSG;
	case LZMA_BUF_ERROR:
		return xz.avail_out == 0 ? -EFBIG : -EBADMSG;
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

/* In one call, with the output as its window: no memory in the size of a hostile window. */
static int unpack_zstd(const uint8_t *from, size_t len, uint8_t *to, size_t room, size_t *done)
{
	size_t r = ZSTD_decompress(to, room, from, len);

	if (!ZSTD_isError(r)) {
		*done = r;
		return 0;
	}
	switch (ZSTD_getErrorCode(r)) {
	case ZSTD_error_dstSize_tooSmall:
		return -EFBIG;
	case ZSTD_error_memory_allocation:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

static uint32_t read_le32(const uint8_t *from)
{
	le32 v;

	memcpy(&v, from, sizeof(v));
	return le32_get(v);
}

/*
 * Blocks with their packed size in front, up to the end of the data; another magic begins another
 * frame (lz4 Frame format, "Legacy frame").
 */
static int unpack_lz4_legacy(const uint8_t *from, size_t len, uint8_t *to, size_t room,
			     size_t *done)
{
	size_t at = 0;

	*done = 0;
	while (len - at >= sizeof(le32)) {
		uint32_t packed = read_le32(from + at);
		size_t block_room = min_u64(room - *done, LZ4_LEGACY_BLOCK_BYTES);
		int n;

		at += sizeof(le32);
		if (packed == LZ4_LEGACY_MAGIC)
			continue;
		if (packed > len - at ||
		    packed > (uint32_t)LZ4_compressBound(LZ4_LEGACY_BLOCK_BYTES))
			return -EBADMSG;
		n = LZ4_decompress_safe((const char *)from + at, (char *)to + *done, (int)packed,
					(int)block_room);
		/* The library does not say why; a block that may not fill its room is no news. */
		if (n < 0)
			return block_room < LZ4_LEGACY_BLOCK_BYTES ? -EFBIG : -EBADMSG;
		at += packed;
		*done += (size_t)n;
	}
	return at == len ? 0 : -EBADMSG;
}

static int unpack_lz4_frames(LZ4F_dctx *ctx, const uint8_t *from, size_t len, uint8_t *to,
			     size_t room, size_t *done)
{
	/* The output is one piece and stays, so that it can serve as the window. */
	const LZ4F_decompressOptions_t options = { .stableDst = 1 };
	size_t at = 0, hint = 1;

	*done = 0;
	/* Bounded: each turn takes or gives a byte. */
	while (at < len) {
		size_t in = len - at, out = room - *done;

		hint = LZ4F_decompress(ctx, to + *done, &out, from + at, &in, &options);
		if (LZ4F_isError(hint))
			return -EBADMSG;
		at += in;
		*done += out;
		if (in == 0 && out == 0)
			return -EFBIG;
	}
	if (hint == 0)
		return 0;
	return *done == room ? -EFBIG : -EBADMSG;
}

static int unpack_lz4(const uint8_t *from, size_t len, uint8_t *to, size_t room, size_t *done)
{
	LZ4F_dctx *ctx;
	int r;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
		return -ENOMEM;
	r = unpack_lz4_frames(ctx, from, len, to, room, done);
	LZ4F_freeDecompressionContext(ctx);
	return r;
}

static const struct format formats[] = {
	{ "gzip", 2, "\037\213", unpack_gzip },
	{ "xz", 6, "\3757zXZ", unpack_xz },
	{ "zstd", 4, "\050\265\057\375", unpack_zstd },
	{ "lz4", 4, "\002\041\114\030", unpack_lz4_legacy },
	{ "lz4", 4, "\004\042\115\030", unpack_lz4 },
};

static const struct format *find_format(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (len >= formats[i].magic_len &&
		    !memcmp(head, formats[i].magic, formats[i].magic_len))
			return &formats[i];
	return NULL;
}

const char *decompress_format(const uint8_t *head, size_t len)
{
	const struct format *format = find_format(head, len);

	return format ? format->name : NULL;
}

static int refuse(const char *format, int code, uint64_t max_bytes, struct err *e)
{
	switch (code) {
	case -EFBIG:
		return err_set(e, code,
			       "the kernel's %s data unpack to more than the %" PRIu64
			       " bytes they may have",
			       format, max_bytes);
	case -ENOMEM:
		return err_set(e, code,
			       "no memory to unpack the kernel's %s data; a dictionary of at most "
			       "%" PRIu64 " MiB can be given",
			       format, xz_max_memory_bytes / MIB);
	default:
		return err_set(e, code,
			       "the kernel's %s data are damaged, truncated, or followed by "
			       "something else",
			       format);
	}
}

int decompress(const uint8_t *packed, size_t len, uint64_t max_bytes, struct unpacked *out,
	       struct err *e)
{
	const struct format *format = find_format(packed, len);
	size_t done = 0;
	void *to;
	int r;

	*out = (struct unpacked){ 0 };
	if (!format)
		return err_set(e, -ENOEXEC,
			       "the kernel's compressed data are in none of the formats known "
			       "here: gzip, xz, zstd, lz4");
	to = mmap(NULL, max_bytes, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (to == MAP_FAILED)
		return err_errno(e, -errno, "cannot reserve %" PRIu64 " bytes for the kernel",
				 max_bytes);
	/* Fewer faults where the host can; no matter where it cannot. */
	madvise(to, max_bytes, MADV_HUGEPAGE);
	*out = (struct unpacked){ .bytes = to, .mapped_bytes = max_bytes };
	r = format->unpack(packed, len, to, max_bytes, &done);
	if (r < 0) {
		unpacked_release(out);
		return refuse(format->name, r, max_bytes, e);
	}
	out->len_bytes = done;
	return 0;
}

int decompress_image(const struct image *image, uint64_t offset, uint64_t len, uint64_t max_bytes,
		     struct unpacked *out, struct err *e)
{
	auto_free uint8_t *packed = NULL;
	int r;

	*out = (struct unpacked){ 0 };
	/* Before it is allocated: only what the file has. */
	if (!image_has(image, offset, len) || len > DECOMPRESS_MAX_BYTES)
		return err_set(e, -EFBIG,
			       "the kernel is truncated or too large: 0x%" PRIx64
			       " compressed bytes at 0x%" PRIx64 " of a file of 0x%" PRIx64
			       " bytes; at most 0x%x can be unpacked",
			       len, offset, image->size_bytes, DECOMPRESS_MAX_BYTES);
	packed = malloc(len);
	if (!packed)
		return err_errno(e, -ENOMEM, "cannot hold the compressed kernel");
	r = image_read(image, offset, packed, len, e);
	return r < 0 ? r : decompress(packed, len, max_bytes, out, e);
}

uint64_t decompress_limit(const struct mem *mem)
{
	return min_u64(mem_low_bytes(mem) + DECOMPRESS_EXTRA_BYTES, DECOMPRESS_MAX_BYTES);
}

void unpacked_release(struct unpacked *u)
{
	if (u->bytes)
		munmap(u->bytes, u->mapped_bytes);
	*u = (struct unpacked){ 0 };
}

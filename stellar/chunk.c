/* SPDX-License-Identifier: Apache-2.0 */
/* Where an image is cut into chunks: see chunk.h. */
#include "stellar/chunk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "base/quote.h"
#include "stellar/gear.h"

/* FastCDC's bounds and how much easier or harder a cut is than 1 in AVERAGE, as shifts. */
enum { MIN_SHIFT = 2, MAX_SHIFT = 2, NORMALIZATION = 2 };
enum { MASK_MIN_BITS = 12 - NORMALIZATION, MASK_MAX_BITS = 20 + NORMALIZATION };

/* The masks of 10 to 22 bits, by the rule in chunk.h. */
static const uint64_t masks[] = {
	0x8842108842100000, 0x8884442221100000, 0x8888888888880000, 0x9112224448880000,
	0x9224489224480000, 0x9248924892480000, 0x9249249249240000, 0xa492924949240000,
	0xa4a4a4a4a4a40000, 0xa5294a5294a40000, 0xa94a94a94a940000, 0xaa54aa54aa540000,
	0xaaa554aaa5540000,
};

_Static_assert(ARRAY_LEN(masks) == MASK_MAX_BITS - MASK_MIN_BITS + 1, "a mask for each average");
_Static_assert(CHUNK_AVERAGE_MIN_BYTES == 1 << (MASK_MIN_BITS + NORMALIZATION) &&
		       CHUNK_AVERAGE_MAX_BYTES == 1 << (MASK_MAX_BITS - NORMALIZATION),
	       "masks for all averages");
_Static_assert(CHUNK_AVERAGE_MIN_BYTES >> MIN_SHIFT >= GEAR_WINDOW,
	       "no cut depends on bytes before the chunk");

static bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* What parameters of @method and @size are; not whether there are such. */
static struct chunk_params params_of(enum chunk_method method, uint32_t size)
{
	bool is_fixed = method == CHUNK_FIXED;

	return (struct chunk_params){
		.method = method,
		.min_bytes = is_fixed ? size : size >> MIN_SHIFT,
		.average_bytes = size,
		.max_bytes = is_fixed ? size : size << MAX_SHIFT,
	};
}

static bool size_is_valid(enum chunk_method method, uint64_t size)
{
	if (!is_power_of_two(size))
		return false;
	switch (method) {
	case CHUNK_FIXED:
		return size >= CHUNK_FIXED_MIN_BYTES && size <= CHUNK_FIXED_MAX_BYTES;
	case CHUNK_FASTCDC:
		return size >= CHUNK_AVERAGE_MIN_BYTES && size <= CHUNK_AVERAGE_MAX_BYTES;
	default:
		return false;
	}
}

int chunk_params_parse(struct chunk_params *p, const char *text, struct err *e)
{
	static const char fixed[] = "fixed:", fastcdc[] = "fastcdc:";
	enum chunk_method method = CHUNK_FIXED;
	const char *size_text;
	uint64_t size;

	if (strncmp(text, fixed, strlen(fixed)) == 0) {
		size_text = text + strlen(fixed);
	} else if (strncmp(text, fastcdc, strlen(fastcdc)) == 0) {
		method = CHUNK_FASTCDC;
		size_text = text + strlen(fastcdc);
	} else {
		return err_set(e, -EINVAL,
			       "unknown chunking %s: fixed:SIZE or fastcdc:AVERAGE, as fixed:64K",
			       quote(text).text);
	}
	if (parse_size(size_text, &size) < 0 || !size_is_valid(method, size))
		return err_set(e, -EINVAL,
			       "chunking %s: the %s must be a power of two from 4K to %s",
			       quote(text).text, method == CHUNK_FIXED ? "size" : "average size",
			       method == CHUNK_FIXED ? "4M" : "1M");
	*p = params_of(method, (uint32_t)size);
	return 0;
}

void chunk_params_format(const struct chunk_params *p, char text[static CHUNK_PARAMS_TEXT_BYTES])
{
	bool is_mega = p->average_bytes >= MIB;

	snprintf(text, CHUNK_PARAMS_TEXT_BYTES, "%s:%u%c",
		 p->method == CHUNK_FIXED ? "fixed" : "fastcdc",
		 p->average_bytes / (unsigned int)(is_mega ? MIB : KIB), is_mega ? 'M' : 'K');
}

bool chunk_params_are_valid(const struct chunk_params *p)
{
	struct chunk_params known;

	if (!size_is_valid(p->method, p->average_bytes))
		return false;
	known = params_of(p->method, p->average_bytes);
	return p->min_bytes == known.min_bytes && p->max_bytes == known.max_bytes;
}

static uint64_t load_64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

/* Any non-zero byte ends it after a cache line; the compiler makes wide loads of the line. */
static bool is_zero(const uint8_t *data, size_t len)
{
	size_t i = 0;

	for (; len - i >= 64; i += 64) {
		uint64_t any = 0;

		for (size_t k = 0; k < 64; k += 8)
			any |= load_64(data + i + k);
		if (any)
			return false;
	}
	for (; i < len; i++) {
		if (data[i])
			return false;
	}
	return true;
}

static size_t run(const uint8_t *data, size_t len, bool of_zeros)
{
	size_t at = 0;

	while (at < len) {
		size_t block = len - at < CHUNK_BLOCK_BYTES ? len - at : CHUNK_BLOCK_BYTES;

		if (is_zero(data + at, block) != of_zeros)
			break;
		at += block;
	}
	return at;
}

size_t chunk_zero_run(const uint8_t *data, size_t len)
{
	return run(data, len, true);
}

size_t chunk_data_run(const uint8_t *data, size_t len)
{
	return run(data, len, false);
}

static size_t next_fastcdc(const struct chunk_params *p, const uint8_t *data, size_t len)
{
	size_t end = len < p->max_bytes ? len : p->max_bytes;
	size_t middle = end < p->average_bytes ? end : p->average_bytes;
	unsigned int bits = (unsigned int)__builtin_ctz(p->average_bytes);
	size_t at;

	if (end <= p->min_bytes)
		return end;
	at = gear_find(data, p->min_bytes, middle, masks[bits + NORMALIZATION - MASK_MIN_BITS]);
	if (at < middle)
		return at;
	return gear_find(data, middle, end, masks[bits - NORMALIZATION - MASK_MIN_BITS]);
}

size_t chunk_next(const struct chunk_params *p, uint64_t offset, const uint8_t *data, size_t len)
{
	if (p->method == CHUNK_FIXED) {
		size_t left = p->max_bytes - (size_t)(offset & (p->max_bytes - 1));

		return len < left ? len : left;
	}
	return next_fastcdc(p, data, len);
}

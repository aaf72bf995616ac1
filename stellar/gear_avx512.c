/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gear hash in 16 places at once, by AVX-512's gathers: see gear.h.
 *
 * A block is divided into 16 stripes, each with a lane that first takes in the 64 bytes before its
 * stripe. All lanes go through theirs to the end, since a lane further to the front may still find an
 * earlier position. So a block is not so long that much would be searched in vain, and below the
 * length at which the first 64 bytes cost more than the lanes gain, there is none.
 */
#include "stellar/gear.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum { LANES = 8, STRIPES = 2 * LANES };
enum { BLOCK_MIN = STRIPES * 2 * GEAR_WINDOW, BLOCK_MAX = STRIPES * 4096 };

#define TARGET __attribute__((target("avx512f,avx512dq")))

struct lanes {
	__m512i at; /* offsets of the stripes' next bytes */
	__m512i hash;
	__m512i bytes; /* the next 8 of each */
};

static TARGET inline void load(struct lanes *l, const uint8_t *data)
{
	l->bytes = _mm512_i64gather_epi64(l->at, data, 1);
	l->at = _mm512_add_epi64(l->at, _mm512_set1_epi64(8));
}

static TARGET inline void step(struct lanes *l)
{
	__m512i index = _mm512_and_si512(l->bytes, _mm512_set1_epi64(255));

	l->hash = _mm512_add_epi64(_mm512_add_epi64(l->hash, l->hash),
				   _mm512_i64gather_epi64(index, gear_table, 8));
	l->bytes = _mm512_srli_epi64(l->bytes, 8);
}

static TARGET inline struct lanes begin(const uint8_t *data, size_t from, size_t stripe)
{
	const __m512i numbers = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
	const __m512i offsets = _mm512_mullo_epi64(numbers, _mm512_set1_epi64((long long)stripe));
	struct lanes l = {
		.at = _mm512_add_epi64(offsets, _mm512_set1_epi64((long long)from - GEAR_WINDOW)),
		.hash = _mm512_setzero_si512(),
	};

	for (size_t i = 0; i < GEAR_WINDOW; i += 8) {
		load(&l, data);
		for (size_t k = 0; k < 8; k++)
			step(&l);
	}
	return l;
}

/* The first position in the STRIPES stripes of @stripe bytes from @from, or the end of the last. */
static TARGET size_t find_in_block(const uint8_t *data, size_t from, size_t stripe, uint64_t mask)
{
	const __m512i masks = _mm512_set1_epi64((long long)mask);
	struct lanes a = begin(data, from, stripe);
	struct lanes b = begin(data, from + LANES * stripe, stripe);
	size_t first = STRIPES * stripe;

	for (size_t i = 0; i < stripe; i += 8) {
		load(&a, data);
		load(&b, data);
		for (size_t k = 0; k < 8; k++) {
			unsigned int found = _mm512_testn_epi64_mask(a.hash, masks) |
					     (unsigned int)_mm512_testn_epi64_mask(b.hash, masks)
						     << LANES;

			if (__builtin_expect(found != 0, 0)) {
				size_t lane = (size_t)__builtin_ctz(found);

				if (lane * stripe + i + k < first)
					first = lane * stripe + i + k;
			}
			step(&a);
			step(&b);
		}
	}
	return from + first;
}

size_t gear_find_avx512(const uint8_t *data, size_t from, size_t to, uint64_t mask)
{
	unsigned int bits = (unsigned int)__builtin_popcountll(mask);
	size_t block = bits < 17 ? (size_t)1 << bits >> 1 : BLOCK_MAX;

	if (block < BLOCK_MIN)
		return gear_find_scalar(data, from, to, mask);
	while (from < to && to - from >= BLOCK_MIN) {
		size_t left = (to - from) / (STRIPES * 8) * (STRIPES * 8);
		size_t len = left < block ? left : block;
		size_t at = find_in_block(data, from, len / STRIPES, mask);

		if (at < from + len)
			return at;
		from += len;
	}
	return gear_find_scalar(data, from, to, mask);
}

#else

size_t gear_find_avx512(const uint8_t *data, size_t from, size_t to, uint64_t mask)
{
	return gear_find_scalar(data, from, to, mask);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunking: whatever the bytes, runs and cuts cover them all within their bounds, and they are the
 * same whether the rest of the run is at hand or only as much of it as chunk_next() asks for.
 *
 * Input: a byte that chooses the parameters, a byte for the offset in blocks, and a program that
 * writes the image: 0 to 127: that many times 64 bytes of zeros; 128 to 191: as many times 16 bytes
 * of a random stream that the low bits seed; 192 to 255: the next byte, 1 to 64 times 8.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "stellar/chunk.h"

enum { IMAGE_BYTES = 96 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static size_t put_random(uint8_t *image, size_t len, uint64_t seed)
{
	uint64_t state = 0x9e3779b97f4a7c15 * (seed + 1);

	for (size_t i = 0; i < len; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		image[i] = (uint8_t)(state >> 32);
	}
	return len;
}

static size_t write_image(uint8_t *image, const uint8_t *program, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < size && len < IMAGE_BYTES - 8192; i++) {
		uint8_t op = program[i];

		if (op < 128) {
			memset(image + len, 0, op * 64U);
			len += op * 64U;
		} else if (op < 192) {
			len += put_random(image + len, (op - 127U) * 16U, i);
		} else if (i + 1 < size) {
			memset(image + len, program[++i], (op - 191U) * 8U);
			len += (op - 191U) * 8U;
		}
	}
	return len;
}

static void check_run(const struct chunk_params *p, uint64_t offset, const uint8_t *run, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t left = len - at;
		size_t needed = left < p->max_bytes ? left : p->max_bytes;
		size_t cut = chunk_next(p, offset + at, run + at, left);
		uint8_t *part;

		require(cut > 0 && cut <= needed, "within the bounds");
		require(cut == left || p->method == CHUNK_FIXED || cut >= p->min_bytes,
			"not too short");
		require(p->method != CHUNK_FIXED || cut == left ||
				(offset + at + cut) % p->max_bytes == 0,
			"fixed chunks are aligned");
		/* A buffer of its own, so that the sanitizer sees what is read beyond it. */
		part = calloc(1, needed);
		require(part, "set-up");
		memcpy(part, run + at, needed);
		require(chunk_next(p, offset + at, part, needed) == cut, "needs no more");
		free(part);
		at += cut;
	}
}

static bool has_other(const uint8_t *block, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (block[i])
			return true;
	}
	return false;
}

/* Every block of the run is zero, or none is. */
static void check_blocks(const uint8_t *run, size_t len, bool is_data)
{
	for (size_t at = 0; at < len; at += CHUNK_BLOCK_BYTES)
		require(has_other(run + at, min_u64(CHUNK_BLOCK_BYTES, len - at)) == is_data,
			"blocks of the other kind");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const texts[] = { "fastcdc:4K", "fastcdc:8K", "fastcdc:64K", "fixed:4K",
					     "fixed:64K" };
	static uint8_t image[IMAGE_BYTES];
	struct chunk_params p;
	uint64_t offset;
	size_t len;

	if (size < 2)
		return 0;
	require(chunk_params_parse(&p, texts[data[0] % ARRAY_LEN(texts)], NULL) == 0, "parses");
	offset = (uint64_t)data[1] * CHUNK_BLOCK_BYTES;
	len = write_image(image, data + 2, size - 2);
	for (size_t at = 0; at < len;) {
		size_t zeros = chunk_zero_run(image + at, len - at);
		size_t run = chunk_data_run(image + at + zeros, len - at - zeros);

		require(zeros + run > 0, "progress");
		check_blocks(image + at, zeros, false);
		check_blocks(image + at + zeros, run, true);
		check_run(&p, offset + at + zeros, image + at + zeros, run);
		at += zeros + run;
	}
	return 0;
}

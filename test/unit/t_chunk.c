/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunking: cuts are where the documentation says, for ever; they come back after a change; runs of
 * zeros are found at the grain of blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <blake3.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "stellar/chunk.h"
#include "stellar/gear.h"
#include "stellar/id.h"

static uint64_t random_state;

/* xorshift64: the same stream everywhere. */
static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint8_t *random_bytes(uint64_t seed, size_t len)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	random_state = seed;
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(next_random() >> 32);
	return data;
}

static struct chunk_params params(const char *text)
{
	struct chunk_params p;

	assert_int_equal(chunk_params_parse(&p, text, NULL), 0);
	return p;
}

static void test_gear_table_is_as_documented(void **state)
{
	uint8_t bytes[sizeof(gear_table)];
	blake3_hasher h;

	(void)state;
	blake3_hasher_init_derive_key(&h, "stellarium v1 gear table");
	blake3_hasher_finalize(&h, bytes, sizeof(bytes));
	for (size_t i = 0; i < ARRAY_LEN(gear_table); i++) {
		le64 v;

		memcpy(&v, bytes + 8 * i, sizeof(v));
		assert_true(gear_table[i] == le64_get(v));
	}
}

/* Searches of any length and place, for values that are found at once, late, and never. */
static void test_searches_agree(void **state)
{
	enum { LEN = 300000 };
	auto_free uint8_t *data = random_bytes(5, LEN);

	(void)state;
	if (!gear_has_avx512())
		skip();
	for (unsigned int i = 0; i < 3000; i++) {
		unsigned int bits = 8 + (unsigned int)(next_random() % 16);
		uint64_t mask = UINT64_MAX << (64 - bits) >> next_random() % 8;
		size_t from = GEAR_WINDOW + next_random() % (LEN / 2);
		size_t to = from + next_random() % (LEN / 2 - GEAR_WINDOW) / (1 + i % 16);
		auto_free uint8_t *copy = malloc(to); /* the sanitizer sees what is read beyond */

		assert_non_null(copy);
		memcpy(copy, data, to);
		assert_int_equal(gear_find_avx512(copy, from, to, mask),
				 gear_find_scalar(copy, from, to, mask));
	}
	assert_int_equal(gear_find_avx512(data, LEN, LEN, 1), LEN);
	assert_int_equal(gear_find_avx512(data, LEN, 1000, 1), 1000);
}

/* chunk.h in as few words as possible; slow. */
static uint64_t documented_mask(unsigned int bits)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < bits; i++)
		mask |= UINT64_C(1) << (63 - 48 * i / bits);
	return mask;
}

static size_t documented_next(size_t average, const uint8_t *data, size_t len)
{
	unsigned int bits = (unsigned int)__builtin_ctzl(average);

	for (size_t at = average / 4; at < len && at < 4 * average; at++) {
		uint64_t hash = 0;

		for (size_t i = at - 64; i < at; i++)
			hash = 2 * hash + gear_table[data[i]];
		if (!(hash & documented_mask(at < average ? bits + 2 : bits - 2)))
			return at;
	}
	return len < 4 * average ? len : 4 * average;
}

static void check_cuts(const char *text, const uint8_t *data, size_t len)
{
	struct chunk_params p = params(text);
	size_t at = 0;

	while (at < len) {
		size_t cut = chunk_next(&p, at, data + at, len - at);

		assert_int_equal(cut, documented_next(p.average_bytes, data + at, len - at));
		at += cut;
	}
	assert_int_equal(at, len);
}

static void test_cuts_are_as_documented(void **state)
{
	enum { LEN = 4 << 20 };
	auto_free uint8_t *data = random_bytes(1, LEN);

	(void)state;
	check_cuts("fastcdc:4K", data, LEN);
	check_cuts("fastcdc:32K", data, LEN);
	check_cuts("fastcdc:1M", data, LEN);
	for (size_t len = 0; len < 20000; len += 1 + len / 16)
		check_cuts("fastcdc:4K", data + len, len);
	memset(data, 'x', LEN); /* no cut but at the bounds, or at each */
	check_cuts("fastcdc:4K", data, LEN / 4);
	for (size_t i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i % 100);
	check_cuts("fastcdc:8K", data, LEN / 4);
}

/* The name of the list of cuts, each as a little-endian number of 64 bits, and how many. */
static size_t cuts_of(const char *text, const uint8_t *data, size_t len, char hex[static 65])
{
	struct chunk_params p = params(text);
	auto_free le64 *cuts = calloc(len / p.min_bytes + 2, sizeof(*cuts));
	struct id_scheme plain;
	struct chunk_id id;
	size_t count = 0;

	assert_non_null(cuts);
	for (size_t at = 0; at < len; cuts[count++] = le64_put(at))
		at += chunk_next(&p, at, data + at, len - at);
	id_scheme_init(&plain, NULL);
	id_of_data(&plain, cuts, count * sizeof(*cuts), &id);
	id_to_hex(&id, hex);
	return count;
}

static void test_cuts_are_golden(void **state)
{
	enum { LEN = 32 << 20 };
	static const struct {
		const char *params;
		size_t count;
		const char *hex;
	} golden[] = {
		{ "fastcdc:4K", 7195,
		  "738caef2205acd3a44bfa11ef245c26a4a2213bf8795404de0436a668f4575e4" },
		{ "fastcdc:16K", 1775,
		  "168856727543292bc5a9e9a5a03686156e341062b13e898e587927847a54c979" },
		{ "fastcdc:64K", 450,
		  "08db0d05218e9b100dac43b49cd224464cf85dab907c7f9446056d5edca8bcf5" },
		{ "fastcdc:256K", 113,
		  "feabd92b832048c7100d8e6d8f3d6a62eeb2085bd382cc5cef5651f050eab33a" },
		{ "fastcdc:1M", 27,
		  "4e866083db33116adccd8db945c6abf21240b2c3f5e3567e389cb017849ab915" },
	};
	auto_free uint8_t *data = random_bytes(20260101, LEN);
	char hex[CHUNK_ID_HEX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
		size_t count = cuts_of(golden[i].params, data, LEN, hex);

		if (count != golden[i].count || strcmp(hex, golden[i].hex) != 0)
			fail_msg("{ \"%s\", %zu, \"%s\" },", golden[i].params, count, hex);
	}
}

/* How many of the chunks of @b are not in @a. */
static size_t new_chunks(const struct chunk_params *p, const uint8_t *a, size_t a_len,
			 const uint8_t *b, size_t b_len)
{
	size_t fresh = 0;

	for (size_t at = 0; at < b_len;) {
		size_t len = chunk_next(p, 0, b + at, b_len - at);

		fresh += memmem(a, a_len, b + at, len) == NULL;
		at += len;
	}
	return fresh;
}

static void test_cuts_come_back(void **state)
{
	enum { LEN = 2 << 20 };
	struct chunk_params p = params("fastcdc:16K");
	auto_free uint8_t *data = random_bytes(3, LEN);
	auto_free uint8_t *changed = malloc(LEN + 1);
	size_t first = chunk_next(&p, 0, data, LEN), second;

	(void)state;
	assert_non_null(changed);
	changed[0] = 'x';
	memcpy(changed + 1, data, LEN);
	/* The first one, and at most a few until a cut is where it was. */
	assert_in_range(new_chunks(&p, data, LEN, changed, LEN + 1), 1, 4);
	memcpy(changed, data, LEN);
	changed[first + 100] ^= 1;
	second = chunk_next(&p, 0, data + first, LEN - first);
	assert_int_equal(chunk_next(&p, 0, changed + first, LEN - first), second);
	assert_int_equal(new_chunks(&p, data, LEN, changed, LEN), 1);
}

static void test_lengths(void **state)
{
	enum { LEN = 64 << 20 };
	auto_free uint8_t *data = random_bytes(4, LEN);
	struct chunk_params p = params("fastcdc:64K");
	size_t count = 0, near = 0;

	(void)state;
	for (size_t at = 0; at < LEN; count++) {
		size_t len = chunk_next(&p, at, data + at, LEN - at);

		assert_in_range(len, at + len < LEN ? p.min_bytes : 1, p.max_bytes);
		near += len >= p.average_bytes / 2 && len <= p.average_bytes * 2;
		at += len;
	}
	/* The mean is near to what was asked for, and so are most chunks. */
	assert_in_range(count, LEN / p.average_bytes * 3 / 4, LEN / p.average_bytes * 5 / 4);
	assert_in_range(near, count * 3 / 4, count);
}

static void test_fixed(void **state)
{
	struct chunk_params p = params("fixed:64K");
	uint8_t byte = 0;

	(void)state;
	assert_int_equal(chunk_next(&p, 0, &byte, 1 << 20), 64 << 10);
	assert_int_equal(chunk_next(&p, 4096, &byte, 1 << 20), 60 << 10);
	assert_int_equal(chunk_next(&p, (64 << 10) - 4096, &byte, 1 << 20), 4096);
	assert_int_equal(chunk_next(&p, UINT64_C(1) << 44, &byte, 1 << 20), 64 << 10);
	assert_int_equal(chunk_next(&p, 0, &byte, 5000), 5000);
	assert_int_equal(chunk_next(&p, 0, &byte, 0), 0);
	p = params("fastcdc:64K");
	assert_int_equal(chunk_next(&p, 0, &byte, 0), 0);
}

static void test_runs(void **state)
{
	enum { BLOCK = CHUNK_BLOCK_BYTES, LEN = 8 * BLOCK };
	auto_free uint8_t *data = calloc(1, LEN);

	(void)state;
	assert_non_null(data);
	assert_int_equal(chunk_zero_run(data, 0), 0);
	assert_int_equal(chunk_data_run(data, 0), 0);
	assert_int_equal(chunk_zero_run(data, LEN), LEN);
	assert_int_equal(chunk_data_run(data, LEN), 0);
	assert_int_equal(chunk_zero_run(data, LEN - 1), LEN - 1);
	assert_int_equal(chunk_zero_run(data, 7), 7);
	/* A bit anywhere makes its block data, the only one. */
	for (size_t at = 0; at < LEN; at++) {
		size_t block = at / BLOCK * BLOCK;

		data[at] = (uint8_t)(1 << at % 8);
		assert_int_equal(chunk_zero_run(data, LEN), block);
		assert_int_equal(chunk_data_run(data + block, LEN - block), BLOCK);
		/* In a short last block too; and not when it is just behind the end. */
		assert_int_equal(chunk_zero_run(data, at + 1), block);
		assert_int_equal(chunk_data_run(data + block, at + 1 - block), at + 1 - block);
		assert_int_equal(chunk_zero_run(data, at), at);
		data[at] = 0;
	}
}

static void test_params(void **state)
{
	static const char *const good[] = { "fixed:4K",	  "fixed:64K",	  "fixed:1M",  "fixed:4M",
					    "fastcdc:4K", "fastcdc:512K", "fastcdc:1M" };
	static const char *const bad[] = { "",		 "fixed",      "fixed:",      "fixed:3K",
					   "fixed:2K",	 "fixed:8M",   "fixed:0",     "fixed:-4K",
					   "fastcdc:2K", "fastcdc:2M", "fastcdc:48K", "fastcdc",
					   "rabin:4K",	 "FIXED:4K",   " fixed:4K",   "fixed:4K " };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char text[CHUNK_PARAMS_TEXT_BYTES];
		struct chunk_params p = params(good[i]);

		chunk_params_format(&p, text);
		assert_string_equal(text, good[i]);
		assert_true(chunk_params_are_valid(&p));
		p.max_bytes *= 2;
		assert_false(chunk_params_are_valid(&p));
		p = params(good[i]);
		p.min_bytes = 0;
		assert_false(chunk_params_are_valid(&p));
		p = params(good[i]);
		p.average_bytes--;
		assert_false(chunk_params_are_valid(&p));
		p = params(good[i]);
		p.method = (enum chunk_method)3;
		assert_false(chunk_params_are_valid(&p));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct chunk_params p;
		struct err e = { 0 };

		assert_int_equal(chunk_params_parse(&p, bad[i], &e), -EINVAL);
		assert_non_null(strstr(e.msg, bad[i]));
		assert_non_null(strstr(e.msg, "K"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gear_table_is_as_documented),
		cmocka_unit_test(test_searches_agree),
		cmocka_unit_test(test_cuts_are_as_documented),
		cmocka_unit_test(test_cuts_are_golden),
		cmocka_unit_test(test_cuts_come_back),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

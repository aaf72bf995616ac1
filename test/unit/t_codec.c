/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs: what was stored comes back, what is damaged is an error, and nothing is stored longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "stellar/chunk.h"
#include "stellar/codec.h"

enum { CHUNK = 64 << 10 };

static uint64_t random_state = 88172645463325252;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Words of a small vocabulary: compresses well. */
static void fill_text(uint8_t *data, size_t len)
{
	static const char *const words[] = { "volume ", "chunk ", "manifest ", "store\n",
					     "index ",	"pack ",  "lease ",    "root: " };

	for (size_t i = 0; i < len;) {
		const char *word = words[next_random() >> 61];

		for (; *word && i < len; i++, word++)
			data[i] = (uint8_t)*word;
	}
}

static void fill_random(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(next_random() >> 32);
}

static struct codec_coder *coder(const char *text, const struct codec_dictionary *dictionary)
{
	struct codec_coder *c = NULL;
	struct codec_params p;

	assert_int_equal(codec_params_parse(&p, text, NULL), 0);
	assert_int_equal(codec_coder_new(&c, &p, dictionary, NULL), 0);
	return c;
}

static struct codec_dictionary *dictionary_new(int level)
{
	enum { COUNT = 400, EACH = 1000, CAP = 8192 };
	struct codec_dictionary *dictionary = NULL;
	auto_free uint8_t *samples = malloc(COUNT * EACH);
	auto_free uint8_t *bytes = malloc(CAP);
	size_t sizes[COUNT];
	int len;

	assert_non_null(samples);
	fill_text(samples, COUNT * EACH);
	for (size_t i = 0; i < COUNT; i++)
		sizes[i] = EACH;
	len = codec_dictionary_train(samples, sizes, COUNT, bytes, CAP, NULL);
	assert_in_range(len, 256, CAP);
	assert_int_equal(codec_dictionary_new(&dictionary, bytes, (size_t)len, level, NULL), 0);
	return dictionary;
}

/* Encodes, decodes, compares; the stored length. */
static size_t round_trip(struct codec_coder *c, const uint8_t *data, size_t len,
			 enum codec expected)
{
	auto_free uint8_t *stored = malloc(len + 1);
	auto_free uint8_t *again = malloc(len + 1);
	enum codec used = CODEC_LZ4;
	size_t stored_len;

	assert_non_null(stored);
	assert_non_null(again);
	stored[len] = 0x5a;
	again[len] = 0x5a;
	stored_len = codec_encode(c, data, len, stored, len, &used);
	assert_int_equal(used, expected);
	if (used == CODEC_NONE) {
		assert_int_equal(stored_len, len);
		memcpy(stored, data, len);
	} else {
		assert_in_range(stored_len, 1, len - len / 16);
	}
	assert_int_equal(codec_decode(c, (uint8_t)used, stored, stored_len, again, len, NULL), 0);
	assert_memory_equal(again, data, len);
	assert_int_equal(again[len], 0x5a);
	assert_int_equal(stored[len], 0x5a);
	return stored_len;
}

static void check_codec(const char *text, const struct codec_dictionary *dictionary,
			enum codec for_text)
{
	static const size_t lens[] = { 512, 4096, 5000, CHUNK, (1 << 20) - 1 };
	struct codec_coder *c = coder(text, dictionary);

	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		auto_free uint8_t *data = malloc(lens[i]);

		fill_text(data, lens[i]);
		round_trip(c, data, lens[i], for_text);
		fill_random(data, lens[i]);
		round_trip(c, data, lens[i], CODEC_NONE);
	}
	round_trip(c, (const uint8_t *)"a", 1, CODEC_NONE);
	round_trip(c, (const uint8_t *)"", 0, CODEC_NONE);
	codec_coder_free(c);
}

static void test_round_trips(void **state)
{
	struct codec_dictionary *dictionary = dictionary_new(3);

	(void)state;
	check_codec("none", NULL, CODEC_NONE);
	check_codec("lz4", NULL, CODEC_LZ4);
	check_codec("zstd", NULL, CODEC_ZSTD);
	check_codec("zstd:1", NULL, CODEC_ZSTD);
	check_codec("zstd:19", NULL, CODEC_ZSTD);
	check_codec("auto", NULL, CODEC_ZSTD);
	check_codec("auto:9", NULL, CODEC_ZSTD);
	check_codec("none", dictionary, CODEC_NONE);
	check_codec("lz4", dictionary, CODEC_LZ4);
	codec_dictionary_free(dictionary);
	codec_dictionary_free(NULL);
	codec_coder_free(NULL);
}

/* Half of it random: zstd gains half. A random rest of 15 in 16 or more is not worth it. */
static void test_small_gains_are_left(void **state)
{
	static const char *const codecs[] = { "lz4", "zstd", "zstd:12", "auto" };
	auto_free uint8_t *data = calloc(1, CHUNK);

	(void)state;
	fill_random(data, CHUNK);
	memset(data, 0, CHUNK / 2);
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		struct codec_coder *c = coder(codecs[i], NULL);
		enum codec used;
		auto_free uint8_t *stored = malloc(CHUNK);

		codec_encode(c, data, CHUNK, stored, CHUNK, &used);
		assert_int_equal(used, i == 0 ? CODEC_LZ4 : CODEC_ZSTD);
		codec_coder_free(c);
	}
	fill_random(data, CHUNK);
	memset(data, 0, CHUNK / 20);
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		struct codec_coder *c = coder(codecs[i], NULL);

		round_trip(c, data, CHUNK, CODEC_NONE);
		codec_coder_free(c);
	}
}

/*
 * What zstd can shrink, the quick test must let through: bytes with a bias, in part or everywhere,
 * and random ones that come again.
 */
static void test_auto_misses_nothing(void **state)
{
	auto_free uint8_t *data = malloc(CHUNK);
	struct codec_coder *c = coder("auto:1", NULL);

	(void)state;
	for (size_t len = 4096; len <= CHUNK; len *= 2) {
		fill_random(data, len);
		for (size_t i = 0; i < len; i++)
			data[i] &= 0x7f;
		round_trip(c, data, len, CODEC_ZSTD);
		fill_random(data, len);
		fill_text(data + len / 2, len / 4);
		round_trip(c, data, len, CODEC_ZSTD);
		fill_random(data, len);
		memcpy(data + len / 2, data, len / 4);
		round_trip(c, data, len, CODEC_ZSTD);
		fill_random(data, len);
		round_trip(c, data, len, CODEC_NONE);
	}
	codec_coder_free(c);
}

static void test_dictionary(void **state)
{
	struct codec_dictionary *dictionary = dictionary_new(3);
	struct codec_coder *plain = coder("zstd", NULL), *c = coder("zstd", dictionary);
	uint8_t data[4096], stored[4096], again[4096];
	struct err e = { 0 };
	enum codec used;
	size_t len;

	(void)state;
	fill_text(data, sizeof(data));
	assert_true(round_trip(c, data, sizeof(data), CODEC_ZSTD_DICTIONARY) <
		    round_trip(plain, data, sizeof(data), CODEC_ZSTD));
	len = codec_encode(c, data, sizeof(data), stored, sizeof(stored), &used);
	assert_int_equal(codec_decode(plain, (uint8_t)used, stored, len, again, sizeof(again), &e),
			 -EBADMSG);
	assert_non_null(strstr(e.msg, "dictionary"));
	/* A coder with a dictionary reads what was stored without one. */
	len = codec_encode(plain, data, sizeof(data), stored, sizeof(stored), &used);
	assert_int_equal(codec_decode(c, (uint8_t)used, stored, len, again, sizeof(again), &e), 0);
	assert_memory_equal(again, data, sizeof(data));
	codec_coder_free(plain);
	codec_coder_free(c);
	codec_dictionary_free(dictionary);
}

static void test_bad_dictionaries(void **state)
{
	static const size_t sizes[] = { 10 };
	auto_free uint8_t *large = calloc(1, CODEC_DICTIONARY_MAX_BYTES + 1);
	struct codec_dictionary *dictionary = NULL;
	struct err e = { 0 };
	uint8_t out[256];

	(void)state;
	assert_int_equal(codec_dictionary_new(&dictionary, "not one", 7, 3, &e), -EBADMSG);
	assert_int_equal(codec_dictionary_new(&dictionary, "", 0, 3, &e), -EBADMSG);
	/* The right magic and an id, and nothing that follows. */
	assert_int_equal(
		codec_dictionary_new(&dictionary, "\x37\xa4\x30\xec\1\2\3\4zzzzzzzz", 16, 3, &e),
		-EBADMSG);
	assert_int_equal(
		codec_dictionary_new(&dictionary, large, CODEC_DICTIONARY_MAX_BYTES + 1, 3, &e),
		-EBADMSG);
	assert_null(dictionary);
	assert_int_equal(codec_dictionary_train("0123456789", sizes, 1, out, sizeof(out), &e),
			 -EINVAL);
	assert_int_equal(
		codec_dictionary_train(large, sizes, 1, large, CODEC_DICTIONARY_MAX_BYTES + 1, &e),
		-EINVAL);
}

/* Whatever is done to it: an error that says so, or other bytes; never more bytes than asked for. */
static void check_damage(struct codec_coder *c, uint8_t codec, const uint8_t *stored, size_t len,
			 size_t raw_len)
{
	auto_free uint8_t *damaged = malloc(len + 1);
	auto_free uint8_t *again = malloc(raw_len + 1);
	struct err e = { 0 };

	again[raw_len] = 0x5a;
	for (size_t i = 0; i < len; i++) {
		int r;

		memcpy(damaged, stored, len);
		damaged[i] ^= (uint8_t)(1 << i % 8);
		r = codec_decode(c, codec, damaged, len, again, raw_len, &e);
		assert_true(r == 0 || (r == -EBADMSG && strstr(e.msg, "damaged")));
		assert_int_equal(again[raw_len], 0x5a);
		/* Truncated; and as if it were shorter or longer. */
		assert_int_equal(codec_decode(c, codec, stored, i, again, raw_len, &e), -EBADMSG);
	}
	assert_int_equal(codec_decode(c, codec, stored, len, again, raw_len - 1, &e), -EBADMSG);
	assert_int_equal(codec_decode(c, codec, stored, len, again, raw_len + 1, &e), -EBADMSG);
	memcpy(damaged, stored, len);
	damaged[len] = 0;
	assert_int_equal(codec_decode(c, codec, damaged, len + 1, again, raw_len, &e), -EBADMSG);
}

static void test_damage(void **state)
{
	static const char *const codecs[] = { "lz4", "zstd", "zstd:19" };
	struct codec_dictionary *dictionary = dictionary_new(19);
	uint8_t data[4096], stored[4096];
	enum codec used;

	(void)state;
	fill_text(data, sizeof(data));
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		for (int with_dictionary = 0; with_dictionary < 2; with_dictionary++) {
			struct codec_coder *c =
				coder(codecs[i], with_dictionary ? dictionary : NULL);
			size_t len =
				codec_encode(c, data, sizeof(data), stored, sizeof(stored), &used);

			assert_int_not_equal(used, CODEC_NONE);
			check_damage(c, (uint8_t)used, stored, len, sizeof(data));
			codec_coder_free(c);
		}
	}
	codec_dictionary_free(dictionary);
}

static void test_foreign_values(void **state)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0 };
	static const uint8_t old_format[] = { 0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 0 };
	struct codec_coder *c = coder("none", NULL);
	uint8_t out[16], two[64];
	struct err e = { 0 };
	enum codec used;
	size_t len;

	(void)state;
	assert_int_equal(codec_decode(c, 4, "abcd", 4, out, 4, &e), -EBADMSG);
	assert_int_equal(codec_decode(c, 255, "abcd", 4, out, 4, &e), -EBADMSG);
	assert_int_equal(codec_decode(c, CODEC_NONE, "abcd", 4, out, 3, &e), -EBADMSG);
	assert_int_equal(codec_decode(c, CODEC_ZSTD, skippable, sizeof(skippable), out, 0, &e),
			 -EBADMSG);
	assert_int_equal(codec_decode(c, CODEC_ZSTD, old_format, sizeof(old_format), out, 16, &e),
			 -EBADMSG);
	assert_int_equal(codec_decode(c, CODEC_ZSTD, out, CHUNK_MAX_BYTES + 1, out, 1, &e),
			 -EBADMSG);
	assert_int_equal(codec_decode(c, CODEC_LZ4, out, 1, out, CHUNK_MAX_BYTES + 1, &e),
			 -EBADMSG);
	codec_coder_free(c);
	/* Two frames, which zstd itself would take for one content. */
	c = coder("zstd", NULL);
	len = codec_encode(c, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40, two, 40, &used);
	assert_int_equal(used, CODEC_ZSTD);
	assert_in_range(len, 1, sizeof(two) / 2);
	memcpy(two + len, two, len);
	assert_int_equal(codec_decode(c, CODEC_ZSTD, two, 2 * len, (uint8_t[80]){ 0 }, 80, &e),
			 -EBADMSG);
	codec_coder_free(c);
}

/* What version 1 wrote: every later one must read it. "stellarium " 20 times. */
static void test_golden_bytes(void **state)
{
	static const uint8_t lz4[] = { 0xbf, 0x73, 0x74, 0x65, 0x6c, 0x6c, 0x61,
				       0x72, 0x69, 0x75, 0x6d, 0x20, 0x0b, 0x00,
				       0xb9, 0x50, 0x72, 0x69, 0x75, 0x6d, 0x20 };
	static const uint8_t zstd[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x95, 0x00, 0x00,
					0x58, 0x73, 0x74, 0x65, 0x6c, 0x6c, 0x61, 0x72, 0x69,
					0x75, 0x6d, 0x20, 0x01, 0x00, 0x4e, 0x53, 0xc5, 0x0b };
	struct codec_coder *c = coder("none", NULL);
	char expected[220], out[220];
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(expected); i++)
		expected[i] = "stellarium "[i % 11];
	assert_int_equal(codec_decode(c, 1, lz4, sizeof(lz4), out, sizeof(out), &e), 0);
	assert_memory_equal(out, expected, sizeof(out));
	assert_int_equal(codec_decode(c, 2, zstd, sizeof(zstd), out, sizeof(out), &e), 0);
	assert_memory_equal(out, expected, sizeof(out));
	codec_coder_free(c);
}

static void test_params(void **state)
{
	static const struct {
		const char *text, *again;
	} good[] = { { "none", "none" },     { "lz4", "lz4" },	       { "zstd", "zstd:3" },
		     { "zstd:1", "zstd:1" }, { "zstd:19", "zstd:19" }, { "auto", "auto:3" },
		     { "auto:9", "auto:9" } };
	static const char *const bad[] = { "",	      "gzip",	 "zstd:", "zstd:0", "zstd:20",
					   "zstd:-1", "zstd:1x", "lz4:1", "none:1", "auto:x",
					   "ZSTD",    "zstd ",	 "zstd1", "lz4hc",  "auto:99" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char text[CODEC_PARAMS_TEXT_BYTES];
		struct codec_params p;

		assert_int_equal(codec_params_parse(&p, good[i].text, NULL), 0);
		codec_params_format(&p, text);
		assert_string_equal(text, good[i].again);
		assert_true(codec_params_are_valid(&p));
		p.level = p.level ? CODEC_LEVEL_MAX + 1 : 1;
		assert_false(codec_params_are_valid(&p));
		p.level = p.level == 1 ? 0 : 3;
		p.choice = (enum codec_choice)4;
		assert_false(codec_params_are_valid(&p));
		p.choice = (enum codec_choice) - 1;
		assert_false(codec_params_are_valid(&p));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct codec_params p;
		struct err e = { 0 };

		assert_int_equal(codec_params_parse(&p, bad[i], &e), -EINVAL);
		assert_non_null(strstr(e.msg, bad[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_auto_misses_nothing),
		cmocka_unit_test(test_small_gains_are_left),
		cmocka_unit_test(test_dictionary),
		cmocka_unit_test(test_bad_dictionaries),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_foreign_values),
		cmocka_unit_test(test_golden_bytes),
		cmocka_unit_test(test_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

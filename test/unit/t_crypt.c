/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of encrypted stores: which open them, which do not, and what hostile envelopes can cost. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "stellar/crypt.h"

enum { PAYLOAD_BYTES = 1000, SEALED_BYTES = PAYLOAD_BYTES + SEAL_EXTRA_BYTES };

static const uint8_t uuid[STORE_UUID_BYTES] = "0123456789abcde";
static const uint8_t master[MASTER_KEY_BYTES] = "the master key of some test, yes";
static const uint8_t key_bytes[40] = "a key of 40 bytes that nobody can guess";

/*
 * Of the documents, not of this program: made with b3sum(1) and Python's cryptography. The seal is of
 * "sealed bytes".
 */
static const uint8_t golden_seal[] = {
	0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70,
	0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x39, 0x3d,
	0x88, 0xba, 0x49, 0x32, 0x59, 0x46, 0x06, 0xa9, 0xc5, 0x4b, 0xaa, 0x01, 0x48,
	0x8a, 0x20, 0x06, 0x31, 0x11, 0xcc, 0xd2, 0x7b, 0x53, 0x52, 0x21, 0x6c, 0xde,
};
static const uint8_t golden_key_file[] = {
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x65,
	0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73,
	0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0xbe, 0xd6, 0x99, 0xed, 0x12, 0x6e,
	0x20, 0xe4, 0xc6, 0x3d, 0x6e, 0xa9, 0xf6, 0x89, 0xc2, 0xe9, 0xd8, 0xb1, 0x43, 0x49,
	0xb9, 0xbb, 0x50, 0xdf, 0x92, 0x41, 0x5f, 0x9a, 0x04, 0x48, 0xc0, 0x5e, 0xbc, 0x15,
	0xe1, 0x90, 0x35, 0xaf, 0x68, 0x7d, 0x6c, 0x9c, 0xef, 0x8a, 0x1d, 0x61, 0xb6, 0x02,
};
static const uint8_t golden_passphrase[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03,
	0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x64, 0x65,
	0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73,
	0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0xcf, 0x02, 0xee, 0xc6, 0xe0, 0x11,
	0x11, 0x44, 0xad, 0x5a, 0xe8, 0x78, 0xe9, 0x9c, 0x92, 0xdb, 0x99, 0x91, 0xd9, 0x8c,
	0x48, 0x41, 0x16, 0xb9, 0xa5, 0x9e, 0x73, 0xbf, 0xc5, 0x35, 0xe4, 0x72, 0xd1, 0x79,
	0x67, 0x71, 0xa2, 0x57, 0x18, 0x0c, 0x95, 0xd9, 0x95, 0x01, 0xa6, 0xe7, 0x47, 0xf5,
};

static struct key_input key_file(size_t len)
{
	return (struct key_input){ .kind = KEY_BYTES, .bytes = key_bytes, .len = len };
}

static struct key_input passphrase(const char *text)
{
	return (struct key_input){
		.kind = KEY_PASSPHRASE,
		.bytes = (const uint8_t *)text,
		.len = strlen(text),
	};
}

static struct st_envelope wrapped(const struct key_input *input)
{
	struct st_envelope envelope;

	assert_int_equal(crypt_wrap(&envelope, uuid, master, input, NULL), 0);
	return envelope;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- envelopes ------------------------------------------------------------------------------ */

static void test_key_file(void **state)
{
	const struct key_input input = key_file(40), shorter = key_file(39);
	const struct st_envelope a = wrapped(&input), b = wrapped(&input);
	uint8_t opened[MASTER_KEY_BYTES];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypt_unwrap(&a, uuid, &input, opened, NULL), 0);
	assert_memory_equal(opened, master, sizeof(master));
	/* The same key twice gives nothing away. */
	assert_memory_not_equal(a.nonce, b.nonce, sizeof(a.nonce));
	assert_memory_not_equal(a.sealed_key, b.sealed_key, sizeof(a.sealed_key));

	memset(opened, 0, sizeof(opened));
	assert_int_equal(crypt_unwrap(&a, uuid, &shorter, opened, &e), -EKEYREJECTED);
	assert_non_null(strstr(e.msg, "key"));
	assert_memory_not_equal(opened, master, sizeof(master));
}

static void test_passphrase(void **state)
{
	const struct key_input right = passphrase("correct horse");
	const struct st_envelope a = wrapped(&right);
	uint8_t opened[MASTER_KEY_BYTES];

	(void)state;
	assert_int_equal(le64_get(a.ops), 3); /* libsodium's MODERATE */
	assert_int_equal(le64_get(a.memory_bytes), 256 * MIB);
	assert_int_equal(crypt_unwrap(&a, uuid, &right, opened, NULL), 0);
	assert_memory_equal(opened, master, sizeof(master));
}

/* Found without any work: the message says what would do. */
static void test_wrong_kind(void **state)
{
	const struct key_input file = key_file(40), text = passphrase("x");
	const struct key_input none = { .kind = KEY_NONE };
	struct st_envelope by_text = { .kind = le32_put(KEY_PASSPHRASE),
				       .ops = le64_put(16),
				       .memory_bytes = le64_put(4 * GIB) };
	const struct st_envelope by_file = wrapped(&file);
	uint8_t opened[MASTER_KEY_BYTES];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypt_unwrap(&by_file, uuid, &text, opened, &e), -EKEYREJECTED);
	assert_non_null(strstr(e.msg, "with a key file, not a passphrase"));
	assert_int_equal(crypt_unwrap(&by_text, uuid, &file, opened, &e), -EKEYREJECTED);
	assert_non_null(strstr(e.msg, "with a passphrase, not a key file"));
	assert_int_equal(crypt_unwrap(&by_text, uuid, &none, opened, &e), -EKEYREJECTED);
	assert_non_null(strstr(e.msg, "takes a passphrase"));
}

static void test_key_lengths(void **state)
{
	static uint8_t bytes[5000];
	static const struct {
		enum key_kind kind;
		size_t len;
		int result;
	} cases[] = {
		{ KEY_BYTES, 0, -EINVAL },
		{ KEY_BYTES, 31, -EINVAL },
		{ KEY_BYTES, 32, 0 },
		{ KEY_BYTES, 4096, 0 },
		{ KEY_BYTES, 4097, -EINVAL },
		{ KEY_PASSPHRASE, 0, -EINVAL },
		{ KEY_PASSPHRASE, 1025, -EINVAL },
		{ KEY_NONE, 0, -EINVAL },
		{ (enum key_kind)7, 100, -EINVAL },
	};
	struct st_envelope envelope;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct key_input input = { cases[i].kind, bytes, cases[i].len };
		struct err e = { 0 };

		assert_int_equal(crypt_wrap(&envelope, uuid, master, &input, &e), cases[i].result);
		assert_int_equal(e.msg[0] != '\0', cases[i].result < 0);
	}
}

static void test_every_byte_of_envelope(void **state)
{
	const struct key_input input = key_file(40);
	const struct st_envelope good = wrapped(&input);
	uint8_t opened[MASTER_KEY_BYTES], other_uuid[STORE_UUID_BYTES];
	struct err e = { 0 };

	(void)state;
	for (size_t at = 0; at < sizeof(good); at++) {
		for (int bit = 0; bit < 8; bit++) {
			struct st_envelope bad = good;
			int r;

			((uint8_t *)&bad)[at] ^= (uint8_t)(1 << bit);
			r = crypt_unwrap(&bad, uuid, &input, opened, &e);
			assert_true(r == -EBADMSG || r == -EKEYREJECTED);
		}
	}
	/* Taken from one store and put into another. */
	for (size_t at = 0; at < sizeof(uuid); at++) {
		memcpy(other_uuid, uuid, sizeof(uuid));
		other_uuid[at] ^= 1;
		assert_int_equal(crypt_unwrap(&good, other_uuid, &input, opened, &e),
				 -EKEYREJECTED);
	}
}

static void test_hostile_limits(void **state)
{
	static const struct {
		uint64_t ops, memory;
	} cases[] = {
		{ 0, 256 * MIB },
		{ 17, 256 * MIB },
		{ UINT64_MAX, 256 * MIB },
		{ UINT64_C(1) << 32, 8192 },
		{ 3, 0 },
		{ 3, 8191 },
		{ 3, 4 * GIB + 1 },
		{ 3, UINT64_MAX },
		{ 3, UINT64_C(1) << 63 },
	};
	const struct key_input input = passphrase("x");
	uint8_t opened[MASTER_KEY_BYTES];
	const double begin_s = now_s();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct st_envelope bad = {
			.kind = le32_put(KEY_PASSPHRASE),
			.ops = le64_put(cases[i].ops),
			.memory_bytes = le64_put(cases[i].memory),
		};
		struct err e = { 0 };

		assert_int_equal(crypt_unwrap(&bad, uuid, &input, opened, &e), -EBADMSG);
		assert_non_null(strstr(e.msg, "senseless"));
	}
	assert_true(now_s() - begin_s < 1);
}

/* The least that is allowed works: other programs may write less costly envelopes. */
static void test_least_limits(void **state)
{
	const struct key_input input = passphrase("x");
	const struct st_envelope least = { .kind = le32_put(KEY_PASSPHRASE),
					   .ops = le64_put(1),
					   .memory_bytes = le64_put(8192) };
	uint8_t opened[MASTER_KEY_BYTES];

	(void)state;
	assert_int_equal(crypt_unwrap(&least, uuid, &input, opened, NULL), -EKEYREJECTED);
}

static void test_golden_envelopes(void **state)
{
	const struct key_input file = key_file(40), text = passphrase("correct horse");
	const struct key_input wrong = passphrase("correct");
	uint8_t opened[MASTER_KEY_BYTES];
	struct st_envelope envelope;
	struct err e = { 0 };

	(void)state;
	static_assert(sizeof(golden_key_file) == sizeof(envelope), "layout");
	static_assert(sizeof(golden_passphrase) == sizeof(envelope), "layout");
	memcpy(&envelope, golden_key_file, sizeof(envelope));
	assert_int_equal(crypt_unwrap(&envelope, uuid, &file, opened, NULL), 0);
	assert_memory_equal(opened, master, sizeof(master));
	memset(opened, 0, sizeof(opened));
	memcpy(&envelope, golden_passphrase, sizeof(envelope));
	assert_int_equal(crypt_unwrap(&envelope, uuid, &wrong, opened, &e), -EKEYREJECTED);
	assert_non_null(strstr(e.msg, "passphrase"));
	assert_null(strstr(e.msg, "correct"));
	assert_int_equal(crypt_unwrap(&envelope, uuid, &text, opened, NULL), 0);
	assert_memory_equal(opened, master, sizeof(master));
}

/* --- seals ---------------------------------------------------------------------------------- */

struct sealed {
	struct sealer *sealer;
	struct seal_facts facts;
	uint8_t payload[PAYLOAD_BYTES];
	uint8_t bytes[SEALED_BYTES];
};

static int seal_one(void **state)
{
	static struct sealed s;

	assert_int_equal(sealer_new(&s.sealer, master, NULL), 0);
	s.facts = (struct seal_facts){ .kind = CHUNK_KIND_DATA, .codec = 2, .raw_bytes = 4096 };
	memset(s.facts.id.bytes, 0x1d, sizeof(s.facts.id.bytes));
	memset(s.payload, 'p', sizeof(s.payload));
	sealer_seal(s.sealer, &s.facts, s.payload, sizeof(s.payload), s.bytes);
	*state = &s;
	return 0;
}

static int drop_seal(void **state)
{
	struct sealed *s = *state;

	sealer_free(s->sealer);
	return 0;
}

static int open_seal(const struct sealed *s, const struct seal_facts *facts, size_t len)
{
	uint8_t opened[SEALED_BYTES];
	const int r = sealer_open(s->sealer, facts, s->bytes, len, opened);

	if (r == 0)
		assert_memory_equal(opened, s->payload, sizeof(s->payload));
	return r;
}

static void test_seal(void **state)
{
	struct sealed *s = *state;
	uint8_t again[SEALED_BYTES], none[SEAL_EXTRA_BYTES];

	assert_int_equal(open_seal(s, &s->facts, SEALED_BYTES), 0);
	assert_null(memmem(s->bytes, sizeof(s->bytes), s->payload, 8));
	sealer_seal(s->sealer, &s->facts, s->payload, sizeof(s->payload), again);
	assert_memory_not_equal(s->bytes, again, SEAL_NONCE_BYTES);
	assert_memory_not_equal(s->bytes + SEAL_NONCE_BYTES, again + SEAL_NONCE_BYTES, 32);
	/* Nothing can be sealed too. */
	sealer_seal(s->sealer, &s->facts, s->payload, 0, none);
	assert_int_equal(sealer_open(s->sealer, &s->facts, none, sizeof(none), again), 0);
}

static void test_seal_every_bit(void **state)
{
	struct sealed *s = *state;

	for (size_t at = 0; at < SEALED_BYTES; at++) {
		s->bytes[at] ^= (uint8_t)(1 << at % 8);
		assert_int_equal(open_seal(s, &s->facts, SEALED_BYTES), -EBADMSG);
		s->bytes[at] ^= (uint8_t)(1 << at % 8);
	}
	for (size_t len = 0; len < SEALED_BYTES; len++)
		assert_int_equal(open_seal(s, &s->facts, len), -EBADMSG);
	assert_int_equal(open_seal(s, &s->facts, SEALED_BYTES), 0);
}

static void test_seal_moved(void **state)
{
	struct sealed *s = *state;
	struct seal_facts other;

	for (size_t at = 0; at < sizeof(other.id.bytes); at++) {
		other = s->facts;
		other.id.bytes[at] ^= 0x80;
		assert_int_equal(open_seal(s, &other, SEALED_BYTES), -EBADMSG);
	}
	for (int value = 0; value < 256; value++) {
		other = s->facts;
		other.kind = (uint8_t)value;
		assert_int_equal(open_seal(s, &other, SEALED_BYTES),
				 value == s->facts.kind ? 0 : -EBADMSG);
		other = s->facts;
		other.codec = (uint8_t)value;
		assert_int_equal(open_seal(s, &other, SEALED_BYTES),
				 value == s->facts.codec ? 0 : -EBADMSG);
	}
	for (int bit = 0; bit < 32; bit++) {
		other = s->facts;
		other.raw_bytes ^= UINT32_C(1) << bit;
		assert_int_equal(open_seal(s, &other, SEALED_BYTES), -EBADMSG);
	}
}

static void test_seal_of_another_store(void **state)
{
	struct sealed *s = *state;
	uint8_t other[MASTER_KEY_BYTES], opened[PAYLOAD_BYTES];
	struct sealer *sealer;

	memcpy(other, master, sizeof(other));
	other[31] ^= 1;
	assert_int_equal(sealer_new(&sealer, other, NULL), 0);
	memset(opened, 0, sizeof(opened));
	assert_int_equal(sealer_open(sealer, &s->facts, s->bytes, SEALED_BYTES, opened), -EBADMSG);
	assert_null(memmem(opened, sizeof(opened), "pp", 2));
	sealer_free(sealer);
	sealer_free(NULL);
}

static void test_golden_seal(void **state)
{
	const struct sealed *s = *state;
	const struct seal_facts facts = { .id = { "0123456789abcdef0123456789ABCDEF" },
					  .kind = CHUNK_KIND_NODE,
					  .codec = 1,
					  .raw_bytes = 0x01020304 };
	char opened[sizeof(golden_seal)];

	assert_int_equal(sealer_open(s->sealer, &facts, golden_seal, sizeof(golden_seal), opened),
			 0);
	assert_int_equal(sizeof(golden_seal), SEAL_EXTRA_BYTES + strlen("sealed bytes"));
	assert_memory_equal(opened, "sealed bytes", strlen("sealed bytes"));
}

static void *seal_and_open(void *opaque)
{
	const struct sealed *s = opaque;
	uint8_t sealed[SEALED_BYTES], opened[PAYLOAD_BYTES];
	size_t bad = 0;

	for (int i = 0; i < 2000; i++) {
		sealer_seal(s->sealer, &s->facts, s->payload, sizeof(s->payload), sealed);
		bad += sealer_open(s->sealer, &s->facts, sealed, sizeof(sealed), opened) != 0;
		bad += memcmp(opened, s->payload, sizeof(opened)) != 0;
	}
	return bad ? opaque : NULL;
}

static void test_seal_threads(void **state)
{
	pthread_t threads[4];
	void *result;

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open, *state), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_null(result);
	}
}

/* The page of the key: "dd" of its VmFlags is "not in a core dump". */
static void test_key_is_not_dumped(void **state)
{
	const struct sealed *s = *state;
	FILE *maps = fopen("/proc/self/smaps", "re");
	bool is_inside = false, is_found = false;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t begin, end;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2) {
			is_inside = (uintptr_t)s->sealer >= begin && (uintptr_t)s->sealer < end;
		} else if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
			is_found = true;
			assert_non_null(strstr(line, " dd"));
		}
	}
	fclose(maps);
	assert_true(is_found);
}

int main(void)
{
#define SEALED(test) cmocka_unit_test_setup_teardown(test, seal_one, drop_seal)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_file),
		cmocka_unit_test(test_passphrase),
		cmocka_unit_test(test_wrong_kind),
		cmocka_unit_test(test_key_lengths),
		cmocka_unit_test(test_every_byte_of_envelope),
		cmocka_unit_test(test_hostile_limits),
		cmocka_unit_test(test_least_limits),
		cmocka_unit_test(test_golden_envelopes),
		SEALED(test_seal),
		SEALED(test_seal_every_bit),
		SEALED(test_seal_moved),
		SEALED(test_seal_of_another_store),
		SEALED(test_golden_seal),
		SEALED(test_seal_threads),
		SEALED(test_key_is_not_dumped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

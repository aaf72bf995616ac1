/* SPDX-License-Identifier: Apache-2.0 */
/* Names of chunks: what b3sum prints, keyed as documented, the same on every processor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "stellar/id.h"

/* BLAKE3's own test vectors: the bytes 0 to 250 over and over, and this key. */
static const char vector_key[] = "whats the Elvish word for friend";
static const struct {
	size_t len;
	const char *plain, *keyed;
} vectors[] = {
	{ 0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
	  "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26" },
	{ 1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
	  "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b" },
	{ 1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
	  "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4" },
	{ 102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
	  "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7" },
};

static void assert_hex(const uint8_t bytes[static 32], const char *hex)
{
	char text[CHUNK_ID_HEX_BYTES];
	struct chunk_id id;

	memcpy(id.bytes, bytes, sizeof(id.bytes));
	id_to_hex(&id, text);
	assert_string_equal(text, hex);
}

static uint8_t *vector_input(size_t len)
{
	uint8_t *data = malloc(len + 1);

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i % 251);
	return data;
}

static void test_vectors(void **state)
{
	struct id_scheme plain, keyed;

	(void)state;
	id_scheme_init(&plain, NULL);
	id_scheme_init(&keyed, (const uint8_t *)vector_key);
	memcpy(keyed.data_key, vector_key, 32);
	memcpy(keyed.node_key, vector_key, 32);
	memcpy(keyed.sum_key, vector_key, 32);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		auto_free uint8_t *data = vector_input(vectors[i].len);
		struct chunk_id id;
		uint8_t sum[32];

		id_of_data(&plain, data, vectors[i].len, &id);
		assert_hex(id.bytes, vectors[i].plain);
		id_of_data(&keyed, data, vectors[i].len, &id);
		assert_hex(id.bytes, vectors[i].keyed);
		id_of_node(&keyed, data, vectors[i].len, &id);
		assert_hex(id.bytes, vectors[i].keyed);
		id_sum(&keyed, data, vectors[i].len, sum);
		assert_hex(sum, vectors[i].keyed);
	}
}

/* Part of the format: a store of another derivation would not be found to hold anything. */
static void test_keys_are_golden(void **state)
{
	struct id_scheme s;
	uint8_t master[32];

	(void)state;
	id_scheme_init(&s, NULL);
	assert_false(s.is_keyed);
	assert_hex(s.node_key, "89c16ba5e4b99860942a94c4e24ab7bc4cf289bdb0819120708030fc85b20175");
	assert_hex(s.sum_key, "2348ee8f18b10626b1e35f27a1ee320e6c579391956befe66b5168739d31da03");
	for (size_t i = 0; i < sizeof(master); i++)
		master[i] = (uint8_t)i;
	id_scheme_init(&s, master);
	assert_true(s.is_keyed);
	assert_hex(s.data_key, "4a3e5c9c6e4ae408d0716e17df1fb02aefb01cef2c6da34cba80b3ea85b56088");
	assert_hex(s.node_key, "aaaa9634618f8268163fd00fdb9d12f16b809236cddfa0186f534074b5b032eb");
	assert_hex(s.sum_key, "f3327e88841075e168ae9c895592d0a85a2bcff310fc5729e6f20b2d50f8bc84");
}

static void test_kinds_differ(void **state)
{
	static const uint8_t secret[32] = { 1 }, other_secret[32] = { 2 };
	struct id_scheme plain, keyed, other;
	struct chunk_id ids[8];

	(void)state;
	id_scheme_init(&plain, NULL);
	id_scheme_init(&keyed, secret);
	id_scheme_init(&other, other_secret);
	id_of_data(&plain, "same", 4, &ids[0]);
	id_of_node(&plain, "same", 4, &ids[1]);
	id_sum(&plain, "same", 4, ids[2].bytes);
	id_of_data(&keyed, "same", 4, &ids[3]);
	id_of_node(&keyed, "same", 4, &ids[4]);
	id_sum(&keyed, "same", 4, ids[5].bytes);
	id_of_data(&other, "same", 4, &ids[6]);
	id_of_node(&other, "same", 4, &ids[7]);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		for (size_t k = 0; k < i; k++)
			assert_false(id_equal(&ids[i], &ids[k]));
	}
}

static void test_release_wipes(void **state)
{
	static const uint8_t secret[32] = { 1 };
	static const struct id_scheme wiped;
	struct id_scheme s;

	(void)state;
	id_scheme_init(&s, secret);
	id_scheme_release(&s);
	assert_memory_equal(&s, &wiped, sizeof(s));
	id_scheme_release(&s);
}

static void test_hex(void **state)
{
	static const char upper[] =
		"AF1349B9F5F9A1A6A0404DEA36DCC9499BCB25C9ADC112B7CC9A93CAE41F3262";
	char text[CHUNK_ID_HEX_BYTES + 1];
	struct chunk_id id, before;

	(void)state;
	assert_int_equal(id_from_hex(&id, vectors[0].plain), 0);
	assert_hex(id.bytes, vectors[0].plain);
	before = id;
	assert_int_equal(id_from_hex(&id, upper), 0);
	assert_true(id_equal(&id, &before));
	for (size_t len = 0; len < 64; len++) {
		memcpy(text, upper, sizeof(upper));
		text[len] = '\0';
		assert_int_equal(id_from_hex(&id, text), -EINVAL);
		text[len] = 'g';
		assert_int_equal(id_from_hex(&id, text), -EINVAL);
		text[len] = (char)0xb0;
		assert_int_equal(id_from_hex(&id, text), -EINVAL);
	}
	memcpy(text, upper, sizeof(upper));
	memcpy(text + 64, "0", 2);
	assert_int_equal(id_from_hex(&id, text), -EINVAL);
	assert_true(id_equal(&id, &before));
}

static void test_order(void **state)
{
	struct chunk_id a = { { 0 } }, b = { { 0 } };

	(void)state;
	assert_int_equal(id_compare(&a, &b), 0);
	b.bytes[31] = 0x80;
	assert_true(id_compare(&a, &b) < 0);
	assert_false(id_equal(&a, &b));
	a.bytes[0] = 1;
	assert_true(id_compare(&a, &b) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	     cmocka_unit_test(test_keys_are_golden),
		cmocka_unit_test(test_kinds_differ), cmocka_unit_test(test_release_wipes),
		cmocka_unit_test(test_hex),	     cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Names of chunks and nodes: see id.h. */
#include "stellar/id.h"

#include <assert.h>
#include <blake3.h>
#include <errno.h>
#include <string.h>

static_assert(CHUNK_ID_BYTES == BLAKE3_OUT_LEN, "a name is a whole BLAKE3 hash");
static_assert(sizeof(((struct id_scheme *)NULL)->node_key) == BLAKE3_KEY_LEN, "key size");

static void derive(const char *context, const uint8_t master[static 32], uint8_t key[static 32])
{
	blake3_hasher h;

	blake3_hasher_init_derive_key(&h, context);
	blake3_hasher_update(&h, master, 32);
	blake3_hasher_finalize(&h, key, 32);
	explicit_bzero(&h, sizeof(h));
}

void id_scheme_init(struct id_scheme *s, const uint8_t *master)
{
	static const uint8_t none[32];

	s->is_keyed = master != NULL;
	derive("stellarium v1 data id", master ? master : none, s->data_key);
	derive("stellarium v1 node id", master ? master : none, s->node_key);
	derive("stellarium v1 checksum", master ? master : none, s->sum_key);
}

void id_scheme_release(struct id_scheme *s)
{
	explicit_bzero(s, sizeof(*s));
}

static void finish(blake3_hasher *h, const void *data, size_t len, uint8_t out[static 32])
{
	if (len > 0)
		blake3_hasher_update(h, data, len);
	blake3_hasher_finalize(h, out, 32);
}

static void keyed(const uint8_t key[static 32], const void *data, size_t len,
		  uint8_t out[static 32])
{
	blake3_hasher h;

	blake3_hasher_init_keyed(&h, key);
	finish(&h, data, len, out);
}

void id_of_data(const struct id_scheme *s, const void *data, size_t len, struct chunk_id *id)
{
	blake3_hasher h;

	if (s->is_keyed) {
		keyed(s->data_key, data, len, id->bytes);
		return;
	}
	blake3_hasher_init(&h);
	finish(&h, data, len, id->bytes);
}

void id_of_node(const struct id_scheme *s, const void *data, size_t len, struct chunk_id *id)
{
	keyed(s->node_key, data, len, id->bytes);
}

void id_sum(const struct id_scheme *s, const void *data, size_t len, uint8_t sum[static 32])
{
	keyed(s->sum_key, data, len, sum);
}

bool id_equal(const struct chunk_id *a, const struct chunk_id *b)
{
	return memcmp(a->bytes, b->bytes, CHUNK_ID_BYTES) == 0;
}

int id_compare(const struct chunk_id *a, const struct chunk_id *b)
{
	return memcmp(a->bytes, b->bytes, CHUNK_ID_BYTES);
}

void id_to_hex(const struct chunk_id *id, char hex[static CHUNK_ID_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < CHUNK_ID_BYTES; i++) {
		hex[2 * i] = digits[id->bytes[i] >> 4];
		hex[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	hex[2 * CHUNK_ID_BYTES] = '\0';
}

/* The value of a digit, or -1; the terminating NUL is none. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int id_from_hex(struct chunk_id *id, const char *hex)
{
	struct chunk_id read;

	for (size_t i = 0; i < CHUNK_ID_BYTES; i++) {
		int high = digit(hex[2 * i]);
		int low = high < 0 ? -1 : digit(hex[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		read.bytes[i] = (uint8_t)(high << 4 | low);
	}
	if (hex[2 * CHUNK_ID_BYTES] != '\0')
		return -EINVAL;
	*id = read;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Superblocks, and the envelopes in them. The first byte says which of the two copies get a sum that
 * is right, so that what is behind the sums is reached, and whether the second is made equal. What
 * is taken is written again to the same bytes. Keys are of the kind that costs nothing to try;
 * envelopes of passphrases must be refused for their limits or for the kind, never worked on.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/crypt.h"
#include "stellar/superblock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

enum {
	COPY_BYTES = sizeof(struct st_superblock),
	MAX_BYTES = 3 * COPY_BYTES,
	SUM_FIRST = 1,
	SUM_SECOND = 2,
	COPY_FIRST = 4,
};

static void put_sum(uint8_t *copy)
{
	struct id_scheme scheme;

	id_scheme_init(&scheme, NULL);
	id_sum(&scheme, copy, COPY_BYTES - STORE_SUM_BYTES, copy + COPY_BYTES - STORE_SUM_BYTES);
	id_scheme_release(&scheme);
}

static void try_keys(const struct superblock *sb)
{
	static const uint8_t bytes[32] = "a key that opens no store";
	const struct key_input input = { KEY_BYTES, bytes, sizeof(bytes) };
	const struct key_input none = { KEY_NONE, NULL, 0 };
	uint8_t master[MASTER_KEY_BYTES];
	struct err e = { 0 };
	int r = crypt_unwrap(&sb->envelope, sb->uuid, &input, master, &e);

	REQUIRE((r == -EKEYREJECTED || r == -EBADMSG) && e.msg[0]);
	r = crypt_unwrap(&sb->envelope, sb->uuid, &none, master, &e);
	REQUIRE(r == -EKEYREJECTED || r == -EBADMSG);
}

static void check(const uint8_t *file, size_t len)
{
	uint8_t again[2 * COPY_BYTES];
	struct superblock sb = { 0 };
	struct err e = { 0 };
	const int r = superblock_parse(file, len, "some/store", &sb, &e);

	REQUIRE(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	REQUIRE((r == 0) == (e.msg[0] == '\0'));
	if (r < 0)
		return;
	REQUIRE(chunk_params_are_valid(&sb.chunking));
	superblock_format(&sb, again);
	REQUIRE(memcmp(again, file, COPY_BYTES) == 0 ||
		(sb.is_damaged && memcmp(again, file + COPY_BYTES, COPY_BYTES) == 0));
	REQUIRE(sb.is_damaged || (len == sizeof(again) && memcmp(again, file, sizeof(again)) == 0));
	if (sb.is_encrypted)
		try_keys(&sb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file;
	size_t len;

	if (size < 1 || size - 1 > MAX_BYTES)
		return 0;
	len = size - 1;
	file = malloc(len ? len : 1);
	REQUIRE(file);
	memcpy(file, data + 1, len);
	if (len >= COPY_BYTES && data[0] & SUM_FIRST)
		put_sum(file);
	if (len >= 2 * (size_t)COPY_BYTES && data[0] & COPY_FIRST)
		memcpy(file + COPY_BYTES, file, COPY_BYTES);
	if (len >= 2 * (size_t)COPY_BYTES && data[0] & SUM_SECOND)
		put_sum(file + COPY_BYTES);
	check(file, len);
	free(file);
	return 0;
}

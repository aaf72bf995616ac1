/* SPDX-License-Identifier: Apache-2.0 */
/* Seals of chunks: see crypt.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <blake3.h>
#include <sodium.h>

#include "stellar/crypt.h"
#include "stellar/crypt_impl.h"

enum { SEALER_BYTES = 4096, FACTS_BYTES = CHUNK_ID_BYTES + 1 + 1 + 4 };

struct sealer {
	uint8_t key[MASTER_KEY_BYTES];
};

int sealer_new(struct sealer **out, const uint8_t master[static MASTER_KEY_BYTES], struct err *e)
{
	struct sealer *s;
	int r = crypt_start(e);

	if (r < 0)
		return r;
	s = mmap(NULL, SEALER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return err_errno(e, -errno, "no memory for the store's key");
	/* As well as the host allows: neither swapped out nor in a core dump. */
	(void)mlock(s, SEALER_BYTES);
	(void)madvise(s, SEALER_BYTES, MADV_DONTDUMP);
	crypt_derive("stellarium v1 seal", master, MASTER_KEY_BYTES, s->key);
	*out = s;
	return 0;
}

void sealer_free(struct sealer *s)
{
	if (!s)
		return;
	sodium_memzero(s, sizeof(*s));
	munmap(s, SEALER_BYTES);
}

static void chunk_key(const struct sealer *s, const struct chunk_id *id,
		      uint8_t key[static MASTER_KEY_BYTES])
{
	blake3_hasher hasher;

	blake3_hasher_init_keyed(&hasher, s->key);
	blake3_hasher_update(&hasher, id->bytes, sizeof(id->bytes));
	blake3_hasher_finalize(&hasher, key, MASTER_KEY_BYTES);
	sodium_memzero(&hasher, sizeof(hasher));
}

static void put_facts(const struct seal_facts *facts, uint8_t out[static FACTS_BYTES])
{
	const le32 raw_bytes = le32_put(facts->raw_bytes);

	memcpy(out, facts->id.bytes, CHUNK_ID_BYTES);
	out[CHUNK_ID_BYTES] = facts->kind;
	out[CHUNK_ID_BYTES + 1] = facts->codec;
	memcpy(out + CHUNK_ID_BYTES + 2, &raw_bytes, sizeof(raw_bytes));
}

void sealer_seal(const struct sealer *s, const struct seal_facts *facts, const void *payload,
		 size_t len, uint8_t *out)
{
	uint8_t key[MASTER_KEY_BYTES], extra[FACTS_BYTES];

	chunk_key(s, &facts->id, key);
	put_facts(facts, extra);
	randombytes_buf(out, SEAL_NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + SEAL_NONCE_BYTES, NULL, payload, len,
						   extra, sizeof(extra), NULL, out, key);
	sodium_memzero(key, sizeof(key));
}

int sealer_open(const struct sealer *s, const struct seal_facts *facts, const uint8_t *sealed,
		size_t len, void *out)
{
	uint8_t key[MASTER_KEY_BYTES], extra[FACTS_BYTES];
	int r;

	if (len < SEAL_EXTRA_BYTES)
		return -EBADMSG;
	chunk_key(s, &facts->id, key);
	put_facts(facts, extra);
	r = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed + SEAL_NONCE_BYTES,
						       len - SEAL_NONCE_BYTES, extra, sizeof(extra),
						       sealed, key);
	sodium_memzero(key, sizeof(key));
	return r == 0 ? 0 : -EBADMSG;
}

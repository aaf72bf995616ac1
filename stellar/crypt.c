/* SPDX-License-Identifier: Apache-2.0 */
/* The wrapped master key: see crypt.h. Seals of chunks are in crypt_seal.c. */
#include "stellar/crypt.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <blake3.h>
#include <sodium.h>

#include "base/checked.h"
#include "stellar/crypt_impl.h"

enum {
	KEY_MIN_BYTES = 32,
	KEY_MAX_BYTES = 4096,
	PASSPHRASE_MAX_BYTES = 1024,
	ARGON2_MAX_PASSES = 16,
};
static const uint64_t argon2_max_bytes = 4 * GIB;

static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == SEAL_NONCE_BYTES, "layout");
static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == SEAL_TAG_BYTES, "layout");
static_assert(sizeof(((struct st_envelope *)0)->sealed_key) == MASTER_KEY_BYTES + SEAL_TAG_BYTES,
	      "layout");
static_assert(sizeof(((struct st_envelope *)0)->salt) == crypto_pwhash_SALTBYTES, "layout");

/* --- libsodium and BLAKE3 ------------------------------------------------------------------ */

static pthread_once_t sodium_once = PTHREAD_ONCE_INIT;
static bool is_sodium_ready;

static void start_sodium(void)
{
	is_sodium_ready = sodium_init() >= 0;
}

int crypt_start(struct err *e)
{
	pthread_once(&sodium_once, start_sodium);
	if (!is_sodium_ready)
		return err_set(e, -EIO, "encryption does not work here: libsodium cannot start");
	return 0;
}

void crypt_derive(const char *context, const void *bytes, size_t len,
		  uint8_t out[static MASTER_KEY_BYTES])
{
	blake3_hasher hasher;

	blake3_hasher_init_derive_key(&hasher, context);
	blake3_hasher_update(&hasher, bytes, len);
	blake3_hasher_finalize(&hasher, out, MASTER_KEY_BYTES);
	sodium_memzero(&hasher, sizeof(hasher));
}

/* --- what the user gives -------------------------------------------------------------------- */

static const char *kind_name(enum key_kind kind)
{
	switch (kind) {
	case KEY_NONE:
		return "no key";
	case KEY_BYTES:
		return "a key file";
	case KEY_PASSPHRASE:
		return "a passphrase";
	}
	return "an unknown key";
}

static int check_input(const struct key_input *input, struct err *e)
{
	switch (input->kind) {
	case KEY_NONE:
		return 0;
	case KEY_BYTES:
		if (input->len >= KEY_MIN_BYTES && input->len <= KEY_MAX_BYTES)
			return 0;
		return err_set(e, -EINVAL, "a key has %d to %d bytes, not %zu", KEY_MIN_BYTES,
			       KEY_MAX_BYTES, input->len);
	case KEY_PASSPHRASE:
		if (input->len >= 1 && input->len <= PASSPHRASE_MAX_BYTES)
			return 0;
		return err_set(e, -EINVAL, "a passphrase has 1 to %d bytes, not %zu",
			       PASSPHRASE_MAX_BYTES, input->len);
	}
	return err_set(e, -EINVAL, "no such kind of key: %d", (int)input->kind);
}

/* --- the wrapping key ----------------------------------------------------------------------- */

/* More memory than the host has is refused here: asking for it might end other processes. */
static int check_memory(uint64_t bytes, struct err *e)
{
	const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t host_bytes;

	if (pages <= 0 || page_bytes <= 0 ||
	    !ck_mul((uint64_t)pages, (uint64_t)page_bytes, &host_bytes) || bytes <= host_bytes)
		return 0;
	return err_set(e, -ENOMEM,
		       "the store's passphrase takes %" PRIu64 " MiB of memory to check, and this "
		       "host has %" PRIu64 " MiB",
		       bytes / MIB, host_bytes / MIB);
}

/* @envelope's numbers are checked. */
static int wrapping_key(const struct st_envelope *envelope, const struct key_input *input,
			uint8_t key[static MASTER_KEY_BYTES], struct err *e)
{
	const uint64_t ops = le64_get(envelope->ops), memory = le64_get(envelope->memory_bytes);
	int r;

	if (input->kind == KEY_BYTES) {
		crypt_derive("stellarium v1 wrap", input->bytes, input->len, key);
		return 0;
	}
	r = check_memory(memory, e);
	if (r < 0)
		return r;
	if (crypto_pwhash(key, MASTER_KEY_BYTES, (const char *)input->bytes, input->len,
			  envelope->salt, ops, (size_t)memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(e, -ENOMEM,
			       "the store's passphrase takes %" PRIu64
			       " MiB of memory to check, which cannot be had now",
			       memory / MIB);
	return 0;
}

int crypt_wrap(struct st_envelope *out, const uint8_t uuid[static STORE_UUID_BYTES],
	       const uint8_t master[static MASTER_KEY_BYTES], const struct key_input *input,
	       struct err *e)
{
	struct st_envelope envelope = { .kind = le32_put(input->kind) };
	uint8_t key[MASTER_KEY_BYTES];
	int r = check_input(input, e);

	if (r == 0)
		r = crypt_start(e);
	if (r < 0)
		return r;
	if (input->kind == KEY_NONE)
		return err_set(e, -EINVAL, "an encrypted store needs a key file or a passphrase");
	if (input->kind == KEY_PASSPHRASE) {
		envelope.ops = le64_put(crypto_pwhash_OPSLIMIT_MODERATE);
		envelope.memory_bytes = le64_put(crypto_pwhash_MEMLIMIT_MODERATE);
		randombytes_buf(envelope.salt, sizeof(envelope.salt));
	}
	randombytes_buf(envelope.nonce, sizeof(envelope.nonce));
	r = wrapping_key(&envelope, input, key, e);
	if (r == 0) {
		crypto_aead_xchacha20poly1305_ietf_encrypt(envelope.sealed_key, NULL, master,
							   MASTER_KEY_BYTES, uuid, STORE_UUID_BYTES,
							   NULL, envelope.nonce, key);
		*out = envelope;
	}
	sodium_memzero(key, sizeof(key));
	return r;
}

/* Hostile numbers are found here, before they cost anything. */
static const char *envelope_fault(const struct st_envelope *envelope)
{
	const uint64_t ops = le64_get(envelope->ops), memory = le64_get(envelope->memory_bytes);

	if (le32_get(envelope->zero) != 0)
		return "its unused bytes are not zero";
	switch (le32_get(envelope->kind)) {
	case KEY_BYTES:
		if (ops != 0 || memory != 0 ||
		    !sodium_is_zero(envelope->salt, sizeof(envelope->salt)))
			return "it is wrapped by a key file, but has limits or salt";
		return NULL;
	case KEY_PASSPHRASE:
		if (ops < crypto_pwhash_OPSLIMIT_MIN || ops > ARGON2_MAX_PASSES)
			return "it asks for a senseless number of passes over the passphrase";
		if (memory < crypto_pwhash_MEMLIMIT_MIN || memory > argon2_max_bytes)
			return "it asks for a senseless amount of memory for the passphrase";
		return NULL;
	default:
		return "it is wrapped in an unknown way";
	}
}

int crypt_unwrap(const struct st_envelope *envelope, const uint8_t uuid[static STORE_UUID_BYTES],
		 const struct key_input *input, uint8_t master[static MASTER_KEY_BYTES],
		 struct err *e)
{
	const struct st_envelope copy = *envelope;
	const char *fault = envelope_fault(&copy);
	uint8_t key[MASTER_KEY_BYTES], opened[MASTER_KEY_BYTES];
	int r;

	if (fault)
		return err_set(e, -EBADMSG, "the store's sealed key is damaged: %s", fault);
	if (input->kind == KEY_NONE)
		return err_set(e, -EKEYREJECTED, "the store is encrypted: it takes %s to open it",
			       kind_name((enum key_kind)le32_get(copy.kind)));
	if (input->kind != (enum key_kind)le32_get(copy.kind))
		return err_set(e, -EKEYREJECTED, "the store is encrypted with %s, not %s",
			       kind_name((enum key_kind)le32_get(copy.kind)),
			       kind_name(input->kind));
	r = check_input(input, e);
	if (r == 0)
		r = crypt_start(e);
	if (r == 0)
		r = wrapping_key(&copy, input, key, e);
	if (r < 0)
		return r;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(opened, NULL, NULL, copy.sealed_key,
						       sizeof(copy.sealed_key), uuid,
						       STORE_UUID_BYTES, copy.nonce, key) == 0)
		memcpy(master, opened, sizeof(opened));
	else
		r = err_set(e, -EKEYREJECTED, "%s is not the one of this store",
			    input->kind == KEY_BYTES ? "the key" : "the passphrase");
	sodium_memzero(key, sizeof(key));
	sodium_memzero(opened, sizeof(opened));
	return r;
}

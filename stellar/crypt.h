/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secret of an encrypted store: a random master key, wrapped by a key of the user's, and chunks
 * sealed with keys derived from it.
 *
 * A chunk's key is BLAKE3 keyed with the sealing key (derive_key "stellarium v1 seal" of the master
 * key) over its id, so that equal chunks may share one record; the nonce is random, since the same
 * chunk may be compressed in more than one way. Additional data of a seal: the chunk's id, kind,
 * codec and raw length (struct seal_facts as 32 + 1 + 1 + 4 bytes, little-endian).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stellar/abi.h"
#include "stellar/id.h"

enum { MASTER_KEY_BYTES = 32, SEAL_NONCE_BYTES = 24, SEAL_TAG_BYTES = 16 };
enum { SEAL_EXTRA_BYTES = SEAL_NONCE_BYTES + SEAL_TAG_BYTES };

enum key_kind {
	KEY_NONE = 0,
	KEY_BYTES = 1, /* the wrapping key is derive_key "stellarium v1 wrap" of them */
	KEY_PASSPHRASE = 2, /* it is Argon2id of it, with the envelope's salt and limits */
};

/* What the user gives to open a store. @bytes is borrowed. */
struct key_input {
	enum key_kind kind;
	const uint8_t *bytes;
	size_t len; /* KEY_BYTES: 32 to 4096; KEY_PASSPHRASE: 1 to 1024 */
};

/*
 * Wraps @master with @input under fresh salt and nonce; Argon2id with libsodium's MODERATE limits.
 * The salt stays zero for KEY_BYTES. 0 or -errno with @e filled (-EINVAL: no key of a length above).
 */
int crypt_wrap(struct st_envelope *out, const uint8_t uuid[static STORE_UUID_BYTES],
	       const uint8_t master[static MASTER_KEY_BYTES], const struct key_input *input,
	       struct err *e);

/*
 * Unwraps. -EKEYREJECTED: the key is not the store's, or of the other kind (the message says which
 * kind the store wants); -EBADMSG: the envelope makes no sense (limits are checked before Argon2id
 * runs: at most 16 passes and 4 GiB); -ENOMEM.
 */
int crypt_unwrap(const struct st_envelope *envelope, const uint8_t uuid[static STORE_UUID_BYTES],
		 const struct key_input *input, uint8_t master[static MASTER_KEY_BYTES],
		 struct err *e);

/* What is known of a chunk beside its payload; authenticated with it. */
struct seal_facts {
	struct chunk_id id;
	uint8_t kind;
	uint8_t codec;
	uint32_t raw_bytes;
};

/* The sealing key, in memory that is locked when the host allows, never dumped, wiped at the end. */
struct sealer;

int sealer_new(struct sealer **out, const uint8_t master[static MASTER_KEY_BYTES], struct err *e);
void sealer_free(struct sealer *s); /* accepts NULL */

/* Writes @len + SEAL_EXTRA_BYTES to @out, which does not overlap @payload. Thread: any. */
void sealer_seal(const struct sealer *s, const struct seal_facts *facts, const void *payload,
		 size_t len, uint8_t *out);

/* Writes @len - SEAL_EXTRA_BYTES to @out, or returns -EBADMSG: not sealed like this. Thread: any. */
int sealer_open(const struct sealer *s, const struct seal_facts *facts, const uint8_t *sealed,
		size_t len, void *out);

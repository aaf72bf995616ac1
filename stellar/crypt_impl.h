/* SPDX-License-Identifier: Apache-2.0 */
/* What crypt.c and crypt_seal.c share. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stellar/crypt.h"

/* Makes libsodium ready, once for all. Thread: any. */
int crypt_start(struct err *e);

/* BLAKE3's derive_key of @bytes. */
void crypt_derive(const char *context, const void *bytes, size_t len,
		  uint8_t out[static MASTER_KEY_BYTES]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key of an encrypted store as the user gives it: from a file or a descriptor, or a passphrase
 * that is typed on the terminal, unseen. It is kept in memory that is not swapped when the host
 * allows that, and wiped at the end. The terminal gets its settings back on every way out, signals
 * included (cancel.h).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "stellar/crypt.h"
#include "stellarium/options.h"

enum { SECRET_MAX_BYTES = 4096, SECRET_PASSPHRASE_MAX_BYTES = 1024, SECRET_KEY_MIN_BYTES = 32 };

struct secret {
	uint8_t *bytes; /* owned: SECRET_MAX_BYTES and one; NULL: none */
	struct key_input input; /* KEY_NONE without one */
};

/* Reads what @choice says. 0 (also when it says nothing) or -errno with @e filled. */
int secret_read(struct secret *s, const struct key_choice *choice, struct err *e);

/*
 * Asks for a passphrase on the terminal. @prompt: "Passphrase of ...: ". @is_new: asks again, since
 * a mistake would be for ever. -ENOTTY: there is no terminal; -ECANCELED.
 */
int secret_ask(struct secret *s, const char *prompt, bool is_new, struct err *e);

/* Wipes it. Accepts a zeroed one, and may be called twice. */
void secret_release(struct secret *s);

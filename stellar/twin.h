/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files that are two equal copies of one record: superblock and roots. Either copy will do; a
 * reader says when one was not valid.
 *
 * Every version keeps the place of magic, version and sum and the length, so that a newer one is
 * known for what it is, and a damaged version is not taken for a newer one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stellar/abi.h"
#include "stellar/id.h"

/* What every such record begins with; its last STORE_SUM_BYTES are the sum of all before. */
struct st_twin_head {
	uint8_t magic[8];
	le32 version;
};

struct twin_format {
	const char *magic;
	size_t bytes; /* of a copy */
	/* What is wrong with a copy of our version whose sum is right, or NULL. */
	const char *(*fault)(const uint8_t *copy, const void *opaque);
};

/* What twin_read() found. */
struct twin {
	const uint8_t *copy; /* the valid one, in the caller's bytes */
	bool is_damaged; /* the other was not, or the file is too long */
};

/*
 * Looks at the @len bytes of a file, of which a caller reads at most 2 * bytes + 1. @what names it
 * in messages. -EBADMSG: no valid copy, or two that differ; -EPROTONOSUPPORT: of a newer version.
 */
int twin_read(const struct twin_format *f, const struct id_scheme *scheme, const uint8_t *file,
	      size_t len, const void *opaque, const char *what, struct twin *out, struct err *e);

/* Puts magic, version and sum into the copy at the begin of @file, and a second one behind it. */
void twin_make(const struct twin_format *f, const struct id_scheme *scheme, uint8_t *file);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata that a guest can ask its metadata service for: one JSON object, set whole or merged
 * piece by piece (RFC 7396), of bounded size. Thread: any, one at a time.
 */
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "base/err.h"

struct mmds_store {
	json_t *root; /* owned; NULL: never set */
	size_t max_bytes; /* of its compact text */
};

/* Puts a copy of the object @value in place of the data. 0, -EFBIG or -ENOMEM with @e. */
int mmds_store_put(struct mmds_store *store, json_t *value, struct err *e);

/*
 * Merges the object @patch into the data. As above, and -ENOENT when nothing was ever put. The data
 * is unchanged on failure.
 */
int mmds_store_patch(struct mmds_store *store, json_t *patch, struct err *e);

/*
 * The same as mmds_store_put() with what the file @path holds, which may be at most as long as the
 * data. -EBADMSG when that is no object; -errno when it cannot be read. Messages name the file.
 */
int mmds_store_load(struct mmds_store *store, const char *path, struct err *e);

/* Accepts a zeroed object. */
void mmds_store_release(struct mmds_store *store);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the parts of an image lie, kept at hand for reading at random.
 *
 * The image is looked at in windows of 16 MiB. A window that is touched is listed from the manifest:
 * its extents and, of a raw chunk that has been verified, the address in the mapped pack. Windows and
 * decoded chunks are caches of a fixed size; what is dropped is listed or decoded again. Thread: one.
 */
#pragma once

#include <stdint.h>

#include "stellar/manifest.h"
#include "stellar/reader.h"

enum place_state {
	PLACE_ZERO,
	PLACE_UNKNOWN, /* a chunk that was not touched yet, or one that must be decoded */
	PLACE_DIRECT, /* a raw chunk, verified: `bytes_at` is its begin */
};

struct place {
	uint64_t offset; /* in the image */
	uint64_t bytes;
	enum place_state state;
	const uint8_t *bytes_at; /* borrowed of a mapping, which stays as long as the map */
	struct chunk_id id;
};

struct volume_map;

/* @cursor and @reader are borrowed and outlive it. */
int volume_map_new(struct volume_map **out, struct store *s, struct manifest_cursor *cursor,
		   struct store_reader *reader, struct err *e);
void volume_map_free(struct volume_map *m); /* accepts NULL */

/* The place that holds byte @offset, which the image has. NULL with @e filled. Valid until the next. */
struct place *volume_map_find(struct volume_map *m, uint64_t offset, struct err *e);

/*
 * Verifies the chunk of a place in state UNKNOWN. A raw one becomes DIRECT. *@bytes is its content,
 * valid until the next call.
 */
int volume_map_load(struct volume_map *m, struct place *p, const uint8_t **bytes, struct err *e);

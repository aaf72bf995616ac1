/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of manifests: a store in memory that counts what is asked of it and holds anything under
 * any id, and lists of pieces that images are made of.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stellar/manifest.h"

struct rig_chunk {
	struct chunk_id id;
	enum chunk_kind kind;
	uint8_t *bytes; /* owned; NULL: this place of the table is free */
	size_t len;
};

struct manifest_rig {
	struct id_scheme scheme;
	struct rig_chunk *table; /* owned; open addressing */
	size_t count, room;
	uint64_t puts, gets;
	uint64_t puts_left; /* then -ENOSPC */
	struct manifest_sink sink;
	struct manifest_source source;
};

void rig_init(struct manifest_rig *rig);
void rig_release(struct manifest_rig *rig);

/* Whatever @id says; in place of what was there. */
void rig_put_as(struct manifest_rig *rig, enum chunk_kind kind, const struct chunk_id *id,
		const void *bytes, size_t len);
struct rig_chunk *rig_find(struct manifest_rig *rig, const struct chunk_id *id);
void rig_remove(struct manifest_rig *rig, const struct chunk_id *id);

/* A part of an image, as a flat list has it. */
struct piece {
	bool is_zero;
	uint64_t bytes;
	struct chunk_id id;
};

struct piece_list {
	struct piece *pieces; /* owned */
	size_t count, room;
	uint64_t seed; /* of the next random number */
};

void pieces_release(struct piece_list *list);
uint64_t pieces_random(struct piece_list *list);
void pieces_add(struct piece_list *list, const struct piece *piece);
void pieces_copy(struct piece_list *to, const struct piece_list *from);

/* A chunk of an id that was not there before, or a run of zeros once in @zero_every (0: never). */
struct piece pieces_make(struct piece_list *list, unsigned int zero_every);
void pieces_fill(struct piece_list *list, size_t count, unsigned int zero_every);

/* Puts @piece before piece @at; takes piece @at out. */
void pieces_insert(struct piece_list *list, size_t at, const struct piece *piece);
void pieces_remove(struct piece_list *list, size_t at);

/* Runs of zeros that touch become one, as they do in a manifest. */
void pieces_merge(struct piece_list *list);
uint64_t pieces_bytes(const struct piece_list *list);

/* Builds the image; asserts that it works. */
struct chunk_id rig_build(struct manifest_rig *rig, const struct piece_list *list);
extern const struct chunk_params rig_chunking;

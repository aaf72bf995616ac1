/* SPDX-License-Identifier: Apache-2.0 */
/* A store in memory and images for it: see manifest_rig.h. */
#include "test/unit/manifest_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct chunk_params rig_chunking = {
	.method = CHUNK_FASTCDC,
	.min_bytes = 16 << 10,
	.average_bytes = 64 << 10,
	.max_bytes = 256 << 10,
};

static size_t place_of(const struct manifest_rig *rig, const struct chunk_id *id)
{
	uint64_t hash;
	size_t at;

	memcpy(&hash, id->bytes, sizeof(hash));
	/* Boundary marks make the low bits of ids uneven. */
	at = (size_t)((hash * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (rig->room - 1);
	while (rig->table[at].bytes && !id_equal(&rig->table[at].id, id))
		at = (at + 1) & (rig->room - 1);
	return at;
}

struct rig_chunk *rig_find(struct manifest_rig *rig, const struct chunk_id *id)
{
	struct rig_chunk *chunk = &rig->table[place_of(rig, id)];

	return chunk->bytes ? chunk : NULL;
}

static void grow(struct manifest_rig *rig)
{
	struct rig_chunk *old = rig->table;
	size_t old_room = rig->room;

	rig->room = old_room ? 2 * old_room : 64;
	rig->table = calloc(rig->room, sizeof(*rig->table));
	assert_non_null(rig->table);
	for (size_t i = 0; i < old_room; i++) {
		if (old[i].bytes)
			rig->table[place_of(rig, &old[i].id)] = old[i];
	}
	free(old);
}

void rig_put_as(struct manifest_rig *rig, enum chunk_kind kind, const struct chunk_id *id,
		const void *bytes, size_t len)
{
	struct rig_chunk *chunk;

	if (2 * (rig->count + 1) > rig->room)
		grow(rig);
	chunk = &rig->table[place_of(rig, id)];
	if (!chunk->bytes)
		rig->count++;
	free(chunk->bytes);
	*chunk =
		(struct rig_chunk){ .id = *id, .kind = kind, .bytes = malloc(len + 1), .len = len };
	assert_non_null(chunk->bytes);
	if (len > 0)
		memcpy(chunk->bytes, bytes, len);
}

/* What follows in the table moves up, so that it is still found. */
void rig_remove(struct manifest_rig *rig, const struct chunk_id *id)
{
	size_t at = place_of(rig, id);

	assert_non_null(rig->table[at].bytes);
	free(rig->table[at].bytes);
	rig->table[at].bytes = NULL;
	rig->count--;
	for (at = (at + 1) & (rig->room - 1); rig->table[at].bytes;
	     at = (at + 1) & (rig->room - 1)) {
		struct rig_chunk moved = rig->table[at];

		rig->table[at].bytes = NULL;
		rig->table[place_of(rig, &moved.id)] = moved;
	}
}

static int put(void *opaque, enum chunk_kind kind, const void *bytes, size_t len,
	       struct chunk_id *id, struct err *e)
{
	struct manifest_rig *rig = opaque;

	if (rig->puts_left == 0)
		return err_set(e, -ENOSPC, "the rig is full");
	rig->puts_left--;
	rig->puts++;
	id_of_node(&rig->scheme, bytes, len, id);
	rig_put_as(rig, kind, id, bytes, len);
	return 0;
}

static ssize_t get(void *opaque, enum chunk_kind kind, const struct chunk_id *id, void *buf,
		   size_t cap, struct err *e)
{
	struct manifest_rig *rig = opaque;
	const struct rig_chunk *chunk = rig_find(rig, id);

	rig->gets++;
	if (!chunk)
		return err_set(e, -ENOENT, "the rig has no such chunk");
	if (chunk->kind != kind || chunk->len > cap)
		return err_set(e, -EBADMSG, "the rig's chunk is of kind %d and has %zu bytes",
			       (int)chunk->kind, chunk->len);
	memcpy(buf, chunk->bytes, chunk->len);
	return (ssize_t)chunk->len;
}

void rig_init(struct manifest_rig *rig)
{
	*rig = (struct manifest_rig){
		.puts_left = UINT64_MAX,
		.sink = { .put = put, .opaque = rig },
		.source = { .get = get, .opaque = rig },
	};
	id_scheme_init(&rig->scheme, NULL);
	grow(rig);
}

void rig_release(struct manifest_rig *rig)
{
	for (size_t i = 0; i < rig->room; i++)
		free(rig->table[i].bytes);
	free(rig->table);
	id_scheme_release(&rig->scheme);
	*rig = (struct manifest_rig){ 0 };
}

void pieces_release(struct piece_list *list)
{
	free(list->pieces);
	*list = (struct piece_list){ 0 };
}

/* SplitMix64. */
uint64_t pieces_random(struct piece_list *list)
{
	uint64_t v = list->seed += UINT64_C(0x9E3779B97F4A7C15);

	v = (v ^ (v >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	v = (v ^ (v >> 27)) * UINT64_C(0x94D049BB133111EB);
	return v ^ (v >> 31);
}

void pieces_add(struct piece_list *list, const struct piece *piece)
{
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->pieces = reallocarray(list->pieces, list->room, sizeof(*piece));
		assert_non_null(list->pieces);
	}
	list->pieces[list->count++] = *piece;
}

void pieces_copy(struct piece_list *to, const struct piece_list *from)
{
	*to = (struct piece_list){ .seed = from->seed };
	for (size_t i = 0; i < from->count; i++)
		pieces_add(to, &from->pieces[i]);
}

struct piece pieces_make(struct piece_list *list, unsigned int zero_every)
{
	struct piece piece = { 0 };
	uint64_t random = pieces_random(list);

	if (zero_every > 0 && random % zero_every == 0) {
		piece.is_zero = true;
		piece.bytes = CHUNK_BLOCK_BYTES * (1 + pieces_random(list) % 1000);
		piece.bytes -= random >> 32 & 1; /* importers have it at the end only */
		return piece;
	}
	piece.bytes = 1 + pieces_random(list) % 100000;
	for (size_t i = 0; i < sizeof(piece.id.bytes); i += sizeof(random)) {
		random = pieces_random(list);
		memcpy(piece.id.bytes + i, &random, sizeof(random));
	}
	return piece;
}

void pieces_fill(struct piece_list *list, size_t count, unsigned int zero_every)
{
	for (size_t i = 0; i < count; i++) {
		struct piece piece = pieces_make(list, zero_every);

		pieces_add(list, &piece);
	}
}

void pieces_insert(struct piece_list *list, size_t at, const struct piece *piece)
{
	pieces_add(list, piece);
	memmove(&list->pieces[at + 1], &list->pieces[at],
		(list->count - 1 - at) * sizeof(list->pieces[0]));
	list->pieces[at] = *piece;
}

void pieces_remove(struct piece_list *list, size_t at)
{
	list->count--;
	memmove(&list->pieces[at], &list->pieces[at + 1],
		(list->count - at) * sizeof(list->pieces[0]));
}

void pieces_merge(struct piece_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct piece *piece = &list->pieces[i];

		if (kept > 0 && piece->is_zero && list->pieces[kept - 1].is_zero)
			list->pieces[kept - 1].bytes += piece->bytes;
		else
			list->pieces[kept++] = *piece;
	}
	list->count = kept;
}

uint64_t pieces_bytes(const struct piece_list *list)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < list->count; i++)
		sum += list->pieces[i].bytes;
	return sum;
}

struct chunk_id rig_build(struct manifest_rig *rig, const struct piece_list *list)
{
	struct manifest_builder *b;
	struct chunk_id image;
	struct err e = { 0 };

	assert_int_equal(manifest_builder_new(&b, &rig_chunking, &rig->sink, &e), 0);
	for (size_t i = 0; i < list->count; i++) {
		const struct piece *piece = &list->pieces[i];
		int r;

		if (piece->is_zero)
			r = manifest_add_zero(b, piece->bytes, &e);
		else
			r = manifest_add_chunk(b, &piece->id, (uint32_t)piece->bytes, &e);
		assert_int_equal(r, 0);
	}
	assert_int_equal(manifest_finish(b, &image, &e), 0);
	manifest_builder_free(b);
	return image;
}

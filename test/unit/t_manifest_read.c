/* SPDX-License-Identifier: Apache-2.0 */
/* Reading manifests: cursors against the flat list of pieces, walks, and what is missing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/manifest_rig.h"

/* An image and where its pieces begin. */
struct fixture {
	struct manifest_rig rig;
	struct piece_list list;
	uint64_t *starts; /* owned */
	uint64_t bytes;
	struct chunk_id image;
};

static void fixture_init(struct fixture *f, size_t count, unsigned int zero_every, uint64_t seed)
{
	*f = (struct fixture){ .list = { .seed = seed } };
	rig_init(&f->rig);
	pieces_fill(&f->list, count, zero_every);
	f->image = rig_build(&f->rig, &f->list);
	pieces_merge(&f->list);
	f->starts = calloc(f->list.count, sizeof(*f->starts));
	assert_non_null(f->starts);
	for (size_t i = 0; i < f->list.count; i++) {
		f->starts[i] = f->bytes;
		f->bytes += f->list.pieces[i].bytes;
	}
}

static void fixture_release(struct fixture *f)
{
	free(f->starts);
	pieces_release(&f->list);
	rig_release(&f->rig);
}

static struct manifest_cursor *open_image(struct fixture *f)
{
	struct manifest_cursor *c = NULL;
	struct err e = { 0 };

	assert_int_equal(manifest_open(&c, &f->image, &f->rig.source, &e), 0);
	assert_int_equal(manifest_info(c)->bytes, f->bytes);
	return c;
}

static void assert_piece(const struct fixture *f, size_t at, const struct extent *extent)
{
	const struct piece *piece = &f->list.pieces[at];

	assert_int_equal(extent->offset, f->starts[at]);
	assert_int_equal(extent->bytes, piece->bytes);
	assert_int_equal(extent->is_zero, piece->is_zero);
	if (!piece->is_zero)
		assert_memory_equal(&extent->id, &piece->id, sizeof(piece->id));
}

static size_t piece_at(const struct fixture *f, uint64_t offset)
{
	size_t low = 0, high = f->list.count;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (f->starts[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void check_in_order(struct fixture *f)
{
	struct manifest_cursor *c = open_image(f);
	uint64_t gets = f->rig.gets;
	struct extent extent;
	struct err e;

	for (size_t i = 0; i < f->list.count; i++) {
		assert_int_equal(manifest_next(c, &extent, &e), 1);
		assert_piece(f, i, &extent);
	}
	assert_int_equal(manifest_next(c, &extent, &e), 0);
	assert_int_equal(manifest_next(c, &extent, &e), 0);
	/* Each node once. */
	assert_true(f->rig.gets - gets <= f->rig.count - 1);
	manifest_close(c);
}

static void check_at_random(struct fixture *f, size_t count)
{
	struct manifest_cursor *c = open_image(f);
	uint32_t levels = manifest_info(c)->root_level + 1;
	struct extent extent;
	struct err e;

	for (size_t i = 0; i < count; i++) {
		uint64_t random = pieces_random(&f->list), gets = f->rig.gets;
		uint64_t offset = pieces_random(&f->list) % f->bytes;
		size_t at = piece_at(f, offset);

		if (random % 4 == 0)
			offset = f->starts[at];
		else if (random % 4 == 1)
			offset = f->starts[at] + f->list.pieces[at].bytes - 1;
		assert_int_equal(manifest_seek(c, offset, &extent, &e), 1);
		assert_piece(f, at, &extent);
		assert_true(f->rig.gets - gets <= levels);
		for (size_t more = random >> 32 & 7; more > 0 && at + 1 < f->list.count; more--) {
			assert_int_equal(manifest_next(c, &extent, &e), 1);
			assert_piece(f, ++at, &extent);
		}
		/* Back to what the cursor is at: nothing to read. */
		gets = f->rig.gets;
		assert_int_equal(manifest_seek(c, f->starts[at], &extent, &e), 1);
		assert_piece(f, at, &extent);
		assert_int_equal(f->rig.gets, gets);
	}
	manifest_close(c);
}

static void test_cursor(void **state)
{
	static const size_t counts[] = { 1, 2, 64, 300, 1025, 10000, 150000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct fixture f;

		fixture_init(&f, counts[i], i % 2 ? 5 : 0, i);
		check_in_order(&f);
		check_at_random(&f, 2000);
		fixture_release(&f);
	}
}

static void test_beyond_the_end(void **state)
{
	struct manifest_cursor *c;
	struct extent extent;
	struct fixture f;
	struct err e;

	(void)state;
	fixture_init(&f, 100, 0, 1);
	c = open_image(&f);
	assert_int_equal(manifest_seek(c, f.bytes, &extent, &e), 0);
	assert_int_equal(manifest_seek(c, UINT64_MAX, &extent, &e), 0);
	assert_int_equal(manifest_next(c, &extent, &e), 0);
	assert_int_equal(manifest_seek(c, f.bytes - 1, &extent, &e), 1);
	assert_piece(&f, f.list.count - 1, &extent);
	assert_int_equal(manifest_next(c, &extent, &e), 0);
	manifest_close(c);
	manifest_close(NULL);
	fixture_release(&f);
	fixture_init(&f, 0, 0, 1);
	c = open_image(&f);
	assert_int_equal(manifest_next(c, &extent, &e), 0);
	assert_int_equal(manifest_seek(c, 0, &extent, &e), 0);
	manifest_close(c);
	fixture_release(&f);
}

/* 16 TiB of zeros are one extent, read from one node. */
static void test_zeros(void **state)
{
	struct piece piece = { .is_zero = true, .bytes = UINT64_C(1) << 44 };
	struct fixture f = { .starts = calloc(1, sizeof(uint64_t)), .bytes = piece.bytes };
	struct manifest_cursor *c;
	struct extent extent;
	struct err e;

	(void)state;
	rig_init(&f.rig);
	pieces_add(&f.list, &piece);
	f.image = rig_build(&f.rig, &f.list);
	c = open_image(&f);
	assert_int_equal(manifest_seek(c, (UINT64_C(1) << 44) - 1, &extent, &e), 1);
	assert_piece(&f, 0, &extent);
	assert_int_equal(manifest_next(c, &extent, &e), 0);
	assert_int_equal(f.rig.gets, 2);
	manifest_close(c);
	fixture_release(&f);
}

/* --- walks --------------------------------------------------------------------------------------- */

struct visits {
	const struct fixture *f;
	uint64_t images, nodes, chunks, bad;
	size_t next_piece;
	size_t skip_node; /* the number of the node whose children are not wanted; 0: none */
	uint64_t stop_at; /* the number of the visit that fails; 0: none */
	int on_bad; /* what on_bad() returns */
	struct chunk_id bad_id;
	uint64_t bad_offset, bad_bytes;
	int bad_code;
	uint64_t node_offset, node_bytes; /* of the last node visited */
};

static int visit(void *opaque, enum chunk_kind kind, const struct chunk_id *id, uint64_t offset,
		 uint64_t bytes, struct err *e)
{
	struct visits *v = opaque;
	const struct piece *piece;

	if (v->stop_at > 0 && v->images + v->nodes + v->chunks + 1 == v->stop_at)
		return err_set(e, -EINTR, "stopped");
	if (kind == CHUNK_KIND_IMAGE) {
		assert_int_equal(v->images++ + v->nodes + v->chunks, 0);
		assert_memory_equal(id, &v->f->image, sizeof(*id));
		assert_int_equal(bytes, v->f->bytes);
		return 1;
	}
	if (kind == CHUNK_KIND_NODE) {
		v->node_offset = offset;
		v->node_bytes = bytes;
		return ++v->nodes != v->skip_node;
	}
	assert_int_equal(kind, CHUNK_KIND_DATA);
	while (v->f->list.pieces[v->next_piece].is_zero || v->f->starts[v->next_piece] < offset)
		v->next_piece++;
	piece = &v->f->list.pieces[v->next_piece++];
	assert_int_equal(offset, v->f->starts[piece - v->f->list.pieces]);
	assert_int_equal(bytes, piece->bytes);
	assert_memory_equal(id, &piece->id, sizeof(*id));
	/* After its node, and inside of it. */
	assert_true(offset >= v->node_offset && offset + bytes <= v->node_offset + v->node_bytes);
	v->chunks++;
	return 1;
}

static int on_bad(void *opaque, const struct chunk_id *id, uint64_t offset, uint64_t bytes,
		  const struct err *why)
{
	struct visits *v = opaque;

	v->bad++;
	v->bad_id = *id;
	v->bad_offset = offset;
	v->bad_bytes = bytes;
	v->bad_code = why->code;
	assert_true(why->msg[0] != '\0');
	return v->on_bad;
}

static int walk(struct fixture *f, struct visits *v, bool has_on_bad, struct err *e)
{
	struct manifest_visitor visitor = {
		.visit = visit,
		.on_bad = has_on_bad ? on_bad : NULL,
		.opaque = v,
	};

	v->f = f;
	return manifest_walk(&f->image, &f->rig.source, &visitor, e);
}

static uint64_t chunks_of(const struct fixture *f)
{
	uint64_t chunks = 0;

	for (size_t i = 0; i < f->list.count; i++)
		chunks += !f->list.pieces[i].is_zero;
	return chunks;
}

static void test_walk(void **state)
{
	static const size_t counts[] = { 0, 1, 64, 300, 10000, 150000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct visits v = { 0 };
		struct err e = { 0 };
		struct fixture f;

		fixture_init(&f, counts[i], i % 2 ? 5 : 0, i);
		assert_int_equal(walk(&f, &v, false, &e), 0);
		assert_int_equal(v.images, 1);
		assert_int_equal(v.nodes, f.rig.count - 1);
		assert_int_equal(v.chunks, chunks_of(&f));
		assert_int_equal(f.rig.gets, f.rig.count);
		fixture_release(&f);
	}
}

static void test_walk_skips_and_stops(void **state)
{
	struct visits all = { 0 }, less = { .skip_node = 3 }, none = { .skip_node = 1 };
	struct err e = { 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 10000, 0, 1);
	assert_int_equal(walk(&f, &all, false, &e), 0);
	assert_int_equal(walk(&f, &less, false, &e), 0);
	assert_int_equal(less.nodes, all.nodes);
	assert_true(less.chunks < all.chunks && all.chunks - less.chunks <= NODE_MAX_ENTRIES);
	f.rig.gets = 0;
	assert_int_equal(walk(&f, &none, false, &e), 0);
	assert_int_equal(none.chunks, 0);
	assert_int_equal(f.rig.gets, 1);
	for (uint64_t stop = 1; stop < 1000; stop += stop < 10 ? 1 : 111) {
		struct visits v = { .stop_at = stop };

		e = (struct err){ 0 };
		assert_int_equal(walk(&f, &v, true, &e), -EINTR);
		assert_string_equal(e.msg, "stopped");
		assert_int_equal(v.images + v.nodes + v.chunks, stop - 1);
		assert_int_equal(v.bad, 0);
	}
	fixture_release(&f);
}

/* The level-0 node with piece @at, by the root, which is at level 1. */
static struct chunk_id leaf_of(struct fixture *f, size_t at, uint64_t *start, uint64_t *bytes)
{
	const struct rig_chunk *chunk = rig_find(&f->rig, &f->image);
	struct image_info info;
	struct node_view root;
	struct chunk_id id = { 0 };
	struct err e;

	assert_int_equal(image_parse(&f->image, chunk->bytes, chunk->len, &info, &e), 0);
	assert_int_equal(info.root_level, 1);
	chunk = rig_find(&f->rig, &info.root_id);
	assert_int_equal(
		node_parse(&info.root_id, chunk->bytes, chunk->len, 1, info.bytes, &root, &e), 0);
	*start = 0;
	for (uint32_t i = 0; i < root.count; i++) {
		*bytes = le64_get(root.entries[i].kind_and_bytes) & ((UINT64_C(1) << 56) - 1);
		memcpy(id.bytes, root.entries[i].id, sizeof(id.bytes));
		if (f->starts[at] < *start + *bytes)
			break;
		*start += *bytes;
	}
	return id;
}

/* A leaf is gone: the walk tells of it and visits all the others. */
static void test_walk_beside_a_missing_node(void **state)
{
	struct visits v = { 0 }, strict = { 0 }, stops = { .on_bad = -EUCLEAN };
	struct err e = { 0 };
	uint64_t start, bytes;
	struct chunk_id leaf;
	struct fixture f;
	size_t lost = 0;

	(void)state;
	fixture_init(&f, 10000, 0, 5);
	leaf = leaf_of(&f, 5000, &start, &bytes);
	rig_remove(&f.rig, &leaf);
	for (size_t i = 0; i < f.list.count; i++)
		lost += f.starts[i] >= start && f.starts[i] < start + bytes;
	assert_true(lost >= NODE_MIN_ENTRIES);
	assert_int_equal(walk(&f, &v, true, &e), 0);
	assert_int_equal(v.bad, 1);
	assert_int_equal(v.bad_code, -ENOENT);
	assert_memory_equal(&v.bad_id, &leaf, sizeof(leaf));
	assert_int_equal(v.bad_offset, start);
	assert_int_equal(v.bad_bytes, bytes);
	assert_int_equal(v.chunks, f.list.count - lost);
	assert_int_equal(walk(&f, &strict, false, &e), -ENOENT);
	assert_string_equal(e.msg, "the rig has no such chunk");
	assert_int_equal(walk(&f, &stops, true, &e), -EUCLEAN);
	assert_int_equal(stops.bad, 1);
	fixture_release(&f);
}

static void test_walk_of_a_missing_image(void **state)
{
	struct visits v = { 0 }, strict = { 0 };
	struct err e = { 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 10, 0, 5);
	rig_remove(&f.rig, &f.image);
	assert_int_equal(walk(&f, &strict, false, &e), -ENOENT);
	assert_int_equal(walk(&f, &v, true, &e), 0);
	assert_int_equal(v.bad, 1);
	assert_memory_equal(&v.bad_id, &f.image, sizeof(f.image));
	assert_int_equal(v.bad_bytes, 0);
	assert_int_equal(v.images, 0);
	fixture_release(&f);
}

/* What goes wrong with the machine, not with a chunk, is not told as a damage. */
static ssize_t get_fails(void *opaque, enum chunk_kind kind, const struct chunk_id *id, void *buf,
			 size_t cap, struct err *e)
{
	struct fixture *f = opaque;

	if (kind == CHUNK_KIND_IMAGE)
		return f->rig.source.get(f->rig.source.opaque, kind, id, buf, cap, e);
	return err_set(e, -EMFILE, "too many files");
}

static void test_other_errors_end_a_walk(void **state)
{
	struct visits v = { 0 };
	struct fixture f;
	struct manifest_source source = { .get = get_fails, .opaque = &f };
	struct manifest_visitor visitor = { .visit = visit, .on_bad = on_bad, .opaque = &v };
	struct err e = { 0 };

	(void)state;
	fixture_init(&f, 10, 0, 5);
	v.f = &f;
	assert_int_equal(manifest_walk(&f.image, &source, &visitor, &e), -EMFILE);
	assert_string_equal(e.msg, "too many files");
	assert_int_equal(v.bad, 0);
	fixture_release(&f);
}

/* The rest of the image can be read; what is gone can when it is back. */
static void test_cursor_beside_a_missing_node(void **state)
{
	struct rig_chunk *chunk, kept;
	struct manifest_cursor *c;
	uint64_t start, bytes;
	struct extent extent;
	struct chunk_id leaf;
	struct err e = { 0 };
	struct fixture f;
	size_t first;

	(void)state;
	fixture_init(&f, 10000, 0, 5);
	leaf = leaf_of(&f, 5000, &start, &bytes);
	first = piece_at(&f, start);
	chunk = rig_find(&f.rig, &leaf);
	kept = *chunk;
	kept.bytes = malloc(kept.len);
	assert_non_null(kept.bytes);
	memcpy(kept.bytes, chunk->bytes, kept.len);
	rig_remove(&f.rig, &leaf);
	c = open_image(&f);
	assert_int_equal(manifest_seek(c, start - 1, &extent, &e), 1);
	assert_int_equal(manifest_next(c, &extent, &e), -ENOENT);
	assert_int_equal(manifest_next(c, &extent, &e), -ENOENT);
	assert_int_equal(manifest_seek(c, start + bytes, &extent, &e), 1);
	assert_piece(&f, piece_at(&f, start + bytes), &extent);
	assert_int_equal(manifest_seek(c, start + bytes - 1, &extent, &e), -ENOENT);
	assert_int_equal(manifest_seek(c, start - 1, &extent, &e), 1);
	assert_piece(&f, first - 1, &extent);
	rig_put_as(&f.rig, kept.kind, &leaf, kept.bytes, kept.len);
	assert_int_equal(manifest_next(c, &extent, &e), 1);
	assert_piece(&f, first, &extent);
	manifest_close(c);
	free(kept.bytes);
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_beyond_the_end),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_skips_and_stops),
		cmocka_unit_test(test_walk_beside_a_missing_node),
		cmocka_unit_test(test_walk_of_a_missing_image),
		cmocka_unit_test(test_other_errors_end_a_walk),
		cmocka_unit_test(test_cursor_beside_a_missing_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

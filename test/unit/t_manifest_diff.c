/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing manifests: against brute force on random edits, and no more read than differs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/manifest_rig.h"

/* --- brute force --------------------------------------------------------------------------------- */

struct range {
	uint64_t offset, bytes;
};

struct range_list {
	struct range *ranges; /* owned */
	size_t count, room;
	size_t stop_at; /* the number of the range that is refused; 0: none */
};

static void ranges_add(struct range_list *list, uint64_t offset, uint64_t bytes)
{
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->ranges = reallocarray(list->ranges, list->room, sizeof(*list->ranges));
		assert_non_null(list->ranges);
	}
	list->ranges[list->count++] = (struct range){ .offset = offset, .bytes = bytes };
}

/* The same, but a range that continues the last one becomes a part of it. */
static void ranges_extend(struct range_list *list, uint64_t offset, uint64_t bytes)
{
	struct range *last = list->count ? &list->ranges[list->count - 1] : NULL;

	if (last && last->offset + last->bytes == offset)
		last->bytes += bytes;
	else if (bytes > 0)
		ranges_add(list, offset, bytes);
}

/* Goes through both lists piece by piece; they are merged. */
static void model_ranges(const struct piece_list *a, const struct piece_list *b,
			 struct range_list *out)
{
	uint64_t start_a = 0, start_b = 0, at = 0, bytes_a = pieces_bytes(a),
		 bytes_b = pieces_bytes(b);
	uint64_t end = min_u64(bytes_a, bytes_b);
	size_t i = 0, j = 0;

	while (at < end) {
		const struct piece *pa = &a->pieces[i], *pb = &b->pieces[j];
		uint64_t stop = min_u64(start_a + pa->bytes, start_b + pb->bytes);
		bool is_same = pa->is_zero && pb->is_zero;

		if (!pa->is_zero && !pb->is_zero)
			is_same = start_a == start_b && pa->bytes == pb->bytes &&
				  id_equal(&pa->id, &pb->id);
		if (!is_same)
			ranges_extend(out, at, stop - at);
		at = stop;
		if (start_a + pa->bytes == at) {
			start_a = at;
			i++;
		}
		if (start_b + pb->bytes == at) {
			start_b = at;
			j++;
		}
	}
	ranges_extend(out, end, max_u64(bytes_a, bytes_b) - end);
}

static int compare_pieces(const void *left, const void *right)
{
	return id_compare(&((const struct piece *)left)->id, &((const struct piece *)right)->id);
}

/* The chunks of @list, each once, in order. */
static void distinct(const struct piece_list *list, struct piece_list *out)
{
	size_t kept = 0;

	*out = (struct piece_list){ 0 };
	for (size_t i = 0; i < list->count; i++) {
		if (!list->pieces[i].is_zero)
			pieces_add(out, &list->pieces[i]);
	}
	if (out->count == 0)
		return;
	qsort(out->pieces, out->count, sizeof(out->pieces[0]), compare_pieces);
	for (size_t i = 0; i < out->count; i++) {
		if (i == 0 || compare_pieces(&out->pieces[i], &out->pieces[kept - 1]) != 0)
			out->pieces[kept++] = out->pieces[i];
	}
	out->count = kept;
}

/* How many of the distinct chunks of @a are not in @b, and their bytes. */
static uint64_t model_only(const struct piece_list *a, const struct piece_list *b, uint64_t *bytes)
{
	struct piece_list all_a, all_b;
	uint64_t count = 0;

	distinct(a, &all_a);
	distinct(b, &all_b);
	*bytes = 0;
	for (size_t i = 0; i < all_a.count; i++) {
		if (all_b.count > 0 && bsearch(&all_a.pieces[i], all_b.pieces, all_b.count,
					       sizeof(all_b.pieces[0]), compare_pieces))
			continue;
		count++;
		*bytes += all_a.pieces[i].bytes;
	}
	pieces_release(&all_a);
	pieces_release(&all_b);
	return count;
}

/* --- checks -------------------------------------------------------------------------------------- */

static int on_range(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct range_list *list = opaque;

	assert_true(bytes > 0);
	ranges_add(list, offset, bytes);
	return list->count == list->stop_at ? -EINTR : 0;
}

/* Nodes and images read; ranges to @out, which is empty. */
static uint64_t find_ranges(struct manifest_rig *rig, const struct chunk_id *a,
			    const struct chunk_id *b, struct range_list *out)
{
	struct err e = { 0 };

	rig->gets = 0;
	assert_int_equal(manifest_diff_ranges(a, b, &rig->source, on_range, out, &e), 0);
	return rig->gets;
}

static void check_ranges(struct manifest_rig *rig, const struct chunk_id *a,
			 const struct chunk_id *b, const struct piece_list *pieces_a,
			 const struct piece_list *pieces_b)
{
	struct range_list found = { 0 }, expected = { 0 };

	model_ranges(pieces_a, pieces_b, &expected);
	find_ranges(rig, a, b, &found);
	assert_int_equal(found.count, expected.count);
	for (size_t i = 0; i < min_u64(found.count, expected.count); i++) {
		assert_int_equal(found.ranges[i].offset, expected.ranges[i].offset);
		assert_int_equal(found.ranges[i].bytes, expected.ranges[i].bytes);
	}
	free(found.ranges);
	free(expected.ranges);
}

static void check_chunks(struct manifest_rig *rig, const struct chunk_id *a,
			 const struct chunk_id *b, const struct piece_list *pieces_a,
			 const struct piece_list *pieces_b, bool are_distinct)
{
	uint64_t bytes_a, bytes_b, only_a = model_only(pieces_a, pieces_b, &bytes_a);
	uint64_t only_b = model_only(pieces_b, pieces_a, &bytes_b);
	struct manifest_difference found;
	struct err e = { 0 };

	rig->gets = 0;
	assert_int_equal(manifest_diff_chunks(a, b, &rig->source, &found, &e), 0);
	assert_int_equal(found.nodes_read, rig->gets - 2);
	assert_true(found.only_a_chunks >= only_a && found.only_b_chunks >= only_b);
	assert_true(found.only_a_bytes >= bytes_a && found.only_b_bytes >= bytes_b);
	if (!are_distinct)
		return;
	assert_int_equal(found.only_a_chunks, only_a);
	assert_int_equal(found.only_b_chunks, only_b);
	assert_int_equal(found.only_a_bytes, bytes_a);
	assert_int_equal(found.only_b_bytes, bytes_b);
}

/* One of: in place with the same length, in place, insert, delete, truncate, append. */
static void edit(struct piece_list *list, unsigned int zero_every, bool may_repeat)
{
	struct piece piece = pieces_make(list, zero_every);
	size_t at = list->count ? pieces_random(list) % list->count : 0;
	uint64_t what = pieces_random(list) % 20;

	if (may_repeat && list->count && pieces_random(list) % 2)
		piece = list->pieces[pieces_random(list) % list->count];
	if (what == 0) {
		list->count -= pieces_random(list) % (list->count / 4 + 1);
	} else if (what <= 2 || list->count == 0) {
		pieces_add(list, &piece);
	} else if (what <= 6) {
		pieces_insert(list, at, &piece);
	} else if (what <= 10) {
		pieces_remove(list, at);
	} else if (what <= 13) {
		list->pieces[at] = piece;
	} else {
		if (!piece.is_zero)
			piece.bytes = min_u64(list->pieces[at].bytes, CHUNK_MAX_BYTES);
		list->pieces[at] = piece;
	}
	pieces_merge(list);
}

static void check_edits(size_t count, size_t edits, unsigned int zero_every, bool may_repeat,
			uint64_t seed)
{
	struct piece_list a = { .seed = seed }, b;
	struct chunk_id image_a, image_b;
	struct manifest_rig rig;

	rig_init(&rig);
	pieces_fill(&a, count, zero_every);
	pieces_merge(&a);
	pieces_copy(&b, &a);
	for (size_t i = 0; i < edits; i++)
		edit(&b, zero_every, may_repeat);
	image_a = rig_build(&rig, &a);
	image_b = rig_build(&rig, &b);
	check_ranges(&rig, &image_a, &image_b, &a, &b);
	check_ranges(&rig, &image_b, &image_a, &b, &a);
	check_chunks(&rig, &image_a, &image_b, &a, &b, !may_repeat);
	check_chunks(&rig, &image_b, &image_a, &b, &a, !may_repeat);
	pieces_release(&a);
	pieces_release(&b);
	rig_release(&rig);
}

static void test_edits(void **state)
{
	static const size_t counts[] = { 0, 1, 5, 70, 400, 3000, 20000 };
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		size_t rounds = counts[i] < 1000 ? 60 : 8;

		for (size_t round = 0; round < rounds; round++, seed++) {
			size_t edits = round % 8 < 4 ? round % 8 : 1 + seed * seed % 100;

			check_edits(counts[i], edits, round % 3 ? 6 : 0, false, seed);
			check_edits(counts[i], edits, round % 3 ? 6 : 0, true, seed);
		}
	}
}

/* Nothing in common, and of very different heights. */
static void test_unrelated(void **state)
{
	static const size_t counts[] = { 0, 1, 100, 3000, 70000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		for (size_t j = 0; j < ARRAY_LEN(counts); j++) {
			struct piece_list a = { .seed = 1 }, b = { .seed = 2 };
			struct chunk_id image_a, image_b;
			struct manifest_rig rig;

			rig_init(&rig);
			pieces_fill(&a, counts[i], 9);
			pieces_fill(&b, counts[j], 9);
			pieces_merge(&a);
			pieces_merge(&b);
			image_a = rig_build(&rig, &a);
			image_b = rig_build(&rig, &b);
			check_ranges(&rig, &image_a, &image_b, &a, &b);
			check_chunks(&rig, &image_a, &image_b, &a, &b, true);
			pieces_release(&a);
			pieces_release(&b);
			rig_release(&rig);
		}
	}
}

/* A chunk twice in an image, of which one is in a shared node: counted, as the header says. */
static void test_repeated_chunk(void **state)
{
	struct piece_list a = { .seed = 21 }, b;
	struct manifest_difference found;
	struct chunk_id image_a, image_b;
	struct manifest_rig rig;
	struct err e = { 0 };
	uint64_t bytes;

	(void)state;
	rig_init(&rig);
	pieces_fill(&a, 5000, 0);
	pieces_copy(&b, &a);
	b.pieces[4000] = a.pieces[10];
	image_a = rig_build(&rig, &a);
	image_b = rig_build(&rig, &b);
	assert_int_equal(model_only(&b, &a, &bytes), 0);
	assert_int_equal(manifest_diff_chunks(&image_a, &image_b, &rig.source, &found, &e), 0);
	assert_int_equal(found.only_a_chunks, 1);
	assert_int_equal(found.only_b_chunks, 1);
	/* A hostile image may give a chunk another length: it is not the same then. */
	pieces_release(&b);
	pieces_copy(&b, &a);
	b.pieces[4000].bytes++;
	image_b = rig_build(&rig, &b);
	assert_int_equal(manifest_diff_chunks(&image_a, &image_b, &rig.source, &found, &e), 0);
	assert_int_equal(found.only_a_chunks, 1);
	assert_int_equal(found.only_b_bytes, found.only_a_bytes + 1);
	pieces_release(&a);
	pieces_release(&b);
	rig_release(&rig);
}

/* Of 1,000,000 chunks as many are edited as @edits; @is_in_place: nothing moves. */
static void check_cost(struct manifest_rig *rig, const struct piece_list *a,
		       const struct chunk_id *image_a, size_t edits, bool is_in_place)
{
	struct manifest_difference found;
	struct range_list ranges = { 0 };
	struct chunk_id image_b;
	struct piece_list b;
	struct err e = { 0 };
	uint64_t gets;

	pieces_copy(&b, a);
	b.seed += edits;
	for (size_t i = 0; i < edits; i++) {
		struct piece piece = pieces_make(&b, 0);
		size_t at = pieces_random(&b) % b.count;

		if (is_in_place) {
			piece.bytes = b.pieces[at].bytes;
			b.pieces[at] = piece;
		} else {
			pieces_insert(&b, at, &piece);
		}
	}
	image_b = rig_build(rig, &b);
	assert_int_equal(manifest_diff_chunks(image_a, &image_b, &rig->source, &found, &e), 0);
	assert_int_equal(found.only_a_chunks, is_in_place ? edits : 0);
	assert_int_equal(found.only_b_chunks, edits);
	print_message("%zu %s of 1,000,000: %llu nodes read", edits,
		      is_in_place ? "changes" : "insertions", (unsigned long long)found.nodes_read);
	assert_true(found.nodes_read < 20 * edits);
	if (is_in_place) {
		gets = find_ranges(rig, image_a, &image_b, &ranges);
		assert_int_equal(ranges.count, edits);
		print_message(", %llu for the ranges", (unsigned long long)gets - 2);
		assert_true(gets - 2 < 20 * edits);
	}
	print_message("\n");
	free(ranges.ranges);
	pieces_release(&b);
}

static void test_cost(void **state)
{
	struct piece_list a = { .seed = 5 };
	struct manifest_difference found;
	struct range_list ranges = { 0 };
	struct manifest_rig rig;
	struct chunk_id image;
	struct err e = { 0 };

	(void)state;
	rig_init(&rig);
	pieces_fill(&a, 1000000, 0);
	image = rig_build(&rig, &a);
	for (size_t i = 0; i < 4; i++) {
		check_cost(&rig, &a, &image, 1, true);
		check_cost(&rig, &a, &image, 1, false);
		a.seed += 1000;
	}
	check_cost(&rig, &a, &image, 100, true);
	check_cost(&rig, &a, &image, 100, false);
	/* The same image: nothing but itself. */
	assert_int_equal(manifest_diff_chunks(&image, &image, &rig.source, &found, &e), 0);
	assert_int_equal(found.nodes_read, 0);
	assert_int_equal(find_ranges(&rig, &image, &image, &ranges), 2);
	assert_int_equal(ranges.count, 0);
	pieces_release(&a);
	rig_release(&rig);
}

static void test_on_range_stops(void **state)
{
	struct piece_list a = { .seed = 5 }, b;
	struct chunk_id image_a, image_b;
	struct manifest_rig rig;

	(void)state;
	rig_init(&rig);
	pieces_fill(&a, 1000, 0);
	pieces_copy(&b, &a);
	for (size_t i = 0; i < 1000; i += 100)
		b.pieces[i].id.bytes[0] ^= 1;
	pieces_add(&b, &a.pieces[0]);
	image_a = rig_build(&rig, &a);
	image_b = rig_build(&rig, &b);
	for (size_t stop = 1; stop <= 12; stop++) {
		struct range_list ranges = { .stop_at = stop };
		struct err e = { 0 };
		int r = manifest_diff_ranges(&image_a, &image_b, &rig.source, on_range, &ranges,
					     &e);

		assert_int_equal(r, stop < 12 ? -EINTR : 0);
		assert_int_equal(ranges.count, stop < 12 ? stop : 11);
		free(ranges.ranges);
	}
	pieces_release(&a);
	pieces_release(&b);
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits),	       cmocka_unit_test(test_unrelated),
		cmocka_unit_test(test_repeated_chunk), cmocka_unit_test(test_cost),
		cmocka_unit_test(test_on_range_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

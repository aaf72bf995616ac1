/* SPDX-License-Identifier: Apache-2.0 */
/* Building manifests: the same tree as a simple model, equal parts shared, limits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/manifest_rig.h"

/* --- a model: all entries of a level in one array, cut afterwards -------------------------------- */

struct model_entry {
	uint64_t kind, bytes;
	uint8_t id[32];
};

static bool model_ends_node(const struct model_entry *entry, size_t count)
{
	uint64_t mark = 0;

	if (count == 1024)
		return true;
	if (count < 64)
		return false;
	for (int i = 7; i >= 0; i--)
		mark = mark << 8 | entry->id[i];
	if (entry->kind == 0)
		mark = ((entry->bytes + 4095) / 4096 * UINT64_C(0x9E3779B97F4A7C15)) >> 32;
	return mark % 256 == 0;
}

static uint8_t *model_put(uint8_t *at, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		*at++ = (uint8_t)(v >> (8 * i));
	return at;
}

static struct model_entry model_node(const struct manifest_rig *rig, uint32_t level,
				     const struct model_entry *entries, size_t count)
{
	struct model_entry node = { .kind = 2 };
	static uint8_t bytes[32 + 1024 * 40];
	uint8_t *at = bytes + 8;
	struct chunk_id id;

	for (size_t i = 0; i < count; i++)
		node.bytes += entries[i].bytes;
	memcpy(bytes, "STELNODE", 8);
	at = model_put(at, level, 4);
	at = model_put(at, count, 4);
	at = model_put(at, node.bytes, 8);
	at = model_put(at, 0, 8);
	for (size_t i = 0; i < count; i++) {
		at = model_put(at, entries[i].bytes, 7);
		at = model_put(at, entries[i].kind, 1);
		memcpy(at, entries[i].id, 32);
		at += 32;
	}
	id_of_node(&rig->scheme, bytes, (size_t)(at - bytes), &id);
	memcpy(node.id, id.bytes, 32);
	return node;
}

/* In place: a node takes the place of entries that are cut already. Returns how many nodes. */
static size_t model_level(const struct manifest_rig *rig, uint32_t level,
			  struct model_entry *entries, size_t count)
{
	size_t nodes = 0, start = 0;

	for (size_t i = 0; i < count; i++) {
		if (i + 1 == count || model_ends_node(&entries[i], i + 1 - start)) {
			struct model_entry node =
				model_node(rig, level, entries + start, i + 1 - start);

			entries[nodes++] = node;
			start = i + 1;
		}
	}
	return nodes;
}

/* The image's root by the model; *@nodes: how many nodes it has, equal ones more than once. */
static struct model_entry model_root(const struct manifest_rig *rig, const struct piece_list *list,
				     uint32_t *level, size_t *nodes)
{
	struct model_entry *entries = calloc(list->count, sizeof(*entries)), root;
	size_t count = list->count;

	assert_non_null(entries);
	for (size_t i = 0; i < count; i++) {
		entries[i].kind = list->pieces[i].is_zero ? 0 : 1;
		entries[i].bytes = list->pieces[i].bytes;
		if (!list->pieces[i].is_zero)
			memcpy(entries[i].id, list->pieces[i].id.bytes, 32);
	}
	*nodes = 0;
	for (*level = 0;; *level += 1) {
		count = model_level(rig, *level, entries, count);
		*nodes += count;
		if (count == 1)
			break;
	}
	root = entries[0];
	free(entries);
	return root;
}

static struct image_info load_info(struct manifest_rig *rig, const struct chunk_id *image)
{
	const struct rig_chunk *chunk = rig_find(rig, image);
	struct image_info info;
	struct err e;

	assert_non_null(chunk);
	assert_int_equal(chunk->kind, CHUNK_KIND_IMAGE);
	assert_int_equal(image_parse(image, chunk->bytes, chunk->len, &info, &e), 0);
	return info;
}

static void check_against_model(size_t count, unsigned int zero_every, uint64_t seed)
{
	struct piece_list list = { .seed = seed };
	uint64_t data_bytes = 0, chunks = 0;
	struct model_entry root;
	struct manifest_rig rig;
	struct image_info info;
	struct chunk_id image;
	uint32_t level;
	size_t nodes;

	rig_init(&rig);
	pieces_fill(&list, count, zero_every);
	image = rig_build(&rig, &list);
	info = load_info(&rig, &image);
	pieces_merge(&list);
	root = model_root(&rig, &list, &level, &nodes);
	for (size_t i = 0; i < list.count; i++) {
		data_bytes += list.pieces[i].is_zero ? 0 : list.pieces[i].bytes;
		chunks += !list.pieces[i].is_zero;
	}
	assert_int_equal(info.root_level, level);
	assert_memory_equal(info.root_id.bytes, root.id, 32);
	assert_int_equal(info.bytes, pieces_bytes(&list));
	assert_int_equal(info.data_bytes, data_bytes);
	assert_int_equal(info.chunks, chunks);
	assert_memory_equal(&info.chunking, &rig_chunking, sizeof(rig_chunking));
	assert_int_equal(rig.puts, nodes + 1);
	pieces_release(&list);
	rig_release(&rig);
}

static void test_model(void **state)
{
	static const size_t counts[] = { 1,    2,    63,   64,	  65,	 66,	1000,
					 1024, 1025, 5000, 20000, 70000, 300000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		check_against_model(counts[i], 0, i);
		check_against_model(counts[i], 3, 100 + i);
	}
	for (size_t count = 50; count < 700; count += 3)
		check_against_model(count, 10, count);
}

/* No content ends a node: each is full, and the tree is exactly as high as it must be. */
static void test_no_boundaries(void **state)
{
	struct piece piece = { .bytes = 4096 };
	struct piece_list list = { 0 };
	struct manifest_rig rig;
	struct chunk_id image;
	size_t nodes;
	uint32_t level;

	(void)state;
	memset(piece.id.bytes, 0x55, sizeof(piece.id.bytes));
	for (size_t i = 0; i < 1024; i++)
		pieces_add(&list, &piece);
	rig_init(&rig);
	image = rig_build(&rig, &list);
	/* The first node is full with the last piece, and is the root all the same. */
	assert_int_equal(load_info(&rig, &image).root_level, 0);
	assert_int_equal(rig.count, 2);
	for (size_t i = 0; i < 100 * 1024; i++)
		pieces_add(&list, &piece);
	image = rig_build(&rig, &list);
	assert_int_equal(load_info(&rig, &image).root_level, 1);
	/* 101 equal nodes are one; 101 equal entries end a node by chance or not. */
	assert_memory_equal(load_info(&rig, &image).root_id.bytes,
			    model_root(&rig, &list, &level, &nodes).id, 32);
	assert_int_equal(rig.count, 4);
	pieces_release(&list);
	rig_release(&rig);
}

static void test_equal_images_are_one(void **state)
{
	struct piece_list list = { .seed = 7 };
	struct chunk_id first, again;
	struct manifest_rig rig;
	struct piece half;
	size_t count, zero;

	(void)state;
	rig_init(&rig);
	pieces_fill(&list, 5000, 4);
	pieces_merge(&list);
	first = rig_build(&rig, &list);
	count = rig.count;
	/* A run of zeros in two parts is the same run. */
	for (zero = 0; !list.pieces[zero].is_zero || list.pieces[zero].bytes == CHUNK_BLOCK_BYTES;)
		zero++;
	half = list.pieces[zero];
	half.bytes -= CHUNK_BLOCK_BYTES;
	list.pieces[zero].bytes = CHUNK_BLOCK_BYTES;
	pieces_insert(&list, zero, &half);
	half.bytes = 0;
	pieces_insert(&list, 0, &half);
	again = rig_build(&rig, &list);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_int_equal(rig.count, count);
	list.pieces[1].bytes++;
	again = rig_build(&rig, &list);
	assert_memory_not_equal(&first, &again, sizeof(first));
	pieces_release(&list);
	rig_release(&rig);
}

/* A piece more at the front moves all others; the nodes after it are what they were. */
static void test_insertion_shares_nodes(void **state)
{
	struct piece_list list = { .seed = 11 };
	struct manifest_rig rig;
	uint64_t puts, total = 0, made = 0;

	(void)state;
	rig_init(&rig);
	pieces_fill(&list, 100000, 50);
	rig_build(&rig, &list);
	for (size_t i = 0; i < 50; i++) {
		struct piece piece = pieces_make(&list, 0);
		size_t at = i == 0 ? 0 : pieces_random(&list) % list.count, count = rig.count;

		pieces_insert(&list, at, &piece);
		puts = rig.puts;
		rig_build(&rig, &list);
		total += rig.puts - puts;
		made += rig.count - count;
		/* Of each of 3 levels one node, or two or three where a boundary moved; an image. */
		assert_true(rig.count - count <= 10);
		assert_true(rig.puts - puts > 250);
	}
	print_message("of %llu nodes of 50 images %llu are new\n", (unsigned long long)total,
		      (unsigned long long)made);
	assert_true(made <= 50 * 6);
	/* The same run of pieces in another image. */
	list.pieces += 20000;
	list.count = 50000;
	puts = rig.puts;
	made = rig.count;
	rig_build(&rig, &list);
	list.pieces -= 20000;
	assert_true(rig.count - made <= 12);
	assert_true(rig.puts - puts > 100);
	pieces_release(&list);
	rig_release(&rig);
}

static void test_empty(void **state)
{
	struct piece_list list = { 0 };
	struct piece nothing = { .is_zero = true };
	struct manifest_rig rig;
	struct image_info info;
	struct chunk_id image;

	(void)state;
	rig_init(&rig);
	pieces_add(&list, &nothing);
	image = rig_build(&rig, &list);
	info = load_info(&rig, &image);
	assert_int_equal(info.bytes, 0);
	assert_int_equal(info.chunks, 0);
	assert_int_equal(rig.count, 1);
	pieces_release(&list);
	rig_release(&rig);
}

static void test_zeros(void **state)
{
	struct piece piece = { .is_zero = true, .bytes = UINT64_C(1) << 44 };
	struct piece_list list = { 0 };
	struct manifest_rig rig;
	struct image_info info;
	struct chunk_id image;

	(void)state;
	rig_init(&rig);
	pieces_add(&list, &piece);
	image = rig_build(&rig, &list);
	info = load_info(&rig, &image);
	assert_int_equal(info.bytes, UINT64_C(16) << 40);
	assert_int_equal(info.data_bytes, 0);
	assert_int_equal(info.chunks, 0);
	assert_int_equal(info.root_level, 0);
	assert_int_equal(rig_find(&rig, &info.root_id)->len, 72);
	pieces_release(&list);
	rig_release(&rig);
}

static void test_longest(void **state)
{
	const struct chunk_id id = { { 1 } };
	struct manifest_builder *b;
	struct manifest_rig rig;
	struct chunk_id image;
	struct err e = { 0 };

	(void)state;
	rig_init(&rig);
	assert_int_equal(manifest_builder_new(&b, &rig_chunking, &rig.sink, &e), 0);
	assert_int_equal(manifest_add_zero(b, UINT64_C(1) << 56, &e), -EFBIG);
	assert_non_null(strstr(e.msg, "2^56 - 1"));
	assert_int_equal(manifest_add_zero(b, UINT64_MAX, &e), -EFBIG);
	assert_int_equal(manifest_add_zero(b, (UINT64_C(1) << 56) - 11, &e), 0);
	assert_int_equal(manifest_add_chunk(b, &id, 11, &e), -EFBIG);
	assert_int_equal(manifest_add_chunk(b, &id, 10, &e), 0);
	assert_int_equal(manifest_add_chunk(b, &id, 1, &e), -EFBIG);
	assert_int_equal(manifest_add_zero(b, 1, &e), -EFBIG);
	assert_int_equal(manifest_add_zero(b, 0, &e), 0);
	assert_int_equal(manifest_finish(b, &image, &e), 0);
	manifest_builder_free(b);
	assert_int_equal(load_info(&rig, &image).bytes, (UINT64_C(1) << 56) - 1);
	assert_int_equal(load_info(&rig, &image).data_bytes, 10);
	rig_release(&rig);
}

/* The store is full at each put in turn: its error comes out, nothing follows it. */
static void test_sink_fails(void **state)
{
	struct piece_list list = { .seed = 3 };
	struct manifest_rig rig;

	(void)state;
	rig_init(&rig);
	pieces_fill(&list, 2000, 0);
	for (uint64_t puts = 0;; puts++) {
		struct manifest_builder *b;
		struct err e = { 0 };
		struct chunk_id image;
		int r = 0, finished;

		rig.puts_left = puts;
		assert_int_equal(manifest_builder_new(&b, &rig_chunking, &rig.sink, &e), 0);
		for (size_t i = 0; i < list.count && r == 0; i++)
			r = manifest_add_chunk(b, &list.pieces[i].id,
					       (uint32_t)list.pieces[i].bytes, &e);
		finished = manifest_finish(b, &image, &e);
		manifest_builder_free(b);
		if (finished == 0) {
			assert_int_equal(r, 0);
			assert_true(puts > 4);
			break;
		}
		assert_int_equal(finished, -ENOSPC);
		assert_true(e.msg[0] != '\0');
	}
	manifest_builder_free(NULL);
	pieces_release(&list);
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_no_boundaries),
		cmocka_unit_test(test_equal_images_are_one),
		cmocka_unit_test(test_insertion_shares_nodes),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_sink_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

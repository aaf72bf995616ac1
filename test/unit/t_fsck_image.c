/* SPDX-License-Identifier: Apache-2.0 */
/* fsck: what it finds in manifests that a hostile program made, whose chunks are all right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stellar/abi.h"
#include "stellar/txn.h"
#include "test/unit/fsck_store.h"

enum { CHUNK = 4096, MANY = 1024 };

/* A transaction that takes anything. */
struct forger {
	struct store *store;
	struct txn *txn;
	struct txn_worker *worker;
};

static void forger_begin(struct forger *g)
{
	const struct codec_params codec = { .choice = CODEC_CHOICE_NONE };
	struct err e = { 0 };

	g->store = depot_open(&rig);
	assert_int_equal(txn_begin(&g->txn, g->store, &codec, &e), 0);
	assert_int_equal(txn_worker_new(&g->worker, g->txn, &e), 0);
}

static struct chunk_id forger_put(struct forger *g, enum chunk_kind kind, const void *bytes,
				  size_t len)
{
	struct txn_item item = { .kind = kind, .bytes = bytes, .len = len };
	struct err e = { 0 };

	assert_int_equal(txn_put(g->worker, &item, 1, &e), 0);
	return item.id;
}

static void forger_end(struct forger *g, const char *name, const struct chunk_id *image,
		       uint64_t bytes)
{
	struct root root = { .image_id = *image, .bytes = bytes };
	struct err e = { 0 };

	snprintf(root.name, sizeof(root.name), "%s", name);
	txn_worker_free(g->worker);
	assert_int_equal(txn_commit(g->txn, &root, true, &e), 0);
	txn_free(g->txn);
	store_close(g->store);
}

/* A node of @count entries that are all the same. */
static struct chunk_id put_node(struct forger *g, uint32_t level, uint32_t count,
				enum node_entry_kind kind, uint64_t bytes,
				const struct chunk_id *id)
{
	static struct {
		struct st_node head;
		struct st_node_entry entries[NODE_MAX_ENTRIES];
	} node;

	memset(&node, 0, sizeof(node));
	memcpy(node.head.magic, NODE_MAGIC, sizeof(node.head.magic));
	node.head.level = le32_put(level);
	node.head.count = le32_put(count);
	node.head.bytes = le64_put(count * bytes);
	for (uint32_t i = 0; i < count; i++) {
		node.entries[i].kind_and_bytes = le64_put((uint64_t)kind << 56 | bytes);
		memcpy(node.entries[i].id, id->bytes, sizeof(id->bytes));
	}
	return forger_put(g, CHUNK_KIND_NODE, &node,
			  sizeof(node.head) + count * sizeof(node.entries[0]));
}

static struct chunk_id put_image(struct forger *g, uint32_t level, const struct chunk_id *root,
				 uint64_t bytes, uint64_t chunks)
{
	struct st_image image = {
		.version = le32_put(STORE_VERSION),
		.root_level = le32_put(level),
		.bytes = le64_put(bytes),
		.chunking = { .method = le32_put(CHUNK_FIXED),
			      .min_bytes = le32_put(CHUNK),
			      .average_bytes = le32_put(CHUNK),
			      .max_bytes = le32_put(CHUNK) },
		.data_bytes = le64_put(bytes),
		.chunks = le64_put(chunks),
	};

	memcpy(image.magic, IMAGE_MAGIC, sizeof(image.magic));
	memcpy(image.root_id, root->bytes, sizeof(root->bytes));
	return forger_put(g, CHUNK_KIND_IMAGE, &image, sizeof(image));
}

static struct chunk_id put_chunk(struct forger *g, uint64_t seed)
{
	uint8_t bytes[CHUNK];

	depot_noise(bytes, sizeof(bytes), seed);
	return forger_put(g, CHUNK_KIND_DATA, bytes, sizeof(bytes));
}

static void expect_damaged(const char *text)
{
	assert_int_equal(depot_check(&rig), 0);
	if (!depot_told(&rig, text))
		fail_msg("expected '%s', got '%s'", text, rig.line_count ? rig.lines[0] : "");
	assert_true(depot_told(&rig, "image 'x'"));
	assert_int_equal(rig.result.damaged_images, 1);
	/* There is nothing to repair, and nothing else comes to harm. */
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.repaired, 0);
	assert_int_equal(rig.result.damaged_images, 1);
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
	assert_true(depot_has_image(&rig, "b", image_b, LEN_B));
}

/* --- tests --------------------------------------------------------------------------------- */

static void test_right(void **state)
{
	struct forger g;
	struct chunk_id id;

	(void)state;
	forger_begin(&g);
	id = put_chunk(&g, 7);
	id = put_node(&g, 0, 3, NODE_ENTRY_CHUNK, CHUNK, &id);
	id = put_image(&g, 0, &id, 3 * CHUNK, 3);
	forger_end(&g, "x", &id, 3 * CHUNK);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.images, 3);
}

static void test_missing_chunk(void **state)
{
	struct chunk_id id = { { 1, 2, 3 } };
	struct forger g;

	(void)state;
	forger_begin(&g);
	id = put_node(&g, 0, 3, NODE_ENTRY_CHUNK, CHUNK, &id);
	id = put_image(&g, 0, &id, 3 * CHUNK, 3);
	forger_end(&g, "x", &id, 3 * CHUNK);
	expect_damaged("4096 bytes at 8192: the chunk is missing");
}

static void test_missing_node(void **state)
{
	struct chunk_id id = { { 1, 2, 3 } };
	struct forger g;

	(void)state;
	forger_begin(&g);
	id = put_node(&g, 1, 2, NODE_ENTRY_NODE, CHUNK, &id);
	id = put_image(&g, 1, &id, 2 * CHUNK, 2);
	forger_end(&g, "x", &id, 2 * CHUNK);
	expect_damaged("its list of chunks is missing");
}

static void test_missing_image(void **state)
{
	struct chunk_id id = { { 1, 2, 3 } };
	struct forger g;

	(void)state;
	forger_begin(&g);
	forger_end(&g, "x", &id, 5);
	expect_damaged("its head is missing");
}

static void test_wrong_length(void **state)
{
	struct chunk_id id;
	struct forger g;

	(void)state;
	forger_begin(&g);
	id = put_chunk(&g, 7);
	id = put_node(&g, 0, 2, NODE_ENTRY_CHUNK, CHUNK + 1, &id);
	id = put_image(&g, 0, &id, 2 * (CHUNK + 1), 2);
	forger_end(&g, "x", &id, 2 * (CHUNK + 1));
	expect_damaged("the chunk has another length");
}

static void test_wrong_kind(void **state)
{
	struct chunk_id chunk, node, image;
	struct forger g;

	(void)state;
	forger_begin(&g);
	chunk = put_chunk(&g, 7);
	node = put_node(&g, 0, 1, NODE_ENTRY_CHUNK, CHUNK, &chunk);
	/* A node as data, data as a node. */
	image = put_node(&g, 0, 1, NODE_ENTRY_CHUNK, 72, &node);
	image = put_image(&g, 0, &image, 72, 1);
	forger_end(&g, "x", &image, 72);
	expect_damaged("the chunk is not one of data");
	forger_begin(&g);
	image = put_node(&g, 1, 1, NODE_ENTRY_NODE, CHUNK, &chunk);
	image = put_image(&g, 1, &image, CHUNK, 1);
	forger_end(&g, "x", &image, CHUNK);
	expect_damaged("of another kind");
}

/* Of a level that it is not: so no node can be below itself. */
static void test_wrong_level(void **state)
{
	struct chunk_id id;
	struct forger g;

	(void)state;
	forger_begin(&g);
	id = put_chunk(&g, 7);
	id = put_node(&g, 0, 1, NODE_ENTRY_CHUNK, CHUNK, &id);
	id = put_node(&g, 2, 1, NODE_ENTRY_NODE, CHUNK, &id);
	id = put_image(&g, 2, &id, CHUNK, 1);
	forger_end(&g, "x", &id, CHUNK);
	expect_damaged("level");
}

static void test_wrong_sums(void **state)
{
	struct chunk_id node, id;
	struct forger g;

	(void)state;
	forger_begin(&g);
	id = put_chunk(&g, 7);
	node = put_node(&g, 0, 3, NODE_ENTRY_CHUNK, CHUNK, &id);
	id = put_image(&g, 0, &node, 3 * CHUNK, 2);
	forger_end(&g, "x", &id, 3 * CHUNK);
	expect_damaged("a wrong sum of its data");
	forger_begin(&g);
	id = put_image(&g, 0, &node, 3 * CHUNK, 3);
	forger_end(&g, "x", &id, 2 * CHUNK);
	expect_damaged("its name tells another length");
}

/* Few nodes, but 2^42 bytes: each is read once, whether it is right or not. */
static void test_vast(void **state)
{
	struct chunk_id right, wrong = { { 4, 5, 6 } };
	uint64_t bytes = CHUNK;
	struct forger g;

	(void)state;
	forger_begin(&g);
	right = put_chunk(&g, 7);
	for (uint32_t level = 0; level < 3; level++, bytes *= MANY) {
		const enum node_entry_kind kind = level ? NODE_ENTRY_NODE : NODE_ENTRY_CHUNK;

		right = put_node(&g, level, MANY, kind, bytes, &right);
		wrong = put_node(&g, level, MANY, kind, bytes, &wrong);
	}
	right = put_image(&g, 2, &right, bytes, bytes / CHUNK);
	wrong = put_image(&g, 2, &wrong, bytes, bytes / CHUNK);
	forger_end(&g, "y", &right, bytes);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	forger_begin(&g);
	forger_end(&g, "x", &wrong, bytes);
	expect_damaged("more such damages");
}

#define T(name) cmocka_unit_test_setup(test_##name, fsck_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(right),      T(missing_chunk), T(missing_node), T(missing_image), T(wrong_length),
		T(wrong_kind), T(wrong_level),	 T(wrong_sums),	  T(vast),
	};

	return cmocka_run_group_tests(tests, fsck_setup, fsck_teardown);
}

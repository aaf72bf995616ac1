/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests that no builder wrote: each fault is an error that says what and where, in all readers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/manifest_rig.h"

#define MOST ((UINT64_C(1) << 56) - 1)

/* A node that can be spoiled before it is put. */
struct raw_node {
	struct st_node node;
	struct st_node_entry entries[NODE_MAX_ENTRIES + 1];
};

static struct raw_node raw;

static struct chunk_id name(unsigned int number)
{
	return (struct chunk_id){ { 0xee, (uint8_t)(number >> 8), (uint8_t)number } };
}

static void set_entry(size_t at, uint64_t kind, uint64_t bytes, unsigned int number)
{
	struct chunk_id id = name(number);

	if (kind == NODE_ENTRY_ZERO)
		memset(&id, 0, sizeof(id));
	raw.entries[at].kind_and_bytes = le64_put(kind << 56 | bytes);
	memcpy(raw.entries[at].id, id.bytes, sizeof(id.bytes));
}

/* A valid header for @count entries, of which the first are as set by set_entry(). */
static void start_node(uint32_t level, uint32_t count)
{
	uint64_t bytes = 0;

	memset(&raw.node, 0, sizeof(raw.node));
	memcpy(raw.node.magic, NODE_MAGIC, 8);
	raw.node.level = le32_put(level);
	raw.node.count = le32_put(count);
	for (uint32_t i = 0; i < count; i++)
		bytes += le64_get(raw.entries[i].kind_and_bytes) & MOST;
	raw.node.bytes = le64_put(bytes);
}

static size_t raw_len(void)
{
	return sizeof(raw.node) + le32_get(raw.node.count) * sizeof(raw.entries[0]);
}

static void put_node(struct manifest_rig *rig, unsigned int number, size_t len)
{
	struct chunk_id id = name(number);

	rig_put_as(rig, CHUNK_KIND_NODE, &id, &raw, len);
}

/* An image with node 1 as its root. */
static struct st_image make_image(uint32_t level, uint64_t bytes)
{
	struct st_image image = {
		.version = le32_put(STORE_VERSION),
		.root_level = le32_put(level),
		.bytes = le64_put(bytes),
		.chunking = { le32_put(CHUNK_FIXED), le32_put(4096), le32_put(4096),
			      le32_put(4096) },
	};
	struct chunk_id root = name(1);

	memcpy(image.magic, IMAGE_MAGIC, 8);
	memcpy(image.root_id, root.bytes, sizeof(root.bytes));
	return image;
}

static void put_image(struct manifest_rig *rig, const struct st_image *image)
{
	struct chunk_id id = name(0);

	rig_put_as(rig, CHUNK_KIND_IMAGE, &id, image, sizeof(*image));
}

static int visit(void *opaque, enum chunk_kind kind, const struct chunk_id *id, uint64_t offset,
		 uint64_t bytes, struct err *e)
{
	(void)opaque;
	(void)kind;
	(void)id;
	(void)offset;
	(void)bytes;
	(void)e;
	return 1;
}

static int read_all(struct manifest_rig *rig, const struct chunk_id *image, struct err *e)
{
	struct manifest_cursor *c = NULL;
	struct extent extent;
	int r = manifest_open(&c, image, &rig->source, e);

	if (r < 0)
		return r;
	for (r = 1; r > 0;)
		r = manifest_next(c, &extent, e);
	manifest_close(c);
	return r;
}

static int no_range(void *opaque, uint64_t offset, uint64_t bytes)
{
	(void)opaque;
	(void)offset;
	(void)bytes;
	return 0;
}

static void assert_fault(int r, int expected, const struct err *e, const char *part)
{
	assert_int_equal(r, expected);
	assert_int_equal(e->code, expected);
	if (!strstr(e->msg, part))
		fail_msg("'%s' is not in: %.*s", part, (int)sizeof(e->msg), e->msg);
}

/* Every reader ends with the error; @part is in the message. The other of a comparison is sound. */
static void check_fault(struct manifest_rig *rig, int expected, const char *part)
{
	const struct manifest_visitor visitor = { .visit = visit };
	struct piece_list list = { .seed = 1 };
	struct chunk_id image = name(0), sound;
	struct manifest_difference difference;
	struct err e = { 0 };

	pieces_fill(&list, 10, 0);
	sound = rig_build(rig, &list);
	pieces_release(&list);
	rig->gets = 0;
	assert_fault(read_all(rig, &image, &e), expected, &e, part);
	assert_fault(manifest_walk(&image, &rig->source, &visitor, &e), expected, &e, part);
	assert_fault(manifest_diff_chunks(&image, &sound, &rig->source, &difference, &e), expected,
		     &e, part);
	assert_fault(manifest_diff_chunks(&sound, &image, &rig->source, &difference, &e), expected,
		     &e, part);
	assert_fault(manifest_diff_ranges(&image, &sound, &rig->source, no_range, NULL, &e),
		     expected, &e, part);
	assert_true(rig->gets < 60);
}

/* Of the root, which is at @level and as long as its header says. */
static void check_root(uint32_t level, size_t len, const char *part)
{
	struct st_image image = make_image(level, le64_get(raw.node.bytes));
	struct manifest_rig rig;

	rig_init(&rig);
	put_image(&rig, &image);
	put_node(&rig, 1, len);
	check_fault(&rig, -EBADMSG, part);
	rig_release(&rig);
}

static void start_leaf(void)
{
	for (size_t i = 0; i < 3; i++)
		set_entry(i, i == 1 ? NODE_ENTRY_ZERO : NODE_ENTRY_CHUNK, 4096, 10);
	start_node(0, 3);
}

static void test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < 8; i++) {
		start_leaf();
		raw.node.magic[i] ^= 0x20;
		check_root(0, raw_len(), "begin with STELNODE");
		start_leaf();
		raw.node.zero[i] = 1;
		check_root(0, raw_len(), "unused bytes");
	}
	start_leaf();
	raw.node.count = le32_put(0);
	check_root(0, raw_len(), "0 entries");
	for (size_t i = 0; i < NODE_MAX_ENTRIES + 1; i++)
		set_entry(i, NODE_ENTRY_CHUNK, 1, 10);
	start_node(0, NODE_MAX_ENTRIES + 1);
	/* The rig does not even give it: it is longer than a node can be. */
	check_root(0, raw_len(), "41032 bytes");
	check_root(0, raw_len() - sizeof(raw.entries[0]), "1025 entries, a node has 1 to 1024");
	start_leaf();
	raw.node.count = le32_put(UINT32_MAX);
	check_root(0, 152, "4294967295 entries");
	for (size_t len = 0; len <= 200; len++) {
		start_leaf();
		if (len != raw_len())
			check_root(0, len, len < 32 ? "the least is 72" : "which is not 3 entries");
	}
}

static void test_entries(void **state)
{
	static const struct {
		uint32_t level;
		uint64_t kind, bytes;
		const char *part;
	} faults[] = {
		{ 0, NODE_ENTRY_CHUNK, 0, "entry 1 has no length" },
		{ 0, NODE_ENTRY_ZERO, 0, "entry 1 has no length" },
		{ 1, NODE_ENTRY_NODE, 0, "entry 1 has no length" },
		{ 0, NODE_ENTRY_NODE, 4096, "entry 1 is a node at level 0" },
		{ 1, NODE_ENTRY_CHUNK, 4096, "entry 1 is a chunk above level 0" },
		{ 1, NODE_ENTRY_ZERO, 4096, "entry 1 is a run of zeros above" },
		{ 0, 3, 4096, "entry 1 is of an unknown kind" },
		{ 0, 255, 4096, "entry 1 is of an unknown kind" },
		{ 0, NODE_ENTRY_CHUNK, CHUNK_MAX_BYTES + 1, "entry 1 is longer" },
		{ 0, NODE_ENTRY_CHUNK, MOST, "entry 1 is longer" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		uint64_t good = faults[i].level ? NODE_ENTRY_NODE : NODE_ENTRY_CHUNK;

		set_entry(0, good, 1, 10);
		set_entry(1, faults[i].kind, faults[i].bytes, 10);
		set_entry(2, good, 1, 10);
		start_node(faults[i].level, 3);
		if (faults[i].bytes == MOST)
			raw.node.bytes = le64_put(MOST);
		check_root(faults[i].level, raw_len(), faults[i].part);
	}
	for (size_t i = 0; i < 32; i++) {
		start_leaf();
		raw.entries[1].id[i] = 1;
		check_root(0, raw_len(), "entry 1 is a run of zeros with an id");
	}
}

static void test_sums(void **state)
{
	(void)state;
	start_leaf();
	raw.node.bytes = le64_put(3 * 4096 - 1);
	check_root(0, raw_len(), "another sum");
	raw.node.bytes = le64_put(3 * 4096 + 1);
	check_root(0, raw_len(), "another sum");
	/* 257 times 2^56 - 1 and what is missing to 2^64: as long as a sum modulo 2^64 allows. */
	for (size_t i = 0; i < 256; i++)
		set_entry(i, NODE_ENTRY_ZERO, MOST, 0);
	set_entry(256, NODE_ENTRY_ZERO, 256 + 4096, 0);
	start_node(0, 257);
	assert_int_equal(le64_get(raw.node.bytes), 4096);
	check_root(0, raw_len(), "another sum");
	/* Two runs that are just too long together. */
	set_entry(0, NODE_ENTRY_ZERO, MOST, 0);
	set_entry(1, NODE_ENTRY_ZERO, 1, 0);
	start_node(0, 2);
	check_root(0, raw_len(), "the most is 2^56 - 1");
	raw.node.bytes = le64_put(MOST);
	check_root(0, raw_len(), "another sum");
}

/* What an image or a parent says of a node is not what the node says. */
static void test_levels_and_lengths(void **state)
{
	struct manifest_rig rig;
	struct st_image image;

	(void)state;
	for (uint32_t level = 0; level <= NODE_MAX_LEVEL + 2; level++) {
		rig_init(&rig);
		start_leaf();
		if (level > 0) {
			for (size_t i = 0; i < 3; i++)
				set_entry(i, NODE_ENTRY_NODE, 4096, 1);
			start_node(level, 3);
		}
		put_node(&rig, 1, raw_len());
		image = make_image(level == 0 ? 1 : level - 1, 3 * 4096);
		put_image(&rig, &image);
		check_fault(&rig, -EBADMSG,
			    level <= NODE_MAX_LEVEL + 1 ? "its parent says" : "at level");
		if (level <= NODE_MAX_LEVEL) {
			image = make_image(level, 3 * 4096 + 1);
			put_image(&rig, &image);
			check_fault(&rig, -EBADMSG, "its length is 12288, its parent says 12289");
		}
		rig_release(&rig);
	}
}

/* Node 1 at @level names node 2; node 2 is as start_node() made it. */
static void check_child(uint32_t level, uint64_t bytes, const char *part)
{
	struct st_image image = make_image(level, bytes);
	struct manifest_rig rig;

	rig_init(&rig);
	put_image(&rig, &image);
	put_node(&rig, 2, raw_len());
	set_entry(0, NODE_ENTRY_NODE, bytes, 2);
	start_node(level, 1);
	put_node(&rig, 1, raw_len());
	check_fault(&rig, -EBADMSG, part);
	rig_release(&rig);
}

static void test_children(void **state)
{
	struct st_image image = make_image(1, 100);
	struct manifest_rig rig;

	(void)state;
	/* Itself. Its level cannot be right twice. */
	rig_init(&rig);
	put_image(&rig, &image);
	set_entry(0, NODE_ENTRY_NODE, 100, 1);
	start_node(1, 1);
	put_node(&rig, 1, raw_len());
	check_fault(&rig, -EBADMSG, "is of level 1, its parent says 0");
	rig_release(&rig);
	/* One of its own level, above it, two below it. */
	set_entry(0, NODE_ENTRY_NODE, 100, 1);
	start_node(2, 1);
	check_child(2, 100, "is of level 2, its parent says 1");
	set_entry(0, NODE_ENTRY_NODE, 100, 1);
	start_node(3, 1);
	check_child(2, 100, "is of level 3, its parent says 1");
	set_entry(0, NODE_ENTRY_CHUNK, 100, 10);
	start_node(0, 1);
	check_child(2, 100, "is of level 0, its parent says 1");
	/* Of another length. */
	set_entry(0, NODE_ENTRY_CHUNK, 100, 10);
	start_node(0, 1);
	check_child(1, 101, "its length is 100, its parent says 101");
	/* Missing; an image in its place. */
	rig_init(&rig);
	check_fault(&rig, -ENOENT, "no such chunk");
	put_image(&rig, &image);
	check_fault(&rig, -ENOENT, "no such chunk");
	rig_put_as(&rig, CHUNK_KIND_IMAGE, &(struct chunk_id){ { 0xee, 0, 1 } }, &image,
		   sizeof(image));
	check_fault(&rig, -EBADMSG, "of kind 3");
	rig_put_as(&rig, CHUNK_KIND_NODE, &(struct chunk_id){ { 0xee, 0, 1 } }, &image,
		   sizeof(image));
	check_fault(&rig, -EBADMSG, "begin with STELNODE");
	rig_release(&rig);
}

static void check_image(const struct st_image *image, int expected, const char *part)
{
	struct manifest_rig rig;

	rig_init(&rig);
	start_leaf();
	put_node(&rig, 1, raw_len());
	put_image(&rig, image);
	check_fault(&rig, expected, part);
	rig_release(&rig);
}

static void test_images(void **state)
{
	const struct st_image good = make_image(0, 3 * 4096);
	struct st_image image;

	(void)state;
#define BAD(expected, part, ...)                     \
	do {                                         \
		image = good;                        \
		__VA_ARGS__;                         \
		check_image(&image, expected, part); \
	} while (0)
	BAD(-EBADMSG, "begin with STELIMAG", image.magic[7]++);
	BAD(-EBADMSG, "no version 0", image.version = le32_put(0));
	BAD(-EPROTONOSUPPORT, "is of version 2: this program reads up to version 1",
	    image.version = le32_put(2));
	BAD(-EPROTONOSUPPORT, "is of version 4294967295", image.version = le32_put(UINT32_MAX));
	BAD(-EBADMSG, "at level 13", image.root_level = le32_put(13));
	BAD(-EBADMSG, "is 72057594037927936, the most", image.bytes = le64_put(MOST + 1));
	BAD(-EBADMSG, "12289 bytes of data in an image", image.data_bytes = le64_put(12289));
	BAD(-EBADMSG, "0 bytes of data in 1 chunks", image.chunks = le64_put(1));
	BAD(-EBADMSG, "1 bytes of data in 0 chunks", image.data_bytes = le64_put(1));
	BAD(-EBADMSG, "bytes of data in 1 chunks", image.bytes = le64_put(MOST),
	    image.data_bytes = le64_put(CHUNK_MAX_BYTES + 1), image.chunks = le64_put(1));
	BAD(-EBADMSG, "no root", memset(image.root_id, 0, 32));
	BAD(-EBADMSG, "empty and has a root", image.bytes = le64_put(0));
	BAD(-EBADMSG, "empty and has a root", image.bytes = le64_put(0),
	    memset(image.root_id, 0, 32), image.root_level = le32_put(1));
	BAD(-EBADMSG, "no chunking", image.chunking.method = le32_put(3));
	BAD(-EBADMSG, "no chunking", image.chunking.average_bytes = le32_put(4097));
	BAD(-EBADMSG, "unused bytes", image.zero[31] = 1);
#undef BAD
}

static void test_image_lengths(void **state)
{
	struct st_image image[2] = { make_image(0, 3 * 4096), { .magic = "" } };
	struct chunk_id id = name(0);
	struct image_info info;
	struct err e;

	(void)state;
	assert_int_equal(image_parse(&id, image, sizeof(image[0]), &info, &e), 0);
	for (size_t len = 0; len <= sizeof(image); len++) {
		if (len != sizeof(image[0]))
			assert_fault(image_parse(&id, image, len, &info, &e), -EBADMSG, &e,
				     "an image has 120");
	}
	/* A newer one may have another length; its name is in the message. */
	image[0].version = le32_put(7);
	assert_fault(image_parse(&id, image, sizeof(image), &info, &e), -EPROTONOSUPPORT, &e,
		     "image ee00000000000000");
}

/* As long as can be, at the highest level that can be: sound, and read with a node a level. */
static void test_most(void **state)
{
	struct st_image image = make_image(NODE_MAX_LEVEL, MOST);
	struct chunk_id id = name(0);
	struct manifest_cursor *c;
	struct extent extent;
	struct manifest_rig rig;
	struct err e = { 0 };

	(void)state;
	rig_init(&rig);
	put_image(&rig, &image);
	for (uint32_t level = 0; level <= NODE_MAX_LEVEL; level++) {
		unsigned int number = 1 + NODE_MAX_LEVEL - level;

		set_entry(0, level ? NODE_ENTRY_NODE : NODE_ENTRY_ZERO, MOST, number + 1);
		start_node(level, 1);
		put_node(&rig, number, raw_len());
	}
	assert_int_equal(manifest_open(&c, &id, &rig.source, &e), 0);
	assert_int_equal(manifest_seek(c, MOST - 1, &extent, &e), 1);
	assert_int_equal(extent.bytes, MOST);
	assert_int_equal(manifest_next(c, &extent, &e), 0);
	assert_int_equal(manifest_seek(c, 0, &extent, &e), 1);
	assert_int_equal(rig.gets, 1 + NODE_MAX_LEVEL + 1);
	manifest_close(c);
	rig_release(&rig);
}

/* 5 nodes of which each names the one below 1024 times are an image of 2^50 chunks. */
static void test_bomb(void **state)
{
	struct st_image image = make_image(4, UINT64_C(1) << 50);
	struct chunk_id id = name(0), other = name(99);
	struct manifest_difference difference;
	struct manifest_rig rig;
	struct err e = { 0 };

	(void)state;
	rig_init(&rig);
	put_image(&rig, &image);
	for (uint32_t level = 0; level <= 4; level++) {
		for (size_t i = 0; i < NODE_MAX_ENTRIES; i++)
			set_entry(i, level ? NODE_ENTRY_NODE : NODE_ENTRY_CHUNK,
				  UINT64_C(1) << (10 * level), 6 - level);
		start_node(level, NODE_MAX_ENTRIES);
		put_node(&rig, 5 - level, raw_len());
	}
	memset(image.root_id, 0, 32);
	image.bytes = le64_put(0);
	image.root_level = le32_put(0);
	rig_put_as(&rig, CHUNK_KIND_IMAGE, &other, &image, sizeof(image));
	assert_int_equal(manifest_diff_chunks(&id, &other, &rig.source, &difference, &e), 0);
	assert_int_equal(difference.only_a_chunks, 1);
	assert_int_equal(difference.only_b_chunks, 0);
	assert_int_equal(difference.nodes_read, 5);
	/* Nothing to be read where both are the same, or where one has ended. */
	rig.gets = 0;
	assert_int_equal(manifest_diff_ranges(&id, &id, &rig.source, no_range, NULL, &e), 0);
	assert_int_equal(manifest_diff_ranges(&id, &other, &rig.source, no_range, NULL, &e), 0);
	assert_int_equal(rig.gets, 4);
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),	      cmocka_unit_test(test_entries),
		cmocka_unit_test(test_sums),	      cmocka_unit_test(test_levels_and_lengths),
		cmocka_unit_test(test_children),      cmocka_unit_test(test_images),
		cmocka_unit_test(test_image_lengths), cmocka_unit_test(test_most),
		cmocka_unit_test(test_bomb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

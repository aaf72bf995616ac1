/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two whole images out of a small store of hostile chunks: cursors, walks and comparisons end, stay
 * within the images, read no more than they may and agree with each other.
 *
 * The input describes the chunks, see make_chunk(), most of them nodes whose headers fit what is
 * below them, for else little but the root would ever be read. Chunk N has the id N + 1, 0, 0...
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHUNKS = 24, IMAGES = 2, STEPS = 1500, ALL = CHUNKS + IMAGES };

#define UNKNOWN UINT64_C(1000000000)
#define BYTES_MASK ((UINT64_C(1) << 56) - 1)

static struct {
	const uint8_t *data;
	size_t left;
	struct {
		uint8_t bytes[NODE_MAX_BYTES + 64];
		size_t len;
		enum chunk_kind kind;
		uint32_t level;
		uint64_t length; /* in the image */
		uint64_t extents; /* below it, UNKNOWN or more: as many as it has bytes */
	} chunks[ALL];
	size_t count;
	uint64_t gets;
} in;

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static uint8_t take(void)
{
	if (in.left == 0)
		return 0;
	in.left--;
	return *in.data++;
}

static struct chunk_id name(size_t number)
{
	return (struct chunk_id){ { (uint8_t)(number + 1) } };
}

static ssize_t get(void *opaque, enum chunk_kind kind, const struct chunk_id *id, void *buf,
		   size_t cap, struct err *e)
{
	struct chunk_id expected = name((size_t)id->bytes[0] - 1);
	size_t number = (size_t)id->bytes[0] - 1;

	(void)opaque;
	in.gets++;
	if (number >= ALL || (number >= in.count && number < CHUNKS) || !id_equal(id, &expected))
		return err_set(e, -ENOENT, "missing");
	if (in.chunks[number].kind != kind || in.chunks[number].len > cap)
		return err_set(e, -EBADMSG, "of another kind or too long");
	memcpy(buf, in.chunks[number].bytes, in.chunks[number].len);
	return (ssize_t)in.chunks[number].len;
}

static const struct manifest_source source = { .get = get };

static void make_raw(size_t number)
{
	size_t len = take();

	len |= (size_t)take() << 8;
	if (len > sizeof(in.chunks[number].bytes))
		len = sizeof(in.chunks[number].bytes);
	for (size_t i = 0; i < len; i++)
		in.chunks[number].bytes[i] = take();
	in.chunks[number].len = len;
	in.chunks[number].kind = take() % 8 ? CHUNK_KIND_NODE : CHUNK_KIND_IMAGE;
	in.chunks[number].level = take();
	in.chunks[number].length = take();
	in.chunks[number].extents = UNKNOWN;
}

/* An entry from three bytes. Adds to the node's extents. */
static void make_entry(size_t number, struct st_node_entry *entry)
{
	uint8_t kind = take(), value = take(), more = take();
	uint64_t bytes = (uint64_t)(value | more << 8) + 1, extents = 1;
	struct chunk_id id = name(value);

	kind = kind < 200 ? kind % 2 : kind - 200;
	if (in.chunks[number].level > 0 && kind < 2) {
		value = number > 0 ? value % number : value;
		id = name(value);
		kind = NODE_ENTRY_NODE;
		bytes = value < number ? in.chunks[value].length : more;
		extents = value < number ? in.chunks[value].extents : UNKNOWN;
		bytes += more == 255;
	} else if (kind == NODE_ENTRY_ZERO) {
		memset(&id, 0, sizeof(id));
		if (more > 250)
			bytes <<= value % 48;
	}
	if (extents > UNKNOWN)
		extents = UNKNOWN;
	in.chunks[number].extents += extents;
	entry->kind_and_bytes = le64_put((uint64_t)kind << 56 | (bytes & BYTES_MASK));
	memcpy(entry->id, id.bytes, sizeof(entry->id));
}

/* Level, number of entries / 4, how many times the entries are repeated, what is spoiled. */
static void make_node(size_t number)
{
	uint8_t level = take(), count = take(), repeated = take(), spoiled = take();
	size_t entries = 1 + count / 4, all = entries * (1 + repeated), len;
	struct st_node_entry entry;
	struct st_node node = { 0 };
	uint64_t length = 0;

	if (all > NODE_MAX_ENTRIES)
		all = NODE_MAX_ENTRIES;
	in.chunks[number].level = level % (NODE_MAX_LEVEL + 2);
	in.chunks[number].extents = 0;
	for (size_t i = 0; i < all; i++) {
		uint8_t *at = in.chunks[number].bytes + sizeof(node) + i * sizeof(entry);

		if (i < entries)
			make_entry(number, &entry);
		else
			memcpy(&entry, at - entries * sizeof(entry), sizeof(entry));
		memcpy(at, &entry, sizeof(entry));
		length += le64_get(entry.kind_and_bytes) & BYTES_MASK;
	}
	in.chunks[number].extents *= all / entries + 1;
	in.chunks[number].length = length;
	in.chunks[number].kind = CHUNK_KIND_NODE;
	memcpy(node.magic, NODE_MAGIC, sizeof(node.magic));
	node.level = le32_put(in.chunks[number].level);
	node.count = le32_put((uint32_t)all);
	node.bytes = le64_put(length);
	memcpy(in.chunks[number].bytes, &node, sizeof(node));
	len = sizeof(node) + all * sizeof(entry);
	if (spoiled > 240)
		in.chunks[number].bytes[(size_t)take() << (spoiled & 7)] ^= take();
	else if (spoiled > 230)
		len += spoiled - 235U;
	if (spoiled > 230)
		in.chunks[number].extents = UNKNOWN;
	in.chunks[number].len = len;
}

static void make_chunk(size_t number)
{
	if (take() > 240)
		make_raw(number);
	else
		make_node(number);
}

static void make_image(size_t number)
{
	uint8_t root = take(), spoiled = take();
	struct st_image image = {
		.version = le32_put(STORE_VERSION),
		.chunking = { le32_put(CHUNK_FIXED), le32_put(4096), le32_put(4096),
			      le32_put(4096) },
	};
	struct chunk_id id;

	root = (uint8_t)(in.count - 1 - root % in.count);
	id = name(root);
	memcpy(image.magic, IMAGE_MAGIC, sizeof(image.magic));
	memcpy(image.root_id, id.bytes, sizeof(image.root_id));
	image.root_level = le32_put(in.chunks[root].level);
	image.bytes = le64_put(in.chunks[root].length);
	memcpy(in.chunks[number].bytes, &image, sizeof(image));
	if (spoiled > 240)
		in.chunks[number].bytes[take() % sizeof(image)] ^= take();
	in.chunks[number].len = sizeof(image);
	in.chunks[number].kind = CHUNK_KIND_IMAGE;
	in.chunks[number].extents = spoiled > 240 ? UNKNOWN : in.chunks[root].extents;
	in.chunks[number].length = in.chunks[root].length;
}

/* What a cursor gives in order. */
struct flat {
	struct extent extents[STEPS];
	size_t count;
	bool is_whole;
	uint64_t bytes;
};

static struct flat flats[IMAGES];

static void try_seeks(struct manifest_cursor *c, const struct flat *flat)
{
	uint32_t levels = manifest_info(c)->root_level + 1;

	for (size_t i = 0; i < 16; i++) {
		uint64_t offset = i % 2 ? (uint64_t)take() << 48 | (uint64_t)take() << 8 | take()
					: (uint64_t)take() << (i * 3);
		uint64_t gets = in.gets;
		struct err e = { 0 };
		struct extent extent;
		int r;

		if (flat->bytes > 0 && i != 1)
			offset %= flat->bytes;
		r = manifest_seek(c, offset, &extent, &e);
		check(in.gets - gets <= levels);
		check(r < 0 ? e.msg[0] != '\0' : r == (offset < flat->bytes));
		check(r >= 0 || !flat->is_whole);
		if (r <= 0)
			continue;
		check(extent.offset <= offset && offset - extent.offset < extent.bytes);
		check(extent.bytes <= flat->bytes - extent.offset);
	}
}

static void try_cursor(const struct chunk_id *image, struct flat *flat)
{
	struct manifest_cursor *c = NULL;
	struct err e = { 0 };
	uint64_t at = 0;
	int r;

	flat->count = 0;
	flat->bytes = 0;
	flat->is_whole = false;
	r = manifest_open(&c, image, &source, &e);
	check(r == 0 || (r < 0 && e.msg[0] != '\0'));
	if (r < 0)
		return;
	flat->bytes = manifest_info(c)->bytes;
	for (r = 1; r > 0 && flat->count < STEPS;) {
		struct extent *extent = &flat->extents[flat->count];

		r = manifest_next(c, extent, &e);
		if (r <= 0)
			break;
		check(extent->offset == at && extent->bytes > 0);
		check(extent->bytes <= flat->bytes - at);
		at += extent->bytes;
		flat->count++;
	}
	flat->is_whole = r == 0;
	check(r != 0 || at == flat->bytes);
	check(r >= 0 || e.msg[0] != '\0');
	try_seeks(c, flat);
	manifest_close(c);
}

struct steps {
	const struct flat *flat;
	uint64_t visits, bad, chunks;
};

static int visit(void *opaque, enum chunk_kind kind, const struct chunk_id *id, uint64_t offset,
		 uint64_t bytes, struct err *e)
{
	struct steps *steps = opaque;

	(void)id;
	check(offset <= steps->flat->bytes && bytes <= steps->flat->bytes - offset);
	steps->chunks += kind == CHUNK_KIND_DATA;
	if (++steps->visits > 2 * STEPS)
		return err_set(e, -EINTR, "enough");
	return 1;
}

static int on_bad(void *opaque, const struct chunk_id *id, uint64_t offset, uint64_t bytes,
		  const struct err *why)
{
	struct steps *steps = opaque;

	(void)id;
	check(offset <= steps->flat->bytes && bytes <= steps->flat->bytes - offset);
	check(why->code < 0 && why->msg[0] != '\0');
	steps->bad++;
	return 0;
}

static void try_walk(const struct chunk_id *image, const struct flat *flat)
{
	struct steps steps = { .flat = flat };
	struct manifest_visitor visitor = { .visit = visit, .on_bad = on_bad, .opaque = &steps };
	struct err e = { 0 };
	uint64_t chunks = 0;
	int r = manifest_walk(image, &source, &visitor, &e);

	check(r == 0 || (r == -EINTR && steps.visits > 2 * STEPS));
	if (r < 0 || !flat->is_whole)
		return;
	for (size_t i = 0; i < flat->count; i++)
		chunks += !flat->extents[i].is_zero;
	check(steps.bad == 0 && steps.chunks == chunks);
}

/* Whether the two images are equal at @at, which is in both; *@stop: until where that is known. */
static bool are_equal_at(uint64_t at, size_t index[static IMAGES], uint64_t *stop)
{
	const struct extent *found[IMAGES];

	*stop = UINT64_MAX;
	for (size_t i = 0; i < IMAGES; i++) {
		const struct extent *all = flats[i].extents;

		while (all[index[i]].offset + all[index[i]].bytes <= at)
			index[i]++;
		found[i] = &all[index[i]];
		*stop = min_u64(*stop, found[i]->offset + found[i]->bytes);
	}
	if (found[0]->is_zero || found[1]->is_zero)
		return found[0]->is_zero && found[1]->is_zero;
	return found[0]->offset == found[1]->offset && found[0]->bytes == found[1]->bytes &&
	       id_equal(&found[0]->id, &found[1]->id);
}

struct told {
	uint64_t end, bytes;
};

static int on_range(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct told *told = opaque;
	uint64_t most = max_u64(flats[0].bytes, flats[1].bytes);

	check(bytes > 0 && offset <= most && bytes <= most - offset);
	check(offset > told->end || (offset == 0 && told->end == 0));
	told->end = offset + bytes;
	told->bytes += bytes;
	return 0;
}

static void try_ranges(const struct chunk_id images[static IMAGES])
{
	uint64_t least = min_u64(flats[0].bytes, flats[1].bytes), at = 0, stop;
	uint64_t extents = in.chunks[CHUNKS].extents + in.chunks[CHUNKS + 1].extents;
	size_t index[IMAGES] = { 0 };
	struct told told = { 0 };
	struct err e = { 0 };
	uint64_t expected;
	int r;

	/* It goes through all that differs, which would be years here and there. */
	if (min_u64(least, extents) > 10000)
		return;
	r = manifest_diff_ranges(&images[0], &images[1], &source, on_range, &told, &e);
	check(r == 0 || e.msg[0] != '\0');
	if (!flats[0].is_whole || !flats[1].is_whole)
		return;
	expected = max_u64(flats[0].bytes, flats[1].bytes) - least;
	for (; at < least; at = stop) {
		if (!are_equal_at(at, index, &stop))
			expected += stop - at;
	}
	check(r == 0 && told.bytes == expected);
}

static void try_chunks(const struct chunk_id images[static IMAGES])
{
	struct manifest_difference found;
	uint64_t gets = in.gets;
	struct err e = { 0 };
	int r = manifest_diff_chunks(&images[0], &images[1], &source, &found, &e);

	/* Each node once for each image, since it has one level and one length; one that is bad. */
	check(in.gets - gets <= IMAGES + 2 * in.count + 1);
	check(r == 0 || e.msg[0] != '\0');
	check(r == 0 || !flats[0].is_whole || !flats[1].is_whole);
	check(r < 0 || found.nodes_read <= 2 * in.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chunk_id images[IMAGES];

	in.data = data;
	in.left = size;
	in.gets = 0;
	in.count = 1 + take() % CHUNKS;
	for (size_t i = 0; i < in.count; i++)
		make_chunk(i);
	for (size_t i = 0; i < IMAGES; i++) {
		make_image(CHUNKS + i);
		images[i] = name(CHUNKS + i);
		try_cursor(&images[i], &flats[i]);
		try_walk(&images[i], &flats[i]);
	}
	try_chunks(images);
	try_ranges(images);
	return 0;
}

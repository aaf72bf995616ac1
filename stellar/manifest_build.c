/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the tree of an image while its chunks come: see manifest.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/manifest_slot.h"

/* The node of a level that is being filled. */
struct open_node {
	struct st_node header; /* on disk it is followed by the entries */
	struct st_node_entry entries[NODE_MAX_ENTRIES];
	uint32_t count;
	uint64_t bytes;
	uint64_t nodes; /* of this level that have been put */
	struct node_ref last; /* the last of them */
};
static_assert(offsetof(struct open_node, entries) == sizeof(struct st_node), "as on disk");

struct manifest_builder {
	struct manifest_sink sink;
	struct chunk_params chunking;
	struct open_node *levels[NODE_LEVELS]; /* owned; made when the first entry comes */
	uint64_t zero_bytes; /* the run at the end, not yet added */
	uint64_t bytes; /* with it */
	uint64_t data_bytes;
	uint64_t chunks;
	int failed; /* -errno of what went wrong before; nothing works after it */
};

int manifest_builder_new(struct manifest_builder **out, const struct chunk_params *chunking,
			 const struct manifest_sink *sink, struct err *e)
{
	struct manifest_builder *b = calloc(1, sizeof(*b));

	assert(chunk_params_are_valid(chunking));
	if (!b)
		return err_set(e, -ENOMEM, "no memory for a manifest");
	b->sink = *sink;
	b->chunking = *chunking;
	*out = b;
	return 0;
}

void manifest_builder_free(struct manifest_builder *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < NODE_LEVELS; i++)
		free(b->levels[i]);
	free(b);
}

/* Whether an entry ends its node when there are enough before it. */
static bool is_boundary(const struct st_node_entry *entry)
{
	uint64_t mark;
	le64 first;

	if (node_entry_kind(entry) == NODE_ENTRY_ZERO) {
		uint64_t blocks = node_entry_bytes(entry) / CHUNK_BLOCK_BYTES +
				  (node_entry_bytes(entry) % CHUNK_BLOCK_BYTES > 0);

		mark = (blocks * UINT64_C(0x9E3779B97F4A7C15)) >> 32;
	} else {
		memcpy(&first, entry->id, sizeof(first));
		mark = le64_get(first);
	}
	return (mark & NODE_BOUNDARY_MASK) == 0;
}

static int put_node(struct manifest_builder *b, uint32_t level, struct err *e)
{
	struct open_node *node = b->levels[level];

	node->header = (struct st_node){
		.level = le32_put(level),
		.count = le32_put(node->count),
		.bytes = le64_put(node->bytes),
	};
	memcpy(node->header.magic, NODE_MAGIC, sizeof(node->header.magic));
	node->last.level = level;
	node->last.bytes = node->bytes;
	b->failed = b->sink.put(b->sink.opaque, CHUNK_KIND_NODE, node,
				sizeof(node->header) + node->count * sizeof(node->entries[0]),
				&node->last.id, e);
	node->nodes++;
	node->count = 0;
	node->bytes = 0;
	return b->failed;
}

static struct st_node_entry make_entry(enum node_entry_kind kind, uint64_t bytes,
				       const struct chunk_id *id)
{
	struct st_node_entry entry = {
		.kind_and_bytes = le64_put((uint64_t)kind << NODE_KIND_SHIFT | bytes),
	};

	if (id)
		memcpy(entry.id, id->bytes, sizeof(entry.id));
	return entry;
}

/* 1: the entry ends its node, which must be put now. */
static int append(struct manifest_builder *b, uint32_t level, const struct st_node_entry *entry,
		  struct err *e)
{
	struct open_node *node = b->levels[level];

	if (!node) {
		node = calloc(1, sizeof(*node));
		if (!node) {
			b->failed = -ENOMEM;
			return err_set(e, -ENOMEM, "no memory for a node of a manifest");
		}
		b->levels[level] = node;
	}
	node->entries[node->count++] = *entry;
	node->bytes += node_entry_bytes(entry);
	return node->count == NODE_MAX_ENTRIES ||
	       (node->count >= NODE_MIN_ENTRIES && is_boundary(entry));
}

/* Adds an entry to @level; a node that ends with it is put and becomes an entry one level above. */
static int add_entry(struct manifest_builder *b, uint32_t level, struct st_node_entry entry,
		     struct err *e)
{
	for (;; level++) {
		const struct node_ref *put;
		int r;

		/* 2^56 bytes are 64^10 chunks of one byte at most. */
		assert(level < NODE_LEVELS);
		r = append(b, level, &entry, e);
		if (r <= 0)
			return r;
		r = put_node(b, level, e);
		if (r < 0)
			return r;
		put = &b->levels[level]->last;
		entry = make_entry(NODE_ENTRY_NODE, put->bytes, &put->id);
	}
}

static int flush_zero(struct manifest_builder *b, struct err *e)
{
	uint64_t bytes = b->zero_bytes;

	b->zero_bytes = 0;
	return bytes > 0 ? add_entry(b, 0, make_entry(NODE_ENTRY_ZERO, bytes, NULL), e) : 0;
}

static int check_room(const struct manifest_builder *b, uint64_t bytes, struct err *e)
{
	if (b->failed)
		return err_set(e, b->failed, "an earlier part of the manifest was not stored");
	if (bytes > NODE_BYTES_LIMIT - b->bytes)
		return err_set(e, -EFBIG, "an image of more than 2^56 - 1 bytes cannot be stored");
	return 0;
}

int manifest_add_zero(struct manifest_builder *b, uint64_t bytes, struct err *e)
{
	int r = check_room(b, bytes, e);

	if (r < 0)
		return r;
	b->zero_bytes += bytes;
	b->bytes += bytes;
	return 0;
}

int manifest_add_chunk(struct manifest_builder *b, const struct chunk_id *id, uint32_t bytes,
		       struct err *e)
{
	int r = check_room(b, bytes, e);

	assert(bytes > 0 && bytes <= CHUNK_MAX_BYTES);
	if (r == 0)
		r = flush_zero(b, e);
	if (r < 0)
		return r;
	b->bytes += bytes;
	b->data_bytes += bytes;
	b->chunks++;
	return add_entry(b, 0, make_entry(NODE_ENTRY_CHUNK, bytes, id), e);
}

/* Puts the last node of each level until a level has one node alone: the root. */
static int finish_levels(struct manifest_builder *b, struct node_ref *root, struct err *e)
{
	for (uint32_t level = 0;; level++) {
		struct open_node *node = b->levels[level];
		int r;

		if (node->count > 0) {
			r = put_node(b, level, e);
			if (r < 0)
				return r;
			if (node->nodes > 1) {
				r = add_entry(b, level + 1,
					      make_entry(NODE_ENTRY_NODE, node->last.bytes,
							 &node->last.id),
					      e);
				if (r < 0)
					return r;
			}
		}
		if (node->nodes == 1) {
			*root = node->last;
			return 0;
		}
	}
}

int manifest_finish(struct manifest_builder *b, struct chunk_id *image_id, struct err *e)
{
	struct st_image image = {
		.version = le32_put(STORE_VERSION),
		.chunking = {
			.method = le32_put(b->chunking.method),
			.min_bytes = le32_put(b->chunking.min_bytes),
			.average_bytes = le32_put(b->chunking.average_bytes),
			.max_bytes = le32_put(b->chunking.max_bytes),
		},
		.bytes = le64_put(b->bytes),
		.data_bytes = le64_put(b->data_bytes),
		.chunks = le64_put(b->chunks),
	};
	struct node_ref root = { 0 };
	int r = check_room(b, 0, e);

	if (r == 0)
		r = flush_zero(b, e);
	if (r == 0 && b->bytes > 0)
		r = finish_levels(b, &root, e);
	if (r < 0)
		return r;
	memcpy(image.magic, IMAGE_MAGIC, sizeof(image.magic));
	image.root_level = le32_put(root.level);
	memcpy(image.root_id, root.id.bytes, sizeof(image.root_id));
	return b->sink.put(b->sink.opaque, CHUNK_KIND_IMAGE, &image, sizeof(image), image_id, e);
}

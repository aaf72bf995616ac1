/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node of a manifest in memory: read, checked, with the place of each entry worked out. Private to
 * stellar/manifest*.c.
 *
 * Who goes down a tree has one slot a level, so memory is bounded by the level whatever the tree is.
 */
#pragma once

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "stellar/manifest.h"

enum { NODE_LEVELS = NODE_MAX_LEVEL + 1, NODE_KIND_SHIFT = 56 };

#define NODE_BYTES_LIMIT ((UINT64_C(1) << NODE_KIND_SHIFT) - 1)

static inline uint64_t node_entry_bytes(const struct st_node_entry *entry)
{
	return le64_get(entry->kind_and_bytes) & NODE_BYTES_LIMIT;
}

/* An enum node_entry_kind, once node_parse() has seen the entry. */
static inline uint32_t node_entry_kind(const struct st_node_entry *entry)
{
	return (uint32_t)(le64_get(entry->kind_and_bytes) >> NODE_KIND_SHIFT);
}

static inline struct chunk_id node_entry_id(const struct st_node_entry *entry)
{
	struct chunk_id id;

	memcpy(id.bytes, entry->id, sizeof(id.bytes));
	return id;
}

/* What a parent says of a node. */
struct node_ref {
	struct chunk_id id;
	uint64_t bytes;
	uint32_t level;
};

struct node_slot {
	bool is_loaded; /* the rest means something */
	struct node_ref ref;
	uint64_t start; /* of the node in the image; set by who loads it */
	uint32_t index; /* of the entry in use; likewise */
	struct node_view view; /* of @bytes */
	uint64_t ends[NODE_MAX_ENTRIES]; /* of each entry, from the begin of the node */
	alignas(struct st_node) uint8_t bytes[NODE_MAX_BYTES];
};

/*
 * Reads the node @ref into *@slot, which is made when it is NULL; the caller frees it. When it holds
 * that node already nothing is read. @reads, unless NULL, counts what was. 0 or -errno with @e
 * filled; the slot holds nothing then.
 */
int node_slot_load(struct node_slot **slot, const struct manifest_source *source,
		   const struct node_ref *ref, uint64_t *reads, struct err *e);

/* The entry that holds byte @offset of the node, which is less than its length. */
uint32_t node_slot_find(const struct node_slot *slot, uint64_t offset);

/* Where entry @index begins in the image. */
static inline uint64_t node_slot_entry_start(const struct node_slot *slot, uint32_t index)
{
	return slot->start + (index > 0 ? slot->ends[index - 1] : 0);
}

/* What the slot's node, which is above level 0, says of its child @index. */
struct node_ref node_slot_child(const struct node_slot *slot, uint32_t index);

/* Reads and checks the image @id. 0 or -errno with @e filled. */
int image_load(const struct manifest_source *source, const struct chunk_id *id,
	       struct image_info *info, struct err *e);

/* What the image, which is not empty, says of its root. */
struct node_ref image_root(const struct image_info *info);

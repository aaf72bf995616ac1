/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and images on their way from the source into memory: see manifest_slot.h. */
#include "stellar/manifest_slot.h"

#include <errno.h>
#include <stdlib.h>

int node_slot_load(struct node_slot **slot_p, const struct manifest_source *source,
		   const struct node_ref *ref, uint64_t *reads, struct err *e)
{
	struct node_slot *slot = *slot_p;
	uint64_t end = 0;
	ssize_t len;
	int r;

	if (!slot) {
		slot = malloc(sizeof(*slot));
		if (!slot)
			return err_set(e, -ENOMEM, "no memory for a node of a manifest");
		slot->is_loaded = false;
		*slot_p = slot;
	}
	if (slot->is_loaded && slot->ref.level == ref->level && slot->ref.bytes == ref->bytes &&
	    id_equal(&slot->ref.id, &ref->id))
		return 0;
	slot->is_loaded = false;
	slot->ref = *ref;
	len = source->get(source->opaque, CHUNK_KIND_NODE, &slot->ref.id, slot->bytes,
			  sizeof(slot->bytes), e);
	if (reads)
		*reads += 1;
	if (len < 0)
		return (int)len;
	r = node_parse(&slot->ref.id, slot->bytes, (size_t)len, slot->ref.level, slot->ref.bytes,
		       &slot->view, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < slot->view.count; i++) {
		end += node_entry_bytes(&slot->view.entries[i]);
		slot->ends[i] = end;
	}
	slot->start = 0;
	slot->index = 0;
	slot->is_loaded = true;
	return 0;
}

uint32_t node_slot_find(const struct node_slot *slot, uint64_t offset)
{
	uint32_t low = 0, high = slot->view.count - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (slot->ends[middle] > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct node_ref node_slot_child(const struct node_slot *slot, uint32_t index)
{
	const struct st_node_entry *entry = &slot->view.entries[index];

	return (struct node_ref){
		.id = node_entry_id(entry),
		.bytes = node_entry_bytes(entry),
		.level = slot->ref.level - 1,
	};
}

int image_load(const struct manifest_source *source, const struct chunk_id *id,
	       struct image_info *info, struct err *e)
{
	alignas(struct st_image) uint8_t bytes[sizeof(struct st_image)];
	struct chunk_id wanted = *id; /* @id may be a part of @info */
	ssize_t len;

	len = source->get(source->opaque, CHUNK_KIND_IMAGE, &wanted, bytes, sizeof(bytes), e);
	if (len < 0)
		return (int)len;
	return image_parse(&wanted, bytes, (size_t)len, info, e);
}

struct node_ref image_root(const struct image_info *info)
{
	return (struct node_ref){
		.id = info->root_id,
		.bytes = info->bytes,
		.level = info->root_level,
	};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an image's extents at any place and in order: see manifest.h. */
#include <errno.h>
#include <stdlib.h>

#include "stellar/manifest_slot.h"

struct manifest_cursor {
	struct manifest_source source;
	struct image_info info;
	struct node_slot *slots[NODE_LEVELS]; /* owned */
	uint32_t lowest; /* slots from this level to the root's are a path down from the root */
	uint64_t next; /* offset of the extent after the last one given */
};

int manifest_open(struct manifest_cursor **out, const struct chunk_id *image_id,
		  const struct manifest_source *source, struct err *e)
{
	struct manifest_cursor *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, -ENOMEM, "no memory for a manifest");
	c->source = *source;
	r = image_load(source, image_id, &c->info, e);
	if (r < 0) {
		free(c);
		return r;
	}
	c->lowest = c->info.root_level + 1;
	*out = c;
	return 0;
}

const struct image_info *manifest_info(const struct manifest_cursor *c)
{
	return &c->info;
}

void manifest_close(struct manifest_cursor *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < NODE_LEVELS; i++)
		free(c->slots[i]);
	free(c);
}

/* Makes @ref, at @start of the image, the path's next node down. */
static int step_down(struct manifest_cursor *c, const struct node_ref *ref, uint64_t start,
		     struct err *e)
{
	int r = node_slot_load(&c->slots[ref->level], &c->source, ref, NULL, e);

	if (r < 0)
		return r;
	c->slots[ref->level]->start = start;
	c->slots[ref->level]->index = 0;
	c->lowest = ref->level;
	return 0;
}

/* Puts the slot at the entry of @offset: most often the one after the last. */
static void find_entry(struct node_slot *slot, uint64_t offset)
{
	uint64_t relative = offset - slot->start;
	uint32_t next = slot->index + 1;

	if (next < slot->view.count && relative >= slot->ends[slot->index] &&
	    relative < slot->ends[next])
		slot->index = next;
	else
		slot->index = node_slot_find(slot, relative);
}

/* Makes the path lead to @offset, which is in the image. */
static int find_path(struct manifest_cursor *c, uint64_t offset, struct err *e)
{
	int r = 0;

	for (; c->lowest <= c->info.root_level; c->lowest++) {
		const struct node_slot *slot = c->slots[c->lowest];

		if (offset >= slot->start && offset - slot->start < slot->ref.bytes)
			break;
	}
	if (c->lowest > c->info.root_level) {
		struct node_ref root = image_root(&c->info);

		r = step_down(c, &root, 0, e);
	}
	while (r == 0) {
		struct node_slot *slot = c->slots[c->lowest];
		struct node_ref child;

		find_entry(slot, offset);
		if (c->lowest == 0)
			break;
		child = node_slot_child(slot, slot->index);
		r = step_down(c, &child, node_slot_entry_start(slot, slot->index), e);
	}
	return r;
}

int manifest_seek(struct manifest_cursor *c, uint64_t offset, struct extent *out, struct err *e)
{
	const struct st_node_entry *entry;
	const struct node_slot *slot;
	int r;

	if (offset >= c->info.bytes) {
		c->next = c->info.bytes;
		return 0;
	}
	r = find_path(c, offset, e);
	if (r < 0)
		return r;
	slot = c->slots[0];
	entry = &slot->view.entries[slot->index];
	*out = (struct extent){
		.offset = node_slot_entry_start(slot, slot->index),
		.bytes = node_entry_bytes(entry),
		.is_zero = node_entry_kind(entry) == NODE_ENTRY_ZERO,
		.id = node_entry_id(entry),
	};
	c->next = out->offset + out->bytes;
	return 1;
}

int manifest_next(struct manifest_cursor *c, struct extent *out, struct err *e)
{
	return manifest_seek(c, c->next, out, e);
}

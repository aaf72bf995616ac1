/* SPDX-License-Identifier: Apache-2.0 */
/* Visits all that an image is made of: see manifest.h. */
#include <errno.h>
#include <stdlib.h>

#include "stellar/manifest_slot.h"

struct walk {
	const struct manifest_source *source;
	const struct manifest_visitor *visitor;
	struct node_slot *slots[NODE_LEVELS]; /* owned */
	struct err *e;
};

static int visit(const struct walk *w, enum chunk_kind kind, const struct chunk_id *id,
		 uint64_t offset, uint64_t bytes)
{
	return w->visitor->visit(w->visitor->opaque, kind, id, offset, bytes, w->e);
}

/* 0: go on without it; else what ends the walk. */
static int bad(const struct walk *w, const struct chunk_id *id, uint64_t offset, uint64_t bytes,
	       const struct err *why)
{
	bool is_of_this_chunk = why->code == -ENOENT || why->code == -EBADMSG ||
				why->code == -EIO || why->code == -EPROTONOSUPPORT;
	int r = why->code;

	if (is_of_this_chunk && w->visitor->on_bad)
		r = w->visitor->on_bad(w->visitor->opaque, id, offset, bytes, why);
	if (r >= 0)
		return 0;
	if (w->e)
		*w->e = *why;
	return r;
}

/* Visits a node and reads it. 1: its entries are next; 0: they are to be skipped. */
static int enter_node(struct walk *w, const struct node_ref *ref, uint64_t start)
{
	struct err why = { 0 };
	struct node_slot *slot;
	int r;

	r = visit(w, CHUNK_KIND_NODE, &ref->id, start, ref->bytes);
	if (r <= 0)
		return r;
	r = node_slot_load(&w->slots[ref->level], w->source, ref, NULL, &why);
	if (r < 0) {
		why.code = r;
		return bad(w, &ref->id, start, ref->bytes, &why);
	}
	slot = w->slots[ref->level];
	slot->start = start;
	slot->index = 0;
	return 1;
}

/* Goes past one entry of the slot. 1: into it, one level down. */
static int take_entry(struct walk *w, struct node_slot *slot)
{
	uint32_t index = slot->index++;
	const struct st_node_entry *entry = &slot->view.entries[index];
	uint64_t start = node_slot_entry_start(slot, index);
	struct node_ref child;
	struct chunk_id id;
	int r;

	if (node_entry_kind(entry) == NODE_ENTRY_ZERO)
		return 0;
	if (node_entry_kind(entry) == NODE_ENTRY_CHUNK) {
		id = node_entry_id(entry);
		r = visit(w, CHUNK_KIND_DATA, &id, start, node_entry_bytes(entry));
		return r < 0 ? r : 0;
	}
	child = node_slot_child(slot, index);
	return enter_node(w, &child, start);
}

static int walk_tree(struct walk *w, const struct node_ref *root)
{
	uint32_t level = root->level;
	int r = enter_node(w, root, 0);

	if (r <= 0)
		return r;
	while (level <= root->level) {
		struct node_slot *slot = w->slots[level];

		if (slot->index == slot->view.count) {
			level++;
			continue;
		}
		r = take_entry(w, slot);
		if (r < 0)
			return r;
		if (r > 0)
			level--;
	}
	return 0;
}

int manifest_walk(const struct chunk_id *image_id, const struct manifest_source *source,
		  const struct manifest_visitor *visitor, struct err *e)
{
	struct walk w = { .source = source, .visitor = visitor, .e = e };
	struct err why = { 0 };
	struct image_info info;
	struct node_ref root;
	int r;

	r = image_load(source, image_id, &info, &why);
	if (r < 0) {
		why.code = r;
		return bad(&w, image_id, 0, 0, &why);
	}
	r = visit(&w, CHUNK_KIND_IMAGE, image_id, 0, info.bytes);
	if (r <= 0 || info.bytes == 0)
		return r < 0 ? r : 0;
	root = image_root(&info);
	r = walk_tree(&w, &root);
	for (size_t i = 0; i < NODE_LEVELS; i++)
		free(w.slots[i]);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where two images differ: see manifest.h.
 *
 * Goes through both at once. On each side there is a current item, an entry of some level that holds
 * the present position: when both are the same they are passed as a whole; else the higher one is
 * opened, until both are chunks or runs of zeros.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/manifest_slot.h"

struct side {
	struct image_info info;
	struct node_slot *slots[NODE_LEVELS]; /* owned */
	/* The level of the node that has the current item as an entry; the root is the one entry
	 * of a level above its own. */
	uint32_t level;
	uint64_t start, end; /* of the item in the image */
	uint32_t kind; /* enum node_entry_kind */
	struct chunk_id id;
};

struct range_out {
	int (*on_range)(void *opaque, uint64_t offset, uint64_t bytes);
	void *opaque;
	uint64_t start, end; /* found and not yet told, since the next one may continue it */
};

static void take_root(struct side *s)
{
	s->level = s->info.root_level + 1;
	s->start = 0;
	s->end = s->info.bytes;
	s->kind = NODE_ENTRY_NODE;
	s->id = s->info.root_id;
}

static void take_item(struct side *s)
{
	const struct node_slot *slot = s->slots[s->level];
	const struct st_node_entry *entry = &slot->view.entries[slot->index];

	s->start = node_slot_entry_start(slot, slot->index);
	s->end = slot->start + slot->ends[slot->index];
	s->kind = node_entry_kind(entry);
	s->id = node_entry_id(entry);
}

/* Goes into the current item, a node, to its entry at @position. */
static int open_item(struct side *s, const struct manifest_source *source, uint64_t position,
		     struct err *e)
{
	struct node_ref ref = { .id = s->id, .bytes = s->end - s->start, .level = s->level - 1 };
	struct node_slot *slot;
	int r;

	r = node_slot_load(&s->slots[ref.level], source, &ref, NULL, e);
	if (r < 0)
		return r;
	slot = s->slots[ref.level];
	slot->start = s->start;
	slot->index = node_slot_find(slot, position - s->start);
	s->level = ref.level;
	take_item(s);
	return 0;
}

/* Goes on to the item that begins where the current one ends, if there is one, as high as it is. */
static void next_item(struct side *s)
{
	for (; s->level <= s->info.root_level; s->level++) {
		struct node_slot *slot = s->slots[s->level];

		if (slot->index + 1 < slot->view.count) {
			slot->index++;
			take_item(s);
			return;
		}
	}
}

static bool are_same(const struct side *a, const struct side *b)
{
	return a->level == b->level && a->start == b->start && a->end == b->end &&
	       a->kind == b->kind && id_equal(&a->id, &b->id);
}

static int flush(struct range_out *out)
{
	uint64_t start = out->start, bytes = out->end - out->start;

	out->start = out->end;
	return bytes > 0 ? out->on_range(out->opaque, start, bytes) : 0;
}

static int add_range(struct range_out *out, uint64_t start, uint64_t end)
{
	int r = 0;

	if (start != out->end) {
		r = flush(out);
		out->start = start;
	}
	out->end = end;
	return r;
}

/*
 * Opens what cannot be equal as it is. Of two nodes the lower one may still be the same as one that
 * is inside the higher one; nodes of the same level that are not the same are both done with.
 */
static int open_higher(struct side *a, struct side *b, const struct manifest_source *source,
		       uint64_t position, struct err *e)
{
	uint32_t level_a = a->level, level_b = b->level;
	int r = 0;

	if (level_a >= level_b)
		r = open_item(a, source, position, e);
	if (r == 0 && level_b >= level_a)
		r = open_item(b, source, position, e);
	return r;
}

static int compare_sides(struct side *a, struct side *b, const struct manifest_source *source,
			 struct range_out *out, struct err *e)
{
	uint64_t end = min_u64(a->info.bytes, b->info.bytes), position = 0;
	int r = 0;

	take_root(a);
	take_root(b);
	while (position < end && r == 0) {
		uint64_t stop = min_u64(a->end, b->end);

		if (!are_same(a, b)) {
			if (a->level > 0 || b->level > 0) {
				r = open_higher(a, b, source, position, e);
				continue;
			}
			if (a->kind != NODE_ENTRY_ZERO || b->kind != NODE_ENTRY_ZERO)
				r = add_range(out, position, stop);
		}
		position = stop;
		if (a->end == position)
			next_item(a);
		if (b->end == position)
			next_item(b);
	}
	if (r == 0 && a->info.bytes != b->info.bytes)
		r = add_range(out, end, max_u64(a->info.bytes, b->info.bytes));
	return r < 0 ? r : flush(out);
}

static void side_release(struct side *s)
{
	for (size_t i = 0; i < NODE_LEVELS; i++)
		free(s->slots[i]);
}

int manifest_diff_ranges(const struct chunk_id *a, const struct chunk_id *b,
			 const struct manifest_source *source,
			 int (*on_range)(void *opaque, uint64_t offset, uint64_t bytes),
			 void *opaque, struct err *e)
{
	struct range_out out = { .on_range = on_range, .opaque = opaque };
	struct side side_a = { 0 }, side_b = { 0 };
	int r;

	r = image_load(source, a, &side_a.info, e);
	if (r == 0)
		r = image_load(source, b, &side_b.info, e);
	if (r == 0)
		r = compare_sides(&side_a, &side_b, source, &out, e);
	side_release(&side_a);
	side_release(&side_b);
	return r;
}

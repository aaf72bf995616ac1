/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which chunks two images do not share: see manifest.h.
 *
 * Goes down both trees at once, a level at a time, with the set of nodes that only one of them has.
 * What both have leaves the sets before it is read; the children of the rest are the next sets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/manifest_slot.h"

/* A child as its parent names it. The same id with another length is another child. */
struct child {
	struct chunk_id id;
	uint64_t bytes;
};

struct child_set {
	struct child *children; /* owned */
	size_t count, room;
};

struct diff {
	const struct manifest_source *source;
	struct node_slot *slot; /* owned */
	struct child_set sets[2]; /* of a and b; at the level in work */
	uint64_t nodes_read;
};

static int set_add(struct child_set *set, const struct child *child, struct err *e)
{
	if (set->count == set->room) {
		size_t room = set->room ? 2 * set->room : 64;
		struct child *children = reallocarray(set->children, room, sizeof(*children));

		if (!children)
			return err_set(e, -ENOMEM, "no memory to compare %zu chunks", room);
		set->children = children;
		set->room = room;
	}
	set->children[set->count++] = *child;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct child *a = left, *b = right;
	int order = id_compare(&a->id, &b->id);

	return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* Each child once, in order. */
static void set_sort(struct child_set *set)
{
	size_t kept = 0;

	if (set->count == 0)
		return;
	qsort(set->children, set->count, sizeof(set->children[0]), compare);
	for (size_t i = 1; i < set->count; i++) {
		if (compare(&set->children[i], &set->children[kept]) != 0)
			set->children[++kept] = set->children[i];
	}
	set->count = kept + 1;
}

/* Takes out of both sets what both have. */
static void sets_separate(struct child_set *a, struct child_set *b)
{
	size_t at_a = 0, at_b = 0, kept_a = 0, kept_b = 0;

	set_sort(a);
	set_sort(b);
	while (at_a < a->count || at_b < b->count) {
		int order;

		if (at_a == a->count)
			order = 1;
		else if (at_b == b->count)
			order = -1;
		else
			order = compare(&a->children[at_a], &b->children[at_b]);
		if (order < 0) {
			a->children[kept_a++] = a->children[at_a++];
		} else if (order > 0) {
			b->children[kept_b++] = b->children[at_b++];
		} else {
			at_a++;
			at_b++;
		}
	}
	a->count = kept_a;
	b->count = kept_b;
}

static int add_children(struct child_set *set, const struct node_slot *slot, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < slot->view.count && r == 0; i++) {
		const struct st_node_entry *entry = &slot->view.entries[i];
		struct child child = {
			.id = node_entry_id(entry),
			.bytes = node_entry_bytes(entry),
		};

		if (node_entry_kind(entry) != NODE_ENTRY_ZERO)
			r = set_add(set, &child, e);
	}
	return r;
}

/* Puts the children of the set's nodes, which are of @level, in their place. */
static int set_expand(struct diff *d, struct child_set *set, uint32_t level, struct err *e)
{
	struct child_set below = { 0 };
	int r = 0;

	for (size_t i = 0; i < set->count && r == 0; i++) {
		struct node_ref ref = {
			.id = set->children[i].id,
			.bytes = set->children[i].bytes,
			.level = level,
		};

		r = node_slot_load(&d->slot, d->source, &ref, &d->nodes_read, e);
		if (r == 0)
			r = add_children(&below, d->slot, e);
	}
	free(set->children);
	*set = below;
	return r;
}

static int diff_levels(struct diff *d, const struct image_info infos[static 2], struct err *e)
{
	uint32_t top = infos[0].root_level;

	if (infos[1].root_level > top)
		top = infos[1].root_level;
	for (uint32_t level = top + 1; level-- > 0;) {
		for (size_t i = 0; i < 2; i++) {
			struct child root = { .id = infos[i].root_id, .bytes = infos[i].bytes };
			int r = 0;

			if (infos[i].root_level == level && infos[i].bytes > 0)
				r = set_add(&d->sets[i], &root, e);
			if (r < 0)
				return r;
		}
		sets_separate(&d->sets[0], &d->sets[1]);
		for (size_t i = 0; i < 2; i++) {
			int r = set_expand(d, &d->sets[i], level, e);

			if (r < 0)
				return r;
		}
	}
	sets_separate(&d->sets[0], &d->sets[1]);
	return 0;
}

static uint64_t set_bytes(const struct child_set *set)
{
	uint64_t sum = 0; /* of chunks of at most CHUNK_MAX_BYTES in memory: cannot overflow */

	for (size_t i = 0; i < set->count; i++)
		sum += set->children[i].bytes;
	return sum;
}

int manifest_diff_chunks(const struct chunk_id *a, const struct chunk_id *b,
			 const struct manifest_source *source, struct manifest_difference *out,
			 struct err *e)
{
	struct diff d = { .source = source };
	struct image_info infos[2];
	int r;

	r = image_load(source, a, &infos[0], e);
	if (r == 0)
		r = image_load(source, b, &infos[1], e);
	if (r == 0)
		r = diff_levels(&d, infos, e);
	if (r == 0)
		*out = (struct manifest_difference){
			.only_a_chunks = d.sets[0].count,
			.only_b_chunks = d.sets[1].count,
			.only_a_bytes = set_bytes(&d.sets[0]),
			.only_b_bytes = set_bytes(&d.sets[1]),
			.nodes_read = d.nodes_read,
		};
	free(d.sets[0].children);
	free(d.sets[1].children);
	free(d.slot);
	return r;
}

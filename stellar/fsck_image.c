/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks images: from each name down the tree of nodes, whether each chunk is there, whole and as long
 * as its entry says, and whether the image's own figures are true.
 *
 * What is below a node is summed up once and remembered, so that nodes that many images share, or
 * that name each other many times, are read once.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/quote.h"
#include "stellar/fsck_impl.h"
#include "stellar/manifest_slot.h"

enum { TOLD_MAX = 16 }; /* damages of an image that are told one by one */

/* What is below a node. Kept in a hash table. */
struct sum {
	struct chunk_id id;
	uint64_t bytes; /* 0: a free place */
	uint64_t data_bytes, chunks;
	uint32_t level;
	bool is_bad; /* told already, of an image before */
};

struct trip {
	struct fsck *fsck;
	struct manifest_source source;
	struct sum *sums; /* owned: a hash table of sum_room places, a power of two */
	size_t sum_room, sum_count;
	struct node_slot *slots[NODE_LEVELS]; /* owned */
	struct sum levels[NODE_LEVELS]; /* what is below the nodes in the slots so far */
	struct fsck_row *rows; /* owned: of a node's chunks */
	const struct root *root;
	uint64_t told;
};

/* --- telling ------------------------------------------------------------------------------- */

static void tell(struct trip *t, uint64_t offset, uint64_t bytes, const char *what)
{
	t->told++;
	if (t->told <= TOLD_MAX)
		fsck_tell(t->fsck, false, "image %s is damaged: %llu bytes at %llu: %s",
			  quote(t->root->name).text, (unsigned long long)bytes,
			  (unsigned long long)offset, what);
}

/* --- chunks -------------------------------------------------------------------------------- */

/* The entry of a pack's table that the chunk @id is, and its pack. 0; -ENOENT, -EBADMSG... */
static int locate(struct fsck *f, const struct fsck_row *row, struct fsck_pack **pack,
		  uint32_t *number)
{
	const struct fsck_spare *spare = fsck_find_spare(f, &row->id);
	struct fsck_pack *p = row->is_found ? fsck_pack_of_number(f, row->entry.pack) : NULL;

	if (p && p->state == FSCK_PACK_USABLE && !fsck_is_bad(p, row->entry.number)) {
		*pack = p;
		*number = row->entry.number;
		return 0;
	}
	if (spare) {
		*pack = &f->packs[spare->pack];
		*number = spare->number;
		return 0;
	}
	return row->is_found ? -EBADMSG : -ENOENT;
}

/* The entry @number of the pack's table. */
static int read_table_entry(struct fsck *f, const struct fsck_pack *p, uint32_t number,
			    struct pack **file, struct pack_entry *out, struct err *e)
{
	struct pack_table t = { 0 };
	int r = pack_open(file, &f->store->place, &p->id, e);

	if (r == 0)
		r = pack_read_table(*file, &f->store->scheme, &t, e);
	if (r == 0 && number < t.count)
		*out = t.entries[number];
	else if (r == 0)
		r = err_set(e, -EBADMSG, "a pack changed while it was looked at");
	pack_table_release(&t);
	return r;
}

/* Reads a node or an image, for manifest_slot.h. */
static ssize_t get(void *opaque, enum chunk_kind kind, const struct chunk_id *id, void *buf,
		   size_t cap, struct err *e)
{
	struct trip *t = opaque;
	struct fsck_row row = { .id = *id };
	struct pack_entry entry = { 0 };
	struct fsck_pack *p;
	struct pack *file = NULL;
	uint32_t number;
	int r = fsck_find(t->fsck, &row, 1, e);

	if (r < 0)
		return r;
	r = locate(t->fsck, &row, &p, &number);
	if (r < 0)
		return err_set(e, r,
			       r == -ENOENT ? "its %s is missing" : "its %s is in a damaged pack",
			       kind == CHUNK_KIND_IMAGE ? "head" : "list of chunks");
	if (row.is_found && p->number == row.entry.pack) {
		entry = (struct pack_entry){
			.id = *id,
			.offset = row.entry.offset,
			.stored_bytes = row.entry.stored_bytes,
			.raw_bytes = row.entry.raw_bytes,
			.kind = row.entry.kind,
			.codec = row.entry.codec,
			.is_sealed = row.entry.is_sealed,
		};
		r = pack_open(&file, &t->fsck->store->place, &p->id, e);
	} else {
		r = read_table_entry(t->fsck, p, number, &file, &entry, e);
	}
	if (r == 0 && (entry.kind != kind || entry.raw_bytes > cap))
		r = err_set(e, -EBADMSG, "a chunk of it is of another kind than it should be");
	if (r == 0)
		r = store_reader_check(t->fsck->reader, file, &entry, buf, e);
	pack_close(file);
	return r < 0 ? r : (ssize_t)entry.raw_bytes;
}

static const char *fault_of(struct trip *t, const struct fsck_row *row, uint64_t bytes)
{
	struct fsck_pack *p;
	struct pack_entry entry = { 0 };
	struct pack *file = NULL;
	uint32_t number, raw_bytes = row->entry.raw_bytes;
	uint8_t kind = row->entry.kind;
	const int r = locate(t->fsck, row, &p, &number);

	if (r == -ENOENT)
		return "the chunk is missing";
	if (r < 0)
		return "the chunk is damaged";
	if (!row->is_found || p->number != row->entry.pack) {
		const int got = read_table_entry(t->fsck, p, number, &file, &entry, NULL);

		pack_close(file);
		if (got < 0)
			return "the chunk is damaged";
		raw_bytes = entry.raw_bytes;
		kind = entry.kind;
	}
	if (kind != CHUNK_KIND_DATA)
		return "the chunk is not one of data";
	return raw_bytes == bytes ? NULL : "the chunk has another length";
}

/* All chunks of a node at level 0. */
static int check_leaf(struct trip *t, const struct node_slot *slot, struct sum *sum, struct err *e)
{
	uint32_t count = 0, next = 0;
	int r;

	for (uint32_t i = 0; i < slot->view.count; i++) {
		const struct st_node_entry *entry = &slot->view.entries[i];

		if (node_entry_kind(entry) == NODE_ENTRY_CHUNK)
			t->rows[count++] = (struct fsck_row){ .id = node_entry_id(entry) };
	}
	r = count > 0 ? fsck_find(t->fsck, t->rows, count, e) : 0;
	for (uint32_t i = 0; i < slot->view.count && r == 0; i++) {
		const struct st_node_entry *entry = &slot->view.entries[i];
		const uint64_t bytes = node_entry_bytes(entry);
		const char *fault;

		if (node_entry_kind(entry) != NODE_ENTRY_CHUNK)
			continue;
		fault = fault_of(t, &t->rows[next++], bytes);
		sum->data_bytes += bytes;
		sum->chunks++;
		sum->is_bad |= fault != NULL;
		if (fault)
			tell(t, node_slot_entry_start(slot, i), bytes, fault);
	}
	return r;
}

/* --- what is known of nodes ---------------------------------------------------------------- */

static struct sum *place_of(struct sum *sums, size_t room, const struct chunk_id *id)
{
	uint64_t hash;
	size_t i;

	memcpy(&hash, id->bytes, sizeof(hash));
	for (i = hash & (room - 1); sums[i].bytes && !id_equal(&sums[i].id, id);)
		i = (i + 1) & (room - 1);
	return &sums[i];
}

static int remember(struct trip *t, const struct sum *sum, struct err *e)
{
	if (2 * t->sum_count >= t->sum_room) {
		const size_t room = t->sum_room ? 2 * t->sum_room : 1024;
		struct sum *grown = calloc(room, sizeof(*grown));

		if (!grown)
			return err_set(e, -ENOMEM, "out of memory");
		for (size_t i = 0; i < t->sum_room; i++) {
			if (t->sums[i].bytes)
				*place_of(grown, room, &t->sums[i].id) = t->sums[i];
		}
		free(t->sums);
		t->sums = grown;
		t->sum_room = room;
	}
	*place_of(t->sums, t->sum_room, &sum->id) = *sum;
	t->sum_count++;
	return 0;
}

static void add_sum(struct sum *to, const struct sum *part)
{
	to->data_bytes += part->data_bytes;
	to->chunks += part->chunks;
	to->is_bad |= part->is_bad;
}

/* --- the tree ------------------------------------------------------------------------------ */

/* A node that was seen before: its sum goes to @above. */
static bool take_known(struct trip *t, const struct node_ref *ref, uint64_t start,
		       struct sum *above)
{
	const struct sum *known = t->sum_room ? place_of(t->sums, t->sum_room, &ref->id) : NULL;

	if (!known || !known->bytes || known->level != ref->level || known->bytes != ref->bytes)
		return false;
	add_sum(above, known);
	if (known->is_bad)
		tell(t, start, ref->bytes, "something in it is damaged, as told above");
	return true;
}

/* Begins with a node. 1: its entries are next; 0: there is nothing to do below it. */
static int enter(struct trip *t, const struct node_ref *ref, uint64_t start, struct sum *above,
		 struct err *e)
{
	struct err why = { 0 };
	int r;

	if (take_known(t, ref, start, above))
		return 0;
	r = node_slot_load(&t->slots[ref->level], &t->source, ref, NULL, &why);
	if (r == -ENOMEM || r == -EUCLEAN)
		return err_set(e, r, "%s", why.msg);
	if (r < 0) {
		above->is_bad = true;
		tell(t, start, ref->bytes, why.msg);
		return 0;
	}
	t->slots[ref->level]->start = start;
	t->slots[ref->level]->index = 0;
	t->levels[ref->level] =
		(struct sum){ .id = ref->id, .bytes = ref->bytes, .level = ref->level };
	return 1;
}

/* From the root down and back, leaf by leaf. */
static int walk(struct trip *t, const struct node_ref *root, struct sum *all, struct err *e)
{
	uint32_t level = root->level;
	int r = enter(t, root, 0, all, e);

	while (r > 0) {
		struct node_slot *slot = t->slots[level];
		struct sum *above = level == root->level ? all : &t->levels[level + 1];
		struct node_ref child;

		r = level == 0 ? check_leaf(t, slot, &t->levels[0], e) : 0;
		if (r < 0)
			return r;
		if (level == 0 || slot->index == slot->view.count) {
			r = remember(t, &t->levels[level], e);
			add_sum(above, &t->levels[level]);
			if (r < 0 || level == root->level)
				return r;
			level++;
			r = 1;
			continue;
		}
		child = node_slot_child(slot, slot->index);
		r = enter(t, &child, node_slot_entry_start(slot, slot->index++), &t->levels[level],
			  e);
		level -= r > 0;
		if (r == 0)
			r = fsck_is_cancelled(t->fsck, e) < 0 ? -ECANCELED : 1;
	}
	return r;
}

static int check_image(struct trip *t, struct err *e)
{
	struct image_info info;
	struct node_ref root;
	struct sum all = { 0 };
	struct err why = { 0 };
	int r = image_load(&t->source, &t->root->image_id, &info, &why);

	if (r == -ENOMEM || r == -EUCLEAN)
		return err_set(e, r, "%s", why.msg);
	if (r < 0) {
		tell(t, 0, t->root->bytes, why.msg);
		return 0;
	}
	if (info.bytes != t->root->bytes)
		tell(t, 0, info.bytes, "its name tells another length");
	if (info.bytes > 0) {
		root = image_root(&info);
		r = walk(t, &root, &all, e);
	}
	if (r == 0 && !all.is_bad &&
	    (all.data_bytes != info.data_bytes || all.chunks != info.chunks))
		tell(t, 0, info.bytes, "it tells a wrong sum of its data");
	return r;
}

static int check_root(struct trip *t, const struct root *root, struct err *e)
{
	int r;

	t->root = root;
	t->told = 0;
	for (size_t i = 0; i < NODE_LEVELS; i++) {
		if (t->slots[i])
			t->slots[i]->is_loaded = false;
	}
	r = check_image(t, e);
	if (t->told > TOLD_MAX)
		fsck_tell(t->fsck, false, "image %s has %llu more such damages",
			  quote(root->name).text, (unsigned long long)(t->told - TOLD_MAX));
	t->fsck->result->damaged_images += t->told > 0;
	return r;
}

int fsck_check_images(struct fsck *f, struct err *e)
{
	const struct root_list *list = &f->roots;
	struct trip t = { .fsck = f, .source = { .get = get, .opaque = &t } };
	struct err why = { 0 };
	int r = 0;

	f->result->images = list->count;
	if (!f->child) {
		if (list->count > 0)
			fsck_tell(f, false,
				  "images were not checked, for want of an index; 'fsck "
				  "--rebuild-index' makes one");
		return 0;
	}
	t.rows = calloc(NODE_MAX_ENTRIES, sizeof(*t.rows));
	if (!t.rows)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->count && r == 0; i++) {
		r = check_root(&t, &list->roots[i], &why);
		if (r == 0)
			r = fsck_is_cancelled(f, &why);
	}
	for (size_t i = 0; i < NODE_LEVELS; i++)
		free(t.slots[i]);
	free(t.sums);
	free(t.rows);
	if (r == -EUCLEAN)
		return fsck_tell_index(f, "%s", why.msg);
	return r < 0 ? err_set(e, r, "%s", why.msg) : 0;
}

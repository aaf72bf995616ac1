/* SPDX-License-Identifier: Apache-2.0 */
/* Saves what can be read of packs that have flaws: see fsck_salvage.h. */
#include "stellar/fsck_salvage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stellar/crypt.h"
#include "stellar/id_set.h"

/* Entries from a table, or from the index when there is no table. */
struct entries {
	struct pack_entry *list; /* owned */
	size_t count;
	uint32_t pack; /* number, of those wanted */
	bool is_out_of_memory;
};

struct salvage {
	struct fsck *fsck;
	struct fsck_pack *pack;
	struct pack *file; /* owned */
	struct pack_place place; /* of the new pack: with the old one's dictionary */
	struct pack_writer *writer; /* owned; NULL: nothing to save so far */
	struct index_reader *index; /* owned */
	uint8_t *payload; /* owned */
};

/* --- which entries ------------------------------------------------------------------------- */

static int take_row(void *opaque, const struct chunk_id *id, const struct index_entry *entry)
{
	struct entries *all = opaque;

	if (entry->pack != all->pack)
		return 0;
	if ((all->count & (all->count - 1)) == 0) {
		const size_t room = all->count ? 2 * all->count : 1;
		struct pack_entry *grown = reallocarray(all->list, room, sizeof(*grown));

		all->is_out_of_memory = !grown;
		if (!grown)
			return -ENOMEM;
		all->list = grown;
	}
	all->list[all->count++] = (struct pack_entry){
		.id = *id,
		.offset = entry->offset,
		.stored_bytes = entry->stored_bytes,
		.raw_bytes = entry->raw_bytes,
		.kind = entry->kind,
		.codec = entry->codec,
		.is_sealed = entry->is_sealed,
	};
	return 0;
}

/* What the index has in the pack of this number. */
static int list_rows(struct index_reader *index, uint32_t number, struct entries *all,
		     struct err *e)
{
	int r;

	*all = (struct entries){ .pack = number };
	r = number ? index_each_chunk(index, take_row, all, e) : 0;
	return all->is_out_of_memory ? err_set(e, -ENOMEM, "out of memory") : r;
}

static int list_entries(struct salvage *s, struct entries *all, struct err *e)
{
	struct pack_table t = { 0 };
	struct err why = { 0 };
	const int r = pack_read_table(s->file, &s->fsck->store->scheme, &t, &why);

	if (r == -ENOMEM)
		return err_set(e, r, "%s", why.msg);
	if (r < 0) {
		pack_table_release(&t);
		return list_rows(s->index, s->pack->number, all, e);
	}
	*all = (struct entries){ .list = t.entries, .count = t.count };
	return 0;
}

/* --- copying ------------------------------------------------------------------------------- */

/* Whether the index has it in a pack that stays. */
static int is_elsewhere(struct salvage *s, const struct chunk_id *id, struct err *e)
{
	struct index_entry row;
	struct index_pack info;
	const struct fsck_pack *p;
	int r = index_find(s->index, id, &row, e);

	if (r > 0)
		r = index_find_pack(s->index, row.pack, &info, e);
	if (r <= 0)
		return r;
	p = fsck_find_pack(s->fsck, &info.id);
	/* One that is not known is one of those that were made by this repair. */
	return !p || (p->state == FSCK_PACK_USABLE && !fsck_must_go(p));
}

static int copy_entry(struct salvage *s, struct pack_entry *entry, struct err *e)
{
	struct iovec payload = { s->payload, entry->stored_bytes };
	struct err why = { 0 };
	int r = pack_read(s->file, s->payload, entry->stored_bytes, entry->offset, &why);

	if (r == -EIO) /* it may be there once and not again */
		r = pack_read(s->file, s->payload, entry->stored_bytes, entry->offset, &why);
	if (r == 0)
		r = store_reader_check_stored(s->fsck->reader, s->file, entry, s->payload,
					      s->fsck->buf, &why);
	if (r == -EIO && fsck_probe_disk(s->fsck, e) < 0)
		return -EIO;
	if (r < 0) {
		s->pack->lost += r != -ENOMEM;
		return r == -ENOMEM ? err_set(e, r, "%s", why.msg) : 0;
	}
	if (!s->writer)
		r = pack_writer_new(&s->writer, &s->place, e);
	return r == 0 ? pack_append(s->writer, entry, &payload, 1, e) : r;
}

static int enter(struct salvage *s, struct err *e)
{
	struct index_writer *w;
	uint32_t number;
	int r = index_begin(&w, s->fsck->store->index, e);

	if (r < 0)
		return r;
	r = index_add_pack(w, pack_writer_id(s->writer), pack_writer_bytes(s->writer),
			   pack_writer_entries(s->writer), pack_writer_count(s->writer), true,
			   &number, e);
	if (r < 0) {
		index_abort(w);
		return r;
	}
	return index_commit(w, e);
}

static int copy_all(struct salvage *s, struct err *e)
{
	struct entries all = { 0 };
	int r = list_entries(s, &all, e);

	s->pack->lost = 0;
	for (size_t i = 0; i < all.count && r == 0; i++) {
		r = is_elsewhere(s, &all.list[i].id, e);
		if (r == 0)
			r = copy_entry(s, &all.list[i], e);
		else
			r = r > 0 ? 0 : r;
		if (r == 0)
			r = fsck_is_cancelled(s->fsck, e);
	}
	free(all.list);
	if (r == 0 && s->writer)
		r = pack_writer_publish(s->writer, e);
	if (r == 0 && s->writer)
		r = enter(s, e);
	return r;
}

int fsck_salvage(struct fsck *f, struct fsck_pack *p, struct err *e)
{
	struct salvage s = { .fsck = f, .pack = p, .place = f->store->place };
	struct err fault, why = { 0 };
	int r = index_reader_new(&s.index, f->store->index, e);

	if (r == 0 && (p->state == FSCK_PACK_FOREIGN || p->state == FSCK_PACK_MISSING)) {
		index_reader_free(s.index);
		return 0;
	}
	s.payload = malloc(CHUNK_MAX_BYTES + STORE_ALIGN);
	if (r == 0 && !s.payload)
		r = err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = pack_open_damaged(&s.file, &f->store->place, &p->id, &fault, &why);
	if (r < 0 && why.code < 0)
		err_set(e, r, "%s", why.msg);
	if (r == 0)
		r = fsck_has_dictionary(f, pack_dictionary_id(s.file), e);
	if (r >= 0) {
		s.place.dictionary_id = r ? *pack_dictionary_id(s.file) : (struct chunk_id){ 0 };
		r = copy_all(&s, e);
	}
	pack_writer_free(s.writer);
	pack_close(s.file);
	index_reader_free(s.index);
	free(s.payload);
	return r;
}

/* --- other copies -------------------------------------------------------------------------- */

/* Calls @visit with all rows that are in packs that must go. */
static int each_homeless(struct fsck *f, int (*visit)(void *opaque, const struct chunk_id *id),
			 void *opaque, struct err *e)
{
	struct index_reader *index;
	int r = index_reader_new(&index, f->store->index, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < f->pack_count && r == 0; i++) {
		struct entries rows = { 0 };

		if (!fsck_must_go(&f->packs[i]) || f->packs[i].number == 0)
			continue;
		r = list_rows(index, f->packs[i].number, &rows, e);
		for (size_t j = 0; j < rows.count && r == 0; j++)
			r = visit(opaque, &rows.list[j].id);
		free(rows.list);
	}
	index_reader_free(index);
	return r;
}

static int add_homeless(void *opaque, const struct chunk_id *id)
{
	const int r = id_set_add(opaque, id);

	return r < 0 ? r : 0;
}

/* Enters those of @wanted that the pack has. */
static int use_copies(struct fsck *f, struct fsck_pack *p, const struct id_set *wanted,
		      struct err *e)
{
	struct index_writer *w;
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	uint32_t found = 0, number;
	int r = pack_open(&file, &f->store->place, &p->id, e);

	if (r == 0)
		r = pack_read_table(file, &f->store->scheme, &t, e);
	for (uint32_t i = 0; i < t.count; i++) {
		if (id_set_has(wanted, &t.entries[i].id) && !fsck_is_bad(p, i))
			found++;
		else
			t.entries[i].kind = 0;
	}
	if (r == 0 && found > 0)
		r = index_begin(&w, f->store->index, e);
	if (r == 0 && found > 0) {
		r = index_add_pack(w, &p->id, p->bytes, t.entries, t.count, true, &number, e);
		if (r < 0)
			index_abort(w);
		else
			r = index_commit(w, e);
	}
	pack_table_release(&t);
	pack_close(file);
	return r;
}

int fsck_use_other_copies(struct fsck *f, struct err *e)
{
	struct id_set wanted = { 0 };
	int r = each_homeless(f, add_homeless, &wanted, e);

	if (r == -ENOMEM)
		err_set(e, r, "out of memory");
	for (size_t i = 0; i < f->pack_count && r == 0 && wanted.count > 0; i++) {
		if (f->packs[i].state == FSCK_PACK_USABLE && !fsck_must_go(&f->packs[i]))
			r = use_copies(f, &f->packs[i], &wanted, e);
	}
	id_set_release(&wanted);
	return r;
}

/* --- forgetting ---------------------------------------------------------------------------- */

struct forgetting {
	struct index_writer *writer;
	struct err *e;
};

static int forget_chunk(void *opaque, const struct chunk_id *id)
{
	struct forgetting *g = opaque;

	return index_remove_chunk(g->writer, id, g->e);
}

int fsck_forget_packs(struct fsck *f, struct err *e)
{
	struct forgetting g = { .e = e };
	int r = index_begin(&g.writer, f->store->index, e);

	if (r < 0)
		return r;
	r = each_homeless(f, forget_chunk, &g, e);
	for (size_t i = 0; i < f->pack_count && r == 0; i++) {
		if (fsck_must_go(&f->packs[i]) && f->packs[i].number != 0)
			r = index_remove_pack(g.writer, f->packs[i].number, e);
	}
	if (r < 0) {
		index_abort(g.writer);
		return r;
	}
	return index_commit(g.writer, e);
}

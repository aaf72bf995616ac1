/* SPDX-License-Identifier: Apache-2.0 */
/* Garbage collection: the order of it. See gc.h. */
#include "stellar/gc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/gc_impl.h"

bool gc_is_cancelled(const struct gc *g, struct err *e)
{
	const atomic_bool *flag = g->options->work.is_cancelled;

	if (!flag || !atomic_load(flag))
		return false;
	err_set(e, -ECANCELED, "cancelled");
	return true;
}

struct gc_pack *gc_find_pack(struct gc *g, uint32_t number)
{
	const uint32_t place = number < g->place_count ? g->places[number] : 0;

	return place ? &g->packs[place - 1] : NULL;
}

bool gc_is_marked(const struct gc_pack *p, uint32_t entry)
{
	return entry < p->info.count && p->marks[entry / 64] >> entry % 64 & 1;
}

/* --- the packs there are ------------------------------------------------------------------- */

static int add_pack(struct gc *g, const struct index_pack *info, struct err *e)
{
	struct err why = { 0 };
	struct gc_pack *p;
	struct pack *file;
	void *grown;

	if ((g->pack_count & (g->pack_count - 1)) == 0) { /* at powers of two */
		const size_t room = g->pack_count ? 2 * g->pack_count : 1;

		grown = reallocarray(g->packs, room, sizeof(*g->packs));
		if (!grown)
			return err_set(e, -ENOMEM, "out of memory");
		g->packs = grown;
	}
	if (info->number >= g->place_count) {
		const uint32_t room = info->number + info->number / 2 + 64;

		grown = reallocarray(g->places, room, sizeof(*g->places));
		if (!grown)
			return err_set(e, -ENOMEM, "out of memory");
		g->places = grown;
		while (g->place_count < room)
			g->places[g->place_count++] = 0;
	}
	p = &g->packs[g->pack_count];
	*p = (struct gc_pack){ .info = *info };
	p->marks = calloc((size_t)info->count / 64 + 1, sizeof(*p->marks));
	if (!p->marks)
		return err_set(e, -ENOMEM, "out of memory");
	g->places[info->number] = (uint32_t)++g->pack_count;
	if (pack_open(&file, &g->store->place, &info->id, &why) < 0) {
		p->is_unreadable = true;
		return 0;
	}
	p->dictionary_id = *pack_dictionary_id(file);
	g->work_total += info->bytes;
	pack_close(file);
	return 0;
}

static int list_packs(struct gc *g, struct err *e)
{
	struct index_pack info;
	uint32_t number = 0;
	int r;

	while ((r = index_next_pack(store_reader_index(g->reader), number, &info, e)) > 0) {
		r = add_pack(g, &info, e);
		if (r < 0)
			return r;
		number = info.number + 1;
	}
	return r;
}

/* --- all of it ----------------------------------------------------------------------------- */

static int collect(struct gc *g, struct err *e)
{
	struct lease_set leases = { 0 };
	int r = store_reader_new(&g->reader, g->store, e);

	if (r == 0)
		r = list_packs(g, e);
	if (r == 0)
		r = gc_mark(g, &leases, e);
	lease_set_release(&leases);
	if (r >= 0)
		r = gc_sweep(g, e);
	if (r == 0 && !g->options->is_dry_run)
		r = gc_remove_leftovers(g, e);
	return r;
}

int gc_run(struct store *s, const struct gc_options *o, struct gc_result *out, struct err *e)
{
	struct gc g = { .store = s, .options = o, .result = out };
	struct err own = { 0 };
	auto_fd int lock = -1;
	int r;

	e = e ? e : &own;
	*out = (struct gc_result){ 0 };
	if (s->mode == STORE_READ_ONLY)
		return err_set(e, -EROFS, "the store %s is open for reading only",
			       quote(s->path).text);
	lock = file_open_regular(s->dir_fd, "gc", O_RDONLY);
	if (lock < 0)
		return err_errno(e, lock, "cannot open '%s/gc'", s->path);
	r = file_lock(lock, LOCK_EX | LOCK_NB);
	if (r == -EWOULDBLOCK)
		return err_set(e, -EBUSY, "another gc runs in the store %s", quote(s->path).text);
	if (r < 0)
		return err_errno(e, r, "cannot lock '%s/gc'", s->path);
	r = collect(&g, e);
	store_reader_free(g.reader);
	for (size_t i = 0; i < g.pack_count; i++)
		free(g.packs[i].marks);
	free(g.packs);
	free(g.places);
	id_set_release(&g.images);
	return r;
}

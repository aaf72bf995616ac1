/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replaces what is damaged: the index from the packs, packs by new ones with what can be read of them.
 *
 * The order, so that a crash at any point loses nothing: new packs are durable, then the index knows
 * them, then it forgets the old ones, and when that is durable their files go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/fsck_salvage.h"

/* --- the index ----------------------------------------------------------------------------- */

/* Enters a pack whose chunks were verified, or leaves out those that are not right. */
static int enter(struct fsck *f, struct fsck_pack *p, struct err *e)
{
	struct index_writer *w;
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	int r = pack_open(&file, &f->store->place, &p->id, e);

	if (r == 0)
		r = pack_read_table(file, &f->store->scheme, &t, e);
	for (uint32_t i = 0; i < t.count; i++) {
		if (fsck_is_bad(p, i))
			t.entries[i].kind = 0;
	}
	if (r == 0)
		r = index_begin(&w, f->store->index, e);
	if (r == 0) {
		r = index_add_pack(w, &p->id, p->bytes, t.entries, t.count, false, &p->number, e);
		if (r < 0)
			index_abort(w);
		else
			r = index_commit(w, e);
	}
	pack_table_release(&t);
	pack_close(file);
	return r;
}

/*
 * Opens the index and enters what it does not know. One that is damaged is replaced by a new one, when
 * that is whole.
 */
static int make_index(struct fsck *f, struct err *e)
{
	struct store *s = f->store;
	const uint8_t *uuid = s->superblock.uuid;
	const bool is_new = f->is_index_bad || f->options->must_rebuild_index;
	int r = index_open(&s->index, s->path, uuid, is_new ? INDEX_CREATE : INDEX_READ_WRITE, e);

	for (size_t i = 0; i < f->pack_count && r == 0; i++) {
		struct fsck_pack *p = &f->packs[i];

		if (is_new)
			p->number = 0;
		if (p->state == FSCK_PACK_USABLE && p->number == 0)
			r = enter(f, p, e);
	}
	if (r < 0 || !is_new)
		return r;
	r = index_put_in_place(s->index, e);
	s->index = NULL;
	f->is_index_mended = r == 0;
	return r == 0 ? index_open(&s->index, s->path, uuid, INDEX_READ_WRITE, e) : r;
}

/* --- old packs ----------------------------------------------------------------------------- */

/* What becomes of a file that is not needed any more. */
static int remove_pack(struct fsck *f, struct fsck_pack *p, struct err *e)
{
	char name[PACK_NAME_BYTES];
	int r = 0;

	pack_name(&p->id, name);
	if (p->state == FSCK_PACK_MISSING) {
		p->is_mended = true;
		return 0;
	}
	/* What could not be read may be worth something to somebody. */
	if (p->state == FSCK_PACK_FOREIGN || p->lost > 0 || p->count == 0)
		r = fsck_quarantine(f, f->store->packs_fd, "packs", name, e);
	else if (unlinkat(f->store->packs_fd, name, 0) < 0)
		r = err_errno(e, -errno, "cannot remove 'packs/%s'", name);
	p->is_mended = r == 0;
	if (r == 0 && p->lost > 0)
		fsck_tell(f, true,
			  "'packs/%s': %llu chunks could not be read; what is left of them is in "
			  "'quarantine/packs'",
			  name, (unsigned long long)p->lost);
	return r;
}

/* A pack that nobody knows and that has no end. */
static int remove_unfinished(struct fsck *f, struct fsck_pack *p, struct err *e)
{
	char name[PACK_NAME_BYTES];
	auto_fd int fd = -1;

	pack_name(&p->id, name);
	if (p->has_io_error)
		return 0;
	fd = file_open_regular(f->store->packs_fd, name, O_RDONLY);
	/* A damaged index may have been what knew it; another store's key may be what proves it. */
	if (f->is_index_mended || (fd >= 0 && pack_is_foreign(&f->store->place, &p->id, fd)))
		return fsck_quarantine(f, f->store->packs_fd, "packs", name, e);
	return unlinkat(f->store->packs_fd, name, 0) < 0 && errno != ENOENT
		       ? err_errno(e, -errno, "cannot remove 'packs/%s'", name)
		       : 0;
}

static int replace_packs(struct fsck *f, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < f->pack_count && r == 0; i++) {
		if (fsck_must_go(&f->packs[i]))
			r = fsck_salvage(f, &f->packs[i], e);
	}
	if (r == 0)
		r = fsck_use_other_copies(f, e);
	if (r == 0)
		r = fsck_forget_packs(f, e);
	if (r == 0)
		r = index_sync(f->store->index, e);
	for (size_t i = 0; i < f->pack_count && r == 0; i++) {
		struct fsck_pack *p = &f->packs[i];

		if (fsck_must_go(p))
			r = remove_pack(f, p, e);
		else if (p->state == FSCK_PACK_UNFINISHED)
			r = remove_unfinished(f, p, e);
	}
	if (r == 0 && fsync(f->store->packs_fd) < 0)
		r = err_errno(e, -errno, "cannot sync the folder 'packs'");
	return r;
}

int fsck_repair(struct fsck *f, struct err *e)
{
	bool has_work = f->is_index_bad || f->options->must_rebuild_index;
	int r;

	for (size_t i = 0; i < f->pack_count; i++)
		has_work |= fsck_must_go(&f->packs[i]) ||
			    f->packs[i].state == FSCK_PACK_UNFINISHED || f->packs[i].number == 0;
	if (!has_work)
		return 0;
	r = make_index(f, e);
	if (r == 0 && f->options->may_repair)
		r = replace_packs(f, e);
	if (r == 0)
		index_leave_digest(f->store->index, NULL);
	index_close(f->store->index);
	f->store->index = NULL;
	return r;
}

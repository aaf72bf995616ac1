/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes packs: those with nothing alive go, those with little are copied together into a new one.
 *
 * A batch is one new pack and those that it replaces. The new one is published, then, with the gate
 * closed to importers, roots and leases are looked at once more, the index changes over in one
 * commit, and after that is durable the old files go. Killed at any point, everything alive is in a
 * pack that the index knows or will adopt.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/gc_impl.h"

enum {
	BATCH_BYTES = 256 << 20, /* of what is copied: a pack as imports make them */
	BATCH_ENTRIES = 1 << 17,
	BATCH_PACKS = 256,
	SMALL_PACK_BYTES = 16 << 20, /* such packs are copied together */
	SMALL_PACKS_MIN = 8, /* when there are so many */
	ROUNDS = 16, /* times that new images may come in between */
};

struct batch {
	struct gc_pack *packs[BATCH_PACKS];
	struct pack *files[BATCH_PACKS]; /* owned: locked while they go; NULL: not yet */
	size_t count;
	uint64_t live_bytes;
	uint64_t live_entries;
	struct pack_writer *writer; /* owned; NULL: nothing alive */
	struct pack_place place; /* of the new pack: with the old ones' dictionary */
};

/* What the marks say of a pack. */
struct share {
	uint64_t live_entries, live_bytes, dead_entries, dead_bytes;
};

/*
 * Whether entry @i is what the index finds for its chunk, and alive: 1, dead: 0, or -errno. -EUCLEAN:
 * it is alive, but the pack's table and the index do not agree what it is.
 */
static int is_live(struct gc *g, const struct gc_pack *p, const struct pack_entry *entry,
		   uint32_t i, struct err *e)
{
	struct index_entry row;
	int r;

	if (!gc_is_marked(p, i))
		return 0;
	r = index_find(store_reader_index(g->reader), &entry->id, &row, e);
	if (r < 0)
		return r;
	return r > 0 && row.pack == p->info.number && row.number == i
		       ? 1
		       : err_set(e, -EUCLEAN, "a pack and the index do not agree; see 'fsck'");
}

static int open_table(struct gc *g, const struct gc_pack *p, struct pack **file,
		      struct pack_table *t, struct err *e)
{
	int r = pack_open(file, &g->store->place, &p->info.id, e);

	return r < 0 ? r : pack_read_table(*file, &g->store->scheme, t, e);
}

static int weigh(struct gc *g, struct gc_pack *p, struct share *share, struct err *e)
{
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	struct err why = { 0 };
	int r = open_table(g, p, &file, &t, &why);

	*share = (struct share){ 0 };
	if (r == 0 && t.count != p->info.count)
		r = -EUCLEAN;
	if (r < 0) {
		p->is_unreadable = true;
		r = r == -ENOMEM ? r : 0;
	}
	for (uint32_t i = 0; i < t.count && r >= 0; i++) {
		r = is_live(g, p, &t.entries[i], i, &why);
		if (r > 0) {
			share->live_entries++;
			share->live_bytes += t.entries[i].stored_bytes;
		} else {
			share->dead_entries++;
			share->dead_bytes += t.entries[i].stored_bytes;
		}
	}
	if (r == -EUCLEAN) { /* it would lose what it does not know: it stays */
		p->is_unreadable = true;
		r = 0;
	}
	pack_table_release(&t);
	pack_close(file);
	return r < 0 ? err_set(e, r, "%s", why.msg) : 0;
}

/* --- copying ------------------------------------------------------------------------------- */

/* Copies what is alive of @p, verified. */
static int copy_pack(struct gc *g, struct batch *b, const struct gc_pack *p, uint8_t *buf,
		     struct err *e)
{
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	int r = open_table(g, p, &file, &t, e);

	for (uint32_t i = 0; i < t.count && r >= 0; i++) {
		struct pack_entry entry = t.entries[i];
		struct iovec payload = { buf, entry.stored_bytes };

		r = is_live(g, p, &entry, i, e);
		if (r <= 0)
			continue;
		r = store_reader_check(g->reader, file, &entry, buf, e);
		if (r == 0)
			r = pack_read(file, buf, entry.stored_bytes, entry.offset, e);
		if (r == 0)
			r = pack_append(b->writer, &entry, &payload, 1, e);
		g->result->moved_bytes += entry.stored_bytes;
		if (r == 0 && gc_is_cancelled(g, e))
			r = -ECANCELED;
	}
	pack_table_release(&t);
	pack_close(file);
	return r < 0 ? r : 0;
}

static int copy_batch(struct gc *g, struct batch *b, struct err *e)
{
	auto_free uint8_t *buf = malloc(CHUNK_MAX_BYTES + SEAL_EXTRA_BYTES);
	int r;

	if (b->live_entries == 0)
		return 0;
	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	b->place = g->store->place;
	b->place.dictionary_id = b->packs[0]->dictionary_id;
	r = pack_writer_new(&b->writer, &b->place, e);
	for (size_t i = 0; i < b->count && r == 0; i++)
		r = copy_pack(g, b, b->packs[i], buf, e);
	return r < 0 ? r : pack_writer_publish(b->writer, e);
}

/* --- changing over ------------------------------------------------------------------------- */

/*
 * Takes the pack's chunks that the index finds there out, unless the new pack has them now. 1: one is
 * alive that was dead when the copy was made.
 */
static int drop_pack(struct gc *g, struct index_writer *w, const struct gc_pack *p, struct err *e)
{
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	int r = open_table(g, p, &file, &t, e);

	for (uint32_t i = 0; i < t.count && r == 0; i++) {
		struct index_entry row;

		r = index_writer_find(w, &t.entries[i].id, &row, e);
		if (r > 0 && row.pack == p->info.number && row.number == i)
			r = gc_is_marked(p, i) ? 1 : index_remove_chunk(w, &t.entries[i].id, e);
		else
			r = r < 0 ? r : 0;
	}
	pack_table_release(&t);
	pack_close(file);
	return r == 0 ? index_remove_pack(w, p->info.number, e) : r;
}

/* One commit of the index. 1: something came alive meanwhile, nothing was changed. */
static int change_index(struct gc *g, struct batch *b, struct err *e)
{
	struct index_writer *w;
	uint32_t number;
	int r = index_begin(&w, g->store->index, e);

	if (r < 0)
		return r;
	if (b->writer)
		r = index_add_pack(w, pack_writer_id(b->writer), pack_writer_bytes(b->writer),
				   pack_writer_entries(b->writer), pack_writer_count(b->writer),
				   true, &number, e);
	for (size_t i = 0; i < b->count && r == 0; i++)
		r = drop_pack(g, w, b->packs[i], e);
	if (r != 0) {
		index_abort(w);
		return r;
	}
	return index_commit(w, e);
}

/*
 * Between the index letting go of a pack and its file going, it looks like one that a crash left out
 * of the index; the lock says that it is not.
 */
static bool lock_files(struct gc *g, struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		if (pack_open(&b->files[i], &g->store->place, &b->packs[i]->info.id, NULL) < 0 ||
		    !pack_lock(b->files[i], &g->store->place))
			return false;
	}
	return true;
}

static bool is_pinned(const struct batch *b, const struct lease_set *leases)
{
	for (size_t i = 0; i < b->count; i++) {
		if (lease_set_has_pack(leases, &b->packs[i]->info.id))
			return true;
	}
	return false;
}

/*
 * Looks at roots and leases with the gate closed, when all of them are marked. 0: done; 1: the batch
 * cannot go now (pinned, or alive after all); -errno.
 */
static int change_over(struct gc *g, struct batch *b, struct err *e)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct lease_set leases = { 0 };
		int r = gc_mark(g, &leases, e);

		lease_set_release(&leases);
		if (r >= 0)
			r = store_enter_gate(g->store, true, e);
		if (r < 0)
			return r;
		r = gc_mark(g, &leases, e);
		if (r == 0)
			r = is_pinned(b, &leases) ? 1 : change_index(g, b, e);
		else if (r > 0)
			r = 2; /* an image came in this moment: once more */
		lease_set_release(&leases);
		store_leave_gate(g->store);
		if (r != 2)
			return r;
	}
	return 1;
}

/* The files go when the index has let go of them for good. */
static int remove_files(struct gc *g, const struct batch *b, struct err *e)
{
	char name[PACK_NAME_BYTES];
	int r = index_sync(g->store->index, e);

	for (size_t i = 0; i < b->count && r == 0; i++) {
		pack_name(&b->packs[i]->info.id, name);
		if (unlinkat(g->store->packs_fd, name, 0) < 0 && errno != ENOENT)
			r = err_errno(e, -errno, "cannot remove 'packs/%s'", name);
		g->result->freed_bytes += b->packs[i]->info.bytes;
	}
	return r;
}

static int sweep_batch(struct gc *g, struct batch *b, struct err *e)
{
	int r = copy_batch(g, b, e);

	if (r == 0)
		r = lock_files(g, b) ? change_over(g, b, e) : 1;
	if (r == 0) {
		g->result->packs_removed += b->live_entries == 0 ? b->count : 0;
		g->result->packs_repacked += b->live_entries == 0 ? 0 : b->count;
		r = remove_files(g, b, e);
		if (b->writer)
			g->result->written_bytes += pack_writer_bytes(b->writer);
	} else {
		if (b->writer)
			pack_writer_revoke(b->writer);
		if (r > 0)
			g->result->packs_pinned += b->count;
	}
	for (size_t i = 0; i < b->count; i++)
		pack_close(b->files[i]);
	pack_writer_free(b->writer);
	*b = (struct batch){ 0 };
	return r < 0 ? r : 0;
}

/* --- deciding ------------------------------------------------------------------------------ */

enum decision { KEEP, REMOVE, COPY };

static enum decision decide(const struct gc *g, const struct gc_pack *p, const struct share *share,
			    bool has_many_small)
{
	const uint64_t all = share->live_bytes + share->dead_bytes;

	if (p->is_unreadable)
		return KEEP;
	if (share->live_entries == 0)
		return REMOVE;
	if (share->live_bytes * 100 < all * g->options->live_percent)
		return COPY;
	return has_many_small && p->info.bytes < SMALL_PACK_BYTES ? COPY : KEEP;
}

static bool fits(const struct batch *b, const struct gc_pack *p, const struct share *share)
{
	return b->count == 0 ||
	       (b->count < BATCH_PACKS && b->live_bytes + share->live_bytes <= BATCH_BYTES &&
		b->live_entries + share->live_entries <= BATCH_ENTRIES &&
		(b->live_entries == 0) == (share->live_entries == 0) &&
		id_equal(&b->packs[0]->dictionary_id, &p->dictionary_id));
}

/* Packs to remove and packs to copy are batches of their own. */
static int take(struct gc *g, struct batch *b, struct gc_pack *p, const struct share *share,
		struct err *e)
{
	int r = fits(b, p, share) ? 0 : sweep_batch(g, b, e);

	b->packs[b->count++] = p;
	b->live_bytes += share->live_bytes;
	b->live_entries += share->live_entries;
	return r;
}

static bool has_many_small(const struct gc *g)
{
	size_t count = 0;

	for (size_t i = 0; i < g->pack_count; i++)
		count += g->packs[i].info.bytes < SMALL_PACK_BYTES;
	return count >= SMALL_PACKS_MIN;
}

static void tell(const struct gc *g)
{
	const struct work_control *work = &g->options->work;

	if (work->on_progress)
		work->on_progress(work->opaque, g->work_done, g->work_total);
}

int gc_sweep(struct gc *g, struct err *e)
{
	const bool is_crowded = has_many_small(g);
	struct batch removed = { 0 }, copied = { 0 };
	struct gc_result *out = g->result;
	int r = store_reader_renew(g->reader, e);

	for (size_t i = 0; i < g->pack_count && r == 0; i++) {
		struct gc_pack *p = &g->packs[i];
		struct share share;
		enum decision decision;

		if (gc_is_cancelled(g, e))
			r = -ECANCELED;
		if (r == 0)
			r = weigh(g, p, &share, e);
		if (r < 0)
			break;
		decision = decide(g, p, &share, is_crowded);
		out->dead_chunks += share.dead_entries;
		out->dead_bytes += share.dead_bytes;
		g->work_done += p->info.bytes;
		tell(g);
		if (decision == KEEP)
			out->packs_kept++;
		else if (g->options->is_dry_run)
			decision == REMOVE ? out->packs_removed++ : out->packs_repacked++;
		else
			r = take(g, decision == REMOVE ? &removed : &copied, p, &share, e);
	}
	if (r == 0 && removed.count > 0)
		r = sweep_batch(g, &removed, e);
	if (r == 0 && copied.count > 0)
		r = sweep_batch(g, &copied, e);
	out->freed_bytes -= min_u64(out->freed_bytes, out->written_bytes);
	return r;
}

/* --- leftovers ----------------------------------------------------------------------------- */

/* Whether it has no right header or no end: its writer died. A newer pack is no such thing. */
static bool is_unfinished(struct gc *g, const struct pack_id *id, int fd)
{
	struct pack_table t = { 0 };
	struct pack *file = NULL;
	int r;

	if (pack_is_foreign(&g->store->place, id, fd))
		return false;
	r = pack_open(&file, &g->store->place, id, NULL);
	if (r == 0)
		r = pack_read_table(file, &g->store->scheme, &t, NULL);
	pack_table_release(&t);
	pack_close(file);
	return r == -EBADMSG;
}

/* A file that has the name of a pack, is in no index, has no writer and no end. */
static int remove_leftover(struct gc *g, const char *name, const struct pack_id *id, struct err *e)
{
	auto_fd int fd = -1;
	struct index_pack known;
	struct stat st;
	int r = index_find_pack_id(store_reader_index(g->reader), id, &known, e);

	if (r != 0)
		return r < 0 ? r : 0;
	fd = file_open_regular(g->store->packs_fd, name, O_RDONLY);
	if (fd < 0 || file_lock(fd, LOCK_EX | LOCK_NB) < 0 ||
	    !file_is_named(fd, g->store->packs_fd, name))
		return 0; /* gone, or in work */
	/* Its writer entered it before it let go of the lock. */
	r = store_reader_renew(g->reader, e);
	if (r == 0)
		r = index_find_pack_id(store_reader_index(g->reader), id, &known, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (!is_unfinished(g, id, fd) || fstat(fd, &st) < 0 ||
	    unlinkat(g->store->packs_fd, name, 0) < 0)
		return 0;
	g->result->leftovers++;
	g->result->freed_bytes += (uint64_t)st.st_size;
	return 0;
}

int gc_remove_leftovers(struct gc *g, struct err *e)
{
	const int copy = openat(g->store->packs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	struct pack_id id;
	uint64_t bytes;
	int r = 0;

	if (!dir) {
		r = err_errno(e, -errno, "cannot read the folder '%s/packs'", g->store->path);
		if (copy >= 0)
			close(copy);
		return r;
	}
	while (r == 0 && (entry = readdir(dir))) {
		if (pack_id_from_name(&id, entry->d_name) == 0)
			r = remove_leftover(g, entry->d_name, &id, e);
	}
	closedir(dir);
	/* Who makes an index has the store alone. */
	bytes = index_remove_leftover(g->store->index);
	g->result->leftovers += bytes > 0;
	g->result->freed_bytes += bytes;
	return r;
}

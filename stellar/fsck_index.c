/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the index against the packs: each row of a pack has its file, each entry of a table its row,
 * and there are no other rows. The index is only touched by a child (fsck_child.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "stellar/fsck_child.h"

struct index_check {
	struct fsck *fsck;
	uint64_t expected; /* rows of packs that are usable, by a walk */
	uint64_t proven; /* by their tables */
	uint64_t unknown; /* rows of packs that the index does not know */
	uint64_t walked;
	uint64_t missing, wrong; /* entries of tables without a row, or with another one */
};

/* --- packs --------------------------------------------------------------------------------- */

struct fsck_pack *fsck_pack_of_number(struct fsck *f, uint32_t number)
{
	size_t low = 0, high = f->numbered_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		struct fsck_pack *p = &f->packs[f->by_number[middle]];

		if (p->number == number)
			return p;
		if (p->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The numbers rise as they are taken, so does the list. */
static int list_numbers(struct fsck *f, const struct child_pack *known, size_t count, struct err *e)
{
	f->numbered_count = 0;
	f->by_number = reallocarray(f->by_number, count + 1, sizeof(*f->by_number));
	if (!f->by_number)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct fsck_pack *p = fsck_find_pack(f, &known[i].info.id);

		if (p && p->number == known[i].info.number)
			f->by_number[f->numbered_count++] = (size_t)(p - f->packs);
	}
	return 0;
}

/* A pack of the index that was not there, or in work, when packs/ was listed. */
static int take_late(struct fsck *f, struct fsck_pack **p, const struct index_pack *info,
		     struct err *e)
{
	struct stat st;
	char name[PACK_NAME_BYTES];
	int r;

	if (!*p)
		*p = fsck_add_pack(f, &info->id, e);
	if (!*p)
		return -ENOMEM;
	r = fsck_check_pack(f, *p, e);
	if (r < 0 || (*p)->state != FSCK_PACK_IN_WORK)
		return r;
	pack_name(&info->id, name);
	if (fstatat(f->store->packs_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return err_errno(e, -errno, "cannot look at 'packs/%s'", name);
	(*p)->state = FSCK_PACK_MISSING;
	return fsck_tell_pack(f, *p, "'packs/%s' is missing, the index knows it with %u chunks",
			      name, info->count);
}

static int check_known(struct fsck *f, const struct child_pack *known, uint32_t next, struct err *e)
{
	struct fsck_pack *p = fsck_find_pack(f, &known->info.id);
	char name[PACK_NAME_BYTES];
	int r = 0;

	pack_name(&known->info.id, name);
	if (known->info.number == 0 || known->info.number >= next ||
	    known->back != known->info.number || (p && p->number != 0))
		return fsck_tell_index(f, "the index is damaged: 'packs/%s' has the number %u",
				       name, known->info.number);
	if (!p || p->state == FSCK_PACK_IN_WORK)
		r = take_late(f, &p, &known->info, e);
	if (r < 0)
		return r;
	p->number = known->info.number;
	if (p->state == FSCK_PACK_UNFINISHED) {
		p->state = FSCK_PACK_UNREADABLE;
		return fsck_tell_pack(
			f, p, "'packs/%s' is damaged or cut short: it has no valid table", name);
	}
	if (p->state == FSCK_PACK_USABLE &&
	    (p->bytes != known->info.bytes || p->count != known->info.count))
		return fsck_tell_index(f,
				       "the index is damaged: it has another length for "
				       "'packs/%s'",
				       name);
	return 0;
}

/* All packs of the index, by rising number. */
static int list_known(struct fsck *f, struct child_pack **all, size_t *count, struct err *e)
{
	for (;;) {
		const uint32_t from = *count ? (*all)[*count - 1].info.number + 1 : 0;
		struct child_pack *grown =
			reallocarray(*all, *count + FSCK_FIND_MAX, sizeof(*grown));
		ssize_t n;

		if (!grown)
			return err_set(e, -ENOMEM, "out of memory");
		*all = grown;
		n = index_child_packs(f->child, from, grown + *count, FSCK_FIND_MAX, e);
		if (n <= 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++, (*count)++) {
			if (*count > 0 &&
			    grown[*count].info.number <= grown[*count - 1].info.number)
				return err_set(e, -EUCLEAN,
					       "the index is damaged: its packs are not in order");
		}
	}
}

static int check_known_packs(struct fsck *f, const struct child_hello *h, struct err *e)
{
	struct child_pack *all = NULL;
	size_t count = 0;
	int r = list_known(f, &all, &count, e);

	for (size_t i = 0; i < count && r == 0; i++)
		r = check_known(f, &all[i], h->next, e);
	if (r == 0 && (h->numbers != count || h->packs != count))
		r = fsck_tell_index(f, "the index is damaged: it has %zu packs and %llu numbers",
				    count, (unsigned long long)h->numbers);
	if (r == 0)
		r = list_numbers(f, all, count, e);
	free(all);
	return r;
}

/* --- packs that the index does not know ---------------------------------------------------- */

static int by_spare_id(const void *a, const void *b)
{
	const struct fsck_spare *x = a, *y = b;

	return id_compare(&x->id, &y->id);
}

const struct fsck_spare *fsck_find_spare(const struct fsck *f, const struct chunk_id *id)
{
	const struct fsck_spare key = { .id = *id };

	if (f->spare_count == 0)
		return NULL;
	return bsearch(&key, f->spares, f->spare_count, sizeof(key), by_spare_id);
}

static int open_table(struct fsck *f, const struct fsck_pack *p, struct pack **file,
		      struct pack_table *t, struct err *e)
{
	int r = pack_open(file, &f->store->place, &p->id, e);

	if (r == 0)
		r = pack_read_table(*file, &f->store->scheme, t, e);
	if (r == 0 && t->count != p->count)
		r = err_set(e, -EBADMSG, "a pack changed while it was looked at");
	return r;
}

static int add_spares(struct fsck *f, const struct fsck_pack *p, const struct pack_table *t,
		      struct err *e)
{
	struct fsck_spare *grown =
		reallocarray(f->spares, f->spare_count + t->count + 1, sizeof(*grown));

	if (!grown)
		return err_set(e, -ENOMEM, "out of memory");
	f->spares = grown;
	for (uint32_t i = 0; i < t->count; i++) {
		if (!fsck_is_bad(p, i))
			f->spares[f->spare_count++] =
				(struct fsck_spare){ t->entries[i].id, (size_t)(p - f->packs), i };
	}
	return 0;
}

static int check_unknown(struct fsck *f, struct fsck_pack *p, struct err *e)
{
	char name[PACK_NAME_BYTES];
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	struct err why = { 0 };
	int r = 0;

	pack_name(&p->id, name);
	if (p->state == FSCK_PACK_UNFINISHED) {
		fsck_note(f, "'packs/%s' was not finished by who wrote it; gc removes it", name);
		return 0;
	}
	if (p->state != FSCK_PACK_USABLE)
		return 0;
	if (open_table(f, p, &file, &t, &why) == 0 && !pack_is_being_written(file)) {
		r = add_spares(f, p, &t, e);
		fsck_note(f,
			  "'packs/%s' is not in the index, as after a crash; whoever opens the "
			  "store next enters it",
			  name);
		p->is_noted = true;
	}
	pack_table_release(&t);
	pack_close(file);
	return r;
}

static int check_unknown_packs(struct fsck *f, struct err *e)
{
	int r = 0;

	f->spare_count = 0;
	for (size_t i = 0; i < f->pack_count && r == 0; i++) {
		if (f->packs[i].number == 0)
			r = check_unknown(f, &f->packs[i], e);
	}
	if (f->spare_count > 1)
		qsort(f->spares, f->spare_count, sizeof(*f->spares), by_spare_id);
	return r;
}

/* --- chunks -------------------------------------------------------------------------------- */

int fsck_find(struct fsck *f, struct fsck_row *rows, size_t count, struct err *e)
{
	return f->child ? index_child_find(f->child, rows, count, e)
			: err_set(e, -EUCLEAN, "there is no index");
}

static bool is_same(const struct index_entry *row, const struct pack_entry *entry)
{
	return row->offset == entry->offset && row->stored_bytes == entry->stored_bytes &&
	       row->raw_bytes == entry->raw_bytes && row->kind == entry->kind &&
	       row->codec == entry->codec && row->is_sealed == entry->is_sealed;
}

static void check_row(struct index_check *c, const struct fsck_pack *p, const struct pack_table *t,
		      uint32_t i, const struct fsck_row *row)
{
	const struct index_entry *entry = &row->entry;

	if (!row->is_found)
		c->missing += !fsck_is_bad(p, i); /* a bad one is left out when it is entered */
	else if (entry->pack != p->number)
		c->wrong += !fsck_pack_of_number(c->fsck, entry->pack);
	else if (entry->number == i && is_same(entry, &t->entries[i]))
		c->proven++;
	else if (entry->number == i || entry->number >= t->count ||
		 !id_equal(&t->entries[entry->number].id, &row->id))
		c->wrong++;
}

static int check_table(struct index_check *c, const struct fsck_pack *p, struct err *e)
{
	auto_free struct fsck_row *rows = calloc(FSCK_FIND_MAX, sizeof(*rows));
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	int r = rows ? open_table(c->fsck, p, &file, &t, e) : err_set(e, -ENOMEM, "out of memory");

	for (uint32_t i = 0; i < t.count && r == 0; i += FSCK_FIND_MAX) {
		const uint32_t n = (uint32_t)min_u64(t.count - i, FSCK_FIND_MAX);

		for (uint32_t j = 0; j < n; j++)
			rows[j] = (struct fsck_row){ .id = t.entries[i + j].id };
		r = fsck_find(c->fsck, rows, n, e);
		for (uint32_t j = 0; j < n && r == 0; j++)
			check_row(c, p, &t, i + j, &rows[j]);
		if (r == 0)
			r = fsck_is_cancelled(c->fsck, e);
	}
	pack_table_release(&t);
	pack_close(file);
	return r;
}

static int on_row(void *opaque, const struct fsck_row *row, struct err *e)
{
	struct index_check *c = opaque;
	const struct fsck_pack *p = fsck_pack_of_number(c->fsck, row->entry.pack);

	c->walked++;
	if (!p)
		c->unknown++;
	else if (p->state == FSCK_PACK_USABLE)
		c->expected++;
	return c->walked % FSCK_FIND_MAX == 0 ? fsck_is_cancelled(c->fsck, e) : 0;
}

static int check_chunks(struct fsck *f, const struct child_hello *h, struct err *e)
{
	struct index_check c = { .fsck = f };
	uint64_t lost;
	int r = 0;

	for (size_t i = 0; i < f->numbered_count && r == 0; i++) {
		const struct fsck_pack *p = &f->packs[f->by_number[i]];

		if (p->state == FSCK_PACK_USABLE)
			r = check_table(&c, p, e);
	}
	if (r == 0)
		r = index_child_walk(f->child, on_row, &c, e);
	if (r < 0)
		return r;
	if (c.missing > 0)
		r = fsck_tell_index(f, "the index is damaged: %llu chunks of packs are not in it",
				    (unsigned long long)c.missing);
	lost = c.unknown + (c.expected > c.proven ? c.expected - c.proven : 0);
	if (r == 0 && (c.wrong > 0 || lost > 0))
		r = fsck_tell_index(f, "the index is damaged: %llu chunks are not where it says",
				    (unsigned long long)(lost ? lost : c.wrong));
	if (r == 0 && c.walked != h->chunks)
		r = fsck_tell_index(f, "the index is damaged: it has %llu chunks, not %llu",
				    (unsigned long long)c.walked, (unsigned long long)h->chunks);
	return r;
}

/* --- all of it ----------------------------------------------------------------------------- */

/* What was left of the digest: told, and taken away before a repair. */
static int check_digest(struct fsck *f, struct err *e)
{
	auto_fd int folder =
		openat(f->store->dir_fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct err why = { 0 };
	bool is_mended = false;
	int r;

	f->has_digest = false;
	if (folder < 0)
		return fsck_tell_index(f, "the store has no folder 'index'");
	r = index_check_file(folder, &why);
	f->has_digest = r == 0;
	if (r == 0 || r == -ENODATA)
		return 0;
	/* What cannot be read now is not thrown away before somebody says so. */
	if (r == -EUCLEAN ||
	    (r == -EIO && (!f->is_pass_to_repair || f->options->must_rebuild_index)))
		return fsck_tell_index(f, "%s", why.msg);
	if (r == -EIO)
		return err_set(e, r, "%s; 'fsck --rebuild-index' makes the index anew", why.msg);
	if (r != -EBADMSG)
		return err_set(e, r, "%s", why.msg);
	if (f->is_pass_to_repair)
		is_mended = unlinkat(folder, "digest", 0) == 0 && fsync(folder) == 0;
	if (!f->is_pass_to_repair || is_mended)
		fsck_tell(f, is_mended, "%s", why.msg);
	return 0;
}

static int check_with_child(struct fsck *f, struct err *e)
{
	struct child_hello h;
	int r = index_child_new(&f->child, f->store->path, f->store->superblock.uuid, f->has_digest,
				&h, e);

	if (r < 0)
		return r;
	if (h.databases != 4 || h.meta != 1 || h.has_lost_pages)
		r = fsck_tell_index(f, "the index is damaged: its pages are not in order");
	if (r == 0)
		r = check_known_packs(f, &h, e);
	if (r == 0)
		r = check_unknown_packs(f, e);
	return r == 0 ? check_chunks(f, &h, e) : r;
}

int fsck_check_index(struct fsck *f, struct err *e)
{
	struct err why = { 0 };
	int r;

	f->is_index_bad = false;
	for (size_t i = 0; i < f->pack_count; i++)
		f->packs[i].number = 0;
	r = check_digest(f, e);
	if (r < 0 || f->is_index_bad)
		return r;
	r = check_with_child(f, &why);
	if (r == 0)
		return 0;
	index_child_free(f->child);
	f->child = NULL;
	if (r == -EUCLEAN)
		return fsck_tell_index(f, "%s", why.msg);
	return err_set(e, r, "%s", why.msg);
}

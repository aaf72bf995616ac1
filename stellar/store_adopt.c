/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs that are whole but not in the index: their writer died, or the host did, between the pack's
 * sync and the index entries; or the index is new.
 *
 * Such a pack's table may be on the disk and its payloads not, so each chunk is read and verified;
 * what is wrong is not entered. Packs without a table are left for gc.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"

enum { ROUNDS = 3 }; /* a dictionary may be in a pack that comes later */

struct adoption {
	struct store *store;
	struct store_reader *reader; /* owned */
	uint8_t *buf; /* owned: CHUNK_MAX_BYTES */
	uint64_t waiting; /* packs of a round with such chunks */
	uint64_t missing; /* chunks of a pack that wait for something the store does not have yet */
	uint64_t unread; /* chunks of it that could not be read now, and perhaps later */
};

/* Marks what is not as it should be by kind 0, which the index does not take. */
static int verify(struct adoption *a, const struct pack *p, struct pack_table *t, struct err *e)
{
	for (uint32_t i = 0; i < t->count; i++) {
		struct err why = { 0 };
		const int r = store_reader_check(a->reader, p, &t->entries[i], a->buf, &why);

		if (r == -EBADMSG || r == -ENOENT || r == -EIO) {
			a->missing += r == -ENOENT;
			a->unread += r == -EIO;
			t->entries[i].kind = 0;
		} else if (r < 0) {
			return err_set(e, r, "%s", why.msg);
		}
	}
	return 0;
}

static int enter(struct adoption *a, const struct pack *p, const struct pack_table *t,
		 struct err *e)
{
	struct index_writer *w;
	uint32_t number;
	int r = index_begin(&w, a->store->index, e);

	if (r < 0)
		return r;
	r = index_add_pack(w, pack_get_id(p), pack_file_bytes(p), t->entries, t->count, false,
			   &number, e);
	if (r < 0) {
		index_abort(w);
		return r;
	}
	return index_commit(w, e);
}

/* Whether the index has the pack now. */
static int is_known(struct adoption *a, const struct pack_id *id, struct err *e)
{
	struct index_pack known;

	return index_find_pack_id(store_reader_index(a->reader), id, &known, e);
}

/*
 * A pack that waits for a dictionary may have it in the next round; one that cannot be read is left
 * for another day, unless this is a repair, which wants all that can be had.
 */
static bool may_enter(const struct adoption *a, bool is_last)
{
	if (a->unread > 0)
		return a->store->mode == STORE_EXCLUSIVE;
	return is_last || a->missing == 0;
}

static int adopt(struct adoption *a, const struct pack_id *id, bool is_last, struct err *e)
{
	struct pack *p = NULL;
	struct pack_table t = { 0 };
	struct err why = { 0 };
	int r = is_known(a, id, e);

	if (r != 0)
		return r < 0 ? r : 0;
	if (pack_open(&p, &a->store->place, id, &why) < 0)
		return why.code == -ENOMEM ? err_set(e, -ENOMEM, "%s", why.msg) : 0;
	/* Its writer enters it before it lets go of the lock; gc removes it before it does. */
	if (pack_lock(p, &a->store->place)) {
		r = store_reader_renew(a->reader, e);
		if (r == 0)
			r = is_known(a, id, e);
		if (r == 0 && pack_read_table(p, &a->store->scheme, &t, &why) == 0) {
			a->missing = a->unread = 0;
			r = verify(a, p, &t, e);
			a->waiting += a->missing > 0;
			if (r == 0 && may_enter(a, is_last))
				r = enter(a, p, &t, e);
		}
	}
	pack_table_release(&t);
	pack_close(p);
	return r < 0 ? r : 0;
}

/*
 * One time through the folder; when @is_look only to see whether there is anything to do, which
 * a->waiting says then.
 */
static int round_trip(struct adoption *a, bool is_look, bool is_last, struct err *e)
{
	const int copy = openat(a->store->packs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	struct pack_id id;
	int r = 0;

	if (!dir) {
		r = err_errno(e, -errno, "cannot read the folder %s/packs",
			      quote(a->store->path).text);
		if (copy >= 0)
			close(copy);
		return r;
	}
	a->waiting = 0;
	while (r == 0 && (entry = readdir(dir))) {
		if (pack_id_from_name(&id, entry->d_name) < 0)
			continue;
		if (!is_look) {
			r = adopt(a, &id, is_last, e);
			continue;
		}
		r = is_known(a, &id, e);
		a->waiting += r == 0;
		r = r < 0 ? r : 0;
	}
	closedir(dir);
	return r;
}

static int all_rounds(struct adoption *a, struct err *e)
{
	/* One does it; who opens the store meanwhile waits until everything is there. */
	auto_fd int lock = openat(a->store->dir_fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = lock < 0 ? -errno : file_lock(lock, LOCK_EX);

	if (r < 0)
		return err_errno(e, r, "cannot lock the folder 'index'");
	for (unsigned i = 0; i < ROUNDS && r == 0; i++) {
		r = round_trip(a, false, i == ROUNDS - 1, e);
		if (a->waiting == 0)
			break;
	}
	return r;
}

int store_adopt_packs(struct store *s, struct err *e)
{
	struct adoption a = { .store = s };
	int r = store_reader_new(&a.reader, s, e);

	if (r == 0)
		r = round_trip(&a, true, false, e);
	if (r == 0 && a.waiting > 0) {
		a.buf = malloc(CHUNK_MAX_BYTES);
		r = a.buf ? all_rounds(&a, e) : err_set(e, -ENOMEM, "out of memory");
	}
	store_reader_free(a.reader);
	free(a.buf);
	return r;
}

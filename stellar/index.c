/* SPDX-License-Identifier: Apache-2.0 */
/* The index: opening it. */
#include "stellar/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "stellar/index_impl.h"

enum { READERS_MAX = 1024, DATABASES = 4 };

/*
 * The largest index: address space, not memory. 256 GiB hold over two thousand million chunks. Less
 * when the process may not have so much.
 */
static const size_t map_bytes[] = { (size_t)256 << 30, (size_t)32 << 30, (size_t)4 << 30,
				    (size_t)512 << 20 };

int index_error(int code, struct err *e, const char *what)
{
	switch (code) {
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_BAD_VALSIZE:
	case MDB_INCOMPATIBLE:
	case MDB_NOTFOUND:
	case MDB_PANIC:
		return err_set(e, -EUCLEAN,
			       "cannot %s the index: it is damaged (%s); 'fsck --rebuild-index' "
			       "makes it anew",
			       what, mdb_strerror(code));
	case MDB_MAP_FULL:
		return err_set(e, -ENOSPC, "cannot %s the index: it is as large as it can be",
			       what);
	case MDB_READERS_FULL:
		return err_set(e, -EAGAIN,
			       "cannot %s the index: %d processes and threads read it already",
			       what, READERS_MAX);
	default:
		if (code < 0)
			return err_set(e, -EIO, "cannot %s the index: %s", what,
				       mdb_strerror(code));
		return err_errno(e, -code, "cannot %s the index", what);
	}
}

/* --- opening ------------------------------------------------------------------------------- */

static int open_env(struct index *x, const char *path, unsigned flags, struct err *e)
{
	int r = ENOMEM;

	flags |= MDB_NOTLS | MDB_NORDAHEAD;
	for (size_t i = 0; i < ARRAY_LEN(map_bytes) && r == ENOMEM; i++) {
		mdb_env_close(x->env);
		x->env = NULL;
		r = mdb_env_create(&x->env);
		if (r == 0)
			r = mdb_env_set_mapsize(x->env, map_bytes[i]);
		if (r == 0)
			r = mdb_env_set_maxreaders(x->env, READERS_MAX);
		if (r == 0)
			r = mdb_env_set_maxdbs(x->env, DATABASES);
		if (r == 0)
			r = mdb_env_open(x->env, path, flags, 0666);
		/* On a file system that cannot be written nobody else writes either. */
		if (r == EROFS && flags & MDB_RDONLY)
			r = mdb_env_open(x->env, path, flags | MDB_NOLOCK, 0666);
	}
	return r == 0 ? 0 : index_error(r, e, "open");
}

static int check_about(struct index *x, MDB_txn *txn, struct err *e)
{
	MDB_val key = { sizeof(INDEX_KEY_ABOUT), (void *)(uintptr_t)INDEX_KEY_ABOUT }, value;
	struct index_about about;
	const int r = mdb_get(txn, x->meta, &key, &value);

	if (r != 0)
		return index_error(r, e, "read");
	if (value.mv_size != sizeof(about))
		return index_error(MDB_CORRUPTED, e, "read");
	memcpy(&about, value.mv_data, sizeof(about));
	if (le32_get(about.version) != STORE_VERSION ||
	    memcmp(about.uuid, x->uuid, sizeof(about.uuid)) != 0)
		return err_set(e, -EUCLEAN,
			       "the index is another store's; 'fsck --rebuild-index' makes it "
			       "anew");
	return 0;
}

static int put_about(struct index *x, MDB_txn *txn, struct err *e)
{
	MDB_val key = { sizeof(INDEX_KEY_ABOUT), (void *)(uintptr_t)INDEX_KEY_ABOUT };
	struct index_about about = { .version = le32_put(STORE_VERSION) };
	MDB_val value = { sizeof(about), &about };
	int r;

	memcpy(about.uuid, x->uuid, sizeof(about.uuid));
	r = mdb_put(txn, x->meta, &key, &value, 0);
	return r == 0 ? 0 : index_error(r, e, "write");
}

static int open_databases(struct index *x, enum index_mode mode, struct err *e)
{
	const struct {
		const char *name;
		MDB_dbi *dbi;
	} all[DATABASES] = { { "chunks", &x->chunks },
			     { "packs", &x->packs },
			     { "numbers", &x->numbers },
			     { "meta", &x->meta } };
	const bool is_new = mode == INDEX_CREATE;
	MDB_txn *txn;
	int r = mdb_txn_begin(x->env, NULL, is_new ? 0 : MDB_RDONLY, &txn);

	if (r != 0)
		return index_error(r, e, "open");
	for (size_t i = 0; i < DATABASES; i++) {
		r = mdb_dbi_open(txn, all[i].name, is_new ? MDB_CREATE : 0, all[i].dbi);
		if (r != 0) {
			mdb_txn_abort(txn);
			return index_error(r, e, "open");
		}
	}
	r = is_new ? put_about(x, txn, e) : check_about(x, txn, e);
	if (r < 0) {
		mdb_txn_abort(txn);
		return r;
	}
	r = mdb_txn_commit(txn); /* also of a reading one: it keeps the handles */
	return r == 0 ? 0 : index_error(r, e, "open");
}

/* What is there, in @path. */
static int open_old(struct index *x, const char *path, enum index_mode mode, struct err *e)
{
	if (faccessat(x->folder_fd, INDEX_FILE, F_OK, 0) < 0)
		return err_set(e, -ENOENT,
			       "%s has no " INDEX_FILE "; 'fsck --rebuild-index' makes it anew",
			       quote(path).text);
	return open_env(x, path, mode == INDEX_READ_ONLY ? MDB_RDONLY : 0, e);
}

/* A new one aside; what a crash left of another goes. */
static int open_new(struct index *x, const char *path, struct err *e)
{
	auto_free char *file = NULL;

	if (asprintf(&file, "%s/" INDEX_ASIDE, path) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	if (unlinkat(x->folder_fd, INDEX_ASIDE, 0) < 0 && errno != ENOENT)
		return err_errno(e, -errno, "cannot remove %s", quote(file).text);
	return open_env(x, file, MDB_NOSUBDIR | MDB_NOLOCK, e);
}

int index_open(struct index **out, const char *store_path, const uint8_t *uuid,
	       enum index_mode mode, struct err *e)
{
	struct index *x = calloc(1, sizeof(*x));
	auto_free char *path = NULL;
	int dead, r = 0;

	if (!x || asprintf(&path, "%s/index", store_path) < 0) {
		free(x);
		return err_set(e, -ENOMEM, "out of memory");
	}
	memcpy(x->uuid, uuid, sizeof(x->uuid));
	x->folder_fd = -1;
	x->is_aside = mode == INDEX_CREATE;
	if (x->is_aside && mkdir(path, 0777) < 0 && errno != EEXIST)
		r = err_errno(e, -errno, "cannot make %s", quote(path).text);
	if (r == 0)
		x->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && x->folder_fd < 0)
		r = err_errno(e, -errno, "cannot open %s", quote(path).text);
	if (r == 0)
		r = x->is_aside ? open_new(x, path, e) : open_old(x, path, mode, e);
	if (r == 0 && !x->is_aside) {
		mdb_reader_check(x->env, &dead);
		r = index_check_digest(x, e);
		if (r == -ENODATA)
			r = 0;
	}
	if (r == 0)
		r = open_databases(x, mode, e);
	if (r < 0) {
		index_close(x);
		return r;
	}
	*out = x;
	return 0;
}

void index_close(struct index *x)
{
	if (!x)
		return;
	if (x->is_dirty && !x->is_doubtful)
		index_digest_leave(x);
	mdb_env_close(x->env);
	if (x->is_aside && x->folder_fd >= 0)
		unlinkat(x->folder_fd, INDEX_ASIDE, 0);
	cleanup_fd(&x->folder_fd);
	free(x);
}

int index_sync(struct index *x, struct err *e)
{
	const int r = mdb_env_sync(x->env, 1);

	if (r != 0)
		x->is_doubtful = true;
	return r == 0 ? 0 : index_error(r, e, "sync");
}

/* --- a new one ----------------------------------------------------------------------------- */

/*
 * A digest speaks of the old file, so it goes first, durably. The locks of LMDB are the old file's too;
 * it makes new ones.
 */
static int replace_file(struct index *x, struct err *e)
{
	int r = index_sync(x, e);

	if (r == 0)
		r = index_digest_drop(x, e);
	if (r < 0)
		return r;
	if (renameat(x->folder_fd, INDEX_ASIDE, x->folder_fd, INDEX_FILE) < 0)
		return err_errno(e, -errno, "cannot put the new index in place");
	x->is_aside = false;
	if ((unlinkat(x->folder_fd, "lock.mdb", 0) < 0 && errno != ENOENT) ||
	    fsync(x->folder_fd) < 0)
		return err_errno(e, -errno, "cannot sync the folder 'index'");
	x->is_dirty = true; /* leaves a digest of its own */
	return 0;
}

int index_put_in_place(struct index *x, struct err *e)
{
	const int r = replace_file(x, e);

	index_close(x);
	return r;
}

uint64_t index_remove_leftover(struct index *x)
{
	struct stat st;

	if (fstatat(x->folder_fd, INDEX_ASIDE, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    unlinkat(x->folder_fd, INDEX_ASIDE, 0) < 0)
		return 0;
	return (uint64_t)st.st_size;
}

int index_remake(const char *store_path, const uint8_t *uuid, struct err *e)
{
	struct index *x;
	const int r = index_open(&x, store_path, uuid, INDEX_CREATE, e);

	return r < 0 ? r : index_put_in_place(x, e);
}

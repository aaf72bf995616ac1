/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of the index's file: says of a file that nobody writes whether it is as it was left.
 *
 * It may lie there only while the file is as it says, also after a crash, so it is removed, durably,
 * before a writer may change a page, and written under the lock of writers. When it is not there,
 * nothing is known; that is no fault.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/index_impl.h"

enum {
	/* Up to here a writer takes the time for it at its end, and a reader at its begin. */
	DIGEST_WRITE_MAX_BYTES = 256 << 20,
	DIGEST_OPEN_MAX_BYTES = 16 << 20,
};

#define DIGEST_NAME "digest"
#define DIGEST_TEMPORARY "+tmp.digest"

/* BLAKE3 of data.mdb as it is now; its length in @bytes. */
static int digest_file(const struct index *x, uint64_t max_bytes, uint64_t *bytes,
		       uint8_t digest[static STORE_SUM_BYTES])
{
	auto_fd int fd = openat(x->folder_fd, "data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct id_scheme plain;
	struct chunk_id id;
	struct stat st;
	void *all;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	*bytes = (uint64_t)st.st_size;
	if (*bytes == 0 || *bytes > max_bytes)
		return -EFBIG;
	all = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED)
		return -errno;
	id_scheme_init(&plain, NULL);
	id_of_data(&plain, all, *bytes, &id);
	munmap(all, *bytes);
	memcpy(digest, id.bytes, STORE_SUM_BYTES);
	return 0;
}

static uint64_t last_transaction(const struct index *x)
{
	MDB_envinfo info = { 0 };

	mdb_env_info(x->env, &info);
	return info.me_last_txnid;
}

/* The digest that lies there. False: none that can be used. */
static bool read_digest(const struct index *x, struct st_index_digest *d)
{
	auto_fd int fd = openat(x->folder_fd, DIGEST_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct id_scheme plain;
	uint8_t sum[STORE_SUM_BYTES];

	if (fd < 0 || file_pread_full(fd, d, sizeof(*d), 0) != sizeof(*d))
		return false;
	id_scheme_init(&plain, NULL);
	id_sum(&plain, d, offsetof(struct st_index_digest, sum), sum);
	return memcmp(sum, d->sum, sizeof(sum)) == 0 &&
	       memcmp(d->magic, DIGEST_MAGIC, sizeof(d->magic)) == 0 &&
	       le32_get(d->version) == STORE_VERSION;
}

/* Whether the file is as @d says; -ENODATA: it has been written since, or is too long for now. */
static int compare(const struct index *x, const struct st_index_digest *d, uint64_t max_bytes)
{
	uint8_t digest[STORE_SUM_BYTES];
	uint64_t bytes;

	if (le64_get(d->transaction) != last_transaction(x) ||
	    digest_file(x, max_bytes, &bytes, digest) < 0)
		return -ENODATA;
	return bytes == le64_get(d->bytes) && memcmp(digest, d->digest, sizeof(digest)) == 0
		       ? 0
		       : -EUCLEAN;
}

int index_check_digest(struct index *x, struct err *e)
{
	struct st_index_digest d;
	unsigned flags = 0;
	MDB_txn *txn;
	int r;

	if (!read_digest(x, &d))
		return -ENODATA;
	r = compare(x, &d, DIGEST_OPEN_MAX_BYTES);
	mdb_env_get_flags(x->env, &flags);
	if (r != -EUCLEAN)
		return r;
	/* A writer may have begun meanwhile; with its lock there is none, or the digest is gone. */
	if (!(flags & MDB_RDONLY)) {
		if (mdb_txn_begin(x->env, NULL, 0, &txn) != 0)
			return -ENODATA;
		r = read_digest(x, &d) ? compare(x, &d, DIGEST_OPEN_MAX_BYTES) : -ENODATA;
		mdb_txn_abort(txn);
	} else if (!read_digest(x, &d)) {
		r = -ENODATA;
	}
	if (r == -EUCLEAN)
		return err_set(e, r,
			       "the index is damaged: 'index/data.mdb' is not as it was left; "
			       "'fsck --rebuild-index' makes it anew");
	return r;
}

int index_digest_drop(struct index *x, struct err *e)
{
	if (unlinkat(x->folder_fd, DIGEST_NAME, 0) < 0)
		return errno == ENOENT
			       ? 0
			       : err_errno(e, -errno, "cannot remove 'index/" DIGEST_NAME "'");
	if (fsync(x->folder_fd) < 0)
		return err_errno(e, -errno, "cannot sync the folder 'index'");
	return 0;
}

/* What cannot be done here is not missed. */
void index_digest_leave(struct index *x)
{
	struct st_index_digest d = { .version = le32_put(STORE_VERSION) };
	struct id_scheme plain;
	uint64_t bytes;
	MDB_txn *txn;
	auto_fd int fd = -1;

	if (index_sync(x, NULL) < 0 || mdb_txn_begin(x->env, NULL, 0, &txn) != 0)
		return;
	memcpy(d.magic, DIGEST_MAGIC, sizeof(d.magic));
	d.transaction = le64_put(last_transaction(x));
	if (digest_file(x, DIGEST_WRITE_MAX_BYTES, &bytes, d.digest) == 0) {
		d.bytes = le64_put(bytes);
		id_scheme_init(&plain, NULL);
		id_sum(&plain, &d, offsetof(struct st_index_digest, sum), d.sum);
		fd = openat(x->folder_fd, DIGEST_TEMPORARY,
			    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (fd >= 0 && file_pwrite_full(fd, &d, sizeof(d), 0) == 0)
			renameat(x->folder_fd, DIGEST_TEMPORARY, x->folder_fd, DIGEST_NAME);
		else
			unlinkat(x->folder_fd, DIGEST_TEMPORARY, 0);
	}
	mdb_txn_abort(txn);
}

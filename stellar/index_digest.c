/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of the index's file: says of a file that nobody writes whether it is as it was left.
 *
 * It may lie there only while the file is as it says, also after a crash, so it is removed, durably,
 * before a writer may change a page, and written under the lock of writers. When it is not there,
 * nothing is known; that is no fault.
 */
#include <blake3.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/index_impl.h"

enum {
	/* Up to here a writer takes the time for it at its end, and a reader at its begin. */
	DIGEST_WRITE_MAX_BYTES = 256 << 20,
	DIGEST_OPEN_MAX_BYTES = 16 << 20,
	READ_BYTES = 1 << 20,
	TRIES = 4,
};

#define DIGEST_NAME "digest"
#define DIGEST_TEMPORARY "+tmp.digest"

/* BLAKE3 of data.mdb as it is now; its length in @bytes. */
static int digest_file(int folder_fd, uint64_t max_bytes, uint64_t *bytes,
		       uint8_t digest[static STORE_SUM_BYTES])
{
	auto_fd int fd = openat(folder_fd, INDEX_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	auto_free uint8_t *buf = malloc(READ_BYTES);
	blake3_hasher hasher;
	struct stat st;
	ssize_t n = READ_BYTES;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!buf)
		return -ENOMEM;
	if (st.st_size == 0 || (uint64_t)st.st_size > max_bytes)
		return -EFBIG;
	blake3_hasher_init(&hasher);
	for (*bytes = 0; n == READ_BYTES; *bytes += (uint64_t)n) {
		n = file_pread_full(fd, buf, READ_BYTES, (off_t)*bytes);
		if (n < 0)
			return (int)n;
		blake3_hasher_update(&hasher, buf, (size_t)n);
	}
	blake3_hasher_finalize(&hasher, digest, STORE_SUM_BYTES);
	return 0;
}

static uint64_t last_transaction(const struct index *x)
{
	MDB_envinfo info = { 0 };

	mdb_env_info(x->env, &info);
	return info.me_last_txnid;
}

static bool is_valid(const struct st_index_digest *d)
{
	struct id_scheme plain;
	uint8_t sum[STORE_SUM_BYTES];

	id_scheme_init(&plain, NULL);
	id_sum(&plain, d, offsetof(struct st_index_digest, sum), sum);
	return memcmp(sum, d->sum, sizeof(sum)) == 0 &&
	       memcmp(d->magic, DIGEST_MAGIC, sizeof(d->magic)) == 0 &&
	       le32_get(d->version) == STORE_VERSION;
}

/* The digest that lies there. False: none that can be used. */
static bool read_digest(int folder_fd, struct st_index_digest *d)
{
	auto_fd int fd = openat(folder_fd, DIGEST_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && file_pread_full(fd, d, sizeof(*d), 0) == sizeof(*d) && is_valid(d);
}

/* Whether the file is as @d says; -ENODATA: it has been written since, or is too long for now. */
static int compare(const struct index *x, const struct st_index_digest *d, uint64_t max_bytes)
{
	uint8_t digest[STORE_SUM_BYTES];
	uint64_t bytes;

	if (le64_get(d->transaction) != last_transaction(x) ||
	    digest_file(x->folder_fd, max_bytes, &bytes, digest) < 0)
		return -ENODATA;
	return bytes == le64_get(d->bytes) && memcmp(digest, d->digest, sizeof(digest)) == 0
		       ? 0
		       : -EUCLEAN;
}

int index_check_digest(struct index *x, struct err *e)
{
	struct st_index_digest d, again;
	unsigned flags = 0;
	MDB_txn *txn;
	int r;

	if (!read_digest(x->folder_fd, &d))
		return -ENODATA;
	r = compare(x, &d, DIGEST_OPEN_MAX_BYTES);
	mdb_env_get_flags(x->env, &flags);
	if (r != -EUCLEAN)
		return r;
	/* A writer may have begun meanwhile; with its lock there is none, or the digest is gone. */
	if (!(flags & MDB_RDONLY)) {
		if (mdb_txn_begin(x->env, NULL, 0, &txn) != 0)
			return -ENODATA;
		r = read_digest(x->folder_fd, &d) ? compare(x, &d, DIGEST_OPEN_MAX_BYTES)
						  : -ENODATA;
		mdb_txn_abort(txn);
	} else if (!read_digest(x->folder_fd, &again) || memcmp(&again, &d, sizeof(d)) != 0) {
		r = -ENODATA; /* a writer came and went */
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

static int leave_digest(struct index *x, uint64_t max_bytes, struct err *e)
{
	struct st_index_digest d = { .version = le32_put(STORE_VERSION) };
	struct id_scheme plain;
	uint64_t bytes;
	MDB_txn *txn;
	auto_fd int fd = -1;
	int r = index_sync(x, e);

	if (r < 0)
		return r;
	r = mdb_txn_begin(x->env, NULL, 0, &txn);
	if (r != 0)
		return index_error(r, e, "lock");
	memcpy(d.magic, DIGEST_MAGIC, sizeof(d.magic));
	d.transaction = le64_put(last_transaction(x));
	r = digest_file(x->folder_fd, max_bytes, &bytes, d.digest);
	if (r == 0) {
		d.bytes = le64_put(bytes);
		id_scheme_init(&plain, NULL);
		id_sum(&plain, &d, offsetof(struct st_index_digest, sum), d.sum);
		fd = openat(x->folder_fd, DIGEST_TEMPORARY,
			    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
		r = fd < 0 ? -errno : file_pwrite_full(fd, &d, sizeof(d), 0);
		if (r == 0 &&
		    renameat(x->folder_fd, DIGEST_TEMPORARY, x->folder_fd, DIGEST_NAME) < 0)
			r = -errno;
		if (r < 0)
			unlinkat(x->folder_fd, DIGEST_TEMPORARY, 0);
	}
	mdb_txn_abort(txn);
	return r < 0 ? err_errno(e, r, "cannot leave a digest of the index") : 0;
}

/* What cannot be done here is not missed. */
void index_digest_leave(struct index *x)
{
	leave_digest(x, DIGEST_WRITE_MAX_BYTES, NULL);
}

int index_leave_digest(struct index *x, struct err *e)
{
	return leave_digest(x, UINT64_MAX, e);
}

/* --- of a file that is not open ------------------------------------------------------------ */

/* -EBADMSG: a digest that was written once, and is not as it was. */
static int read_digest_of_file(int folder_fd, struct st_index_digest *d, struct err *e)
{
	static const struct st_index_digest never_written;
	uint8_t raw[sizeof(*d) + 1];
	const ssize_t n = file_read_head(folder_fd, DIGEST_NAME, raw, sizeof(raw));

	if (n == -ENOENT)
		return -ENODATA;
	if (n < 0)
		return err_errno(e, n == -EIO ? -EIO : -EBADMSG,
				 "cannot read 'index/" DIGEST_NAME "'");
	/* It is not synced by who writes it. */
	if (n == 0 || memcmp(raw, &never_written, min_u64((uint64_t)n, sizeof(*d))) == 0)
		return -ENODATA;
	memcpy(d, raw, sizeof(*d));
	if (n != sizeof(*d) || !is_valid(d) || le32_get(d->zero) != 0)
		return err_set(e, -EBADMSG, "'index/" DIGEST_NAME "' is damaged");
	return 0;
}

int index_check_file(int folder_fd, struct err *e)
{
	struct st_index_digest d, again;
	uint8_t digest[STORE_SUM_BYTES];
	uint64_t bytes = 0;
	int r;

	for (unsigned i = 0; i < TRIES; i++) {
		r = read_digest_of_file(folder_fd, &d, e);
		if (r < 0)
			return r;
		r = digest_file(folder_fd, UINT64_MAX, &bytes, digest);
		if (r == -EIO || r == -ENOMEM)
			return err_errno(e, r, "cannot read 'index/data.mdb'");
		if (r == 0 && bytes == le64_get(d.bytes) &&
		    memcmp(digest, d.digest, sizeof(digest)) == 0)
			return 0;
		/* A writer may have begun meanwhile; it takes the digest away first. */
		if (read_digest(folder_fd, &again) && memcmp(&again, &d, sizeof(d)) == 0)
			return err_set(e, -EUCLEAN, "the index is damaged: 'index/data.mdb' is %s",
				       r < 0 ? "missing or empty" : "not as it was left");
	}
	return -ENODATA;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A lease of our own: see lease.h. What all leases say is read in lease_set.c. */
#include "stellar/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/lease_impl.h"

enum { LEASE_MODE = 0644, NEW_MAX_TRIES = 1000 };

struct lease {
	int leases_fd; /* a copy of our own */
	int fd;
	char file[LEASE_FILE_NAME_BYTES];
	pthread_mutex_t lock; /* of what follows */
	void *known; /* tree of struct st_lease_record, owned: what is in the file */
	off_t len;
};

/* --- making and removing --------------------------------------------------------------------- */

static int random_name(char file[static LEASE_FILE_NAME_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t random[LEASE_NAME_DIGITS / 2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++) {
		file[2 * i] = digits[random[i] >> 4];
		file[2 * i + 1] = digits[random[i] & 15];
	}
	memcpy(file + LEASE_NAME_DIGITS, LEASE_SUFFIX, sizeof(LEASE_SUFFIX));
	return 0;
}

/* 1: done, 0: gc looked at the file before it was locked, and took it for a dead one. */
static int try_new(struct lease *l)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	auto_fd int fd = -1;
	int r = random_name(l->file);

	if (r < 0)
		return r;
	fd = openat(l->leases_fd, l->file, flags, LEASE_MODE);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	r = file_lock(fd, LOCK_EX | LOCK_NB);
	if (r == 0 && file_is_named(fd, l->leases_fd, l->file)) {
		l->fd = take_fd(&fd);
		return 1;
	}
	unlinkat(l->leases_fd, l->file, 0);
	return r == -EWOULDBLOCK ? 0 : r;
}

int lease_new(struct lease **out, int leases_fd, struct err *e)
{
	struct lease *l = calloc(1, sizeof(*l));
	int r = 0;

	if (!l)
		return err_set(e, -ENOMEM, "no memory for a lease of the store");
	l->fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	l->leases_fd = fcntl(leases_fd, F_DUPFD_CLOEXEC, 0);
	if (l->leases_fd < 0)
		r = -errno;
	for (int tries = 0; r == 0; tries++)
		r = tries < NEW_MAX_TRIES ? try_new(l) : -EAGAIN;
	if (r < 0) {
		lease_free(l);
		return err_errno(e, r, "cannot make a lease in the store's folder 'leases'");
	}
	*out = l;
	return 0;
}

void lease_free(struct lease *l)
{
	if (!l)
		return;
	if (l->fd >= 0) {
		unlinkat(l->leases_fd, l->file, 0);
		close(l->fd);
	}
	if (l->leases_fd >= 0)
		close(l->leases_fd);
	tdestroy(l->known, free);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* --- records --------------------------------------------------------------------------------- */

static int compare_records(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct st_lease_record));
}

/* The next record overwrites what a failed write has left, so records stay aligned. */
static int append_locked(struct lease *l, const struct st_lease_record *record)
{
	int r;

	if (l->len > (off_t)(LEASE_MAX_BYTES - sizeof(*record)))
		return -EFBIG;
	r = file_pwrite_full(l->fd, record, sizeof(*record), l->len);
	if (r == 0)
		l->len += (off_t)sizeof(*record);
	return r;
}

static int add_locked(struct lease *l, const struct st_lease_record *record)
{
	struct st_lease_record *copy;
	int r;

	if (tfind(record, &l->known, compare_records))
		return 0;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *record;
	if (!tsearch(copy, &l->known, compare_records)) {
		free(copy);
		return -ENOMEM;
	}
	r = append_locked(l, record);
	if (r < 0) {
		tdelete(record, &l->known, compare_records);
		free(copy);
	}
	return r;
}

static int add(struct lease *l, const struct st_lease_record *record, struct err *e)
{
	int r;

	pthread_mutex_lock(&l->lock);
	r = add_locked(l, record);
	pthread_mutex_unlock(&l->lock);
	if (r < 0)
		return err_errno(e, r, "cannot write the store's lease '%s'", l->file);
	return 0;
}

int lease_add_image(struct lease *l, const struct chunk_id *image, struct err *e)
{
	struct st_lease_record record = { .kind = LEASE_IMAGE };

	memcpy(record.id, image->bytes, sizeof(image->bytes));
	return add(l, &record, e);
}

int lease_add_pack(struct lease *l, const struct pack_id *pack, struct err *e)
{
	struct st_lease_record record = { .kind = LEASE_PACK };

	memcpy(record.id, pack->bytes, sizeof(pack->bytes));
	return add(l, &record, e);
}

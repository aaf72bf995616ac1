/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are replaced as a whole: see file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

/* Each further try means that another writer has finished or died in between. */
enum { TEMPORARY_MAX_TRIES = 10000 };

/* What the slot held before. */
struct old_file {
	uint8_t *bytes; /* owned */
	ssize_t len; /* -ENOENT: no such file; else -errno: not known */
};

/* Waits for a living writer of the slot, and removes what a dead one has left. */
static int clear_temporary(const struct file_slot *slot)
{
	auto_fd int fd = file_open_regular(slot->dir_fd, slot->temporary, O_RDONLY);
	int r = fd;

	if (r == -ENOENT)
		return 0;
	if (r < 0 && r != -EINVAL)
		return r;
	if (r >= 0) {
		r = file_lock(fd, LOCK_EX);
		if (r < 0)
			return r;
		if (!file_is_named(fd, slot->dir_fd, slot->temporary))
			return 0;
	}
	if (unlinkat(slot->dir_fd, slot->temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* A new, empty, locked file. */
static int make_temporary(const struct file_slot *slot)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

	for (int tries = 0; tries < TEMPORARY_MAX_TRIES; tries++) {
		auto_fd int fd = openat(slot->dir_fd, slot->temporary, flags, slot->mode);
		int r;

		if (fd < 0 && errno != EEXIST)
			return -errno;
		r = fd < 0 ? clear_temporary(slot) : file_lock(fd, LOCK_EX);
		if (r < 0)
			return r;
		/* Before it was locked it could be taken for a left-over. */
		if (fd >= 0 && file_is_named(fd, slot->dir_fd, slot->temporary))
			return take_fd(&fd);
	}
	return -EAGAIN;
}

/* Writes the temporary file; it is durable then. */
static int write_temporary(int fd, const void *bytes, size_t len)
{
	int r = file_write_full(fd, bytes, len);

	if (r < 0)
		return r;
	return fsync(fd) < 0 ? -errno : 0;
}

static int move_temporary(const struct file_slot *slot)
{
	const unsigned int flags = slot->may_replace ? 0 : RENAME_NOREPLACE;

	if (renameat2(slot->dir_fd, slot->temporary, slot->dir_fd, slot->name, flags) < 0)
		return -errno;
	return 0;
}

/* Reads what undo() may have to put back. */
static int remember(const struct file_slot *slot, struct old_file *old)
{
	const size_t cap = (size_t)FILE_UNDO_MAX_BYTES + 1;

	old->len = -ENOENT;
	if (!slot->may_replace)
		return 0;
	old->bytes = malloc(cap);
	if (!old->bytes)
		return -ENOMEM;
	old->len = file_read_head(slot->dir_fd, slot->name, old->bytes, cap);
	if (old->len == (ssize_t)cap)
		old->len = -EFBIG;
	return 0;
}

/* The rename of @fd may be lost: takes it back, as far as that works, unless others went on from it. */
static void undo(const struct file_slot *slot, int fd, const struct old_file *old)
{
	struct file_slot back = *slot;
	auto_fd int old_fd = -1;

	if (!file_is_named(fd, slot->dir_fd, slot->name))
		return;
	if (old->len == -ENOENT) {
		unlinkat(slot->dir_fd, slot->name, 0);
	} else if (old->len >= 0) {
		back.may_replace = true;
		old_fd = make_temporary(&back);
		if (old_fd < 0)
			return;
		if (write_temporary(old_fd, old->bytes, (size_t)old->len) < 0 ||
		    move_temporary(&back) < 0)
			unlinkat(back.dir_fd, back.temporary, 0);
	}
	fsync(slot->dir_fd);
}

static int replace(const struct file_slot *slot, int fd, const struct old_file *old,
		   const void *bytes, size_t len)
{
	int r = write_temporary(fd, bytes, len);

	if (r == 0)
		r = move_temporary(slot);
	if (r < 0) {
		unlinkat(slot->dir_fd, slot->temporary, 0);
		return r;
	}
	if (fsync(slot->dir_fd) < 0) {
		r = -errno;
		undo(slot, fd, old);
	}
	return r;
}

int file_replace(const struct file_slot *slot, const void *bytes, size_t len)
{
	struct old_file old = { 0 };
	int r = make_temporary(slot);
	auto_fd int fd = r;

	if (fd < 0)
		return r;
	r = remember(slot, &old);
	if (r < 0)
		unlinkat(slot->dir_fd, slot->temporary, 0);
	else
		r = replace(slot, fd, &old, bytes, len);
	free(old.bytes);
	return r;
}

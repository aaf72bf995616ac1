/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole reads and writes, and small files that others may have touched: regular ones only, so that
 * nothing that lies in a folder can make us wait or act. Loops over short counts and EINTR.
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Reads up to @len bytes at @offset; fewer only at the end of the file. Returns the count or
 * -errno.
 */
ssize_t file_pread_full(int fd, void *buf, size_t len, off_t offset);

/* Writes all @len bytes. Returns 0 or -errno (some bytes may have been written then). */
int file_pwrite_full(int fd, const void *buf, size_t len, off_t offset);
int file_write_full(int fd, const void *buf, size_t len);

/*
 * Opens the regular file @name of the folder @dir_fd with @flags; close-on-exec. Returns the
 * descriptor or -errno; -EINVAL for anything else, a symbolic link too, which is not opened at all.
 */
int file_open_regular(int dir_fd, const char *name, int flags);

/* Reads up to @cap bytes from the begin of a regular file. Returns the count or -errno, as above. */
ssize_t file_read_head(int dir_fd, const char *name, void *buf, size_t cap);

/*
 * Opens /dev/null as each of the standard streams that the caller left closed, so that no file we open
 * becomes one. 0 or -errno. A jail has no /dev/null; whoever made the jail left none of them closed.
 */
int file_open_standard_streams(void);

/* flock(2) with @operation, which may wait. 0 or -errno (-EWOULDBLOCK for LOCK_NB). */
int file_lock(int fd, int operation);

/* Whether @name in the folder @dir_fd is the open file @fd, and not another one by now. */
bool file_is_named(int fd, int dir_fd, const char *name);

/* A file of the folder @dir_fd that is only ever replaced as a whole. */
struct file_slot {
	int dir_fd;
	const char *name;
	/* Its name until it is whole. Locked meanwhile, so writers of one slot take turns; what a
	 * dead one left behind is removed. */
	const char *temporary;
	mode_t mode;
	bool may_replace; /* false: -EEXIST when @name is there, whoever made it in between */
};

enum { FILE_UNDO_MAX_BYTES = 64 << 10 };

/*
 * Makes @bytes the content of the slot: write, fsync, rename, fsync of the folder. 0 when it is
 * durable, else -errno: the temporary file is gone, and @name is as it was. (When the last fsync
 * fails, the old content is put back, if it was at most FILE_UNDO_MAX_BYTES and that works.)
 */
int file_replace(const struct file_slot *slot, const void *bytes, size_t len);

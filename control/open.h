/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the files a VM works with: control does it, because machine has no file system.
 *
 * Each function returns a close-on-exec descriptor that the caller owns, or -errno with @e saying
 * which file, what is wrong, and what would work. @what is what the file is for: "kernel". Opening
 * never waits (a FIFO without a partner is an error) and never takes a controlling terminal. What
 * is checked is what was opened, not the path. Thread: any.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* @path is "/dev/kvm". */
int open_kvm(const char *path, struct err *e);

/* A regular file with something in it, to be read: kernel, initrd. */
int open_image(const char *what, const char *path, struct err *e);

/*
 * A regular file or a block device of whole 512-byte sectors, or none; with @is_direct past the page
 * cache.
 */
int open_drive(const char *path, bool is_read_only, bool is_direct, struct err *e);

/* Refuses a drive, @fd, that has no sector: most often the path is wrong. 0 or -EINVAL. */
int open_check_filled(int fd, const char *path, struct err *e);

/* Whether @fd is the file that @path names now. */
bool open_is_same_file(int fd, const char *path);

/*
 * Locks it (flock(2)): one may write, or any number may read. The lock belongs to the open file, so
 * it goes with the descriptor to another process, and ends with its last copy. 0, or -EBUSY when
 * somebody else is still in the way after half a second.
 */
int open_lock_drive(int fd, const char *path, bool is_read_only, struct err *e);

/*
 * A file that receives the guest's serial output at its end: created with mode 0600 if missing. A
 * regular file, FIFO or character device. Stays non-blocking, so that a reader who stops reading
 * cannot stop the guest.
 */
int open_console(const char *path, struct err *e);

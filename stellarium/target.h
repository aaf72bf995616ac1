/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an export goes: a new file, a block device, or a stream.
 *
 * A new file has no name until it is whole, so that being killed leaves nothing; where the file
 * system has no such files (O_TMPFILE), it has a temporary name beside the real one. A file that was
 * there is replaced all at once and gives its permissions to the new one; a symbolic link stays, and
 * what it leads to is replaced. A block device must not be in use.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum target_kind {
	TARGET_FILE, /* new: zeros need not be written */
	TARGET_DEVICE, /* a block device: at offsets, zeros too */
	TARGET_STREAM,
};

struct target {
	enum target_kind kind;
	int fd; /* owned; -1: closed */
	bool may_replace;
	int folder_fd; /* of a file; owned */
	char *folder; /* owned */
	char *name; /* in the folder; owned */
	char temporary[64]; /* "": it has no name */
};

/*
 * Opens @path, "-" for standard output,. @is_forced: a file may be replaced,
 * a device overwritten. 0 or -errno with @e filled.
 */
int target_open(struct target *t, const char *path, bool is_forced, struct err *e);

/* A device must be as long as the image. 0 or -ENOSPC. */
int target_check_length(const struct target *t, const char *path, uint64_t bytes, struct err *e);

/* All is written: makes it durable (@must_sync) and gives it its name. 0 or -errno. */
int target_commit(struct target *t, const char *path, bool must_sync, struct err *e);

/* Removes what has not been committed. Accepts one that was never opened but for fd -1. */
void target_close(struct target *t);

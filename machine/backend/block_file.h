/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw file or host block device as a disk, by preadv(), pwritev(), fdatasync() and fallocate().
 * Synchronous: done() runs inside submit(), and the caller's thread waits for the host's disk. The
 * bytes are the disk; no image format is ever looked for.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "machine/backend/block.h"

/*
 * Makes a backend of @fd, a regular file or block device that is open for reading, and for writing
 * unless @is_read_only; see block_disk.h for descriptors with O_DIRECT. Its size now is the
 * capacity. @id names the drive in messages. On success the backend owns @fd, on failure the caller
 * does. Close with block_close(). 0 or -errno with @e filled.
 */
int block_file_open(struct block_backend **out, int fd, bool is_read_only, const char *id,
		    struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where lines go that a reader picks up: a log, or metrics. A path names a file or a FIFO, which is
 * created as a file if there is nothing there and added to if there is; "fd:N" names a descriptor
 * that the program was started with.
 *
 * Writing never waits: what a full FIFO does not take is for the caller to keep or to drop. A FIFO
 * may be opened before its reader, and the reader may go and come again, since we hold its other
 * end too.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Opens @path for @what ("log"), which messages name. The descriptor is the caller's; -errno with
 * @e filled. A block device or a directory is refused: -ENOTSUP, -EISDIR.
 */
int line_target_open(const char *path, const char *what, struct err *e);

/*
 * Writes up to @len bytes to @fd, any descriptor: returns how many, or -EAGAIN when it takes none
 * now, or -errno. At most PIPE_BUF bytes go to a FIFO whole or not at all. SIGPIPE must be ignored.
 */
ssize_t line_target_write(int fd, const void *buf, size_t len);

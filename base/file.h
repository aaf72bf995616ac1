/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes: loops over short counts and EINTR. Thread: any. */
#pragma once

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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel or initrd file that control opened: its size, checked once, and reads that are whole or
 * fail with a message. The descriptor is all there is: no path is known here, so messages say "the
 * kernel" or "the initrd".
 *
 * The file may change under us. Every reader bounds its offsets by size_bytes and checks the bytes
 * it has read, so that a change gives an error or a different kernel, never a read outside a
 * buffer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "machine/mem.h"

struct image {
	const char *what; /* borrowed: a string literal, for messages */
	int fd; /* borrowed: the caller closes it after loading; -1 when `bytes` are all there is */
	const uint8_t *bytes; /* borrowed: a file that was unpacked; NULL for one that is read */
	uint64_t size_bytes; /* > 0 */
};

/*
 * Examines @fd, which must be a regular file or a block device with something in it. @what is the
 * noun for messages. Returns 0, or -errno with @e filled.
 */
int image_init(struct image *image, int fd, const char *what, struct err *e);

/* The same for the @len (> 0) bytes at @bytes, which outlive the image. */
void image_init_bytes(struct image *image, const uint8_t *bytes, uint64_t len, const char *what);

/* Are bytes [offset, offset + len) in the file? False also when the sum wraps. */
bool image_has(const struct image *image, uint64_t offset, uint64_t len);

/* Reads exactly @len bytes at @offset; -ENODATA when the file has fewer, or -errno. Fills @e. */
int image_read(const struct image *image, uint64_t offset, void *to, size_t len, struct err *e);

/* The same straight into guest RAM; -EFAULT when [to, to + len) is not RAM. A @len of 0 is fine. */
int image_load(const struct image *image, uint64_t offset, uint64_t len, const struct mem *mem,
	       struct gpa to, struct err *e);

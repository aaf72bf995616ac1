/* SPDX-License-Identifier: Apache-2.0 */
/* Disks for tests of block backends, and requests that are waited for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "machine/backend/block.h"

typedef int (*disk_opener)(struct block_backend **out, int fd, bool is_read_only, const char *id,
			   struct err *e);

/* A request with the place for its result. */
struct disk_io {
	struct block_request request;
	int calls; /* of done() */
	int result;
};

/* Descriptors of sparse disks: in memory, and in a file without a name in /tmp. */
int disk_memory(uint64_t bytes);
int disk_file(uint64_t bytes, int flags);

/* A second descriptor of the file behind @fd, with @flags; -errno. */
int disk_reopen(int fd, int flags);

/*
 * A loop device on a file of @bytes with blocks of @block_bytes, open with @flags, which vanishes
 * when it is closed; skips the test without the rights or the driver.
 */
int disk_loop(uint64_t bytes, uint32_t block_bytes, int flags);

/* Opens or fails the test. */
struct block_backend *disk_open(disk_opener open, int fd, bool is_read_only);

/* Fills @io; the length comes from @iov. disk_io_range() is for requests without memory. */
void disk_io_transfer(struct disk_io *io, enum block_op op, uint64_t offset, struct iovec *iov,
		      size_t count);
void disk_io_range(struct disk_io *io, enum block_op op, uint64_t offset, uint64_t len);

/* Waits until @io is done as an event loop would; fails the test after 20 seconds. */
void disk_wait(struct block_backend *backend, const struct disk_io *io);

/* Each submits, commits and waits; the result. */
int disk_transfer(struct block_backend *backend, enum block_op op, uint64_t offset,
		  struct iovec *iov, size_t count);
int disk_read(struct block_backend *backend, uint64_t offset, void *buf, size_t len);
int disk_write(struct block_backend *backend, uint64_t offset, const void *buf, size_t len);
int disk_range(struct block_backend *backend, enum block_op op, uint64_t offset, uint64_t len);
int disk_write_zeroes(struct block_backend *backend, uint64_t offset, uint64_t len, bool may_unmap);

/*
 * Mounts @fs with @options on /tmp in a new mount namespace of this process, a child that the test
 * has forked. False when that is not allowed here.
 */
bool disk_mount(const char *fs, const char *options);

enum { DISK_CHILD_SKIPS = 77 };

/* Runs @body in a child; it must return 0 or DISK_CHILD_SKIPS. */
void disk_in_child(int (*body)(disk_opener open), disk_opener open);

int disk_open_fds(void); /* how many this process has */

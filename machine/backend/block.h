/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host side of a disk: bytes at offsets, whatever holds them. Knows nothing of the guest or of
 * virtio.
 *
 * A request is the caller's memory and belongs to the backend from block_submit() until it calls
 * done(), exactly once. A backend may finish inside submit(), inside commit(), or later:
 *
 *   submit()   hands a request over; a backend that batches only notes it
 *   commit()   ends a batch: every request handed over is on its way when it returns
 *              block_commit_wait() allows it to wait for the disk, where that is for the better
 *   complete() is called when completion_fd is readable; finishes what is ready
 *
 * The caller owns the thread and the lock: it makes all calls under one lock, and done() runs inside
 * one of the three, so under the same lock. done() may submit further requests, the same one too;
 * those that are submitted inside complete() or commit() need no commit() of their own.
 *
 * Requests may finish in any order. A flush covers the writes that were done before it was
 * submitted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH, /* make finished writes survive a power cut; no range */
	BLOCK_DISCARD, /* the content of the range is not needed any more; it may read as anything */
	BLOCK_WRITE_ZEROES, /* the range reads as zeroes from now on */
};

struct block_request {
	enum block_op op;
	bool may_unmap; /* BLOCK_WRITE_ZEROES: the host may give the space back */
	uint64_t offset_bytes; /* the range lies within the capacity: the caller has checked */
	uint64_t len_bytes; /* > 0 but for a flush; the sum of iov for reads and writes */
	struct iovec *iov; /* borrowed until done(); the backend may use it up */
	size_t iov_count;

	/* @result: 0 when every byte was moved, else -errno and the range is undefined. */
	void (*done)(struct block_request *request, int result);
	void *opaque; /* the caller's */
};

struct block_backend;

struct block_backend_ops {
	void (*submit)(struct block_backend *backend, struct block_request *request);
	void (*commit)(struct block_backend *backend, bool may_wait); /* NULL: nothing to do */
	void (*complete)(struct block_backend *backend); /* NULL: nothing is finished later */

	/*
	 * Goes on with @fd in place of the file at hand; the size of the new one becomes the
	 * capacity. No request is in flight. Takes @fd on success; on failure nothing has changed.
	 */
	int (*replace)(struct block_backend *backend, int fd, struct err *e);

	/* Frees the backend. No request is in flight. */
	void (*close)(struct block_backend *backend);
};

/* The head of each kind of backend. All but the capacity is constant. */
struct block_backend {
	const struct block_backend_ops *ops;
	uint64_t capacity_bytes; /* a multiple of BLOCK_SECTOR_BYTES, or 0; changed by replace() */
	uint32_t physical_block_bytes; /* smaller writes cost a read; a power of two, >= 512 */
	uint32_t request_align_bytes; /* reads and writes must be aligned so: 512 or more */
	bool is_read_only; /* all but reads and flushes end in -EROFS */
	bool can_discard; /* also write zeroes with may_unmap; else such requests end in -EOPNOTSUPP */
	bool has_commit_wait; /* commit() may wait indeed, at least for a write that is alone */
	int completion_fd; /* borrowed: to be watched for reading; -1 without complete() */
};

enum { BLOCK_SECTOR_BYTES = 512 };

static inline void block_submit(struct block_backend *backend, struct block_request *request)
{
	backend->ops->submit(backend, request);
}

static inline void block_commit(struct block_backend *backend)
{
	if (backend->ops->commit)
		backend->ops->commit(backend, false);
}

static inline void block_commit_wait(struct block_backend *backend)
{
	if (backend->ops->commit)
		backend->ops->commit(backend, true);
}

static inline void block_complete(struct block_backend *backend)
{
	if (backend->ops->complete)
		backend->ops->complete(backend);
}

static inline int block_replace(struct block_backend *backend, int fd, struct err *e)
{
	return backend->ops->replace(backend, fd, e);
}

/* Accepts NULL. */
static inline void block_close(struct block_backend *backend)
{
	if (backend)
		backend->ops->close(backend);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio block device (virtio 1.2, 5.2): requests of header, data and status byte, on one to eight
 * queues, for one struct block_backend.
 *
 * What goes wrong with one request (outside the disk, host error, read-only) is that request's
 * status and nothing else. A chain too short to hold a header or a status byte leaves us nowhere to
 * say so: the device fails until it is reset.
 *
 * When a finished write is stable. With BLOCK_CACHE_WRITEBACK the guest decides: it flushes, or it
 * asks for write-through, by the writeback field or by not taking FLUSH, and each write is flushed
 * before it is done (5.2.6.2). With BLOCK_CACHE_UNSAFE nothing is ever flushed; FLUSH is not
 * offered, and a flush that is sent all the same is only acknowledged, as Firecracker does.
 *
 * No request can hold the thread for long. A turn ends after so many requests or bytes; a transfer,
 * also a dishonest one, has a maximum; a flush or a discard is a turn of its own.
 *
 * A chain that the limit refuses, or that comes while the file is to be replaced, is put back into
 * its queue: what waits is not in flight, so it stands in the way of no reset, replacement or
 * snapshot.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "control/metrics_page.h"
#include "control/wire.h"
#include "machine/backend/block.h"
#include "machine/virtio/device.h"

enum { VIRTIO_BLK_QUEUE_SIZE = 256 };

struct virtio_blk;

struct virtio_blk_options {
	const char *id; /* copied; the guest sees the first 20 bytes, messages name the drive so */
	enum block_cache cache;
	uint32_t queue_count; /* 1 to VIRTIO_QUEUES_MAX */
	struct rate_limiter_config limit;
	uint64_t (*clock_ns)(void); /* for the limit; NULL: CLOCK_MONOTONIC */
	struct block_counters *counters; /* where it counts, borrowed; NULL: its own */
};

/*
 * The end of virtio_blk_replace(): 0 with the size of the new file in @capacity_bytes, or -errno
 * with @e filled. Thread: the device's, its lock held: it must be brief and call nothing of the
 * device. From virtio_blk_free(): the caller's.
 */
typedef void (*virtio_blk_replaced_fn)(void *opaque, int result, uint64_t capacity_bytes,
				       const struct err *e);

/*
 * Makes a disk on @backend, which stays the caller's and outlives it, and gets at most
 * VIRTIO_BLK_QUEUE_SIZE requests at a time for each queue. 0 or -errno with @e filled.
 */
int virtio_blk_new(struct virtio_blk **out, struct block_backend *backend,
		   const struct virtio_blk_options *options, struct err *e);

/*
 * The transport is gone and no request is in flight. A replacement that did not come about ends
 * with -ECANCELED. Accepts NULL.
 */
void virtio_blk_free(struct virtio_blk *blk);

/* To attach a struct virtio_blk with. */
extern const struct virtio_device_ops virtio_blk_ops;

/* The functions below need an attached device, whether or not the guest has started it. */

/*
 * Goes on with @fd in place of the file at hand; the same file again makes its new size known. New
 * requests are held back until none is in flight; then the files are exchanged, the guest is told
 * that its configuration changed, and @done is called, once. What was written to the old file and
 * not flushed is left to the host's page cache. Takes @fd, unless it returns -EBUSY: another
 * replacement is under way. Thread: any.
 */
int virtio_blk_replace(struct virtio_blk *blk, int fd, virtio_blk_replaced_fn done, void *opaque);

/*
 * Puts full buckets in place of those named; see rate_limiter_update(). Requests that wait for the
 * old limit ask again. Thread: any.
 */
void virtio_blk_set_limit(struct virtio_blk *blk, const struct rate_limiter_config *limit,
			  bool has_bandwidth, bool has_ops);

/* Thread: any. */
void virtio_blk_get_counters(struct virtio_blk *blk, struct block_counters *counters);

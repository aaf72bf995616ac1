/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of virtio-blk share, and nobody else: blk.c has the queues, the turns and whatever
 * makes them wait, blk_request.c the life of one request, blk_config.c what the device tells of
 * itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "machine/backend/rate_limiter.h"
#include "machine/virtio/abi.h"
#include "machine/virtio/blk.h"

static_assert(BLOCK_SECTOR_BYTES == VIRTIO_BLK_SECTOR_BYTES, "5.2.6 counts in host sectors");

enum {
	BLK_SEGMENTS_MAX = VIRTIO_BLK_QUEUE_SIZE, /* 2.7.5.3.1: no chain is longer than the queue */
	BLK_DATA_SEGMENTS_MAX = BLK_SEGMENTS_MAX - 2, /* without header and status */

	/*
	 * The largest segment that is advertised, and the largest transfer that is carried out. The
	 * second is more than a driver that keeps to the first, and to the number of segments, can
	 * ask for, so it never meets an honest one; what Linux asks for by default is far below.
	 * A slow disk of 100 MB/s takes 0.7 s for it.
	 */
	BLK_SEGMENT_BYTES_MAX = 256 << 10,
	BLK_TRANSFER_BYTES_MAX = 64 << 20,

	/*
	 * Ranges of one discard or write of zeroes. A host without fast zeroes writes them, so all
	 * the ranges of one request are a transfer of the largest size. A discard only cuts the
	 * file's map and drops cached pages.
	 */
	BLK_RANGES_MAX = 16,
	BLK_DISCARD_BYTES_MAX = 64 << 20, /* of each range */
	BLK_WRITE_ZEROES_BYTES_MAX = BLK_TRANSFER_BYTES_MAX / BLK_RANGES_MAX,

	/* One turn of the loop ends at either, so that other devices and registers get theirs. */
	BLK_TURN_REQUESTS = 64,
	BLK_TURN_BYTES = 4 << 20,
};

static_assert(BLK_DATA_SEGMENTS_MAX * BLK_SEGMENT_BYTES_MAX <= BLK_TRANSFER_BYTES_MAX,
	      "an honest request is carried out");

struct blk_range {
	uint64_t offset_bytes;
	uint32_t len_bytes;
	bool may_unmap;
};

struct blk_request {
	struct block_request io; /* the step that the backend is to do, or is doing */
	struct virtio_blk *blk; /* borrowed: contains us */
	struct virtq *vq; /* borrowed: the device's */
	struct virtq_chain *chain; /* in flight */
	uint64_t room_bytes; /* the writable part, without the status byte */
	uint64_t started_ns; /* 0: it is not timed */

	uint32_t type; /* VIRTIO_BLK_T_ */
	uint8_t status; /* VIRTIO_BLK_S_OK until something goes wrong */
	bool is_flushed;
	bool is_submitting; /* block_submit() has not returned yet */
	bool is_step_done;
	uint32_t range_count;
	uint32_t range_at; /* the next one */
	struct blk_range ranges[BLK_RANGES_MAX];
};

/* What a queue's driver hands over together: see blk_batch.c. */
struct blk_batch {
	uint32_t count; /* requests so far; 0: none has begun */
	uint32_t target; /* how many it waits for */
	uint32_t usual; /* requests of the last ones */
	uint32_t until_try; /* batches until one waits for more than the usual */
	uint32_t try_every;
	bool is_waiting; /* for more requests: */
	uint32_t seen; /* count when something came last */
	uint64_t look_ns; /* then it must have grown */
	uint64_t end_ns; /* the end whatever comes */
	bool is_holding; /* the interrupt, for more completions: */
	uint64_t hold_ns; /* until then */
};

/* Whether the thread waits for a request that is alone: see blk_lone.c. */
struct blk_lone {
	uint64_t earned_ns; /* by short waits, for longer ones */
	uint32_t until_try; /* such requests until it does; 0: it does */
	uint32_t try_every;
};

struct replacement {
	bool is_pending;
	int fd; /* owned while it is pending */
	virtio_blk_replaced_fn done;
	void *opaque; /* the caller's */
};

struct virtio_blk {
	/* Constant after virtio_blk_new(). */
	struct block_backend *backend; /* borrowed: outlives us */
	uint64_t (*clock_ns)(void);
	enum block_cache cache;
	uint32_t queue_count;
	uint32_t block_bytes; /* of transfers: offset and length are multiples */
	int timer_fd; /* owned timerfd: when to look again at what waits */
	int batch_timer_fd; /* owned timerfd: when a batch or an interrupt has waited long enough */
	char name[96];
	uint8_t serial[VIRTIO_BLK_ID_BYTES]; /* NUL-padded */
	struct virtio_device *device; /* borrowed; set by attach */

	/* Under the device's lock. */
	struct virtio_blk_config config;
	uint64_t features; /* negotiated; 0 while the driver is not ready */
	bool has_logged_error;
	uint32_t in_flight; /* requests that the backend has */
	struct block_counters *counters; /* borrowed, or own_counters */
	struct block_counters own_counters;
	struct replacement replacement;
	struct rate_limiter limiter;
	bool is_throttled; /* nothing starts before the timer */
	uint32_t waiting; /* a bit for each queue that was told to wait */
	uint32_t first_waiting; /* the queue that goes first then */
	struct blk_batch batches[VIRTIO_QUEUES_MAX];
	struct blk_lone lone;
	uint64_t batch_due_ns; /* what batch_timer_fd is set to; UINT64_MAX: it is off */
	struct blk_request *requests; /* owned: for each queue, by virtq_slot() */
};

/* --- blk_request.c: lock held, thread: the device's ---------------------------------------- */

/*
 * Reads the request in @chain of queue @n: all of it is copied and checked. NULL when it has no
 * such form.
 */
struct blk_request *blk_request_parse(struct virtio_blk *blk, uint32_t n,
				      struct virtq_chain *chain);

/* For the limit: what it moves between guest and disk. */
uint64_t blk_request_bytes(const struct blk_request *req);

/* For the turn: the bytes that it is worth. */
uint64_t blk_request_cost(const struct blk_request *req);

/* Carries it out. It may be over when this returns. */
void blk_request_start(struct blk_request *req);

/* --- blk_batch.c: lock held, thread: the device's, but reset ------------------------------- */

/* A request of queue @n has started. */
void blk_batch_add(struct virtio_blk *blk, uint32_t n);

/*
 * Queue @n is empty. The number of requests that may come in before the driver is to kick: with 0
 * the batch is over, or waits for one more.
 */
uint32_t blk_batch_wait(struct virtio_blk *blk, uint32_t n);

/* Queue @n cannot wait for more; no harm when there is no batch. */
void blk_batch_end(struct virtio_blk *blk, uint32_t n);

/* The backend has finished requests outside of a turn. */
void blk_batch_finished(struct virtio_blk *blk);

/* batch_timer_fd is readable: a bit for each queue that must be served to go on or end. */
uint32_t blk_batch_look(struct virtio_blk *blk);

/*
 * Forgets all. Thread: any, and vCPUs, which reset a device, may set no timer: one that is set looks
 * in vain.
 */
void blk_batch_init(struct virtio_blk *blk);

/* --- blk_lone.c: lock held, thread: the device's, but init ---------------------------------- */

/* block_commit() after requests of queue @n, which has no more; waits if that is for the better. */
void blk_lone_commit(struct virtio_blk *blk, uint32_t n);

/* Forgets all. Thread: any. */
void blk_lone_init(struct virtio_blk *blk);

/* --- blk_config.c: lock held --------------------------------------------------------------- */

void blk_config_init(struct virtio_blk *blk);
uint64_t blk_config_features(const struct virtio_blk *blk);

/* Takes over the capacity of the backend. */
void blk_config_set_capacity(struct virtio_blk *blk);

/* The writeback field, 5.2.5.2: after a reset, and with what is negotiated. */
void blk_config_reset(struct virtio_blk *blk);
void blk_config_negotiate(struct virtio_blk *blk);
void blk_config_write(struct virtio_blk *blk, uint32_t offset, const void *data, uint32_t len);

/* 5.2.6.2: whether a write has to be stable when it is done. */
bool blk_config_is_write_through(const struct virtio_blk *blk);

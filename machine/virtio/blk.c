/* SPDX-License-Identifier: Apache-2.0 */
/* virtio block device: queues, turns, and what makes them wait; see blk.h. */
#include "machine/virtio/blk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/virtio/blk_impl.h"
#include "machine/virtio/limit_state.h"

enum { NS_PER_S = 1000000000 };

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* --- waiting ------------------------------------------------------------------------------- */

/* Has on_timer() called in @wait_ns. Thread: any. */
static void set_timer(const struct virtio_blk *blk, uint64_t wait_ns)
{
	/* 0 would disarm it; a wait of centuries need not be exact. */
	const uint64_t ns = max_u64(min_u64(wait_ns, INT64_MAX), 1);
	const struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) },
	};
	const int r = timerfd_settime(blk->timer_fd, 0, &when, NULL);

	assert(r == 0);
	(void)r;
}

static bool must_wait(const struct virtio_blk *blk)
{
	return blk->is_throttled || blk->replacement.is_pending;
}

/* Whether the limit lets @req of queue @n start; else the device waits, and @n goes first then. */
static bool pass_limit(struct virtio_blk *blk, uint32_t n, const struct blk_request *req)
{
	uint64_t now;

	if (rate_limiter_is_off(&blk->limiter))
		return true;
	now = blk->clock_ns();
	if (rate_limiter_take(&blk->limiter, 1, blk_request_bytes(req), now))
		return true;
	blk->counters->throttled++;
	blk->is_throttled = true;
	blk->first_waiting = n;
	set_timer(blk, rate_limiter_wait_ns(&blk->limiter, now));
	return false;
}

/* --- turns --------------------------------------------------------------------------------- */

static void fail(struct virtio_blk *blk, const char *why)
{
	blk->counters->faults++;
	virtio_device_fail(blk->device, why);
}

/*
 * Starts what queue @n has, up to @max requests or until *@turn_bytes, which it counts on, is a
 * turn; true when some may be left.
 */
static bool take(struct virtio_blk *blk, uint32_t n, uint32_t max, uint64_t *turn_bytes)
{
	struct virtq *vq = virtio_device_queue(blk->device, n);

	for (uint32_t i = 0; i < max && *turn_bytes < BLK_TURN_BYTES; i++) {
		struct virtq_chain *chain;
		struct blk_request *req;
		int r = virtq_next(vq, &chain);

		if (r < 0) {
			fail(blk, virtq_fault(vq));
			return false;
		}
		if (r == 0) {
			if (!virtq_kick_enable_after(vq, blk_batch_wait(blk, n)))
				return false;
			continue;
		}
		req = blk_request_parse(blk, n, chain);
		if (!req) {
			virtq_drop(vq, chain);
			fail(blk, "request without header or status byte");
			return false;
		}
		if (!pass_limit(blk, n, req)) {
			virtq_undo(vq, chain);
			return true;
		}
		*turn_bytes += blk_request_cost(req);
		blk_batch_add(blk, n);
		blk_request_start(req);
	}
	return true;
}

/*
 * The same as a batch, unless the queue has to wait. Kicks stay off while it does, since on_timer()
 * comes back to it; otherwise true asks for another turn.
 */
static bool serve(struct virtio_blk *blk, uint32_t n, uint32_t max, uint64_t *turn_bytes)
{
	bool has_more = true;

	virtq_kick_disable(virtio_device_queue(blk->device, n));
	if (!must_wait(blk)) {
		has_more = take(blk, n, max, turn_bytes);
		if (has_more)
			block_commit(blk->backend);
		else
			blk_lone_commit(blk, n);
	}
	if (!has_more)
		return false;
	blk_batch_end(blk, n);
	if (!must_wait(blk))
		return true;
	blk->waiting |= 1u << n;
	return false;
}

static bool blk_process(void *impl, uint32_t n)
{
	struct virtio_blk *blk = impl;
	uint64_t turn_bytes = 0;

	blk->counters->kicks++;
	return serve(blk, n, BLK_TURN_REQUESTS, &turn_bytes);
}

/* The next queue in turn, off the list of those that wait; there is one. */
static uint32_t next_waiting(struct virtio_blk *blk)
{
	uint32_t n = blk->first_waiting;

	while (!(blk->waiting & 1u << n))
		n = (n + 1) % blk->queue_count;
	blk->waiting &= ~(1u << n);
	blk->first_waiting = (n + 1) % blk->queue_count;
	return n;
}

/*
 * Goes on with the queues that wait. While the limit holds, one request of each in turn, the one
 * that was refused first: a queue that took all there is would leave the others none, for ever.
 */
static void resume(struct virtio_blk *blk)
{
	const bool is_limited = !rate_limiter_is_off(&blk->limiter);
	uint64_t turn_bytes = 0;

	for (uint32_t i = 0; i < BLK_TURN_REQUESTS && turn_bytes < BLK_TURN_BYTES; i++) {
		uint32_t n;

		/* Whatever makes a device active again rings all its doorbells. */
		if (!virtio_device_is_active(blk->device))
			blk->waiting = 0;
		if (blk->waiting == 0 || must_wait(blk))
			return;
		n = next_waiting(blk);
		if (!is_limited)
			virtio_device_notify(blk->device, n);
		else if (serve(blk, n, 1, &turn_bytes))
			blk->waiting |= 1u << n;
	}
	set_timer(blk, 0);
}

/* --- another file -------------------------------------------------------------------------- */

/* Exchanges the file if that is wanted and nothing uses the old one any more. */
static void try_replace(struct virtio_blk *blk)
{
	const struct replacement due = blk->replacement;
	struct err e = { 0 };
	int r;

	if (!due.is_pending || blk->in_flight > 0)
		return;
	blk->replacement = (struct replacement){ .fd = -1 };
	r = block_replace(blk->backend, due.fd, &e);
	if (r < 0) {
		close(due.fd);
		blk->counters->replace_failures++;
	} else {
		blk->counters->replaced++;
		blk->has_logged_error = false;
		blk_config_set_capacity(blk);
		virtio_device_config_changed(blk->device);
	}
	due.done(due.opaque, r, blk->backend->capacity_bytes, &e);
	resume(blk);
}

/* The time has come, or a call of another thread. Thread: the device's. */
static void on_timer(void *impl)
{
	struct virtio_blk *blk = impl;
	uint64_t times;
	ssize_t n = read(blk->timer_fd, &times, sizeof(times));

	(void)n;
	if (blk->is_throttled)
		blk->counters->limit_wakes++;
	blk->is_throttled = false;
	try_replace(blk);
	resume(blk);
}

static void on_batch_timer(void *impl)
{
	struct virtio_blk *blk = impl;
	const uint32_t due = blk_batch_look(blk);

	for (uint32_t n = 0; n < blk->queue_count; n++) {
		uint64_t turn_bytes = 0;

		if (!(due & 1u << n))
			continue;
		if (!virtio_device_is_active(blk->device))
			blk_batch_end(blk, n);
		else if (serve(blk, n, BLK_TURN_REQUESTS, &turn_bytes))
			virtio_device_notify(blk->device, n);
	}
}

static void on_completion(void *impl)
{
	struct virtio_blk *blk = impl;

	block_complete(blk->backend);
	blk_batch_finished(blk);
	try_replace(blk);
}

int virtio_blk_replace(struct virtio_blk *blk, int fd, virtio_blk_replaced_fn done, void *opaque)
{
	int r = -EBUSY;

	virtio_device_enter(blk->device);
	if (!blk->replacement.is_pending) {
		blk->replacement = (struct replacement){ true, fd, done, opaque };
		/* The backend is its own thread's: the exchange happens there. */
		set_timer(blk, 0);
		r = 0;
	}
	virtio_device_leave(blk->device);
	return r;
}

void virtio_blk_set_limit(struct virtio_blk *blk, const struct rate_limiter_config *limit,
			  bool has_bandwidth, bool has_ops)
{
	virtio_device_enter(blk->device);
	rate_limiter_update(&blk->limiter, limit, has_bandwidth, has_ops, blk->clock_ns());
	if (blk->is_throttled)
		set_timer(blk, 0);
	virtio_device_leave(blk->device);
}

void virtio_blk_get_counters(struct virtio_blk *blk, struct block_counters *counters)
{
	virtio_device_enter(blk->device);
	*counters = *blk->counters;
	virtio_device_leave(blk->device);
}

/* --- the device ---------------------------------------------------------------------------- */

static void blk_describe(const void *impl, struct virtio_device_info *info)
{
	const struct virtio_blk *blk = impl;

	*info = (struct virtio_device_info){
		.device_id = VIRTIO_ID_BLOCK,
		.name = blk->name,
		.features = blk_config_features(blk),
		.queue_count = blk->queue_count,
		.queue_size_max = VIRTIO_BLK_QUEUE_SIZE,
		.segments_max = BLK_SEGMENTS_MAX,
		.config = &blk->config,
		.config_bytes = sizeof(blk->config),
	};
}

static int blk_attach(void *impl, struct virtio_device *device)
{
	struct virtio_blk *blk = impl;
	int r = virtio_device_watch(device, blk->timer_fd, on_timer);

	blk->device = device;
	if (r == 0)
		r = virtio_device_watch(device, blk->batch_timer_fd, on_batch_timer);
	if (r == 0 && blk->backend->completion_fd >= 0)
		r = virtio_device_watch(device, blk->backend->completion_fd, on_completion);
	return r;
}

static void blk_activate(void *impl, struct virtio_device *device, uint64_t features)
{
	struct virtio_blk *blk = impl;

	(void)device;
	blk->features = features;
	blk_config_negotiate(blk);
}

/* The limit stays as it is: a reset is no way to a new burst. */
static void blk_reset(void *impl)
{
	struct virtio_blk *blk = impl;

	blk->features = 0;
	blk->waiting = 0;
	blk_batch_init(blk);
	blk_lone_init(blk);
	blk_config_reset(blk);
}

static void blk_config_written(void *impl, uint32_t offset, const void *data, uint32_t len)
{
	blk_config_write(impl, offset, data, len);
}

/* Of the configuration only the writeback field is the guest's; the rest is the backend's. */
static void blk_state(void *impl, struct state *s)
{
	struct virtio_blk *blk = impl;
	const uint64_t capacity_bytes = blk->backend->capacity_bytes;
	uint64_t saved_bytes = capacity_bytes;
	struct state_section section;

	if (blk->replacement.is_pending)
		state_refuse(s, -EBUSY, "its file is being replaced");
	state_section_begin(s, &section, "virtio-blk", 1);
	state_u64(s, &saved_bytes);
	state_u8(s, &blk->config.writeback);
	state_check(s, blk->config.writeback <= (blk->cache == BLOCK_CACHE_WRITEBACK),
		    "its cache mode is not what the drive has");
	limit_state(s, &blk->limiter, blk->clock_ns());
	state_section_end(s, &section);
	/* Another file, or another size of the same: the driver still works with what was saved. */
	if (state_is_ok(s) && saved_bytes != capacity_bytes)
		virtio_device_config_changed(blk->device);
}

const struct virtio_device_ops virtio_blk_ops = {
	.describe = blk_describe,
	.attach = blk_attach,
	.activate = blk_activate,
	.process = blk_process,
	.reset = blk_reset,
	.config_write = blk_config_written,
	.state = blk_state,
};

/* --- life ---------------------------------------------------------------------------------- */

static int init(struct virtio_blk *blk, struct block_backend *backend,
		const struct virtio_blk_options *options, struct err *e)
{
	const char *id = options->id;

	blk->batch_timer_fd = -1;
	blk->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (blk->timer_fd < 0)
		return err_errno(e, -errno, "drive '%s': cannot make its timer", id);
	blk->batch_timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (blk->batch_timer_fd < 0)
		return err_errno(e, -errno, "drive '%s': cannot make its timer", id);
	blk->replacement.fd = -1;
	blk->requests = calloc((size_t)options->queue_count * VIRTIO_BLK_QUEUE_SIZE,
			       sizeof(blk->requests[0]));
	if (!blk->requests)
		return err_set(e, -ENOMEM, "drive '%s': no memory", id);
	blk->backend = backend;
	blk->cache = options->cache;
	blk->queue_count = options->queue_count;
	blk->block_bytes = (uint32_t)max_u64(backend->request_align_bytes, VIRTIO_BLK_SECTOR_BYTES);
	blk->clock_ns = options->clock_ns ? options->clock_ns : monotonic_ns;
	blk->counters = options->counters ? options->counters : &blk->own_counters;
	blk_batch_init(blk);
	blk_lone_init(blk);
	rate_limiter_init(&blk->limiter, &options->limit, blk->clock_ns());
	snprintf(blk->name, sizeof(blk->name), "drive '%s'", id);
	memcpy(blk->serial, id, strnlen(id, sizeof(blk->serial)));
	blk_config_init(blk);
	return 0;
}

int virtio_blk_new(struct virtio_blk **out, struct block_backend *backend,
		   const struct virtio_blk_options *options, struct err *e)
{
	struct virtio_blk *blk;
	int r;

	if (options->queue_count == 0 || options->queue_count > VIRTIO_QUEUES_MAX)
		return err_set(e, -EINVAL, "drive '%s': %u queues; it can have 1 to %d",
			       options->id, options->queue_count, VIRTIO_QUEUES_MAX);
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return err_set(e, -ENOMEM, "drive '%s': no memory", options->id);
	r = init(blk, backend, options, e);
	if (r < 0) {
		virtio_blk_free(blk);
		return r;
	}
	*out = blk;
	return 0;
}

void virtio_blk_free(struct virtio_blk *blk)
{
	struct replacement due;
	struct err e;

	if (!blk)
		return;
	due = blk->replacement;
	if (due.is_pending) {
		close(due.fd);
		err_set(&e, -ECANCELED,
			"%s: the machine ended before it could change to another "
			"file",
			blk->name);
		due.done(due.opaque, -ECANCELED, blk->backend->capacity_bytes, &e);
	}
	cleanup_fd(&blk->timer_fd);
	cleanup_fd(&blk->batch_timer_fd);
	free(blk->requests);
	free(blk);
}

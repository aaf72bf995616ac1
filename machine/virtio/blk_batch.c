/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long virtio-blk waits for more before it interrupts.
 *
 * A driver with many requests at once hands them over one by one, and rings for the first. Served at
 * once, each would cost an interrupt, and a driver that is interrupted hands over no second one. So
 * what has started counts as a batch until as many have come as the last batch had: the driver is
 * asked to ring for the last of them (2.7.10.1), a timer looks for those that do not come, and one
 * interrupt tells of all. Nothing is served later for it but what comes during that wait.
 *
 * That would delay a driver with one request at a time, so small batches wait for nothing. Now and
 * then a batch waits for twice as many as the last had, and if they come the next does so, too; each
 * time in vain makes the next attempt rarer.
 *
 * A backend that finishes later finishes its requests one by one. An interrupt waits until those it
 * tells of are half as many as those that are still in flight: the disk always has work, and a
 * single request waits for nothing.
 */
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "machine/virtio/blk_impl.h"
#include "machine/virtio/device.h"
#include "machine/virtio/queue.h"

enum {
	NS_PER_US = 1000,
	LOOK_NS = 100 * NS_PER_US, /* the wait ends when nothing new has come for so long */
	WAIT_NS = 1000 * NS_PER_US, /* all of it */
	WORTH_WAITING = 4, /* requests: fewer are not waited for, except to try */
	TRY_EVERY = 16, /* batches */
	TRY_EVERY_MAX = 1024,
};

static void set_timer(struct virtio_blk *blk, uint64_t wait_ns)
{
	const struct itimerspec when = { .it_value = { .tv_nsec = (long)wait_ns } };

	timerfd_settime(blk->batch_timer_fd, 0, &when, NULL);
}

/* When the wait for more requests needs a look; UINT64_MAX: never. */
static uint64_t wait_due_ns(const struct blk_batch *b)
{
	return b->is_waiting ? min_u64(b->look_ns, b->end_ns) : UINT64_MAX;
}

static uint64_t due_ns(const struct blk_batch *b)
{
	return b->is_holding ? min_u64(b->hold_ns, wait_due_ns(b)) : wait_due_ns(b);
}

/* Makes what has been decided of queue @n known to the device and to the timer. */
static void settle(struct virtio_blk *blk, uint32_t n, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	virtio_device_defer(blk->device, n,
			    blk->batches[n].is_waiting || blk->batches[n].is_holding);
	for (uint32_t i = 0; i < blk->queue_count; i++)
		next = min_u64(next, due_ns(&blk->batches[i]));
	if (next == blk->batch_due_ns)
		return;
	blk->batch_due_ns = next;
	if (next == UINT64_MAX)
		set_timer(blk, 0);
	else
		set_timer(blk, next > now ? min_u64(next - now, WAIT_NS) : 1);
}

static void begin(struct blk_batch *b)
{
	b->target = b->usual >= WORTH_WAITING ? b->usual : 1;
	if (b->until_try > 0)
		b->until_try--;
	else
		b->target = (uint32_t)min_u64(max_u64(2 * (uint64_t)b->usual, WORTH_WAITING),
					      BLK_TURN_REQUESTS);
}

/* One small batch among large ones, like a flush, should not end the waiting: usual sinks slowly. */
static void learn(struct blk_batch *b)
{
	const bool was_try = b->target > b->usual && b->target > 1;

	if (was_try && b->count >= b->target) {
		b->until_try = 0;
		b->try_every = TRY_EVERY;
	} else if (was_try) {
		b->until_try = b->try_every;
		b->try_every = (uint32_t)min_u64(2 * (uint64_t)b->try_every, TRY_EVERY_MAX);
	}
	b->usual = b->count >= b->usual ? b->count : (b->usual + b->count) / 2;
}

void blk_batch_add(struct virtio_blk *blk, uint32_t n)
{
	struct blk_batch *b = &blk->batches[n];

	if (b->count++ == 0)
		begin(b);
}

void blk_batch_end(struct virtio_blk *blk, uint32_t n)
{
	struct blk_batch *b = &blk->batches[n];

	if (b->count > 0)
		learn(b);
	b->count = 0;
	if (!b->is_waiting)
		return;
	b->is_waiting = false;
	settle(blk, n, blk->clock_ns());
}

uint32_t blk_batch_wait(struct virtio_blk *blk, uint32_t n)
{
	struct blk_batch *b = &blk->batches[n];
	uint64_t now;

	if (b->count == 0 || b->count >= b->target || !rate_limiter_is_off(&blk->limiter)) {
		blk_batch_end(blk, n);
		return 0;
	}
	now = blk->clock_ns();
	if (!b->is_waiting) {
		b->seen = 0;
		b->end_ns = now + WAIT_NS;
	}
	if (b->count != b->seen) {
		b->seen = b->count;
		b->look_ns = now + LOOK_NS;
	}
	b->is_waiting = true;
	if (wait_due_ns(b) <= now) {
		blk_batch_end(blk, n);
		return 0;
	}
	settle(blk, n, now);
	return b->target - b->count - 1;
}

void blk_batch_finished(struct virtio_blk *blk)
{
	const uint64_t now = blk->clock_ns();

	for (uint32_t n = 0; n < blk->queue_count; n++) {
		const struct virtq *vq = virtio_device_queue(blk->device, n);
		struct blk_batch *b = &blk->batches[n];
		const uint32_t given = virtq_given(vq);
		const bool is_early = given > 0 && 2 * given < virtq_in_flight(vq);

		if (is_early && !b->is_holding)
			b->hold_ns = now + LOOK_NS;
		if (is_early || b->is_holding) {
			b->is_holding = is_early && now < b->hold_ns;
			settle(blk, n, now);
		}
	}
}

uint32_t blk_batch_look(struct virtio_blk *blk)
{
	const uint64_t now = blk->clock_ns();
	uint32_t due = 0;
	uint64_t times;
	ssize_t r = read(blk->batch_timer_fd, &times, sizeof(times));

	(void)r;
	blk->batch_due_ns = UINT64_MAX; /* the timer is off, so whatever is left sets it anew */
	for (uint32_t n = 0; n < blk->queue_count; n++) {
		struct blk_batch *b = &blk->batches[n];

		if (wait_due_ns(b) <= now)
			due |= 1u << n;
		if (b->is_holding && b->hold_ns <= now)
			b->is_holding = false;
		settle(blk, n, now);
	}
	return due;
}

void blk_batch_init(struct virtio_blk *blk)
{
	blk->batch_due_ns = UINT64_MAX;
	for (uint32_t n = 0; n < blk->queue_count; n++)
		blk->batches[n] = (struct blk_batch){
			.usual = 1,
			.until_try = TRY_EVERY,
			.try_every = TRY_EVERY,
		};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether virtio-blk waits for the disk itself while a request is alone.
 *
 * To be told of a completion costs more than to wait for it: one more turn of the event loop, and for
 * a direct write to a file one more thread of the kernel, which ends it. With one request at a time
 * there is nothing to be done meanwhile, except for what else the loop has, and that must not stand
 * still for long. So the thread waits as long as that turns out to be short, a fraction of what a turn
 * (BLK_TURN_BYTES) may take. Short waits earn a little time, which pays for a longer one now and then.
 * After one that is not paid for the thread does not wait for some requests, and for twice as many
 * when the next attempt is as long. A driver that has handed over more meanwhile costs, too: the disk
 * could have had both.
 */
#include "base/bytes.h"
#include "machine/virtio/blk_impl.h"
#include "machine/virtio/device.h"
#include "machine/virtio/queue.h"

enum {
	SHORT_NS = 100000,
	EARNED_NS = SHORT_NS / 8, /* by each short wait */
	EARNED_NS_MAX = 4 * SHORT_NS,
	TRY_EVERY = 16, /* requests that are alone */
	TRY_EVERY_MAX = 1024,
};

static bool may_wait(struct virtio_blk *blk, uint32_t n)
{
	if (!blk->backend->has_commit_wait || blk->in_flight != 1 || blk->batches[n].is_waiting)
		return false;
	if (blk->lone.until_try == 0)
		return true;
	blk->lone.until_try--;
	return false;
}

static bool has_more(struct virtio_blk *blk)
{
	for (uint32_t n = 0; n < blk->queue_count; n++) {
		if (virtq_has_next(virtio_device_queue(blk->device, n)))
			return true;
	}
	return false;
}

void blk_lone_commit(struct virtio_blk *blk, uint32_t n)
{
	struct blk_lone *l = &blk->lone;
	uint64_t began_ns;
	uint64_t cost_ns;

	if (!may_wait(blk, n)) {
		block_commit(blk->backend);
		return;
	}
	began_ns = blk->clock_ns();
	block_commit_wait(blk->backend);
	if (blk->in_flight > 0)
		return;
	cost_ns = max_u64(blk->clock_ns() - began_ns, SHORT_NS) - SHORT_NS;
	if (has_more(blk))
		cost_ns += SHORT_NS;
	if (cost_ns == 0) {
		l->try_every = TRY_EVERY;
		l->earned_ns = min_u64(l->earned_ns + EARNED_NS, EARNED_NS_MAX);
		return;
	}
	if (cost_ns <= l->earned_ns) {
		l->earned_ns -= cost_ns;
		return;
	}
	l->earned_ns = 0;
	l->until_try = l->try_every;
	l->try_every = (uint32_t)min_u64(2 * (uint64_t)l->try_every, TRY_EVERY_MAX);
}

void blk_lone_init(struct virtio_blk *blk)
{
	blk->lone = (struct blk_lone){ .try_every = TRY_EVERY };
}

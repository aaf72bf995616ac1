/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: one interrupt for what a driver hands over together, and no wait without an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "machine/virtio/mmio.h"
#include "machine/virtio/transport.h"
#include "test/unit/blk_rig.h"
#include "test/unit/fake_backend.h"

enum {
	US = 1000,
	LOOK_NS = 100 * US, /* without anything new: the end of a wait */
	WAIT_NS = 1000 * US, /* the end whatever comes */
	TRIES = 16, /* requests until one waits for a second for the first time */
	LEARNING = 64, /* more than enough batches to know a driver */
	SLOTS = 80, /* requests that can be told apart: three descriptors each */
};

/* Deadlines are by this clock; the timer, which runs on the host's, only makes the device look. */
static uint64_t now_ns;

static uint64_t fake_clock_ns(void)
{
	return now_ns;
}

struct rig {
	struct blk_rig *blk;
	struct fake_guest *g;
	struct fake_backend disk;
	struct fake_backend second; /* in place of the first */
	uint64_t features;
	uint32_t kicks; /* of the driver */
	bool is_told; /* since it has seen all */
};

static void start(struct rig *r, uint64_t features)
{
	r->features = features;
	fake_guest_start(r->g, features);
	blk_rig_header(r->blk, VIRTIO_BLK_T_IN, 0);
	for (uint32_t n = 0; n < SLOTS; n++) {
		fake_guest_desc(r->g, 3 * n, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 3 * n + 1);
		fake_guest_desc(r->g, 3 * n + 1, BLK_DATA + 512 * n, 512,
				VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 3 * n + 2);
		fake_guest_desc(r->g, 3 * n + 2, BLK_STATUS + n, 1, VIRTQ_DESC_F_WRITE, 0);
	}
	fake_guest_run(r->g);
	fake_guest_interrupts(r->g);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	void *blk;

	blk_rig_setup(&blk);
	r->blk = blk;
	r->g = &r->blk->g;
	fake_backend_init(&r->disk, DISK_BYTES);
	r->disk.finish = FAKE_IN_SUBMIT;
	now_ns = 1;
	r->blk->options.clock_ns = fake_clock_ns;
	blk_rig_use(r->blk, &r->disk.backend);
	start(r, BLK_FEATURES | VIRTIO_F_EVENT_IDX);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	void *blk = r->blk;

	blk_rig_teardown(&blk);
	free(r);
	return 0;
}

static bool wants_kick(const struct rig *r, uint16_t index)
{
	const le16 *flags = fake_guest_ram(r->g, FAKE_USED, sizeof(*flags));

	if (r->features & VIRTIO_F_EVENT_IDX)
		return fake_guest_avail_event(r->g) == index;
	return !(le16_get((le16){ __atomic_load_n(&flags->raw, __ATOMIC_SEQ_CST) }) &
		 VIRTQ_USED_F_NO_NOTIFY);
}

/* A driver hands over @count requests, and kicks when the device has asked for it. */
static void hand_over(struct rig *r, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint16_t index = r->g->offered;

		fake_guest_offer(r->g, 3 * (index % SLOTS));
		if (!wants_kick(r, index))
			continue;
		r->kicks++;
		fake_guest_kick(r->g);
	}
}

/* The driver has seen everything, and wants to be told of the next. */
static void see_all(struct rig *r)
{
	fake_guest_interrupts(r->g);
	r->is_told = false;
	fake_guest_set_used_event(r->g, fake_guest_used_idx(r->g));
}

static bool has_interrupt(void *opaque)
{
	struct rig *r = opaque;

	return fake_guest_interrupts(r->g) > 0;
}

/* All has been used, and the guest was told since it has seen all; time goes by meanwhile. */
static bool is_finished(void *opaque)
{
	struct rig *r = opaque;

	r->is_told |= fake_guest_interrupts(r->g) > 0;
	now_ns += LOOK_NS;
	return r->is_told && fake_guest_used_idx(r->g) == r->g->offered;
}

/* Whether an interrupt is there at once; else it comes when LOOK_NS has passed. */
static bool is_told_at_once(struct rig *r)
{
	if (fake_guest_interrupts(r->g) > 0)
		return true;
	now_ns += LOOK_NS;
	blk_rig_wait(r->blk, has_interrupt, r);
	return false;
}

static void teach(struct rig *r, uint32_t depth)
{
	for (uint32_t i = 0; i < LEARNING; i++) {
		see_all(r);
		hand_over(r, depth);
		blk_rig_wait(r->blk, is_finished, r);
	}
	see_all(r);
	r->kicks = 0;
}

/* A driver with one request at a time waits for nothing but a few attempts, ever rarer. */
static void test_single_requests(void **state)
{
	struct rig *r = *state;
	uint32_t late = 0;

	for (uint32_t i = 0; i < 4096; i++) {
		bool is_late;

		see_all(r);
		hand_over(r, 1);
		assert_int_equal(fake_guest_used_idx(r->g), r->g->offered);
		is_late = !is_told_at_once(r);
		assert_true(!is_late || i >= TRIES);
		late += is_late;
		assert_int_equal(fake_guest_interrupts(r->g), 0);
	}
	assert_true(late > 0);
	assert_true(late <= 10);
	assert_int_equal(r->kicks, 4096);
}

/* Two or three are too few to wait for, even together. */
static void test_small_batches(void **state)
{
	struct rig *r = *state;

	for (uint32_t i = 0; i < TRIES; i++) {
		see_all(r);
		for (uint32_t n = 0; n < 3; n++)
			fake_guest_offer(r->g, 3 * n);
		fake_guest_kick(r->g);
		assert_true(is_told_at_once(r));
	}
}

static void check_deep_driver(struct rig *r, uint32_t depth)
{
	const bool has_event_idx = r->features & VIRTIO_F_EVENT_IDX;

	teach(r, depth);
	for (uint32_t i = 0; i < 4; i++) {
		see_all(r);
		hand_over(r, depth - 1);
		assert_int_equal(fake_guest_interrupts(r->g), 0);
		hand_over(r, 1);
		assert_int_equal(is_told_at_once(r), has_event_idx);
		assert_int_equal(fake_guest_used_idx(r->g), r->g->offered);
		assert_int_equal(fake_guest_interrupts(r->g), 0);
	}
	/* For the first and the last of each batch; without a number, for the first. */
	assert_int_equal(r->kicks, has_event_idx ? 8 : 4);
}

static void test_deep_driver(void **state)
{
	check_deep_driver(*state, 32);
}

static void test_deep_driver_without_event_idx(void **state)
{
	struct rig *r = *state;

	start(r, BLK_FEATURES);
	check_deep_driver(r, 32);
}

/* A driver that no longer has as many is told after a moment; another moment teaches nothing less. */
static void test_fewer_than_usual(void **state)
{
	struct rig *r = *state;

	teach(r, 32);
	hand_over(r, 5);
	assert_int_equal(fake_guest_interrupts(r->g), 0);
	assert_true((uint16_t)(r->g->offered - fake_guest_used_idx(r->g)) == 4);
	/* The first look finds four new ones, so the wait goes on; it ends all the same. */
	blk_rig_wait(r->blk, is_finished, r);
	see_all(r);
	/* One small batch has not made it forget. */
	hand_over(r, 2);
	assert_int_equal(fake_guest_interrupts(r->g), 0);
	blk_rig_wait(r->blk, is_finished, r);
	teach(r, 1);
	hand_over(r, 1);
	assert_true(is_told_at_once(r));
}

/* Requests that trickle in do not keep the guest waiting for ever. */
static void test_wait_has_an_end(void **state)
{
	struct rig *r = *state;
	uint64_t interrupts = 0;
	uint64_t before;

	teach(r, 32);
	before = now_ns;
	hand_over(r, 1);
	while ((interrupts = fake_guest_interrupts(r->g)) == 0) {
		const struct timespec pause = { 0, 200 * US };

		assert_true(now_ns - before <= 2 * WAIT_NS);
		now_ns += LOOK_NS * 9 / 10;
		hand_over(r, 1);
		nanosleep(&pause, NULL);
		fake_guest_run(r->g);
	}
	assert_int_equal(interrupts, 1);
	assert_true(now_ns - before > LOOK_NS);
}

/* A snapshot or a pause: nothing stays untold. */
static void test_hold_while_waiting(void **state)
{
	struct rig *r = *state;
	struct virtio_device *device = virtio_mmio_device(r->g->mmio);

	teach(r, 32);
	hand_over(r, 3);
	assert_int_equal(fake_guest_interrupts(r->g), 0);
	virtio_device_hold(device);
	assert_int_equal(fake_guest_interrupts(r->g), 1);
	now_ns += WAIT_NS;
	fake_guest_run(r->g);
	assert_int_equal((uint16_t)(r->g->offered - fake_guest_used_idx(r->g)), 2);
	see_all(r);
	virtio_device_unhold(device);
	blk_rig_wait(r->blk, is_finished, r);
}

static void test_reset_while_waiting(void **state)
{
	struct rig *r = *state;

	teach(r, 32);
	hand_over(r, 3);
	fake_guest_write(r->g, VIRTIO_MMIO_STATUS, 0);
	now_ns += WAIT_NS;
	fake_guest_run(r->g);
	start(r, BLK_FEATURES | VIRTIO_F_EVENT_IDX);
	/* Another driver, perhaps: nothing is known of it. */
	for (uint32_t i = 0; i < TRIES; i++) {
		see_all(r);
		hand_over(r, 1);
		assert_true(is_told_at_once(r));
	}
}

/* A broken chain after good ones: the guest learns of those. */
static void test_fault_while_waiting(void **state)
{
	struct rig *r = *state;

	teach(r, 32);
	hand_over(r, 1);
	assert_int_equal(fake_guest_interrupts(r->g), 0);
	fake_guest_offer(r->g, 1000);
	fake_guest_kick(r->g);
	assert_true(fake_guest_interrupts(r->g) > 0);
	assert_true(fake_guest_read(r->g, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(fake_guest_read(r->g, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_INTERRUPT_USED | VIRTIO_INTERRUPT_CONFIG);
}

/* While a limit is on, requests come as it lets them, and there is nothing to wait for. */
static void test_limit(void **state)
{
	const struct rate_limiter_config limit = { .ops = { 1000, 1000, 0 } };
	struct rig *r = *state;

	teach(r, 32);
	virtio_blk_set_limit(r->blk->blk, &limit, true, true);
	for (uint32_t i = 0; i < 2 * TRIES; i++) {
		see_all(r);
		hand_over(r, 1);
		assert_true(is_told_at_once(r));
	}
}

/* --- a backend that finishes later --------------------------------------------------------- */

static void complete(struct rig *r, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		fake_backend_end(&r->disk, 0, 0);
	fake_guest_run(r->g);
}

/* Told when half as many are done as are not; never later than a moment. */
static void test_completions(void **state)
{
	struct rig *r = *state;

	teach(r, 32);
	r->disk.finish = FAKE_LATER;
	hand_over(r, 32);
	assert_int_equal(r->disk.nr_pending, 32);
	for (uint32_t i = 0; i < 10; i++)
		complete(r, 1);
	assert_int_equal(fake_guest_interrupts(r->g), 0);
	complete(r, 1);
	assert_int_equal(fake_guest_interrupts(r->g), 1);
	see_all(r);
	complete(r, 1);
	assert_int_equal(fake_guest_interrupts(r->g), 0);
	assert_false(is_told_at_once(r));
	see_all(r);
	/* The second time as well as the first. */
	complete(r, 1);
	assert_int_equal(fake_guest_interrupts(r->g), 0);
	assert_false(is_told_at_once(r));
	see_all(r);
	complete(r, 19);
	assert_int_equal(fake_guest_interrupts(r->g), 1);
}

static void test_single_completions(void **state)
{
	struct rig *r = *state;

	r->disk.finish = FAKE_LATER;
	for (uint32_t depth = 1; depth <= 3; depth++) {
		see_all(r);
		hand_over(r, depth);
		assert_int_equal(fake_guest_interrupts(r->g), 0);
		complete(r, 1);
		assert_int_equal(fake_guest_interrupts(r->g), 1);
		see_all(r);
		complete(r, depth - 1);
		fake_guest_interrupts(r->g);
	}
}

/* --- a driver on a thread of its own, by the host's clock ---------------------------------- */

enum { ROUNDS = 3000 };

struct driver {
	struct rig *rig;
	atomic_bool is_over;
};

/* Batches of all sizes; it sleeps until the interrupt, and re-arms by the book (2.7.7.1). */
static void *drive(void *opaque)
{
	struct driver *driver = opaque;
	struct rig *r = driver->rig;
	const struct timespec pause = { 0, 5 * US };

	for (uint32_t round = 0, seed = 1; round < ROUNDS; round++) {
		seed = seed * 1664525u + 1013904223u;
		for (uint32_t i = 0, count = 1 + (seed >> 8) % 40; i < count; i++) {
			const uint16_t index = r->g->offered;

			fake_guest_offer(r->g, 3 * (index % SLOTS));
			if (wants_kick(r, index))
				fake_guest_write(r->g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		}
		while (fake_guest_used_idx(r->g) != r->g->offered) {
			const uint16_t used = fake_guest_used_idx(r->g);

			fake_guest_set_used_event(r->g, used);
			atomic_thread_fence(memory_order_seq_cst);
			if (fake_guest_used_idx(r->g) != used)
				continue;
			while (fake_guest_interrupts(r->g) == 0) {
				nanosleep(&pause, NULL);
				if (atomic_load(&driver->is_over))
					return NULL;
			}
		}
	}
	atomic_store(&driver->is_over, true);
	return NULL;
}

static void check_no_wake_up_is_lost(struct rig *r, uint64_t features)
{
	struct driver driver = { .rig = r };
	const time_t end = time(NULL) + 60;
	pthread_t thread;

	r->blk->options.clock_ns = NULL;
	fake_backend_init(&r->second, DISK_BYTES);
	r->second.finish = FAKE_IN_SUBMIT;
	blk_rig_use(r->blk, &r->second.backend);
	start(r, features);
	assert_int_equal(pthread_create(&thread, NULL, drive, &driver), 0);
	while (!atomic_load(&driver.is_over) && time(NULL) < end)
		event_base_loop(r->g->base, EVLOOP_NONBLOCK);
	assert_true(atomic_exchange(&driver.is_over, true));
	pthread_join(thread, NULL);
	assert_int_equal(fake_guest_used_idx(r->g), r->g->offered);
}

static void test_no_wake_up_is_lost_with_event_idx(void **state)
{
	check_no_wake_up_is_lost(*state, BLK_FEATURES | VIRTIO_F_EVENT_IDX);
}

static void test_no_wake_up_is_lost_with_flags(void **state)
{
	check_no_wake_up_is_lost(*state, BLK_FEATURES);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_single_requests),
		CASE(test_small_batches),
		CASE(test_deep_driver),
		CASE(test_deep_driver_without_event_idx),
		CASE(test_fewer_than_usual),
		CASE(test_wait_has_an_end),
		CASE(test_hold_while_waiting),
		CASE(test_reset_while_waiting),
		CASE(test_fault_while_waiting),
		CASE(test_limit),
		CASE(test_completions),
		CASE(test_single_completions),
		CASE(test_no_wake_up_is_lost_with_event_idx),
		CASE(test_no_wake_up_is_lost_with_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: what its limit holds back, and that this stands in nobody's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "test/unit/blk_rig.h"
#include "test/unit/fake_backend.h"

enum { QUEUES = 4, NS_PER_MS = 1000000 };

/* The limit's clock. The timer runs on the host's, so waits in these tests are short or stopped. */
static uint64_t fake_now_ns;

static uint64_t fake_clock_ns(void)
{
	return fake_now_ns;
}

struct rig {
	struct blk_rig *blk;
	struct fake_backend disk;
};

static struct rate_limiter_config ops_limit(uint64_t size, uint64_t refill_ms)
{
	return (struct rate_limiter_config){ .ops = { size, refill_ms, 0 } };
}

static int setup_with(void **state, struct rate_limiter_config limit)
{
	struct rig *r = calloc(1, sizeof(*r));
	void *blk;

	blk_rig_setup(&blk);
	r->blk = blk;
	fake_backend_init(&r->disk, DISK_BYTES);
	r->disk.finish = FAKE_IN_SUBMIT;
	r->blk->options.queue_count = QUEUES;
	r->blk->options.limit = limit;
	r->blk->options.clock_ns = fake_clock_ns;
	blk_rig_use(r->blk, &r->disk.backend);
	blk_rig_start_queues(r->blk, BLK_FEATURES | VIRTIO_BLK_F_MQ, QUEUES);
	fake_backend_clear(&r->disk);
	*state = r;
	return 0;
}

/* Two requests at once, then one each 2 ms. */
static int setup(void **state)
{
	return setup_with(state, ops_limit(2, 4));
}

static int setup_long(void **state)
{
	return setup_with(state, ops_limit(2, 1000000));
}

static int teardown(void **state)
{
	struct rig *r = *state;
	void *blk = r->blk;

	blk_rig_teardown(&blk);
	free(r);
	return 0;
}

static void offer(struct rig *r, uint32_t n, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		blk_rig_offer_on(r->blk, n, VIRTIO_BLK_T_IN, n);
	blk_rig_ring(r->blk, n);
}

static uint32_t used(const struct rig *r)
{
	uint32_t sum = 0;

	for (uint32_t n = 1; n < QUEUES; n++)
		sum += blk_rig_used_on(r->blk, n);
	return sum;
}

struct wait {
	struct rig *rig;
	uint32_t wanted;
};

static bool is_used(void *opaque)
{
	const struct wait *w = opaque;

	return used(w->rig) >= w->wanted;
}

static void wait_for(struct rig *r, uint32_t wanted)
{
	struct wait w = { r, wanted };

	blk_rig_wait(r->blk, is_used, &w);
	assert_int_equal(used(r), wanted);
}

/* Long enough for a timer that should not do anything. */
static void let_time_pass(struct rig *r)
{
	const struct timespec pause = { 0, 5 * NS_PER_MS };

	nanosleep(&pause, NULL);
	fake_guest_run(&r->blk->g);
}

static struct block_counters counters(struct rig *r)
{
	struct block_counters c;

	virtio_blk_get_counters(r->blk->blk, &c);
	return c;
}

static void test_operations(void **state)
{
	struct rig *r = *state;

	offer(r, 1, 5);
	fake_guest_run(&r->blk->g);
	assert_int_equal(used(r), 2);
	assert_int_equal(counters(r).throttled, 1);
	let_time_pass(r); /* of the host, not of the limit */
	assert_int_equal(used(r), 2);
	for (uint32_t i = 0; i < 3; i++) {
		fake_now_ns += 2 * NS_PER_MS;
		wait_for(r, 3 + i);
		let_time_pass(r);
		assert_int_equal(used(r), 3 + i);
	}
	assert_int_equal(r->disk.submits, 5);
	assert_true(counters(r).limit_wakes >= 3);
	/* Kicks work again once nothing waits. */
	fake_now_ns += 100 * NS_PER_MS;
	offer(r, 1, 1);
	fake_guest_run(&r->blk->g);
	assert_int_equal(used(r), 6);
}

/* A queue that always has something must not have it all, wherever the others are. */
static void test_queues_take_turns(void **state)
{
	struct rig *r = *state;

	offer(r, 1, 60);
	fake_guest_run(&r->blk->g);
	offer(r, 2, 20);
	offer(r, 3, 20);
	fake_guest_run(&r->blk->g);
	assert_int_equal(used(r), 2);
	for (uint32_t i = 0; i < 30; i++) {
		fake_now_ns += 2 * NS_PER_MS;
		wait_for(r, 3 + i);
	}
	assert_in_range(blk_rig_used_on(r->blk, 1), 11, 13);
	assert_in_range(blk_rig_used_on(r->blk, 2), 9, 11);
	assert_in_range(blk_rig_used_on(r->blk, 3), 9, 11);
	/* And all of it comes in the end. */
	fake_now_ns += 1000 * NS_PER_MS;
	for (uint32_t left = 100 - used(r); left > 0; left = 100 - used(r)) {
		wait_for(r, used(r) + (left > 1 ? 2 : 1));
		fake_now_ns += 1000 * NS_PER_MS;
	}
}

static uint32_t log_bytes(const struct rig *r)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->disk.nr_log; i++)
		sum += r->disk.log[i].len_bytes;
	return (uint32_t)sum;
}

/* Bytes count for reads and writes alone; a request beyond the bucket goes, and is paid for later. */
static void test_bandwidth(void **state)
{
	const struct rate_limiter_config limit = { .bandwidth = { 4096, 4, 0 } };
	struct rig *r = *state;

	virtio_blk_set_limit(r->blk->blk, &limit, true, true);
	for (int i = 0; i < 20; i++)
		assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_FLUSH, 0, 0),
				 VIRTIO_BLK_S_OK);
	fake_backend_clear(&r->disk);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 4096 + 2048), VIRTIO_BLK_S_OK);
	offer(r, 1, 1);
	fake_guest_run(&r->blk->g);
	assert_int_equal(log_bytes(r), 6144);
	fake_now_ns += 2 * NS_PER_MS; /* the debt is paid */
	let_time_pass(r);
	assert_int_equal(used(r), 0);
	fake_now_ns += NS_PER_MS / 2; /* and the 512 bytes are there */
	wait_for(r, 1);
}

/* The guest can have nothing done that it is not charged for, and a bad one costs no bytes. */
static void test_bad_requests_are_charged_as_operations(void **state)
{
	struct rig *r = *state;

	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, DISK_SECTORS, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_rig_request(r->blk, 77, 0, 512), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), -1);
	fake_guest_write(&r->blk->g, VIRTIO_MMIO_STATUS, 0);
}

/* What waits is in its queue and nowhere else: a reset does not wait for it. */
static void test_reset_while_waiting(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < 3; i++) {
		offer(r, 1, 10);
		offer(r, 2, 10);
		fake_guest_run(&r->blk->g);
		assert_int_equal(used(r), i == 0 ? 2 : 0);
		fake_guest_write(&r->blk->g, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(fake_guest_read(&r->blk->g, VIRTIO_MMIO_STATUS), 0);
		let_time_pass(r);
		assert_int_equal(r->disk.submits, 2); /* no new burst either */
		blk_rig_start_queues(r->blk, BLK_FEATURES | VIRTIO_BLK_F_MQ, QUEUES);
	}
	/* The limit is over, and the driver of now is served, not that of then. */
	offer(r, 3, 1);
	fake_guest_run(&r->blk->g);
	assert_int_equal(used(r), 0);
	virtio_blk_set_limit(r->blk->blk, &(struct rate_limiter_config){ 0 }, true, true);
	wait_for(r, 1);
	assert_int_equal(r->disk.submits, 3);
}

/* A limit of many minutes is changed or lifted, and the device goes on at once. */
static void test_change(void **state)
{
	const struct rate_limiter_config looser = ops_limit(3, 1000000);
	struct rig *r = *state;

	offer(r, 1, 10);
	fake_guest_run(&r->blk->g);
	assert_int_equal(used(r), 2);
	/* A bucket that is not named stays. */
	virtio_blk_set_limit(r->blk->blk, &looser, true, false);
	let_time_pass(r);
	assert_int_equal(used(r), 2);
	virtio_blk_set_limit(r->blk->blk, &looser, false, true);
	wait_for(r, 5);
	virtio_blk_set_limit(r->blk->blk, &(struct rate_limiter_config){ 0 }, false, true);
	wait_for(r, 10);
	/* And a new one binds. */
	virtio_blk_set_limit(r->blk->blk, &looser, false, true);
	offer(r, 1, 10);
	fake_guest_run(&r->blk->g);
	assert_int_equal(used(r), 13);
}

/* What changes while it waits is read again, and checked again, when it is taken. */
static void test_guest_rewrites_what_waits(void **state)
{
	struct rig *r = *state;

	fake_guest_desc(&r->blk->g, 0, 0, 0, 0, 0);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), -1);
	offer(r, 1, 1);
	fake_guest_run(&r->blk->g);
	fake_guest_desc(&r->blk->g, 0, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
	fake_now_ns += 100 * NS_PER_MS;
	for (int i = 0; i < 1000 && fake_guest_read(&r->blk->g, VIRTIO_MMIO_STATUS) == 15; i++)
		let_time_pass(r);
	assert_int_equal(fake_guest_read(&r->blk->g, VIRTIO_MMIO_STATUS),
			 15 | VIRTIO_STATUS_NEEDS_RESET);
	/* It stops at once, with what waits on other queues, and does not go on later. */
	assert_int_equal(used(r), 0);
	blk_rig_offer_on(r->blk, 1, VIRTIO_BLK_T_IN, 0);
	fake_now_ns += 100 * NS_PER_MS;
	blk_rig_ring(r->blk, 1);
	let_time_pass(r);
	assert_int_equal(used(r), 0);
}

/* Much that waits, and a limit that has come to allow it: still one turn at a time. */
static void test_turns_after_a_wait(void **state)
{
	struct rig *r = *state;

	for (uint32_t n = 1; n < QUEUES; n++) {
		for (uint32_t i = 0; i < 10; i++)
			blk_rig_offer_on(r->blk, n, VIRTIO_BLK_T_FLUSH, 0);
		blk_rig_ring(r->blk, n);
	}
	fake_guest_run(&r->blk->g);
	assert_int_equal(used(r), 2);
	virtio_blk_set_limit(r->blk->blk, &(struct rate_limiter_config){ .ops = { 1000, 1, 0 } },
			     true, true);
	for (uint32_t now = used(r); now < 30; now = used(r)) {
		blk_rig_one_turn(r->blk);
		assert_true(used(r) - now <= 1);
	}
}

/* A guest that rings all the time while it has to wait is not asked about it each time. */
static void test_kicks_while_waiting(void **state)
{
	struct rig *r = *state;

	offer(r, 1, 5);
	fake_guest_run(&r->blk->g);
	for (int i = 0; i < 1000; i++) {
		blk_rig_ring(r->blk, 1);
		blk_rig_ring(r->blk, 2);
		fake_guest_run(&r->blk->g);
	}
	assert_int_equal(used(r), 2);
	assert_int_equal(counters(r).throttled, 1);
}

static void test_queue_count(void **state)
{
	struct rig *r = *state;
	struct virtio_blk_options options = { .id = "x" };
	struct virtio_blk *blk;
	struct err e = { 0 };

	assert_true(blk_rig_offered(r->blk) & VIRTIO_BLK_F_MQ);
	assert_int_equal(le16_get(blk_rig_config(r->blk).num_queues), QUEUES);
	for (uint32_t n = 0; n < 8; n++) {
		fake_guest_write(&r->blk->g, VIRTIO_MMIO_QUEUE_SEL, n);
		assert_int_equal(fake_guest_read(&r->blk->g, VIRTIO_MMIO_QUEUE_NUM_MAX),
				 n < QUEUES ? 256 : 0);
	}
	for (uint32_t n = 0; n <= 9; n += 9) {
		options.queue_count = n;
		assert_int_equal(virtio_blk_new(&blk, &r->disk.backend, &options, &e), -22);
		assert_non_null(strstr(e.msg, "drive 'x'"));
	}
	options.queue_count = 8;
	assert_int_equal(virtio_blk_new(&blk, &r->disk.backend, &options, &e), 0);
	virtio_blk_free(blk);
	virtio_blk_free(NULL);
}

/* All queues at once, with different chains in flight under the same slot numbers. */
static void test_queues_share_nothing(void **state)
{
	struct rig *r = *state;

	virtio_blk_set_limit(r->blk->blk, &(struct rate_limiter_config){ 0 }, true, true);
	r->disk.finish = FAKE_LATER;
	for (uint32_t n = 1; n < QUEUES; n++)
		offer(r, n, 10);
	fake_guest_run(&r->blk->g);
	assert_int_equal(r->disk.nr_pending, 30);
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(r->disk.pending[i]->offset_bytes, 512 * (1 + i / 10));
	fake_backend_end_all(&r->disk, 0);
	fake_guest_interrupts(&r->blk->g);
	fake_guest_run(&r->blk->g);
	for (uint32_t n = 1; n < QUEUES; n++)
		assert_int_equal(blk_rig_used_on(r->blk, n), 10);
	assert_int_equal(fake_guest_interrupts(&r->blk->g), 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define CASE_LONG(test) cmocka_unit_test_setup_teardown(test, setup_long, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_operations),
		CASE(test_queues_take_turns),
		CASE(test_bandwidth),
		CASE_LONG(test_bad_requests_are_charged_as_operations),
		CASE_LONG(test_reset_while_waiting),
		CASE_LONG(test_change),
		CASE(test_guest_rewrites_what_waits),
		CASE_LONG(test_turns_after_a_wait),
		CASE_LONG(test_kicks_while_waiting),
		CASE(test_queue_count),
		CASE(test_queues_share_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

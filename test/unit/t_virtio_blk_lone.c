/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk waits for a request that is alone, while that is short and nothing else comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "machine/virtio/mmio.h"
#include "test/unit/blk_rig.h"
#include "test/unit/fake_backend.h"

enum {
	SHORT_NS = 100000, /* what a wait may take */
	TRY_EVERY = 16, /* requests without a wait after one in vain; then twice as many */
	TRY_EVERY_MAX = 1024,
	SLOTS = 64, /* requests that can be told apart: three descriptors each */
};

static uint64_t now_ns;

static uint64_t fake_clock_ns(void)
{
	return now_ns;
}

struct rig {
	struct blk_rig *blk;
	struct fake_guest *g;
	struct fake_backend disk;
	uint64_t wait_takes_ns;
	bool has_more; /* the driver hands over a second request while the device waits */
	bool has_offered_more;
};

static void offer(struct rig *r)
{
	fake_guest_offer(r->g, 3 * (r->g->offered % SLOTS));
}

static void on_wait(void *opaque)
{
	struct rig *r = opaque;

	now_ns += r->wait_takes_ns;
	if (r->has_more && !r->has_offered_more)
		offer(r);
	r->has_offered_more |= r->has_more;
}

static void start(struct rig *r)
{
	fake_guest_start(r->g, BLK_FEATURES);
	blk_rig_header(r->blk, VIRTIO_BLK_T_OUT, 0);
	for (uint32_t n = 0; n < SLOTS; n++) {
		fake_guest_desc(r->g, 3 * n, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 3 * n + 1);
		fake_guest_desc(r->g, 3 * n + 1, BLK_DATA + 512 * n, 512, VIRTQ_DESC_F_NEXT,
				3 * n + 2);
		fake_guest_desc(r->g, 3 * n + 2, BLK_STATUS + n, 1, VIRTQ_DESC_F_WRITE, 0);
	}
	fake_guest_run(r->g);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	void *blk;

	blk_rig_setup(&blk);
	r->blk = blk;
	r->g = &r->blk->g;
	fake_backend_init(&r->disk, DISK_BYTES);
	r->disk.finish = FAKE_IN_WAIT;
	r->disk.backend.has_commit_wait = true;
	r->disk.on_wait = on_wait;
	r->disk.on_wait_opaque = r;
	r->wait_takes_ns = SHORT_NS;
	now_ns = 1;
	r->blk->options.clock_ns = fake_clock_ns;
	blk_rig_use(r->blk, &r->disk.backend);
	start(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	void *blk = r->blk;

	fake_backend_check_idle(&r->disk);
	blk_rig_teardown(&blk);
	free(r);
	return 0;
}

static bool is_used(void *opaque)
{
	struct rig *r = opaque;

	now_ns += SHORT_NS; /* whatever waits for more requests need not wait long */
	if (r->disk.nr_pending > 0)
		fake_backend_end_all(&r->disk, 0);
	return fake_guest_used_idx(r->g) == r->g->offered;
}

/* One request, the only one; whether the device has waited for it. */
static bool run_one(struct rig *r)
{
	const uint32_t waits = r->disk.waits;

	r->has_offered_more = false;
	offer(r);
	fake_guest_kick(r->g);
	if (r->has_offered_more)
		fake_guest_kick(r->g);
	else if (r->disk.waits > waits && r->disk.finish == FAKE_IN_WAIT)
		assert_int_equal(fake_guest_used_idx(r->g), r->g->offered);
	blk_rig_wait(r->blk, is_used, r);
	return r->disk.waits > waits;
}

/* Requests until the device waits for one; that one is not counted. */
static uint32_t requests_until_wait(struct rig *r)
{
	for (uint32_t n = 0; n < 3 * TRY_EVERY_MAX; n++) {
		if (run_one(r))
			return n;
	}
	fail_msg("it never waits again");
	return 0;
}

/* Now and then a batch waits for a second request instead: none of those is alone for sure. */
static bool is_about(uint32_t n, uint32_t expected)
{
	return n >= expected && n <= expected + expected / TRY_EVERY + 2;
}

static void test_short_waits(void **state)
{
	struct rig *r = *state;
	uint32_t others = 0;

	for (uint32_t i = 0; i < 1000; i++)
		others += !run_one(r);
	assert_in_range(others, 0, 10);
}

static void check_ever_rarer(struct rig *r)
{
	uint32_t expected = TRY_EVERY;

	requests_until_wait(r);
	for (uint32_t i = 0; i < 10; i++) {
		const uint32_t second = r->has_more ? 1 : 0; /* that came during the wait */

		assert_true(is_about(requests_until_wait(r) + second, expected));
		expected = expected < TRY_EVERY_MAX ? 2 * expected : TRY_EVERY_MAX;
	}
}

static void test_slow_disk(void **state)
{
	struct rig *r = *state;

	r->wait_takes_ns = SHORT_NS + 1;
	check_ever_rarer(r);
	/* Quick again: as before. */
	r->wait_takes_ns = SHORT_NS;
	requests_until_wait(r);
	test_short_waits(state);
	r->wait_takes_ns = 6 * SHORT_NS; /* more than can be earned */
	requests_until_wait(r);
	assert_true(is_about(requests_until_wait(r), TRY_EVERY));
}

static void wait_times(struct rig *r, uint32_t count, uint64_t takes_ns)
{
	r->wait_takes_ns = takes_ns;
	for (uint32_t i = 0; i < count; i++)
		requests_until_wait(r);
}

/* Eight short waits pay for one that is twice as long, seven do not. */
static void test_earned(void **state)
{
	struct rig *r = *state;

	for (uint32_t i = 0; i < 100; i++) {
		wait_times(r, 8, SHORT_NS);
		wait_times(r, 1, 2 * SHORT_NS);
	}
	wait_times(r, 1, SHORT_NS);
	assert_true(requests_until_wait(r) <= 1);
	wait_times(r, 5, SHORT_NS);
	wait_times(r, 1, 2 * SHORT_NS); /* after seven */
	assert_true(is_about(requests_until_wait(r), TRY_EVERY));
}

static void test_more_comes_meanwhile(void **state)
{
	struct rig *r = *state;

	r->has_more = true;
	check_ever_rarer(r);
}

/* What is not alone does not wait: two of a batch, and one while another is in flight. */
static void test_not_alone(void **state)
{
	struct rig *r = *state;

	r->disk.finish = FAKE_LATER;
	for (uint32_t i = 0; i < 10; i++) {
		r->disk.waits = 0;
		offer(r);
		offer(r);
		fake_guest_kick(r->g);
		assert_int_equal(r->disk.nr_pending, 2);
		offer(r);
		fake_guest_kick(r->g);
		assert_int_equal(r->disk.nr_pending, 3);
		assert_int_equal(r->disk.waits, 0);
		blk_rig_wait(r->blk, is_used, r);
	}
}

/* A backend that does not wait after all is no reason to stop asking it. */
static void test_backend_goes_on(void **state)
{
	struct rig *r = *state;

	r->disk.finish = FAKE_LATER;
	r->wait_takes_ns = SHORT_NS + 1;
	test_short_waits(state);
}

static void test_backend_that_never_waits(void **state)
{
	struct rig *r = *state;

	r->disk.backend.has_commit_wait = false;
	for (uint32_t i = 0; i < 100; i++)
		assert_false(run_one(r));
}

/* A reset forgets what was learned. */
static void test_reset(void **state)
{
	struct rig *r = *state;

	r->wait_takes_ns = SHORT_NS + 1;
	assert_true(run_one(r));
	assert_false(run_one(r));
	fake_guest_write(r->g, VIRTIO_MMIO_STATUS, 0);
	start(r);
	assert_true(run_one(r));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_short_waits),
		CASE(test_slow_disk),
		CASE(test_earned),
		CASE(test_more_comes_meanwhile),
		CASE(test_not_alone),
		CASE(test_backend_goes_on),
		CASE(test_backend_that_never_waits),
		CASE(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

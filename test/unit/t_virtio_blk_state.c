/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: what a snapshot keeps of a drive, and what a hostile one cannot do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/virtio/mmio.h"
#include "test/unit/blk_rig.h"
#include "test/unit/fake_backend.h"

enum { WRITEBACK_FIELD = VIRTIO_MMIO_CONFIG + 32, STATE_MAX = 1024, NS_PER_S = 1000000000 };

static uint64_t fake_now_ns;

static uint64_t fake_clock_ns(void)
{
	return fake_now_ns;
}

struct rig {
	struct blk_rig *blk;
	struct fake_backend disk;
	uint8_t state[STATE_MAX];
	size_t state_bytes;
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	void *blk;

	blk_rig_setup(&blk);
	r->blk = blk;
	fake_backend_init(&r->disk, DISK_BYTES);
	r->disk.finish = FAKE_IN_SUBMIT;
	r->blk->options.clock_ns = fake_clock_ns;
	blk_rig_use(r->blk, &r->disk.backend);
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

static int save(struct rig *r)
{
	struct state s;

	state_init_save(&s, r->state, sizeof(r->state));
	virtio_mmio_state(r->blk->g.mmio, &s);
	r->state_bytes = state_size(&s);
	return state_finish(&s, "drive", NULL);
}

static int load(struct rig *r)
{
	struct state s;

	state_init_load(&s, r->state, r->state_bytes);
	virtio_mmio_state(r->blk->g.mmio, &s);
	return state_finish(&s, "drive", NULL);
}

/* Another device, as after a restart of the monitor, on the same disk and guest memory. */
static void renew(struct rig *r)
{
	fake_guest_detach(&r->blk->g);
	virtio_blk_free(r->blk->blk);
	assert_int_equal(virtio_blk_new(&r->blk->blk, r->blk->backend, &r->blk->options, NULL), 0);
	fake_guest_attach(&r->blk->g, &virtio_blk_ops, r->blk->blk);
	fake_guest_interrupts(&r->blk->g);
	fake_backend_clear(&r->disk);
}

/* Write-through stays so, whether by the field or by the features. */
static void test_cache_mode(void **state)
{
	static const struct {
		uint64_t features;
		bool is_write_through;
	} modes[] = {
		{ BLK_FEATURES | VIRTIO_BLK_F_CONFIG_WCE, false },
		{ BLK_FEATURES | VIRTIO_BLK_F_CONFIG_WCE, true },
		{ BLK_FEATURES, false },
		{ FAKE_F_RING, true },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		const bool is_write_through = modes[i].is_write_through;

		fake_guest_start(&r->blk->g, modes[i].features);
		if (modes[i].features & VIRTIO_BLK_F_CONFIG_WCE)
			fake_guest_write_len(&r->blk->g, WRITEBACK_FIELD, !is_write_through, 1);
		assert_int_equal(save(r), 0);
		renew(r);
		assert_int_equal(load(r), 0);
		assert_int_equal(fake_guest_read(&r->blk->g, VIRTIO_MMIO_STATUS), 15);
		assert_int_equal(fake_guest_read_len(&r->blk->g, WRITEBACK_FIELD, 1),
				 !is_write_through);
		assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, 0, 512),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(r->disk.nr_log, is_write_through ? 2 : 1);
	}
}

/* The disk is another one than when it was saved: the driver learns of it. */
static void test_capacity(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	for (int is_changed = 0; is_changed < 2; is_changed++) {
		fake_guest_start(g, BLK_FEATURES);
		assert_int_equal(save(r), 0);
		r->disk.backend.capacity_bytes += is_changed ? 512 : 0;
		renew(r);
		assert_int_equal(load(r), 0);
		assert_int_equal(fake_guest_interrupts(g) > 0, is_changed);
		assert_int_equal(le64_get(blk_rig_config(r->blk).capacity_sectors),
				 DISK_SECTORS + is_changed);
	}
}

/* Neither a new burst nor a new bucket comes out of a snapshot, and time between does not count. */
static void test_limit(void **state)
{
	const struct rate_limiter_config limit = { .ops = { 2, 2000, 3 } };
	struct rig *r = *state;

	virtio_blk_set_limit(r->blk->blk, &limit, true, true);
	fake_guest_start(&r->blk->g, BLK_FEATURES);
	for (int i = 0; i < 5; i++)
		assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), -1);
	fake_now_ns += NS_PER_S / 2;
	assert_int_equal(save(r), 0);
	fake_now_ns += 1000 * (uint64_t)NS_PER_S;
	renew(r);
	assert_int_equal(load(r), 0);
	fake_guest_kick(&r->blk->g);
	assert_int_equal(r->disk.submits, 0); /* what waited then still waits: half a second more */
	fake_now_ns += NS_PER_S / 2 - NS_PER_S / 50;
	virtio_blk_set_limit(r->blk->blk, &limit, true, false); /* has it look again */
	fake_guest_kick(&r->blk->g);
	assert_int_equal(r->disk.submits, 0);
	fake_now_ns += NS_PER_S / 50;
	for (int i = 0; i < 100000 && r->disk.submits == 0; i++) {
		virtio_blk_set_limit(r->blk->blk, &limit, true, false);
		fake_guest_run(&r->blk->g);
	}
	assert_int_equal(r->disk.submits, 1);
}

/* Each byte of it wrong in turn: refused, or harmless. */
static void test_hostile(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	const struct rate_limiter_config limit = { .ops = { 1000, 1, 7 },
						   .bandwidth = { 1 << 30, 1, 9 } };
	struct rig *r = *state;
	uint8_t good[STATE_MAX];
	size_t good_bytes;
	uint32_t refused = 0;

	r->blk->options.limit = limit;
	renew(r);
	fake_guest_start(&r->blk->g, BLK_FEATURES | VIRTIO_BLK_F_CONFIG_WCE);
	assert_int_equal(save(r), 0);
	good_bytes = r->state_bytes;
	memcpy(good, r->state, good_bytes);
	for (size_t i = 0; i < good_bytes * ARRAY_LEN(flips); i++) {
		renew(r);
		memcpy(r->state, good, good_bytes);
		r->state[i / ARRAY_LEN(flips)] ^= flips[i % ARRAY_LEN(flips)];
		refused += load(r) < 0;
		fake_guest_kick(&r->blk->g);
		assert_true(fake_guest_read_len(&r->blk->g, WRITEBACK_FIELD, 1) <= 1);
		assert_int_equal(le64_get(blk_rig_config(r->blk).capacity_sectors), DISK_SECTORS);
	}
	assert_true(refused > good_bytes);
	for (size_t len = 0; len < good_bytes; len++) {
		renew(r);
		memcpy(r->state, good, good_bytes);
		r->state_bytes = len;
		assert_true(load(r) < 0);
	}
	/* None of that has spoilt the good one. */
	renew(r);
	r->state_bytes = good_bytes;
	assert_int_equal(load(r), 0);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

/* The bucket of operations is the end of the state: seven numbers. */
enum { BUCKET_BYTES = 56, SIZE = 0, REFILL = 8, BURST = 24, TOKENS = 32, DEBT = 40, REST = 48 };

static int load_with(struct rig *r, uint32_t field, uint64_t value)
{
	const le64 v = le64_put(value);

	renew(r);
	memcpy(r->state + r->state_bytes - BUCKET_BYTES + field, &v, sizeof(v));
	return load(r);
}

static void test_hostile_limit(void **state)
{
	static const struct {
		uint32_t field;
		uint64_t value;
	} bad[] = {
		{ TOKENS, 11 }, { TOKENS, UINT64_MAX }, { BURST, 8 },	   { DEBT, 1 },
		{ SIZE, 0 },	{ REFILL, 0 },		{ REST, 5000000 }, { REST, UINT64_MAX },
	};
	struct rig *r = *state;
	uint8_t good[STATE_MAX];

	/* Ten each 5 ms, and a burst of 7; 9 left. */
	r->blk->options.limit = (struct rate_limiter_config){ .ops = { 10, 5, 7 } };
	renew(r);
	fake_guest_start(&r->blk->g, BLK_FEATURES);
	for (int i = 0; i < 8; i++)
		assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(save(r), 0);
	memcpy(good, r->state, r->state_bytes);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memcpy(r->state, good, r->state_bytes);
		assert_int_equal(load_with(r, bad[i].field, bad[i].value), -EINVAL);
	}
	memcpy(r->state, good, r->state_bytes);
	assert_int_equal(load_with(r, TOKENS, 10), 0);
	assert_int_equal(load_with(r, TOKENS, 0), 0);
	assert_int_equal(load_with(r, DEBT, UINT64_MAX), 0);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), -1);
}

static void ignore(void *opaque, int result, uint64_t capacity_bytes, const struct err *e)
{
	(void)opaque;
	(void)result;
	(void)capacity_bytes;
	(void)e;
}

/* Neither half of a replacement belongs into a snapshot; nor does one cache mode into the other. */
static void test_refusals(void **state)
{
	struct rig *r = *state;

	assert_int_equal(virtio_blk_replace(r->blk->blk, -1, ignore, NULL), 0);
	assert_int_equal(save(r), -EBUSY);
	renew(r);
	assert_int_equal(save(r), 0);
	r->blk->options.cache = BLOCK_CACHE_UNSAFE;
	renew(r);
	assert_int_equal(load(r), -EINVAL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_cache_mode), CASE(test_capacity),	 CASE(test_limit),
		CASE(test_hostile),    CASE(test_hostile_limit), CASE(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

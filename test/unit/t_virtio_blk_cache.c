/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: when a write is stable, by cache mode, features and the writeback field (5.2.6.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "test/unit/blk_rig.h"
#include "test/unit/fake_backend.h"

enum { WRITEBACK_FIELD = VIRTIO_MMIO_CONFIG + 32 };

struct rig {
	struct blk_rig *blk;
	struct fake_backend disk;
};

static int setup_with(void **state, enum block_cache cache)
{
	struct rig *r = calloc(1, sizeof(*r));
	void *blk;

	blk_rig_setup(&blk);
	r->blk = blk;
	fake_backend_init(&r->disk, DISK_BYTES);
	r->disk.finish = FAKE_IN_SUBMIT;
	r->blk->options.cache = cache;
	blk_rig_use(r->blk, &r->disk.backend);
	*state = r;
	return 0;
}

static int setup_writeback(void **state)
{
	return setup_with(state, BLOCK_CACHE_WRITEBACK);
}

static int setup_unsafe(void **state)
{
	return setup_with(state, BLOCK_CACHE_UNSAFE);
}

static int teardown(void **state)
{
	struct rig *r = *state;
	void *blk = r->blk;

	blk_rig_teardown(&blk);
	free(r);
	return 0;
}

static uint64_t get_field(struct rig *r)
{
	return fake_guest_read_len(&r->blk->g, WRITEBACK_FIELD, 1);
}

static void set_field(struct rig *r, uint64_t value)
{
	fake_guest_write_len(&r->blk->g, WRITEBACK_FIELD, value, 1);
}

/* Flushes that a write causes. The one before it is for what may have been left dirty. */
static uint32_t flushes_of(struct rig *r, uint32_t type)
{
	uint32_t flushes = 0;

	fake_backend_clear(&r->disk);
	blk_rig_range(r->blk, 0, 0, 8, 0);
	assert_int_equal(
		blk_rig_request(r->blk, type, 0, type == VIRTIO_BLK_T_WRITE_ZEROES ? 16 : 512),
		VIRTIO_BLK_S_OK);
	for (uint32_t i = 0; i < r->disk.nr_log; i++)
		flushes += r->disk.log[i].op == BLOCK_FLUSH;
	if (flushes > 0)
		assert_int_equal(r->disk.log[r->disk.nr_log - 1].op, BLOCK_FLUSH);
	return flushes;
}

static bool is_write_through(struct rig *r)
{
	const uint32_t flushes = flushes_of(r, VIRTIO_BLK_T_OUT);

	assert_true(flushes <= 1);
	assert_int_equal(flushes_of(r, VIRTIO_BLK_T_WRITE_ZEROES), flushes);
	assert_int_equal(flushes_of(r, VIRTIO_BLK_T_IN), 0);
	return flushes == 1;
}

struct mode {
	uint64_t features;
	int written; /* to the field before DRIVER_OK; -1: nothing */
	bool is_write_through;
};

static void test_modes(void **state)
{
	static const struct mode modes[] = {
		{ VIRTIO_BLK_F_FLUSH, -1, false },
		{ 0, -1, true },
		{ VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE, -1, false },
		{ VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE, 0, true },
		{ VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE, 1, false },
		{ VIRTIO_BLK_F_CONFIG_WCE, -1, true }, /* 5.2.5.2: writeback starts at 0 */
		/* The field is not theirs. */
		{ VIRTIO_BLK_F_FLUSH, 0, false },
		{ 0, 1, true },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		const struct virtq_setup queue = fake_guest_queue();
		const struct mode *m = &modes[i];
		struct fake_guest *g = &r->blk->g;
		uint32_t status = fake_guest_negotiate(g, FAKE_F_RING | m->features);

		assert_int_equal(get_field(r), 1); /* as it was after the reset */
		if (m->written >= 0)
			set_field(r, (uint64_t)m->written);
		fake_guest_clear_rings(g);
		fake_guest_set_queue(g, 0, &queue);
		fake_guest_write(g, VIRTIO_MMIO_STATUS, status | VIRTIO_STATUS_DRIVER_OK);
		if (is_write_through(r) != m->is_write_through)
			fail_msg("mode %zu", i);
		if (m->features & VIRTIO_BLK_F_CONFIG_WCE)
			assert_int_equal(get_field(r), !m->is_write_through);
	}
}

static void test_switch_at_run_time(void **state)
{
	struct rig *r = *state;

	fake_guest_start(&r->blk->g, BLK_FEATURES | VIRTIO_BLK_F_CONFIG_WCE);
	for (int i = 0; i < 3; i++) {
		set_field(r, 0);
		assert_int_equal(get_field(r), 0);
		assert_true(is_write_through(r));
		set_field(r, 1);
		assert_int_equal(get_field(r), 1);
		assert_false(is_write_through(r));
	}
	/* Any other value is a way of saying 1; other widths and places are not the field. */
	set_field(r, 0);
	fake_guest_write_len(&r->blk->g, WRITEBACK_FIELD, 0x0101, 2);
	fake_guest_write_len(&r->blk->g, WRITEBACK_FIELD - 3, UINT32_MAX, 4);
	fake_guest_write_len(&r->blk->g, WRITEBACK_FIELD + 1, 1, 1);
	fake_guest_write_len(&r->blk->g, VIRTIO_MMIO_CONFIG + 24, UINT64_MAX, 8);
	assert_int_equal(get_field(r), 0);
	set_field(r, 0x80);
	assert_int_equal(get_field(r), 1);
	/* A reset forgets it. */
	set_field(r, 0);
	fake_guest_write(&r->blk->g, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get_field(r), 1);
	/* Without CONFIG_WCE nothing switches. */
	fake_guest_start(&r->blk->g, BLK_FEATURES);
	set_field(r, 0);
	assert_false(is_write_through(r));
}

/* Turned on between a write and its end: the write is still made stable. */
static void test_switch_in_flight(void **state)
{
	struct rig *r = *state;

	r->disk.finish = FAKE_LATER;
	fake_guest_start(&r->blk->g, BLK_FEATURES | VIRTIO_BLK_F_CONFIG_WCE);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, 0, 512), -1);
	set_field(r, 0);
	fake_backend_end(&r->disk, 0, 0);
	fake_guest_run(&r->blk->g);
	assert_int_equal(r->disk.nr_pending, 1);
	assert_int_equal(r->disk.pending[0]->op, BLOCK_FLUSH);
	assert_int_equal(fake_guest_used_idx(&r->blk->g), 0);
	fake_backend_end(&r->disk, 0, -EIO);
	fake_guest_run(&r->blk->g);
	assert_int_equal(*(uint8_t *)fake_guest_ram(&r->blk->g, BLK_STATUS, 1), VIRTIO_BLK_S_IOERR);
}

static void test_a_flush_flushes(void **state)
{
	struct rig *r = *state;

	fake_guest_start(&r->blk->g, BLK_FEATURES);
	assert_int_equal(flushes_of(r, VIRTIO_BLK_T_FLUSH), 1);
	r->disk.result = -EIO;
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
	/* Nothing was written, so nothing is flushed. */
	r->disk.result = 0;
	fake_guest_start(&r->blk->g, FAKE_F_RING);
	fake_backend_clear(&r->disk);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(r->disk.submits, 0);
}

/* The host has said that it does not matter. */
static void test_unsafe(void **state)
{
	const uint64_t cache = VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE;
	struct rig *r = *state;

	assert_int_equal(blk_rig_offered(r->blk) & cache, 0);
	assert_int_equal(get_field(r), 0);
	assert_int_equal(fake_guest_start(&r->blk->g, FAKE_F_RING), 15);
	set_field(r, 1);
	assert_int_equal(get_field(r), 0);
	assert_false(is_write_through(r));
	assert_int_equal(flushes_of(r, VIRTIO_BLK_T_FLUSH), 0);
	/* What is not offered cannot be taken. */
	assert_int_equal(fake_guest_start(&r->blk->g, BLK_FEATURES) & VIRTIO_STATUS_FEATURES_OK, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup_writeback, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_modes),
		CASE(test_switch_at_run_time),
		CASE(test_switch_in_flight),
		CASE(test_a_flush_flushes),
		cmocka_unit_test_setup_teardown(test_unsafe, setup_unsafe, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

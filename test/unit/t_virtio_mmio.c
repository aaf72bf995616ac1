/* SPDX-License-Identifier: Apache-2.0 */
/* The transport and the state machine behind it, with a toy device of two queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "machine/virtio/mmio.h"
#include "test/unit/toy_device.h"

static void test_identity(void **state)
{
	struct toy *t = *state;
	struct fake_guest *g = &t->g;

	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_MAGIC), 0x74726976);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_DEVICE_ID), 42);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION), 0);
	/* 4.2.2: no shared memory region has length -1. */
	for (uint64_t reg = VIRTIO_MMIO_SHM_LEN_LOW; reg <= VIRTIO_MMIO_SHM_BASE_HIGH; reg += 4)
		assert_int_equal(fake_guest_read(g, reg), UINT32_MAX);
	assert_int_equal(virtio_mmio_queue_count(g->mmio), 2);
	assert_true(virtio_mmio_notify_fd(g->mmio, 0) >= 0);
	assert_true(virtio_mmio_notify_fd(g->mmio, 1) >= 0);
	assert_int_equal(virtio_mmio_notify_fd(g->mmio, 2), -1);
	assert_int_equal(virtio_mmio_notify_fd(g->mmio, UINT32_MAX), -1);
}

static void test_features_offered(void **state)
{
	static const uint32_t words[] = { 0, 1, 2, 3, 31, 32, 0x80000000, UINT32_MAX };
	const uint64_t all = FAKE_F_RING | VIRTIO_F_EVENT_IDX | F_TOY;
	struct toy *t = *state;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const uint32_t want = words[i] < 2 ? (uint32_t)(all >> (32 * words[i])) : 0;

		fake_guest_write(&t->g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, words[i]);
		assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_DEVICE_FEATURES), want);
	}
}

static void test_features_not_offered_do_not_stick(void **state)
{
	const uint64_t all = FAKE_F_RING | VIRTIO_F_EVENT_IDX | F_TOY;
	struct toy *t = *state;

	assert_int_equal(fake_guest_negotiate(&t->g, all), FEATURES_OK);
	assert_int_equal(fake_guest_negotiate(&t->g, VIRTIO_F_VERSION_1), FEATURES_OK);
	assert_int_equal(fake_guest_negotiate(&t->g, all & ~VIRTIO_F_VERSION_1), DRIVER);
	assert_int_equal(fake_guest_negotiate(&t->g, 0), DRIVER);
	for (int bit = 0; bit < 64; bit++) {
		const uint64_t feature = UINT64_C(1) << bit;

		assert_int_equal(fake_guest_negotiate(&t->g, VIRTIO_F_VERSION_1 | feature),
				 all & feature ? FEATURES_OK : DRIVER);
	}
	/* A bit beyond 63. */
	fake_guest_negotiate(&t->g, 0);
	fake_guest_write(&t->g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	fake_guest_write(&t->g, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	fake_guest_write(&t->g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	fake_guest_write(&t->g, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, FEATURES_OK);
	assert_int_equal(toy_status(t), DRIVER);
	/* Another try in the same state may do better. */
	assert_int_equal(fake_guest_negotiate(&t->g, F_TOY), DRIVER);
	fake_guest_write(&t->g, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, FEATURES_OK);
	assert_int_equal(toy_status(t), FEATURES_OK);
}

static void test_features_frozen(void **state)
{
	struct toy *t = *state;

	fake_guest_start(&t->g, FAKE_F_RING | F_TOY);
	fake_guest_write(&t->g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	fake_guest_write(&t->g, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_int_equal(t->features, FAKE_F_RING | F_TOY);
	assert_int_equal(t->log_lines, 1);
	assert_int_equal(toy_status(t), DRIVER_OK);
}

/* The status after @value is written, by the book (2.1, 3.1.1). */
static uint32_t expected_status(uint32_t now, uint32_t value, bool has_features)
{
	const uint32_t steps = value & DRIVER_OK;
	const uint32_t set = value & (DRIVER_OK | FAILED);

	if (value == 0)
		return 0;
	if (value & ~(uint32_t)(DRIVER_OK | NEEDS_RESET | FAILED))
		return now;
	if (now & ~value)
		return now;
	if (steps != 0 && steps != ACK && steps != DRIVER && steps != FEATURES_OK &&
	    steps != DRIVER_OK)
		return now;
	return has_features ? set : set & (DRIVER | FAILED);
}

static void test_every_status_transition(void **state)
{
	static const uint32_t path[] = { ACK, DRIVER, FEATURES_OK, DRIVER_OK };
	struct toy *t = *state;

	for (size_t from = 0; from <= ARRAY_LEN(path); from++) {
		const uint32_t now = from > 0 ? path[from - 1] : 0;
		const bool has_features = from > 2;

		for (uint32_t value = 0; value < 512; value++) {
			const uint32_t want = expected_status(now, value, has_features);

			if (has_features)
				fake_guest_negotiate(&t->g, FAKE_F_RING);
			for (size_t i = 0; i < from; i++)
				fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, path[i]);
			assert_int_equal(toy_status(t), now);
			fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, value);
			if (toy_status(t) != want)
				fail_msg("status %u, written %u: %u, not %u", now, value,
					 toy_status(t), want);
			fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
			assert_int_equal(toy_status(t), 0);
		}
	}
}

static void test_failed_driver_gets_nothing(void **state)
{
	struct toy *t = *state;

	fake_guest_start(&t->g, FAKE_F_RING);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, DRIVER_OK | FAILED);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(t->handled, 0);
}

static const uint64_t queue_regs[] = {
	VIRTIO_MMIO_QUEUE_NUM,	      VIRTIO_MMIO_QUEUE_READY,	     VIRTIO_MMIO_QUEUE_DESC_LOW,
	VIRTIO_MMIO_QUEUE_DESC_HIGH,  VIRTIO_MMIO_QUEUE_DRIVER_LOW,  VIRTIO_MMIO_QUEUE_DRIVER_HIGH,
	VIRTIO_MMIO_QUEUE_DEVICE_LOW, VIRTIO_MMIO_QUEUE_DEVICE_HIGH,
};

/* The bug of CVE-2026-5747: a queue whose registers still count after it was checked. */
static void test_queue_is_frozen_at_driver_ok(void **state)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 128, 512, 0x8000, 0x10000, UINT32_MAX };
	struct toy *t = *state;

	assert_int_equal(fake_guest_start(&t->g, FAKE_F_RING), DRIVER_OK);
	fake_guest_desc(&t->g, 5, FAKE_DATA, 1, 0, 0);
	for (uint32_t sel = 0; sel < 2; sel++) {
		fake_guest_write(&t->g, VIRTIO_MMIO_QUEUE_SEL, sel);
		for (size_t r = 0; r < ARRAY_LEN(queue_regs); r++) {
			for (size_t v = 0; v < ARRAY_LEN(values); v++) {
				const uint32_t handled = t->handled;

				fake_guest_write(&t->g, queue_regs[r], values[v]);
				fake_guest_offer(&t->g, 5);
				fake_guest_kick(&t->g);
				assert_int_equal(t->handled, handled + 1);
				assert_int_equal(fake_guest_used_idx(&t->g), t->handled);
				assert_int_equal(toy_status(t), DRIVER_OK);
			}
		}
	}
	fake_guest_write(&t->g, VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(t->log_lines, 1);
}

static void test_queue_is_closed_before_features_ok(void **state)
{
	const struct virtq_setup queue = fake_guest_queue();
	struct toy *t = *state;

	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, DRIVER);
	fake_guest_set_queue(&t->g, 0, &queue);
	assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void test_queue_selector_out_of_range(void **state)
{
	static const uint32_t wrong[] = { 2, 3, 8, 255, 256, 0x10000, 0x80000000, UINT32_MAX };
	const struct virtq_setup queue = fake_guest_queue();
	struct toy *t = *state;

	fake_guest_negotiate(&t->g, FAKE_F_RING);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		fake_guest_set_queue(&t->g, wrong[i], &queue);
		assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_QUEUE_READY), 0);
		fake_guest_write(&t->g, VIRTIO_MMIO_QUEUE_NOTIFY, wrong[i]);
		fake_guest_run(&t->g);
	}
	for (uint32_t sel = 0; sel < 2; sel++) {
		fake_guest_write(&t->g, VIRTIO_MMIO_QUEUE_SEL, sel);
		assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_QUEUE_NUM_MAX), 256);
		assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_QUEUE_READY), 0);
	}
}

static void test_bad_queue_needs_reset(void **state)
{
	struct virtq_setup queue = fake_guest_queue();
	struct toy *t = *state;

	queue.desc.v = FAKE_LOW_END;
	fake_guest_negotiate(&t->g, FAKE_F_RING);
	fake_guest_set_queue(&t->g, 1, &queue);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, DRIVER_OK);
	assert_int_equal(toy_status(t), DRIVER_OK | NEEDS_RESET);
	assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_INTERRUPT_CONFIG);
	assert_int_equal(fake_guest_interrupts(&t->g), 1);
	assert_int_equal(t->activations, 0);
	assert_int_equal(t->log_lines, 1);
	assert_int_equal(fake_guest_start(&t->g, FAKE_F_RING), DRIVER_OK);
	assert_int_equal(t->activations, 1);
}

/* Any width at any offset of the page, in each phase, does nothing but what 4.2.2 says. */
static void test_every_register_at_every_width(void **state)
{
	static const uint32_t widths[] = { 1, 2, 4, 8 };
	struct toy *t = *state;

	fake_guest_start(&t->g, FAKE_F_RING);
	for (uint64_t offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
		for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
			const uint32_t len = widths[w];

			if (len == 4 && offset % 4 == 0)
				continue;
			if (offset + len > VIRTIO_MMIO_CONFIG)
				continue;
			assert_int_equal(fake_guest_read_len(&t->g, offset, len), 0);
			fake_guest_write_len(&t->g, offset, 0, len);
			assert_int_equal(toy_status(t), DRIVER_OK);
		}
	}
	/* Aligned, all registers: with a value that resets, fails or selects. */
	for (uint64_t reg = 0; reg < VIRTIO_MMIO_CONFIG; reg += 4) {
		fake_guest_read(&t->g, reg);
		fake_guest_write(&t->g, reg, UINT32_MAX);
		assert_int_equal(toy_status(t), DRIVER_OK);
	}
	fake_guest_run(&t->g);
	assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_MAGIC), 0x74726976);
}

static void test_config_space_is_bounded(void **state)
{
	static const uint32_t widths[] = { 1, 2, 4, 8 };
	struct toy *t = *state;

	for (uint64_t at = 0; at < VIRTIO_MMIO_BYTES - VIRTIO_MMIO_CONFIG; at++) {
		for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
			const uint32_t len = widths[w];
			const uint64_t offset = VIRTIO_MMIO_CONFIG + at;
			uint64_t want = 0;

			if (at + len <= sizeof(t->config))
				memcpy(&want, t->config + at, len);
			if (offset + len > VIRTIO_MMIO_BYTES)
				continue;
			assert_int_equal(fake_guest_read_len(&t->g, offset, len), want);
			fake_guest_write_len(&t->g, offset, want, len);
		}
	}
	/* Across the border between registers and configuration space. */
	assert_int_equal(fake_guest_read_len(&t->g, VIRTIO_MMIO_CONFIG - 2, 4), 0);
	fake_guest_write_len(&t->g, VIRTIO_MMIO_CONFIG + 4, 0xa1b2c3d4, 4);
	assert_int_equal(fake_guest_read_len(&t->g, VIRTIO_MMIO_CONFIG + 6, 2), 0xa1b2);
	fake_guest_write_len(&t->g, VIRTIO_MMIO_CONFIG + 10, 0, 4);
	assert_int_equal(t->config[10], 0x1a);
}

static void test_fault_needs_reset_and_logs_once(void **state)
{
	struct toy *t = *state;
	struct fake_guest *g = &t->g;

	for (uint32_t round = 1; round <= 40; round++) {
		const uint32_t lines = 2 * round; /* the fault and the ignored write */

		assert_int_equal(fake_guest_start(g, FAKE_F_RING), DRIVER_OK);
		fake_guest_interrupts(g);
		fake_guest_offer(g, 999);
		fake_guest_kick(g);
		assert_int_equal(toy_status(t), DRIVER_OK | NEEDS_RESET);
		assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS),
				 VIRTIO_INTERRUPT_CONFIG);
		assert_int_equal(fake_guest_interrupts(g), 1);
		/* Dead until the reset: kicks and register writes change nothing. */
		fake_guest_kick(g);
		fake_guest_write(g, VIRTIO_MMIO_QUEUE_NUM, 1);
		fake_guest_write(g, VIRTIO_MMIO_STATUS, DRIVER_OK);
		assert_int_equal(toy_status(t), DRIVER_OK | NEEDS_RESET);
		assert_int_equal(fake_guest_interrupts(g), 0);
		/* The log has a line for each time, and an end. */
		assert_int_equal(t->log_lines, lines < 16 ? lines : 16);
	}
	assert_int_equal(t->handled, 0);
}

/* What drivers do when they let go of a queue (Linux too), and what a stray write does. */
static void test_queue_ready_0(void **state)
{
	struct toy *t = *state;
	struct fake_guest *g = &t->g;

	fake_guest_start(g, FAKE_F_RING);
	fake_guest_write(g, VIRTIO_MMIO_STATUS, 0);
	for (uint32_t sel = 0; sel < 2; sel++) {
		fake_guest_write(g, VIRTIO_MMIO_QUEUE_SEL, sel);
		fake_guest_write(g, VIRTIO_MMIO_QUEUE_READY, 0);
		assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	assert_int_equal(t->log_lines, 0);
	/* A live queue stays so until the reset, and says so. */
	fake_guest_start(g, FAKE_F_RING);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_SEL, 0);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(t->log_lines, 1);
	fake_guest_desc(g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(g, 0);
	fake_guest_kick(g);
	assert_int_equal(fake_guest_used_idx(g), 1);
	/* Before that it may be taken back. */
	fake_guest_negotiate(g, FAKE_F_RING);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_READY, 1);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_QUEUE_READY), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, toy_setup, toy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_identity),
		CASE(test_features_offered),
		CASE(test_features_not_offered_do_not_stick),
		CASE(test_features_frozen),
		CASE(test_every_status_transition),
		CASE(test_failed_driver_gets_nothing),
		CASE(test_queue_is_frozen_at_driver_ok),
		CASE(test_queue_is_closed_before_features_ok),
		CASE(test_queue_selector_out_of_range),
		CASE(test_bad_queue_needs_reset),
		CASE(test_every_register_at_every_width),
		CASE(test_config_space_is_bounded),
		CASE(test_fault_needs_reset_and_logs_once),
		CASE(test_queue_ready_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and doorbells as a driver sees them, with a toy device of two queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "test/unit/toy_device.h"

static void test_interrupt_status_and_ack(void **state)
{
	struct toy *t = *state;
	struct fake_guest *g = &t->g;

	fake_guest_start(g, FAKE_F_RING);
	fake_guest_desc(g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(g, 0);
	fake_guest_kick(g);
	assert_int_equal(fake_guest_interrupts(g), 1);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_INTERRUPT_USED);
	fake_guest_write(g, VIRTIO_MMIO_INTERRUPT_ACK, ~VIRTIO_INTERRUPT_USED);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_INTERRUPT_USED);
	fake_guest_write(g, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_INTERRUPT_USED);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	/* Nothing new: a kick alone raises nothing. */
	fake_guest_kick(g);
	assert_int_equal(fake_guest_interrupts(g), 0);
}

/* Buffers that were there before DRIVER_OK, whose kick came too early, are found. */
static void test_kick_before_driver_ok(void **state)
{
	const struct virtq_setup queue = fake_guest_queue();
	struct toy *t = *state;

	fake_guest_clear_rings(&t->g);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(&t->g, 0);
	fake_guest_negotiate(&t->g, FAKE_F_RING);
	fake_guest_set_queue(&t->g, 0, &queue);
	fake_guest_kick(&t->g);
	assert_int_equal(t->handled, 0);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, DRIVER_OK);
	fake_guest_run(&t->g);
	assert_int_equal(t->handled, 1);
}

static void test_config_change_is_told(void **state)
{
	struct toy *t = *state;
	struct fake_guest *g = &t->g;

	/* Before DRIVER_OK only the generation says so. */
	toy_change_config(t, 0x55);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION), 1);
	assert_int_equal(fake_guest_interrupts(g), 0);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	fake_guest_start(g, FAKE_F_RING);
	toy_change_config(t, 0x66);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION), 2);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_CONFIG), 0x66666666);
	assert_int_equal(fake_guest_interrupts(g), 1);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_INTERRUPT_CONFIG);
	/* A reset takes the interrupt back, not the generation: the driver may compare across it. */
	fake_guest_write(g, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION), 2);
}

/* At a depth of 32, a driver that re-arms when it has looked gets one interrupt for a batch. */
static void test_interrupts_per_request(void **state)
{
	enum { DEPTH = 32, ROUNDS = 200 };
	struct toy *t = *state;
	struct fake_guest *g = &t->g;
	uint64_t interrupts = 0;

	fake_guest_start(g, FAKE_F_RING | VIRTIO_F_EVENT_IDX);
	fake_guest_interrupts(g);
	fake_guest_desc(g, 0, FAKE_DATA, 1, 0, 0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		fake_guest_set_used_event(g, fake_guest_used_idx(g));
		for (uint32_t i = 0; i < DEPTH; i++) {
			fake_guest_offer(g, 0);
			/* Several batches, before the driver has come to look. */
			if (i % 8 == 7)
				fake_guest_kick(g);
		}
		interrupts += fake_guest_interrupts(g);
		assert_int_equal(fake_guest_used_idx(g), (uint16_t)((round + 1) * DEPTH));
		fake_guest_write(g, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_INTERRUPT_USED);
	}
	assert_int_equal(interrupts, ROUNDS);
}

/* A driver that never acknowledges, or that looks before it does, still gets each edge. */
static void test_interrupt_without_acknowledgement(void **state)
{
	struct toy *t = *state;
	struct fake_guest *g = &t->g;

	fake_guest_start(g, FAKE_F_RING);
	fake_guest_interrupts(g);
	fake_guest_desc(g, 0, FAKE_DATA, 1, 0, 0);
	for (int i = 0; i < 10; i++) {
		fake_guest_offer(g, 0);
		fake_guest_kick(g);
		assert_int_equal(fake_guest_interrupts(g), 1);
		assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS),
				 VIRTIO_INTERRUPT_USED);
	}
}

/* The second queue, with rings of its own; its doorbell is not the first one's. */
static void test_second_queue(void **state)
{
	const struct virtq_setup first = fake_guest_queue();
	const struct virtq_setup second = {
		.size = 1,
		.is_ready = true,
		.desc = { FAKE_DATA + 0x1000 },
		.driver = { FAKE_DATA + 0x2000 },
		.device = { FAKE_DATA + 0x3000 },
	};
	const struct virtq_desc d = { le64_put(FAKE_DATA), le32_put(1), le16_put(0), le16_put(0) };
	struct toy *t = *state;
	struct fake_guest *g = &t->g;
	le16 *avail_idx = fake_guest_ram(g, second.driver.v + 2, sizeof(le16));
	const le16 *used_idx = fake_guest_ram(g, second.device.v + 2, sizeof(le16));

	fake_guest_negotiate(g, FAKE_F_RING);
	fake_guest_clear_rings(g);
	fake_guest_set_queue(g, 0, &first);
	fake_guest_set_queue(g, 1, &second);
	fake_guest_write(g, VIRTIO_MMIO_STATUS, DRIVER_OK);
	fake_guest_run(g);
	memcpy(fake_guest_ram(g, second.desc.v, sizeof(d)), &d, sizeof(d));
	*avail_idx = le16_put(1);
	fake_guest_kick(g);
	assert_int_equal(t->handled, 0);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	fake_guest_run(g);
	assert_int_equal(le16_get(*used_idx), 1);
	assert_int_equal(fake_guest_used_idx(g), 0);
	assert_int_equal(fake_guest_interrupts(g), 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, toy_setup, toy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_interrupt_status_and_ack),
		CASE(test_kick_before_driver_ok),
		CASE(test_config_change_is_told),
		CASE(test_interrupts_per_request),
		CASE(test_interrupt_without_acknowledgement),
		CASE(test_second_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

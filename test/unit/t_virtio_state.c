/* SPDX-License-Identifier: Apache-2.0 */
/* Saving a virtio device and loading it into a fresh one, also from bytes of an attacker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/virtio/mmio.h"
#include "machine/virtio/transport.h"
#include "test/unit/toy_device.h"

/* Where things are in the saved toy. Each section begins with a header. */
enum {
	AT_SELECTORS = STATE_HEADER_BYTES,
	AT_DEVICE_HEADER = AT_SELECTORS + 12,
	AT_DEVICE_ID = AT_DEVICE_HEADER + STATE_HEADER_BYTES,
	AT_QUEUE_COUNT = AT_DEVICE_ID + 4,
	AT_QUEUE_SIZE_MAX = AT_QUEUE_COUNT + 4,
	AT_STATUS = AT_QUEUE_SIZE_MAX + 4,
	AT_ACTIVATED = AT_STATUS + 4,
	AT_ACCEPTED = AT_ACTIVATED + 1,
	AT_BEYOND_64 = AT_ACCEPTED + 8,
	AT_INTERRUPTS = AT_BEYOND_64 + 1,
	AT_GENERATION = AT_INTERRUPTS + 4,
	AT_SIZE = AT_GENERATION + 4, /* queue 0 */
	AT_READY = AT_SIZE + 4,
	AT_DESC = AT_READY + 1,
	AT_DRIVER = AT_DESC + 8,
	AT_DEVICE = AT_DRIVER + 8,
	AT_QUEUE1 = AT_DEVICE + 8,
	AT_NEXT_AVAIL = AT_QUEUE1 + 29, /* of queue 0: the one that is started */
	AT_NEXT_USED = AT_NEXT_AVAIL + 2,
	AT_FAULT = AT_NEXT_USED + 2,
	AT_NOTE = AT_FAULT + 1 + STATE_HEADER_BYTES,
	STATE_BYTES = AT_NOTE + 4,
};

struct saved {
	uint8_t bytes[512];
	size_t len;
};

static int save(struct toy *t, struct saved *saved)
{
	struct state s;

	state_init_save(&s, saved->bytes, sizeof(saved->bytes));
	virtio_mmio_state(t->g.mmio, &s);
	saved->len = state_size(&s);
	return state_finish(&s, "toy", NULL);
}

/* From a copy of exactly @len bytes, so that a sanitizer sees one read too many. */
static int load(struct toy *t, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = test_malloc(len + 1);
	struct state s;
	int r;

	memcpy(copy, bytes, len);
	state_init_load(&s, copy, len);
	virtio_mmio_state(t->g.mmio, &s);
	r = state_finish(&s, "toy", NULL);
	test_free(copy);
	return r;
}

static void start(struct toy *t, uint64_t features)
{
	assert_int_equal(fake_guest_start(&t->g, features), DRIVER_OK);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
}

static void assert_works(struct toy *t)
{
	const uint32_t handled = t->handled;

	start(t, FAKE_F_RING);
	fake_guest_interrupts(&t->g);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(t->handled, handled + 1);
	assert_int_equal(fake_guest_interrupts(&t->g), 1);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(toy_status(t), 0);
}

/* Far enough for the indices to wrap, a move in every round, with work and interrupts pending. */
static void check_traffic_goes_on(struct toy *t, uint64_t features)
{
	struct fake_guest *g = &t->g;
	uint16_t used = 0;
	struct saved saved;

	start(t, features);
	for (uint32_t round = 0; round < 700; round++) {
		/* Some done, and not yet acknowledged. */
		fake_guest_set_used_event(g, used);
		for (uint32_t i = 0; i < 100; i++, used++)
			fake_guest_offer(g, 0);
		fake_guest_kick(g);
		assert_int_equal(fake_guest_used_idx(g), used);
		assert_int_equal(fake_guest_interrupts(g), 1);
		/* Some offered, the kick unheard. */
		fake_guest_set_used_event(g, used);
		fake_guest_offer(g, 0);
		used++;
		t->note = round;
		assert_int_equal(save(t, &saved), 0);

		toy_renew(t);
		t->note = 0;
		assert_int_equal(load(t, saved.bytes, saved.len), 0);
		assert_int_equal(t->note, round);
		assert_int_equal(toy_status(t), DRIVER_OK);
		assert_int_equal(t->features, features);
		assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS),
				 VIRTIO_INTERRUPT_USED);
		virtio_device_wake(t->device);
		/* The edge that may have been lost. */
		assert_int_equal(fake_guest_interrupts(g), 1);
		fake_guest_write(g, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_INTERRUPT_USED);
		/* The kick that may have been lost, and the interrupt for it. */
		fake_guest_run(g);
		assert_int_equal(fake_guest_used_idx(g), used);
		assert_int_equal(fake_guest_interrupts(g), 1);
		fake_guest_write(g, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_INTERRUPT_USED);
	}
	assert_int_equal(t->log_lines, 0);
}

static void test_traffic_goes_on_with_event_idx(void **state)
{
	check_traffic_goes_on(*state, FAKE_F_RING | VIRTIO_F_EVENT_IDX | F_TOY);
}

static void test_traffic_goes_on_with_flags(void **state)
{
	check_traffic_goes_on(*state, FAKE_F_RING);
}

static void test_wake_is_silent_without_need(void **state)
{
	struct toy *t = *state;

	start(t, FAKE_F_RING);
	fake_guest_interrupts(&t->g);
	virtio_device_wake(t->device);
	fake_guest_run(&t->g);
	assert_int_equal(fake_guest_interrupts(&t->g), 0);
}

/* A driver does not notice that it began with one device and goes on with another. */
static void test_every_step_of_the_set_up(void **state)
{
	static const uint32_t path[] = { 0, ACK, DRIVER, FEATURES_OK };
	const struct virtq_setup queue = fake_guest_queue();
	struct toy *t = *state;
	struct fake_guest *g = &t->g;

	for (size_t at = 0; at < ARRAY_LEN(path); at++) {
		struct saved saved;

		toy_renew(t);
		fake_guest_clear_rings(g);
		for (size_t i = 0; i < ARRAY_LEN(path); i++) {
			fake_guest_write(g, VIRTIO_MMIO_STATUS, path[i]);
			if (path[i] == DRIVER) {
				fake_guest_write(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
				fake_guest_write(g, VIRTIO_MMIO_DRIVER_FEATURES, 1);
			} else if (path[i] == FEATURES_OK) {
				fake_guest_set_queue(g, 0, &queue);
			}
			if (i != at)
				continue;
			assert_int_equal(save(t, &saved), 0);
			toy_renew(t);
			assert_int_equal(load(t, saved.bytes, saved.len), 0);
			assert_int_equal(toy_status(t), path[i]);
		}
		fake_guest_write(g, VIRTIO_MMIO_STATUS, DRIVER_OK);
		assert_int_equal(toy_status(t), DRIVER_OK);
		assert_int_equal(t->features, VIRTIO_F_VERSION_1);
		fake_guest_desc(g, 0, FAKE_DATA, 1, 0, 0);
		fake_guest_offer(g, 0);
		fake_guest_kick(g);
		assert_int_equal(fake_guest_used_idx(g), 1);
	}
}

static void test_selectors_and_generation_survive(void **state)
{
	struct toy *t = *state;
	struct fake_guest *g = &t->g;
	struct saved saved;

	start(t, FAKE_F_RING);
	toy_change_config(t, 1);
	toy_change_config(t, 2);
	fake_guest_write(g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_SEL, 7);
	assert_int_equal(save(t, &saved), 0);
	toy_renew(t);
	assert_int_equal(load(t, saved.bytes, saved.len), 0);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION), 2);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_DEVICE_FEATURES), 1);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_INTERRUPT_CONFIG);
}

/* A device that the guest broke stays broken, and comes back with a reset. */
static void test_needs_reset_survives(void **state)
{
	struct toy *t = *state;
	struct saved saved;

	start(t, FAKE_F_RING);
	fake_guest_offer(&t->g, 999);
	fake_guest_kick(&t->g);
	assert_int_equal(toy_status(t), DRIVER_OK | NEEDS_RESET);
	assert_int_equal(save(t, &saved), 0);
	toy_renew(t);
	assert_int_equal(load(t, saved.bytes, saved.len), 0);
	assert_int_equal(toy_status(t), DRIVER_OK | NEEDS_RESET);
	/* Nor does a guest that repairs its ring get it to go on. */
	memset(fake_guest_ram(&t->g, FAKE_AVAIL + offsetof(struct virtq_avail, ring), 2), 0, 2);
	virtio_device_wake(t->device);
	fake_guest_run(&t->g);
	assert_int_equal(t->handled, 0);
	assert_int_equal(virtq_next(virtio_device_queue(t->device, 0), NULL), -EINVAL);
	assert_works(t);
}

/* A queue that was refused at DRIVER_OK: saved and loaded without it ever being started. */
static void test_refused_queue_survives(void **state)
{
	struct virtq_setup queue = fake_guest_queue();
	struct toy *t = *state;
	struct saved saved;

	fake_guest_negotiate(&t->g, FAKE_F_RING);
	fake_guest_set_queue(&t->g, 0, &queue);
	queue.size = 3;
	fake_guest_set_queue(&t->g, 1, &queue);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, DRIVER_OK);
	assert_int_equal(toy_status(t), DRIVER_OK | NEEDS_RESET);
	assert_int_equal(save(t, &saved), 0);
	toy_renew(t);
	assert_int_equal(load(t, saved.bytes, saved.len), 0);
	assert_int_equal(toy_status(t), DRIVER_OK | NEEDS_RESET);
	assert_works(t);
}

static void test_save_needs_nothing_in_flight(void **state)
{
	struct toy *t = *state;
	struct saved saved;

	t->is_holding = true;
	start(t, FAKE_F_RING);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(save(t, &saved), -EBUSY);
	virtio_device_hold(t->device);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(t->nr_held, 1);
	assert_false(virtio_device_is_idle(t->device));
	toy_finish_held(t);
	assert_true(virtio_device_is_idle(t->device));
	assert_int_equal(save(t, &saved), 0);
	assert_int_equal(saved.len, STATE_BYTES);
	/* The one that saved goes on, too. */
	virtio_device_unhold(t->device);
	fake_guest_run(&t->g);
	assert_int_equal(t->nr_held, 1);
	toy_finish_held(t);
	assert_int_equal(fake_guest_used_idx(&t->g), 2);
}

/* What a driver left behind is nothing to keep. */
static void test_save_after_a_reset(void **state)
{
	struct toy *t = *state;
	struct saved fresh;
	struct saved saved;

	assert_int_equal(save(t, &fresh), 0);
	start(t, FAKE_F_RING);
	fake_guest_offer(&t->g, 999);
	fake_guest_kick(&t->g);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
	fake_guest_write(&t->g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	assert_int_equal(save(t, &saved), 0);
	assert_int_equal(saved.len, fresh.len);
	assert_memory_equal(saved.bytes, fresh.bytes, fresh.len);
}

static void test_load_needs_a_fresh_device(void **state)
{
	struct toy *t = *state;
	struct saved saved;

	start(t, FAKE_F_RING);
	assert_int_equal(save(t, &saved), 0);
	assert_int_equal(load(t, saved.bytes, saved.len), -EBUSY);
	assert_int_equal(toy_status(t), DRIVER_OK);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(fake_guest_used_idx(&t->g), 1);
}

struct attack {
	const char *name;
	size_t at;
	size_t len;
	uint64_t value;
	int result;
};

#define LOW(v) ((uint32_t)(v))

static const struct attack attacks[] = {
	{ "another device", AT_DEVICE_ID, 4, 43, -EINVAL },
	{ "one queue", AT_QUEUE_COUNT, 4, 1, -EINVAL },
	{ "many queues", AT_QUEUE_COUNT, 4, UINT32_MAX, -EINVAL },
	{ "longer queues", AT_QUEUE_SIZE_MAX, 4, 512, -EINVAL },
	{ "status 0, activated", AT_STATUS, 4, 0, -EINVAL },
	{ "FEATURES_OK, activated", AT_STATUS, 4, FEATURES_OK, -EINVAL },
	{ "DRIVER_OK alone", AT_STATUS, 4, 4, -EINVAL },
	{ "DRIVER_OK without FEATURES_OK", AT_STATUS, 4, 7, -EINVAL },
	{ "unknown status bit", AT_STATUS, 4, DRIVER_OK | 16, -EINVAL },
	{ "high status bit", AT_STATUS, 4, DRIVER_OK | 0x80000000, -EINVAL },
	{ "FAILED", AT_STATUS, 4, DRIVER_OK | FAILED, 0 },
	{ "live, not activated", AT_ACTIVATED, 1, 0, -EINVAL },
	{ "activated twice", AT_ACTIVATED, 1, 2, -EINVAL },
	{ "no VERSION_1", AT_ACCEPTED, 8, LOW(FAKE_F_RING), -EINVAL },
	{ "feature not offered", AT_ACCEPTED, 8, VIRTIO_F_VERSION_1 | 1, -EINVAL },
	{ "all features", AT_ACCEPTED, 8, UINT64_MAX, -EINVAL },
	{ "feature beyond 63", AT_BEYOND_64, 1, 1, -EINVAL },
	{ "unknown interrupt", AT_INTERRUPTS, 4, 4, -EINVAL },
	{ "all interrupts", AT_INTERRUPTS, 4, UINT32_MAX, -EINVAL },
	{ "any generation", AT_GENERATION, 4, UINT32_MAX, 0 },
	{ "queue size 0", AT_SIZE, 4, 0, -EINVAL },
	{ "queue size 3", AT_SIZE, 4, 3, -EINVAL },
	{ "queue size 512", AT_SIZE, 4, 512, -EINVAL },
	{ "queue size 0x10100", AT_SIZE, 4, 0x10100, -EINVAL },
	{ "shorter queue", AT_SIZE, 4, 2, 0 },
	{ "ready with 2", AT_READY, 1, 2, -EINVAL },
	{ "not ready: indices left over", AT_READY, 1, 0, -EINVAL },
	{ "descriptors in the hole", AT_DESC, 8, FAKE_LOW_END, -EINVAL },
	{ "descriptors across the hole", AT_DESC, 8, FAKE_LOW_END - 16, -EINVAL },
	{ "descriptors misaligned", AT_DESC, 8, FAKE_DESC + 8, -EINVAL },
	{ "descriptors wrap", AT_DESC, 8, UINT64_MAX - 15, -EINVAL },
	{ "available ring behind RAM", AT_DRIVER, 8, FAKE_HIGH_END, -EINVAL },
	{ "available ring misaligned", AT_DRIVER, 8, FAKE_AVAIL + 1, -EINVAL },
	{ "used ring across the end", AT_DEVICE, 8, FAKE_HIGH_END - 2052, -EINVAL },
	{ "used ring misaligned", AT_DEVICE, 8, FAKE_USED + 2, -EINVAL },
	{ "second queue ready, empty", AT_QUEUE1 + 4, 1, 1, -EINVAL },
	{ "second queue strange, not ready", AT_QUEUE1, 4, UINT32_MAX, 0 },
	{ "available index ahead", AT_NEXT_AVAIL, 2, 0x8000, 0 },
	{ "used index anywhere", AT_NEXT_USED, 2, 0xfffe, 0 },
	{ "broken", AT_FAULT, 1, 1, 0 },
	{ "broken with 0x80", AT_FAULT, 1, 0x80, -EINVAL },
	{ "the model's own", AT_NOTE, 4, TOY_NOTE_MAX + 1, -EINVAL },
	{ "queue selector anywhere", AT_SELECTORS + 8, 4, UINT32_MAX, 0 },
	{ "device section too long", AT_DEVICE_HEADER + 20, 4, STATE_BYTES, -ENODATA },
};

static void test_attacks(void **state)
{
	struct toy *t = *state;
	struct saved saved;

	start(t, FAKE_F_RING);
	assert_int_equal(save(t, &saved), 0);
	assert_int_equal(saved.len, STATE_BYTES);
	for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
		const struct attack *a = &attacks[i];
		const le64 value = le64_put(a->value);
		uint8_t bytes[STATE_BYTES];
		int r;

		memcpy(bytes, saved.bytes, sizeof(bytes));
		memcpy(bytes + a->at, &value, a->len);
		toy_renew(t);
		t->resets = 0;
		r = load(t, bytes, sizeof(bytes));
		if (r != a->result)
			fail_msg("%s: %d, not %d", a->name, r, a->result);
		/* Refused: as fresh as before, and the model was told. */
		assert_int_equal(t->resets, r < 0 ? 1 : 0);
		if (r < 0)
			assert_int_equal(toy_status(t), 0);
		virtio_device_wake(t->device);
		fake_guest_run(&t->g);
		assert_works(t);
	}
}

static void test_cut_anywhere(void **state)
{
	struct toy *t = *state;
	struct saved saved;

	start(t, FAKE_F_RING);
	assert_int_equal(save(t, &saved), 0);
	toy_renew(t);
	for (size_t len = 0; len < saved.len; len++) {
		assert_true(load(t, saved.bytes, len) < 0);
		assert_int_equal(toy_status(t), 0);
	}
	assert_int_equal(load(t, saved.bytes, saved.len), 0);
	assert_int_equal(toy_status(t), DRIVER_OK);
}

/* Every byte, every bit: taken or refused, the device works afterwards. */
static void test_every_bit_flipped(void **state)
{
	struct toy *t = *state;
	struct saved saved;

	start(t, FAKE_F_RING | VIRTIO_F_EVENT_IDX);
	for (int i = 0; i < 5; i++)
		fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(save(t, &saved), 0);
	for (size_t bit = 0; bit < 8 * saved.len; bit++) {
		uint8_t *byte = &saved.bytes[bit / 8];

		*byte ^= (uint8_t)(1 << bit % 8);
		toy_renew(t);
		if (load(t, saved.bytes, saved.len) == 0) {
			virtio_device_wake(t->device);
			fake_guest_kick(&t->g);
		}
		*byte ^= (uint8_t)(1 << bit % 8);
		fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(toy_status(t), 0);
	}
	assert_works(t);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, toy_setup, toy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_traffic_goes_on_with_event_idx),
		CASE(test_traffic_goes_on_with_flags),
		CASE(test_wake_is_silent_without_need),
		CASE(test_every_step_of_the_set_up),
		CASE(test_selectors_and_generation_survive),
		CASE(test_needs_reset_survives),
		CASE(test_refused_queue_survives),
		CASE(test_save_needs_nothing_in_flight),
		CASE(test_save_after_a_reset),
		CASE(test_load_needs_a_fresh_device),
		CASE(test_attacks),
		CASE(test_cut_anywhere),
		CASE(test_every_bit_flipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

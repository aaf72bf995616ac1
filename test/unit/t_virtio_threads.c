/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs and the loop at the same time: wake-ups, resets with requests in flight, storms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "machine/virtio/transport.h"
#include "test/unit/toy_device.h"

struct vcpu {
	struct toy *t;
	uint64_t features;
	atomic_bool is_over;
	bool is_lost; /* read once it is over */
	uint32_t seed;
};

static void sleep_ms(long ms)
{
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Runs the loop until @vcpu says it is over, for at most @seconds. */
static void run_loop_until_over(struct vcpu *vcpu, int seconds)
{
	const time_t end = time(NULL) + seconds;

	while (!atomic_load(&vcpu->is_over)) {
		event_base_loop(vcpu->t->g.base, EVLOOP_NONBLOCK);
		if (time(NULL) > end)
			fail_msg("the vCPU still waits: a wake-up was lost");
	}
}

enum { ROUND_TRIPS = 20000, SLEEPS = 2500, SPINS = 4000 };

static uint16_t ring16(struct fake_guest *g, uint64_t addr)
{
	const le16 *p = fake_guest_ram(g, addr, sizeof(*p));

	return le16_get((le16){ __atomic_load_n(&p->raw, __ATOMIC_SEQ_CST) });
}

/* A driver that kicks only when the device asked for it (2.7.10.1), a few buffers at a time. */
static void *careful_driver(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct fake_guest *g = &vcpu->t->g;
	const bool has_event_idx = vcpu->features & VIRTIO_F_EVENT_IDX;
	const uint64_t avail_event = FAKE_USED + VIRTQ_USED_BYTES(FAKE_QUEUE_SIZE) - sizeof(le16);
	uint16_t sent = 0;

	for (uint32_t i = 0; i < ROUND_TRIPS; i++) {
		const uint16_t before = g->offered;
		const uint32_t nr = 1 + next_random(&vcpu->seed) % 3;
		bool is_kick_due;

		for (uint32_t n = 0; n < nr; n++)
			fake_guest_offer(g, 0);
		sent = (uint16_t)(sent + nr);
		if (has_event_idx)
			is_kick_due = (uint16_t)(g->offered - ring16(g, avail_event) - 1) <
				      (uint16_t)(g->offered - before);
		else
			is_kick_due = !(ring16(g, FAKE_USED) & VIRTQ_USED_F_NO_NOTIFY);
		if (is_kick_due)
			fake_guest_write(g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		while (fake_guest_used_idx(g) != sent) {
			if (atomic_load(&vcpu->is_over))
				return NULL;
		}
	}
	atomic_store(&vcpu->is_over, true);
	return NULL;
}

static void check_no_wakeup_is_lost(struct toy *t, uint64_t features)
{
	struct vcpu vcpu = { .t = t, .features = features, .seed = 1 };
	pthread_t thread;

	assert_int_equal(fake_guest_start(&t->g, features), DRIVER_OK);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, careful_driver, &vcpu), 0);
	run_loop_until_over(&vcpu, 60);
	pthread_join(thread, NULL);
	assert_int_equal(toy_status(t), DRIVER_OK);
}

static void test_no_wakeup_is_lost_with_event_idx(void **state)
{
	check_no_wakeup_is_lost(*state, FAKE_F_RING | VIRTIO_F_EVENT_IDX);
}

static void test_no_wakeup_is_lost_with_flags(void **state)
{
	check_no_wakeup_is_lost(*state, FAKE_F_RING);
}

/*
 * A driver that sleeps until the interrupt and re-arms by the book (2.7.7.1): it looks once more
 * after it has said that it wants one. Before that it spins a little, so that the device is met at
 * all stages, one of which is the moment between its used index and its look at used_event. The
 * device finishes from its completion event: after `process`, virtq_kick_enable() would hide a
 * barrier that is missing there.
 */
static void *sleepy_driver(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct fake_guest *g = &vcpu->t->g;
	const bool has_event_idx = vcpu->features & VIRTIO_F_EVENT_IDX;
	uint16_t *flags = fake_guest_ram(g, FAKE_AVAIL, sizeof(*flags));
	uint16_t *used_event =
		fake_guest_ram(g, FAKE_AVAIL + VIRTQ_AVAIL_BYTES(FAKE_QUEUE_SIZE) - 2, 2);
	uint16_t seen = 0;

	for (uint32_t i = 0; i < SLEEPS && !atomic_load(&vcpu->is_over); i++) {
		struct pollfd line = { .fd = g->irq.fd, .events = POLLIN };

		if (!has_event_idx)
			__atomic_store_n(flags, htole16(VIRTQ_AVAIL_F_NO_INTERRUPT),
					 __ATOMIC_SEQ_CST);
		fake_guest_offer(g, 0);
		fake_guest_write(g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		while (vcpu->t->nr_held == 0 && !atomic_load(&vcpu->is_over))
			sched_yield();
		toy_signal_done(vcpu->t);
		for (uint32_t n = next_random(&vcpu->seed) % SPINS; n > 0; n--)
			atomic_load(&vcpu->is_over);
		if (has_event_idx)
			__atomic_store_n(used_event, htole16(seen), __ATOMIC_SEQ_CST);
		else
			__atomic_store_n(flags, 0, __ATOMIC_SEQ_CST);
		while (fake_guest_used_idx(g) == seen) {
			vcpu->is_lost = poll(&line, 1, 10000) != 1;
			if (vcpu->is_lost)
				goto over;
			fake_guest_interrupts(g);
			fake_guest_write(g, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_INTERRUPT_USED);
		}
		seen++;
	}
over:
	atomic_store(&vcpu->is_over, true);
	return NULL;
}

static void check_no_interrupt_is_lost(struct toy *t, uint64_t features)
{
	struct vcpu vcpu = { .t = t, .features = features, .seed = 2 };
	pthread_t thread;

	t->is_holding = true;
	assert_int_equal(fake_guest_start(&t->g, features), DRIVER_OK);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, sleepy_driver, &vcpu), 0);
	run_loop_until_over(&vcpu, 100);
	pthread_join(thread, NULL);
	assert_false(vcpu.is_lost);
	assert_int_equal(fake_guest_used_idx(&t->g), SLEEPS);
}

static void test_no_interrupt_is_lost_with_event_idx(void **state)
{
	check_no_interrupt_is_lost(*state, FAKE_F_RING | VIRTIO_F_EVENT_IDX);
}

static void test_no_interrupt_is_lost_with_flags(void **state)
{
	check_no_interrupt_is_lost(*state, FAKE_F_RING);
}

static void *reset_once(void *opaque)
{
	struct vcpu *vcpu = opaque;

	fake_guest_write(&vcpu->t->g, VIRTIO_MMIO_STATUS, 0);
	atomic_store(&vcpu->is_over, true);
	return NULL;
}

static void test_reset_waits_for_requests_in_flight(void **state)
{
	struct toy *t = *state;
	struct vcpu vcpu = { .t = t };
	struct vcpu second = { .t = t };
	pthread_t threads[2];

	t->is_holding = true;
	fake_guest_start(&t->g, FAKE_F_RING);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	for (int i = 0; i < 3; i++)
		fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(t->nr_held, 3);
	t->resets = 0;
	assert_int_equal(pthread_create(&threads[0], NULL, reset_once, &vcpu), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, reset_once, &second), 0);
	sleep_ms(50);
	/* Both wait; the device takes nothing new, and a third vCPU may still look. */
	assert_false(atomic_load(&vcpu.is_over));
	assert_false(atomic_load(&second.is_over));
	assert_int_equal(toy_status(t), DRIVER_OK);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(t->nr_held, 3);
	toy_finish_held(t);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(t->resets, 2);
	assert_int_equal(toy_status(t), 0);
	assert_int_equal(fake_guest_read(&t->g, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(fake_guest_used_idx(&t->g), 3);
}

/* A chain that made the device fail is not in flight: the reset after it does not wait. */
static void test_reset_after_fault_with_requests_in_flight(void **state)
{
	struct toy *t = *state;

	t->is_holding = true;
	fake_guest_start(&t->g, FAKE_F_RING);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(&t->g, 0);
	fake_guest_offer(&t->g, 1000);
	fake_guest_kick(&t->g);
	assert_int_equal(t->nr_held, 1);
	assert_int_equal(toy_status(t), DRIVER_OK | NEEDS_RESET);
	toy_finish_held(t);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(toy_status(t), 0);
}

/* A device on a thread of its own: the main one resets it while its requests are in flight. */
static void *run_loop(void *opaque)
{
	struct vcpu *vcpu = opaque;

	run_loop_until_over(vcpu, 60);
	return NULL;
}

static void test_reset_from_the_main_thread(void **state)
{
	struct toy *t = *state;
	struct vcpu loop = { .t = t };
	pthread_t thread;

	t->is_holding = true;
	assert_int_equal(pthread_create(&thread, NULL, run_loop, &loop), 0);
	for (int i = 0; i < 200; i++) {
		fake_guest_start(&t->g, FAKE_F_RING);
		fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
		fake_guest_offer(&t->g, 0);
		fake_guest_write(&t->g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		while (t->nr_held == 0)
			sched_yield();
		toy_signal_done(t);
		fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(t->nr_held, 0);
		assert_int_equal(toy_status(t), 0);
		assert_int_equal(fake_guest_used_idx(&t->g), 1);
	}
	atomic_store(&loop.is_over, true);
	pthread_join(thread, NULL);
}

/* The end of a VM: vCPUs that wait in a reset go on, though nobody finishes what is in flight. */
static void test_abandon_ends_the_wait(void **state)
{
	struct toy *t = *state;
	struct vcpu vcpus[2] = { { .t = t }, { .t = t } };
	pthread_t threads[ARRAY_LEN(vcpus)];

	t->is_holding = true;
	fake_guest_start(&t->g, FAKE_F_RING);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	t->resets = 0;
	for (size_t i = 0; i < ARRAY_LEN(vcpus); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reset_once, &vcpus[i]), 0);
	sleep_ms(50);
	for (size_t i = 0; i < ARRAY_LEN(vcpus); i++)
		assert_false(atomic_load(&vcpus[i].is_over));
	virtio_device_abandon(t->device);
	for (size_t i = 0; i < ARRAY_LEN(vcpus); i++)
		pthread_join(threads[i], NULL);
	/* The memory is still the device's, and nothing begins any more. */
	assert_int_equal(t->resets, 0);
	assert_int_equal(toy_status(t), DRIVER_OK);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, ACK);
	fake_guest_write_len(&t->g, VIRTIO_MMIO_CONFIG, 0, 4);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(t->nr_held, 1);
	assert_int_equal(toy_status(t), DRIVER_OK);
	assert_int_equal(t->config[0], 0x10);
	assert_false(virtio_device_is_idle(t->device));
	/* What is in flight ends in the ordinary way. */
	toy_signal_done(t);
	fake_guest_run(&t->g);
	assert_int_equal(t->nr_held, 0);
	assert_true(virtio_device_is_idle(t->device));
}

/* Nothing new while held, as often as it is held; then what was waiting is found. */
static void test_hold(void **state)
{
	struct toy *t = *state;

	virtio_device_hold(t->device);
	fake_guest_start(&t->g, FAKE_F_RING);
	assert_int_equal(t->activations, 1);
	virtio_device_hold(t->device);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	assert_int_equal(t->handled, 0);
	virtio_device_unhold(t->device);
	fake_guest_run(&t->g);
	assert_int_equal(t->handled, 0);
	virtio_device_unhold(t->device);
	fake_guest_run(&t->g);
	assert_int_equal(t->handled, 1);
	assert_int_equal(fake_guest_used_idx(&t->g), 1);
}

/* 2.5.1: reads the configuration the way Linux does, while it changes. */
static void *config_reader(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct fake_guest *g = &vcpu->t->g;

	for (uint32_t whole = 0; whole < 2000;) {
		const uint32_t before = fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION);
		const uint32_t first = fake_guest_read(g, VIRTIO_MMIO_CONFIG);
		const uint64_t rest = fake_guest_read_len(g, VIRTIO_MMIO_CONFIG + 4, 8);

		if (fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION) != before)
			continue;
		whole++;
		if (rest != ((uint64_t)first << 32 | first))
			return NULL; /* torn */
	}
	atomic_store(&vcpu->is_over, true);
	return NULL;
}

static void test_config_is_read_whole(void **state)
{
	const time_t end = time(NULL) + 60;
	struct toy *t = *state;
	struct vcpu vcpu = { .t = t };
	pthread_t thread;

	fake_guest_start(&t->g, FAKE_F_RING);
	toy_change_config(t, 0);
	assert_int_equal(pthread_create(&thread, NULL, config_reader, &vcpu), 0);
	for (uint32_t i = 0; !atomic_load(&vcpu.is_over) && time(NULL) < end; i++) {
		toy_change_config(t, (uint8_t)i);
		for (uint32_t n = i % 512; n > 0; n--)
			atomic_load(&vcpu.is_over);
	}
	pthread_join(thread, NULL);
	assert_true(atomic_load(&vcpu.is_over));
}

/* Anything, anywhere, at once with others. */
static void *storm(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct fake_guest *g = &vcpu->t->g;
	const struct virtq_setup queue = fake_guest_queue();

	for (int i = 0; i < 20000; i++) {
		const uint32_t r = next_random(&vcpu->seed);
		const uint64_t reg = r % 0x110 & ~3u;

		switch (r >> 16 & 7) {
		case 0:
			fake_guest_write(g, VIRTIO_MMIO_STATUS, 0);
			break;
		case 1:
		case 2:
			fake_guest_negotiate(g, FAKE_F_RING);
			fake_guest_set_queue(g, 0, &queue);
			fake_guest_write(g, VIRTIO_MMIO_STATUS, DRIVER_OK);
			break;
		case 3:
		case 4:
		case 5:
			fake_guest_write(g, VIRTIO_MMIO_QUEUE_NOTIFY, r & 1);
			break;
		case 6:
			fake_guest_write(g, reg, r);
			break;
		default:
			fake_guest_read(g, reg);
			break;
		}
	}
	atomic_store(&vcpu->is_over, true);
	return NULL;
}

static void test_register_storm(void **state)
{
	struct toy *t = *state;
	struct vcpu vcpus[3];
	pthread_t threads[ARRAY_LEN(vcpus)];

	/* Always something available, so that kicks find work. */
	fake_guest_clear_rings(&t->g);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	for (int i = 0; i < 200; i++)
		fake_guest_offer(&t->g, 0);
	for (size_t i = 0; i < ARRAY_LEN(vcpus); i++) {
		vcpus[i] = (struct vcpu){ .t = t, .seed = (uint32_t)i };
		assert_int_equal(pthread_create(&threads[i], NULL, storm, &vcpus[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(vcpus); i++) {
		run_loop_until_over(&vcpus[i], 120);
		pthread_join(threads[i], NULL);
	}
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(toy_status(t), 0);
	assert_true(t->log_lines <= 16);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, toy_setup, toy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_no_wakeup_is_lost_with_event_idx),
		CASE(test_no_wakeup_is_lost_with_flags),
		CASE(test_reset_waits_for_requests_in_flight),
		CASE(test_reset_after_fault_with_requests_in_flight),
		CASE(test_no_interrupt_is_lost_with_event_idx),
		CASE(test_no_interrupt_is_lost_with_flags),
		CASE(test_reset_from_the_main_thread),
		CASE(test_abandon_ends_the_wait),
		CASE(test_hold),
		CASE(test_config_is_read_whole),
		CASE(test_register_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The keyboard controller and its keyboard, as a driver, a hostile guest and Ctrl-Alt-Del see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "test/unit/i8042_rig.h"

static const uint8_t keys_set_1[] = { 0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d };
static const uint8_t keys_set_2[] = {
	0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14,
};

/* A reply of the controller has to be there at the first look. */
static uint8_t ask(struct rig *r, uint8_t command)
{
	assert_false(rig_in(r, RIG_COMMAND) & RIG_INPUT_FULL);
	rig_out(r, RIG_COMMAND, command);
	assert_true(rig_is_full(r));
	return rig_in(r, RIG_DATA);
}

/* All that comes is these bytes. */
static void expect(struct rig *r, const void *bytes, size_t len)
{
	uint8_t got[RIG_OUTPUT_MAX + 1];

	assert_int_equal(rig_drain(r, got, sizeof(got)), len);
	assert_memory_equal(got, bytes, len);
}

/* The same, by interrupts alone. */
static void expect_by_interrupts(struct rig *r, const void *bytes, size_t len)
{
	uint8_t got[RIG_OUTPUT_MAX + 1];

	assert_int_equal(rig_interrupts(r, got, sizeof(got)), len);
	assert_memory_equal(got, bytes, len);
	assert_false(rig_is_full(r));
}

static void listen(struct rig *r, uint8_t ctr)
{
	rig_start(r);
	rig_set_ctr(r, ctr);
	assert_int_equal(rig_edges(r), 0);
}

/* The driver's probe, in the order of Linux: each step answers at once, and no mouse is found. */
static void probe_ends_fast(void **state)
{
	struct rig r;
	uint8_t ctr;

	(void)state;
	rig_start(&r);
	assert_false(rig_is_full(&r));
	assert_int_equal(ask(&r, 0xaa), 0x55);
	ctr = ask(&r, 0x20);
	assert_int_equal(ask(&r, 0x20), ctr);
	rig_set_ctr(&r, ctr ^ 0x01);
	assert_int_equal(ask(&r, 0x20), ctr ^ 0x01);
	assert_false(rig_is_full(&r));

	rig_out(&r, RIG_COMMAND, 0xd3); /* loop through the auxiliary port */
	rig_out(&r, RIG_DATA, 0x5a);
	assert_true(rig_is_full(&r));
	assert_false(rig_in(&r, RIG_COMMAND) & RIG_AUX_DATA);
	assert_int_equal(ask(&r, 0xa9), 0x01); /* the stale byte is gone */
	rig_out(&r, RIG_COMMAND, 0xd4); /* for the mouse */
	rig_out(&r, RIG_DATA, 0xff);
	assert_true(rig_in(&r, RIG_COMMAND) & RIG_TIMEOUT);
	assert_int_equal(rig_in(&r, RIG_DATA), 0xfe);
	assert_false(rig_in(&r, RIG_COMMAND) & (RIG_TIMEOUT | RIG_OUTPUT_FULL));

	assert_int_equal(ask(&r, 0xab), 0x00);
	assert_true(ask(&r, 0xc0) & 0x80); /* not locked by a key */
	rig_out(&r, RIG_COMMAND, 0xd2); /* loop through the keyboard port */
	rig_out(&r, RIG_DATA, 0xa5);
	expect(&r, "\xa5", 1);
	assert_int_equal(r.nr_resets, 0);
	rig_stop(&r);
}

static void interfaces_are_switched(void **state)
{
	struct rig r;

	(void)state;
	listen(&r, RIG_LISTENING);
	rig_out(&r, RIG_COMMAND, 0xad);
	assert_int_equal(ask(&r, 0x20), RIG_LISTENING | 0x10);
	rig_out(&r, RIG_COMMAND, 0xae);
	rig_out(&r, RIG_COMMAND, 0xa8);
	assert_int_equal(ask(&r, 0x20), RIG_LISTENING & ~0x20);
	rig_out(&r, RIG_COMMAND, 0xa7);
	assert_int_equal(ask(&r, 0x20), RIG_LISTENING);
	rig_stop(&r);
}

static void keyboard_answers(void **state)
{
	static const struct {
		const char *sent, *answer, *answer_translated;
		size_t nr_sent, nr_answer;
	} cases[] = {
		{ "\xff", "\xfa\xaa", "\xfa\xaa", 1, 2 }, /* reset */
		{ "\xf2", "\xfa\xab\x83", "\xfa\xab\x41", 1, 3 }, /* identify */
		{ "\xed", "\xfa", "\xfa", 1, 1 }, /* LEDs */
		{ "\xed\x07", "\xfa\xfa", "\xfa\xfa", 2, 2 },
		{ "\xed\xff", "\xfa\xfa", "\xfa\xfa", 2, 2 },
		{ "\xed\x00\xee", "\xfa\xfa\xee", "\xfa\xfa\xee", 3, 3 }, /* no third byte */
		{ "\xf3\x00", "\xfa\xfa", "\xfa\xfa", 2, 2 }, /* rate */
		{ "\xf4", "\xfa", "\xfa", 1, 1 },
		{ "\xf5", "\xfa", "\xfa", 1, 1 },
		{ "\xf6", "\xfa", "\xfa", 1, 1 },
		{ "\xee", "\xee", "\xee", 1, 1 }, /* echo */
		{ "\xf0\x02", "\xfa\xfa", "\xfa\xfa", 2, 2 }, /* scan code set */
		{ "\xf0\x00", "\xfa\xfa\x02", "\xfa\xfa\x41", 2, 3 },
		{ "\xf0\x03", "\xfa\xfe", "\xfa\xfe", 2, 2 },
		{ "\xf0\x01", "\xfa\xfe", "\xfa\xfe", 2, 2 },
		{ "\xea", "\xfe", "\xfe", 1, 1 }, /* no such command */
		{ "\x00", "\xfe", "\xfe", 1, 1 },
		{ "\xfe", "\xaa", "\xaa", 1, 1 }, /* resend: the self-test at power-on */
		{ "\xee\xfe\xfe", "\xee\xee\xee", "\xee\xee\xee", 3, 3 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		const bool is_translated = i % 2;
		const char *answer = is_translated ? cases[i / 2].answer_translated
						   : cases[i / 2].answer;
		uint8_t got[RIG_OUTPUT_MAX];
		size_t nr = 0;
		struct rig r;

		listen(&r, RIG_LISTENING | (is_translated ? RIG_TRANSLATED : 0));
		for (size_t j = 0; j < cases[i / 2].nr_sent; j++) {
			rig_out(&r, RIG_DATA, (uint8_t)cases[i / 2].sent[j]);
			nr += rig_interrupts(&r, got + nr, sizeof(got) - nr);
		}
		assert_int_equal(nr, cases[i / 2].nr_answer);
		assert_memory_equal(got, answer, nr);
		assert_false(rig_is_full(&r));
		rig_stop(&r);
	}
}

/* A driver that goes on to the next command is not handed the rest of the last answer. */
static void unread_answers_give_way(void **state)
{
	struct rig r;

	(void)state;
	listen(&r, RIG_LISTENING);
	for (int i = 0; i < 10000; i++)
		rig_out(&r, RIG_DATA, 0xf2);
	assert_int_equal(rig_in(&r, RIG_DATA), 0xfa);
	rig_out(&r, RIG_DATA, 0xff);
	expect(&r, "\xfa\xaa", 2);
	rig_stop(&r);
}

/* The byte alone says that the guest means the keyboard. */
static void a_byte_for_the_keyboard_enables_it(void **state)
{
	struct rig r;

	(void)state;
	listen(&r, RIG_LISTENING | 0x10);
	rig_out(&r, RIG_DATA, 0xee);
	expect_by_interrupts(&r, "\xee", 1);
	assert_int_equal(ask(&r, 0x20), RIG_LISTENING);
	rig_stop(&r);
}

static void a_press_reaches_a_driver(void **state)
{
	struct rig r;

	(void)state;
	listen(&r, RIG_LISTENING | RIG_TRANSLATED);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(i8042_ctrl_alt_del(&r.i8042), 0);
		expect_by_interrupts(&r, keys_set_1, sizeof(keys_set_1));
	}
	rig_set_ctr(&r, RIG_LISTENING);
	assert_int_equal(i8042_ctrl_alt_del(&r.i8042), 0);
	expect_by_interrupts(&r, keys_set_2, sizeof(keys_set_2));
	assert_int_equal(r.nr_resets, 0);
	rig_stop(&r);
}

static void check_busy(struct rig *r)
{
	assert_int_equal(i8042_ctrl_alt_del(&r->i8042), -EBUSY);
	assert_int_equal(rig_edges(r), 0);
	assert_false(rig_is_full(r));
}

static void a_press_without_a_listener_is_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	check_busy(&r); /* no driver yet */
	rig_set_ctr(&r, RIG_LISTENING & ~0x01); /* one that polls */
	check_busy(&r);
	rig_set_ctr(&r, RIG_LISTENING | 0x10);
	check_busy(&r);
	rig_set_ctr(&r, RIG_LISTENING);
	rig_out(&r, RIG_DATA, 0xf5); /* one that has the keyboard be silent */
	expect_by_interrupts(&r, "\xfa", 1);
	check_busy(&r);
	rig_out(&r, RIG_DATA, 0xf6); /* which leaves it so */
	expect_by_interrupts(&r, "\xfa", 1);
	check_busy(&r);
	rig_out(&r, RIG_DATA, 0xf4);
	expect_by_interrupts(&r, "\xfa", 1);
	assert_int_equal(i8042_ctrl_alt_del(&r.i8042), 0);
	rig_stop(&r);
}

/* Nor is half a press ever queued. */
static void a_press_waits_for_the_last_one(void **state)
{
	struct rig r;

	(void)state;
	listen(&r, RIG_LISTENING);
	for (size_t i = 0; i < sizeof(keys_set_2); i++) {
		assert_int_equal(i8042_ctrl_alt_del(&r.i8042), i == 0 ? 0 : -EBUSY);
		assert_int_equal(rig_in(&r, RIG_DATA), keys_set_2[i]);
	}
	assert_false(rig_is_full(&r));
	assert_int_equal(i8042_ctrl_alt_del(&r.i8042), 0);
	expect(&r, keys_set_2, sizeof(keys_set_2));
	rig_stop(&r);
}

/* A guest that never read its keys starts anew: they are not its successor's. */
static void a_keyboard_reset_drops_keys(void **state)
{
	static const uint8_t commands[] = { 0xff, 0xf4, 0xf5, 0xf6 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		struct rig r;

		listen(&r, RIG_LISTENING);
		assert_int_equal(i8042_ctrl_alt_del(&r.i8042), 0);
		rig_out(&r, RIG_DATA, commands[i]);
		expect(&r, "\xfa\xaa", commands[i] == 0xff ? 2 : 1);
		rig_stop(&r);
	}
}

/* Commands in the middle of the keys: who asks gets the answer, and no key is lost. */
static void answers_go_before_keys(void **state)
{
	struct rig r;

	(void)state;
	listen(&r, RIG_LISTENING | RIG_TRANSLATED);
	assert_int_equal(i8042_ctrl_alt_del(&r.i8042), 0);
	assert_int_equal(ask(&r, 0x20), RIG_LISTENING | RIG_TRANSLATED);
	assert_int_equal(rig_in(&r, RIG_DATA), keys_set_1[0]);
	assert_int_equal(ask(&r, 0xaa), 0x55);
	rig_out(&r, RIG_DATA, 0xf2);
	expect_by_interrupts(&r, "\xfa\xab\x41\x38\xe0\x53\xe0\xd3\xb8\x9d", 10);
	rig_stop(&r);
}

/* Off: nothing to see, no edge. On again: an edge for what has waited. */
static void switches_hold_the_keys_back(void **state)
{
	static const uint8_t off[] = { RIG_LISTENING & ~0x01, RIG_LISTENING | 0x10 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(off); i++) {
		struct rig r;

		listen(&r, RIG_LISTENING);
		assert_int_equal(i8042_ctrl_alt_del(&r.i8042), 0);
		assert_int_equal(rig_edges(&r), 1);
		rig_set_ctr(&r, off[i]);
		assert_int_equal(rig_is_full(&r), i == 0);
		assert_int_equal(rig_edges(&r), 0);
		rig_set_ctr(&r, RIG_LISTENING);
		expect_by_interrupts(&r, keys_set_2, sizeof(keys_set_2));
		rig_stop(&r);
	}
}

/* An empty buffer shows its last byte, as the chip's latch does, and raises nothing. */
static void an_empty_buffer_stays_as_it_is(void **state)
{
	struct rig r;

	(void)state;
	listen(&r, RIG_LISTENING);
	rig_out(&r, RIG_DATA, 0xee);
	rig_edges(&r);
	for (int i = 0; i < 100; i++)
		assert_int_equal(rig_in(&r, RIG_DATA), 0xee);
	assert_int_equal(rig_edges(&r), 0);
	rig_stop(&r);
}

/* A wide read covers the neighbours of the data port, but takes a single byte from it. */
static void wide_reads_take_one_byte(void **state)
{
	uint8_t bytes[8];
	struct rig r;

	(void)state;
	listen(&r, RIG_LISTENING);
	assert_int_equal(i8042_ctrl_alt_del(&r.i8042), 0);
	for (size_t i = 0; i < sizeof(keys_set_2); i++) {
		i8042_bus_ops.read(&r.i8042, RIG_DATA, bytes, sizeof(bytes));
		assert_int_equal(bytes[0], keys_set_2[i]);
	}
	assert_false(rig_is_full(&r));
	rig_stop(&r);
}

/* Whatever the past: a driver that starts over finds everything in order. */
static void check_works(struct rig *r)
{
	uint8_t bytes[RIG_OUTPUT_MAX + 1];

	assert_true(rig_drain(r, bytes, sizeof(bytes)) <= RIG_OUTPUT_MAX);
	rig_set_ctr(r, RIG_LISTENING | RIG_TRANSLATED);
	rig_out(r, RIG_DATA, 0xff); /* taken by a command that waits for its byte, if one does */
	rig_out(r, RIG_DATA, 0xff);
	rig_drain(r, bytes, sizeof(bytes));
	rig_edges(r);
	assert_int_equal(i8042_ctrl_alt_del(&r->i8042), 0);
	expect_by_interrupts(r, keys_set_1, sizeof(keys_set_1));
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

static void any_order_of_bytes(void **state)
{
	uint8_t bytes[RIG_OUTPUT_MAX + 1];
	uint32_t seed = 1;
	struct rig r;

	(void)state;
	rig_start(&r);
	for (int i = 0; i < 300000; i++) {
		const uint64_t port = next(&seed) % I8042_PORTS;

		if (next(&seed) % 4)
			rig_out(&r, port, (uint8_t)next(&seed));
		else
			rig_in(&r, port);
		if (next(&seed) % 16 == 0)
			i8042_ctrl_alt_del(&r.i8042);
		if (next(&seed) % 1024 == 0)
			assert_true(rig_drain(&r, bytes, sizeof(bytes)) <= RIG_OUTPUT_MAX);
		if (next(&seed) % 1024 == 0)
			check_works(&r);
	}
	check_works(&r);
	rig_stop(&r);
}

struct hammer {
	struct rig *rig;
	uint32_t seed;
};

static void *hammer(void *opaque)
{
	struct hammer *h = opaque;

	for (int i = 0; i < 20000; i++) {
		if (next(&h->seed) % 2)
			rig_out(h->rig, next(&h->seed) % I8042_PORTS, (uint8_t)next(&h->seed));
		else
			rig_in(h->rig, next(&h->seed) % I8042_PORTS);
	}
	return NULL;
}

/* Two vCPUs that know nothing of each other, and an owner without patience. */
static void several_threads(void **state)
{
	pthread_t threads[2];
	struct hammer hammers[ARRAY_LEN(threads)];
	struct rig r;

	(void)state;
	rig_start(&r);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		hammers[i] = (struct hammer){ &r, (uint32_t)i };
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
	}
	for (int i = 0; i < 20000; i++) {
		const int result = i8042_ctrl_alt_del(&r.i8042);

		assert_true(result == 0 || result == -EBUSY);
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	check_works(&r);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe_ends_fast),
		cmocka_unit_test(interfaces_are_switched),
		cmocka_unit_test(keyboard_answers),
		cmocka_unit_test(unread_answers_give_way),
		cmocka_unit_test(a_byte_for_the_keyboard_enables_it),
		cmocka_unit_test(a_press_reaches_a_driver),
		cmocka_unit_test(a_press_without_a_listener_is_refused),
		cmocka_unit_test(a_press_waits_for_the_last_one),
		cmocka_unit_test(a_keyboard_reset_drops_keys),
		cmocka_unit_test(answers_go_before_keys),
		cmocka_unit_test(switches_hold_the_keys_back),
		cmocka_unit_test(an_empty_buffer_stays_as_it_is),
		cmocka_unit_test(wide_reads_take_one_byte),
		cmocka_unit_test(any_order_of_bytes),
		cmocka_unit_test(several_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

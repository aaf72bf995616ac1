/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serial port with guests on threads of their own, as vCPUs are: no wake-up is lost, no byte is
 * lost, and nothing is kept beyond the FIFO and the ring. Meant to run under SAN=thread as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/bytes.h"
#include "test/unit/serial_rig.h"

enum {
	FLOOD_BYTES = 1 << 20,
	SEND_BYTES = 200000,
	LOST_WAKEUP_MS = 5000, /* no interrupt for so long means that none will come */
};

struct guest {
	struct rig *rig;
	pthread_t thread;
	atomic_bool is_done;
	size_t nr_bytes;
	size_t nr_wrong;
	atomic_bool was_starved; /* of interrupts */
};

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 256);
}

/* Waits for the next edge, as a halted CPU does. */
static bool wait_for_edge(struct guest *g)
{
	struct pollfd p = { .fd = g->rig->irq.fd, .events = POLLIN };

	g->was_starved = poll(&p, 1, LOST_WAKEUP_MS) == 0;
	rig_edges(g->rig);
	return !g->was_starved;
}

static void drain_fifo(struct guest *g)
{
	while (rig_read(g->rig, UART_LSR) & UART_LSR_DR) {
		g->nr_wrong += rig_read(g->rig, UART_RX) != pattern(g->nr_bytes);
		g->nr_bytes++;
		if (g->nr_bytes % 4096 == 0)
			usleep(200); /* slower than its sender, now and then */
	}
}

/* The shape of Linux's handler: until IIR has nothing to say. */
static void *run_reader(void *arg)
{
	struct guest *g = arg;

	rig_write(g->rig, UART_IER, UART_IER_RDI);
	while (g->nr_bytes < FLOOD_BYTES && wait_for_edge(g)) {
		while (!(rig_read(g->rig, UART_IIR) & UART_IIR_NO_INT))
			drain_fifo(g);
	}
	g->is_done = true;
	return NULL;
}

static void test_input_flood_is_bounded_and_whole(void **state)
{
	uint8_t chunk[4096];
	size_t sent = 0;
	struct rig r;
	struct guest g = { .rig = &r };

	(void)state;
	rig_start(&r);
	rig_write(&r, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	assert_int_equal(pthread_create(&g.thread, NULL, run_reader, &g), 0);
	while (!g.is_done) {
		size_t len = min_u64(sizeof(chunk), FLOOD_BYTES - sent);
		ssize_t n;

		for (size_t i = 0; i < len; i++)
			chunk[i] = pattern(sent + i);
		n = write(r.host_in, chunk, len);
		sent += n > 0 ? (size_t)n : 0;
		event_base_loop(r.base, EVLOOP_NONBLOCK);
	}
	pthread_join(g.thread, NULL);
	assert_false(g.was_starved);
	assert_int_equal(g.nr_bytes, FLOOD_BYTES);
	assert_int_equal(g.nr_wrong, 0);
	rig_stop(&r);
}

/* Keeps up one FIFO for each THRE interrupt, in a handler that loops over IIR. */
static void *run_interrupt_sender(void *arg)
{
	struct guest *g = arg;

	rig_write(g->rig, UART_IER, UART_IER_THRI);
	while (g->nr_bytes < SEND_BYTES && wait_for_edge(g)) {
		while (rig_read(g->rig, UART_IIR) == UART_IIR_THRI) {
			for (int i = 0; i < UART_FIFO_BYTES && g->nr_bytes < SEND_BYTES; i++)
				rig_write(g->rig, UART_TX, pattern(g->nr_bytes++));
		}
	}
	g->is_done = true;
	return NULL;
}

/* Looks at LSR before each FIFO, like an early console, and then sleeps now and then. */
static void *run_polling_sender(void *arg)
{
	struct guest *g = arg;

	while (g->nr_bytes < SEND_BYTES) {
		while (!(rig_read(g->rig, UART_LSR) & UART_LSR_THRE))
			usleep(10);
		for (int i = 0; i < UART_FIFO_BYTES && g->nr_bytes < SEND_BYTES; i++)
			rig_write(g->rig, UART_TX, pattern(g->nr_bytes++));
		if (g->nr_bytes % 2048 == 0)
			usleep(1500);
	}
	g->is_done = true;
	return NULL;
}

/* Runs @sender against a host that reads in fits and starts; every byte has to come, in order. */
static void check_sender(void *(*sender)(void *))
{
	uint8_t chunk[3000];
	size_t got = 0;
	struct rig r;
	struct guest g = { .rig = &r };

	rig_start(&r);
	assert_int_equal(pthread_create(&g.thread, NULL, sender, &g), 0);
	while (got < SEND_BYTES && !g.was_starved) {
		ssize_t n = read(r.host_out, chunk, sizeof(chunk));

		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(chunk[i], pattern(got++));
		if (got % 7 == 0)
			usleep(100);
		/* Once the guest is done, all that the loop owes it is owed without its help. */
		event_base_loop(r.base, EVLOOP_NONBLOCK);
	}
	pthread_join(g.thread, NULL);
	assert_false(g.was_starved);
	assert_int_equal(got, SEND_BYTES);
	assert_int_equal(serial_dropped_bytes(r.serial), 0);
	rig_stop(&r);
}

static void test_interrupt_driven_output_is_whole(void **state)
{
	(void)state;
	check_sender(run_interrupt_sender);
}

static void test_polled_output_is_whole(void **state)
{
	(void)state;
	check_sender(run_polling_sender);
}

static void *run_hostile(void *arg)
{
	struct guest *g = arg;
	unsigned int seed = (unsigned int)(uintptr_t)&seed;

	for (int i = 0; i < 30000; i++) {
		uint64_t offset = (uint64_t)rand_r(&seed) % 9;
		uint32_t len = 1u << (rand_r(&seed) % 4);
		uint64_t data = (uint64_t)rand_r(&seed) * 0x10001;

		if (rand_r(&seed) % 2)
			serial_bus_ops.read(g->rig->serial, offset, &data, len);
		else
			serial_bus_ops.write(g->rig->serial, offset, &data, len);
	}
	g->is_done = true;
	return NULL;
}

/* Two vCPUs write anything anywhere while bytes come and go: afterwards the port still works. */
static void test_hostile_vcpus_leave_a_working_port(void **state)
{
	uint8_t chunk[4096] = { 0 };
	struct rig r;
	struct guest guests[2] = { { .rig = &r }, { .rig = &r } };
	size_t nr_transfers = 0;
	ssize_t n;

	(void)state;
	rig_start(&r);
	for (size_t i = 0; i < ARRAY_LEN(guests); i++)
		assert_int_equal(pthread_create(&guests[i].thread, NULL, run_hostile, &guests[i]),
				 0);
	while (!guests[0].is_done || !guests[1].is_done) {
		nr_transfers += write(r.host_in, chunk, 64) > 0;
		nr_transfers += read(r.host_out, chunk, sizeof(chunk)) > 0;
		event_base_loop(r.base, EVLOOP_NONBLOCK);
	}
	for (size_t i = 0; i < ARRAY_LEN(guests); i++)
		pthread_join(guests[i].thread, NULL);
	for (int i = 0; i < 20; i++) {
		rig_loop_later(&r);
		nr_transfers += read(r.host_out, chunk, sizeof(chunk)) > 0;
	}
	assert_true(nr_transfers > 0);
	rig_write(&r, UART_LCR, 0);
	rig_write(&r, UART_MCR, UART_MCR_OUT2);
	rig_write(&r, UART_IER, 0);
	rig_edges(&r);
	rig_write(&r, UART_IER, UART_IER_THRI);
	assert_int_equal(rig_edges(&r), 1);
	rig_write(&r, UART_TX, '!');
	rig_loop_later(&r);
	n = read(r.host_out, chunk, sizeof(chunk));
	assert_int_equal(n, 1);
	assert_int_equal(chunk[0], '!');
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_input_flood_is_bounded_and_whole),
		cmocka_unit_test(test_interrupt_driven_output_is_whole),
		cmocka_unit_test(test_polled_output_is_whole),
		cmocka_unit_test(test_hostile_vcpus_leave_a_working_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

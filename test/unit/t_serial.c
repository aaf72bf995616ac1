/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port between a guest's registers and its descriptors; one thread plays both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "base/bytes.h"
#include "base/log.h"
#include "test/unit/serial_rig.h"

static void guest_prints(struct rig *r, const char *text)
{
	for (; *text; text++)
		rig_write(r, UART_TX, (uint8_t)*text);
}

/* A driver that keeps the rules: looks at THRE before each FIFO. Returns how many it got out. */
static size_t guest_sends_while_ready(struct rig *r, size_t max)
{
	size_t sent = 0;

	while (sent < max && (rig_read(r, UART_LSR) & UART_LSR_THRE)) {
		for (int i = 0; i < UART_FIFO_BYTES && sent < max; i++)
			rig_write(r, UART_TX, (uint8_t)(sent++ % 251));
	}
	return sent;
}

static void assert_host_reads(struct rig *r, const char *text)
{
	char buf[256] = { 0 };
	ssize_t n = read(r->host_out, buf, sizeof(buf) - 1);

	assert_int_equal(n, strlen(text));
	assert_string_equal(buf, text);
}

static void host_types(struct rig *r, const char *text)
{
	assert_int_equal(write(r->host_in, text, strlen(text)), strlen(text));
}

static void test_output_appears_at_once_and_in_order(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	guest_prints(&r, "hello");
	rig_loop(&r);
	assert_host_reads(&r, "hello");
	/* Within the pace and after it. */
	guest_prints(&r, "more");
	rig_loop_later(&r);
	assert_host_reads(&r, "more");
	rig_loop_later(&r);
	guest_prints(&r, "again");
	rig_loop(&r);
	assert_host_reads(&r, "again");
	rig_stop(&r);
}

/* What is above the limit is gone, and its driver does not notice. */
static void test_output_above_a_limit_is_dropped(void **state)
{
	const struct token_bucket_config limit = { .size = 7, .refill_ms = 3600 * 1000 };
	struct serial_metrics metrics = { 0 };
	struct rig r;

	(void)state;
	rig_start(&r);
	serial_set_metrics(r.serial, &metrics);
	serial_set_limit(r.serial, &limit);
	guest_prints(&r, "hello, world");
	rig_loop(&r);
	assert_host_reads(&r, "hello, ");
	assert_int_equal(metrics.limited_bytes, 5);
	assert_int_equal(metrics.dropped_bytes, 0);
	rig_loop_later(&r);
	/* A driver that sends on each interrupt gets one, though nothing is written out. */
	rig_write(&r, UART_IER, UART_IER_THRI);
	rig_read(&r, UART_IIR);
	rig_edges(&r);
	rig_write(&r, UART_TX, 'x');
	assert_int_equal(rig_edges(&r), 1);
	assert_int_equal(rig_read(&r, UART_IIR) & UART_IIR_ID, UART_IIR_THRI);
	serial_set_limit(r.serial, &(struct token_bucket_config){ 0 });
	guest_prints(&r, "free");
	rig_loop(&r);
	assert_host_reads(&r, "free");
	assert_int_equal(metrics.limited_bytes, 6);
	rig_stop(&r);
}

static void test_stalled_reader_loses_nothing_of_a_polite_guest(void **state)
{
	static uint8_t buf[2 * SERIAL_RING_BYTES];
	struct rig r;
	size_t sent, got = 0;

	(void)state;
	rig_start(&r);
	sent = guest_sends_while_ready(&r, sizeof(buf));
	assert_true(sent > SERIAL_RING_BYTES - 2 * UART_FIFO_BYTES && sent <= SERIAL_RING_BYTES);
	rig_loop(&r); /* fills the pipe, no more */
	assert_true(rig_read(&r, UART_LSR) & UART_LSR_THRE);
	for (int i = 0; i < 3; i++) {
		uint8_t chunk[1000];
		size_t more = 0;

		while (rig_read(&r, UART_LSR) & UART_LSR_THRE) {
			rig_write(&r, UART_TX, (uint8_t)(sent++ % 251));
			assert_true(++more <= 2 * sizeof(chunk) + 4096);
		}
		rig_loop_later(&r);
		assert_int_equal(read(r.host_out, chunk, sizeof(chunk)), sizeof(chunk));
		memcpy(buf + got, chunk, sizeof(chunk));
		got += sizeof(chunk);
		rig_loop_later(&r);
	}
	for (ssize_t n; (n = read(r.host_out, buf + got, sizeof(buf) - got)) > 0; got += (size_t)n)
		rig_loop_later(&r);
	assert_int_equal(got, sent);
	for (size_t i = 0; i < got; i++)
		assert_int_equal(buf[i], i % 251);
	assert_int_equal(serial_dropped_bytes(r.serial), 0);
	rig_stop(&r);
}

static void test_full_ring_drops_and_counts_then_interrupts(void **state)
{
	static uint8_t buf[SERIAL_RING_BYTES];
	struct rig r;

	(void)state;
	rig_start(&r);
	rig_write(&r, UART_IER, UART_IER_THRI);
	assert_int_equal(rig_edges(&r), 1);
	for (int i = 0; i < SERIAL_RING_BYTES + 100; i++)
		rig_write(&r, UART_TX, (uint8_t)i);
	assert_int_equal(serial_dropped_bytes(r.serial), 100);
	assert_int_equal(rig_read(&r, UART_LSR) & (UART_LSR_THRE | UART_LSR_TEMT), 0);
	assert_int_equal(rig_read(&r, UART_IIR), UART_IIR_NO_INT);
	assert_int_equal(rig_edges(&r), 0);
	rig_loop(&r);
	assert_int_equal(rig_edges(&r), 1);
	assert_int_equal(rig_read(&r, UART_IIR), UART_IIR_THRI);
	for (int got = 0; got < SERIAL_RING_BYTES;) {
		ssize_t n = read(r.host_out, buf, sizeof(buf));

		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], (uint8_t)got++);
		rig_loop_later(&r);
	}
	rig_stop(&r);
}

static void count_line(void *opaque, const struct log_site *site, const char *line)
{
	(void)site;
	(void)line;
	++*(int *)opaque;
}

static void test_reader_gone_is_logged_once_and_harms_nobody(void **state)
{
	struct rig r;
	int nr_lines = 0;

	(void)state;
	log_set_sink(count_line, &nr_lines, LOG_LEVEL_DEBUG);
	rig_start(&r);
	close(r.host_out);
	r.host_out = -1;
	for (int i = 0; i < 3; i++) {
		guest_prints(&r, "to nobody");
		rig_loop_later(&r);
	}
	assert_int_equal(nr_lines, 1);
	assert_int_equal(guest_sends_while_ready(&r, 3 * SERIAL_RING_BYTES), 3 * SERIAL_RING_BYTES);
	assert_true(serial_flush(r.serial, 1000));
	assert_int_equal(serial_dropped_bytes(r.serial), 0);
	assert_int_equal(nr_lines, 1);
	/* An interrupt-driven driver goes on too. */
	rig_write(&r, UART_IER, UART_IER_THRI);
	rig_read(&r, UART_IIR);
	rig_edges(&r);
	rig_write(&r, UART_TX, 'x');
	assert_int_equal(rig_edges(&r), 1);
	rig_stop(&r);
	log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

static void test_reader_that_goes_while_we_wait_for_it(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	guest_sends_while_ready(&r, SERIAL_RING_BYTES);
	rig_loop_later(&r);
	assert_false(serial_flush(r.serial, 0));
	close(r.host_out);
	r.host_out = -1;
	rig_loop_later(&r);
	assert_true(serial_flush(r.serial, 0));
	assert_true(rig_read(&r, UART_LSR) & UART_LSR_THRE);
	rig_stop(&r);
}

static void test_flush_at_the_end(void **state)
{
	struct timespec before, after;
	struct rig r;
	char buf[4096];

	(void)state;
	rig_start(&r);
	assert_true(serial_flush(r.serial, 0));
	guest_prints(&r, "last words");
	assert_true(serial_flush(r.serial, 0));
	assert_host_reads(&r, "last words");
	guest_sends_while_ready(&r, 5000);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_false(serial_flush(r.serial, 50));
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
			    (after.tv_nsec - before.tv_nsec) / 1000000 >=
		    40);
	assert_int_equal(read(r.host_out, buf, sizeof(buf)), sizeof(buf));
	assert_true(serial_flush(r.serial, 50));
	assert_int_equal(read(r.host_out, buf, sizeof(buf)), 5000 - sizeof(buf));
	rig_stop(&r);
}

static void test_regular_files_on_both_sides(void **state)
{
	static const char input[] = "forty bytes of input from a regular file";
	int out = memfd_create("out", MFD_CLOEXEC);
	int in = memfd_create("in", MFD_CLOEXEC);
	int out_copy = dup(out);
	char buf[64] = { 0 };
	struct rig r;
	size_t got = 0;

	(void)state;
	assert_int_equal(pwrite(in, input, sizeof(input) - 1, 0), sizeof(input) - 1);
	rig_start_on(&r, out, in);
	guest_prints(&r, "to a file");
	for (int i = 0; i < 10; i++) {
		rig_loop(&r);
		while (got < sizeof(buf) && (rig_read(&r, UART_LSR) & UART_LSR_DR))
			buf[got++] = (char)rig_read(&r, UART_RX);
	}
	assert_string_equal(buf, input);
	memset(buf, 0, sizeof(buf));
	assert_true(pread(out_copy, buf, sizeof(buf), 0) > 0);
	assert_string_equal(buf, "to a file");
	close(out_copy);
	rig_stop(&r);
}

static void test_nothing_connected(void **state)
{
	struct rig r;

	(void)state;
	rig_start_on(&r, -1, open("/dev/null", O_RDONLY | O_CLOEXEC));
	rig_loop(&r);
	rig_write(&r, UART_IER, UART_IER_THRI | UART_IER_RDI);
	assert_int_equal(rig_edges(&r), 1);
	assert_int_equal(rig_read(&r, UART_IIR), UART_IIR_THRI);
	assert_int_equal(guest_sends_while_ready(&r, 100000), 100000);
	assert_int_equal(serial_dropped_bytes(r.serial), 0);
	assert_true(rig_edges(&r) > 0);
	assert_false(rig_read(&r, UART_LSR) & UART_LSR_DR);
	assert_true(serial_flush(r.serial, 0));
	rig_stop(&r);
}

static void test_input_interrupts_and_takes_no_more_than_a_fifo(void **state)
{
	char text[101];
	struct rig r;
	int queued;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[100] = '\0';
	rig_start(&r);
	rig_write(&r, UART_FCR, UART_FCR_ENABLE_FIFO);
	rig_write(&r, UART_IER, UART_IER_RDI);
	host_types(&r, text);
	rig_loop(&r);
	rig_loop_later(&r);
	assert_int_equal(rig_edges(&r), 1);
	assert_int_equal(ioctl(r.host_in, FIONREAD, &queued), 0);
	assert_int_equal(queued, 100 - UART_FIFO_BYTES);
	for (int i = 0; i < 100; i++) {
		assert_true(rig_read(&r, UART_LSR) & UART_LSR_DR);
		assert_int_equal(rig_read(&r, UART_RX), 'x');
		rig_loop(&r);
	}
	assert_int_equal(rig_read(&r, UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(rig_edges(&r), 100 / UART_FIFO_BYTES);
	rig_stop(&r);
}

static void test_input_that_comes_while_the_handler_runs(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	rig_write(&r, UART_IER, UART_IER_RDI);
	host_types(&r, "a");
	rig_loop(&r);
	assert_int_equal(rig_edges(&r), 1);
	assert_int_equal(rig_read(&r, UART_IIR), UART_IIR_RDI);
	/* Before the byte is read: the handler will see it in its loop. */
	host_types(&r, "b");
	rig_loop(&r);
	assert_int_equal(rig_edges(&r), 0);
	assert_int_equal(rig_read(&r, UART_RX), 'a');
	assert_int_equal(rig_read(&r, UART_IIR), UART_IIR_RDI);
	assert_int_equal(rig_read(&r, UART_RX), 'b');
	/* Between its last look at LSR and its last look at IIR: that takes an edge. */
	host_types(&r, "c");
	rig_loop(&r);
	assert_int_equal(rig_edges(&r), 1);
	rig_stop(&r);
}

static void test_end_of_input_leaves_the_loop_idle(void **state)
{
	struct rig r;
	int with_input;

	(void)state;
	rig_start(&r);
	with_input = event_base_get_num_events(r.base, EVENT_BASE_COUNT_ADDED);
	host_types(&r, "z");
	close(r.host_in);
	r.host_in = -1;
	rig_loop(&r);
	assert_int_equal(event_base_get_num_events(r.base, EVENT_BASE_COUNT_ADDED), with_input - 1);
	assert_int_equal(rig_read(&r, UART_RX), 'z');
	guest_prints(&r, "still here");
	rig_loop(&r);
	assert_host_reads(&r, "still here");
	rig_stop(&r);
}

static void test_fifo_reset_and_loopback_resume_input(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	rig_write(&r, UART_FCR, UART_FCR_ENABLE_FIFO);
	host_types(&r, "0123456789abcdef!");
	rig_loop(&r);
	rig_write(&r, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	rig_loop(&r);
	assert_int_equal(rig_read(&r, UART_RX), '!');

	rig_write(&r, UART_MCR, UART_MCR_LOOP);
	host_types(&r, "from outside");
	rig_loop(&r);
	rig_write(&r, UART_TX, 'i');
	rig_loop(&r);
	assert_int_equal(rig_read(&r, UART_RX), 'i');
	assert_int_equal(rig_read(&r, UART_LSR) & UART_LSR_DR, 0);
	rig_loop(&r);
	rig_write(&r, UART_MCR, UART_MCR_OUT2);
	rig_loop(&r);
	assert_int_equal(rig_read(&r, UART_RX), 'f');
	assert_int_equal(read(r.host_out, &(char){ 0 }, 1), -1); /* nothing looped got out */
	rig_stop(&r);
}

/* Linux sends a line with the THRE interrupt and stops the transmitter after its last byte. */
static void test_short_line_costs_one_interrupt(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	rig_write(&r, UART_IER, UART_IER_RDI);
	rig_write(&r, UART_IER, UART_IER_RDI | UART_IER_THRI);
	assert_int_equal(rig_edges(&r), 1);
	assert_int_equal(rig_read(&r, UART_IIR), UART_IIR_THRI);
	rig_read(&r, UART_LSR);
	guest_prints(&r, "a FIFO of bytes");
	assert_int_equal(rig_read(&r, UART_IIR), UART_IIR_THRI);
	rig_read(&r, UART_LSR);
	guest_prints(&r, " and an end\n");
	rig_write(&r, UART_IER, UART_IER_RDI);
	assert_int_equal(rig_read(&r, UART_IIR), UART_IIR_NO_INT);
	rig_loop_later(&r);
	assert_int_equal(rig_edges(&r), 0);
	assert_host_reads(&r, "a FIFO of bytes and an end\n");
	rig_stop(&r);
}

/* One byte for each interrupt, and never a look at IIR: each byte brings the next edge, unpaced. */
static void test_simple_handler_is_called_for_each_byte(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	rig_write(&r, UART_IER, UART_IER_THRI);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(rig_edges(&r), 1);
		rig_write(&r, UART_TX, 'x');
		event_base_loop(r.base, EVLOOP_NONBLOCK);
	}
	rig_stop(&r);
}

static void test_wide_and_wild_accesses(void **state)
{
	static const uint64_t offsets[] = { 0, 1, 3, 6, 7, 8, 9, UINT64_C(1) << 32, UINT64_MAX };
	uint8_t data[8];
	struct rig r;

	(void)state;
	rig_start(&r);
	serial_bus_ops.write(r.serial, UART_MSR, "\xff\x5a", 2);
	assert_int_equal(rig_read(&r, UART_SCR), 0x5a);
	serial_bus_ops.write(r.serial, UART_TX, "A\x0f\0\3", 4);
	serial_bus_ops.read(r.serial, UART_IER, data, 4);
	assert_memory_equal(data, ((uint8_t[]){ 0x0f, UART_IIR_THRI, 3, UART_MCR_OUT2 }), 4);
	for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
		for (uint32_t len = 0; len <= sizeof(data); len++) {
			memset(data, 0x13, sizeof(data)); /* no loopback among it */
			serial_bus_ops.write(r.serial, offsets[i], data, len);
			serial_bus_ops.read(r.serial, offsets[i], data, len);
			if (offsets[i] >= SERIAL_PORTS)
				assert_memory_equal(data, "\xff\xff\xff\xff\xff\xff\xff\xff", len);
		}
	}
	/* The part beyond the last register is not there. */
	serial_bus_ops.read(r.serial, UART_SCR, data, 4);
	assert_memory_equal(data, "\x13\xff\xff\xff", 4);
	rig_loop_later(&r);
	rig_stop(&r);
}

static void test_bad_descriptor_is_refused_and_the_good_one_closed(void **state)
{
	struct irq irq = { .fd = -1 };
	struct event_base *base = event_base_new();
	struct serial *serial = NULL;
	struct err e = { 0 };
	int in[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(serial_new(&serial, base, irq, 1000, in[0], &e), -EBADF);
	assert_null(serial);
	assert_non_null(strstr(e.msg, "1000"));
	assert_int_equal(fcntl(in[0], F_GETFD), -1);
	close(in[1]);
	event_base_free(base);
	serial_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_appears_at_once_and_in_order),
		cmocka_unit_test(test_output_above_a_limit_is_dropped),
		cmocka_unit_test(test_stalled_reader_loses_nothing_of_a_polite_guest),
		cmocka_unit_test(test_full_ring_drops_and_counts_then_interrupts),
		cmocka_unit_test(test_reader_gone_is_logged_once_and_harms_nobody),
		cmocka_unit_test(test_reader_that_goes_while_we_wait_for_it),
		cmocka_unit_test(test_flush_at_the_end),
		cmocka_unit_test(test_regular_files_on_both_sides),
		cmocka_unit_test(test_nothing_connected),
		cmocka_unit_test(test_input_interrupts_and_takes_no_more_than_a_fifo),
		cmocka_unit_test(test_input_that_comes_while_the_handler_runs),
		cmocka_unit_test(test_end_of_input_leaves_the_loop_idle),
		cmocka_unit_test(test_fifo_reset_and_loopback_resume_input),
		cmocka_unit_test(test_short_line_costs_one_interrupt),
		cmocka_unit_test(test_simple_handler_is_called_for_each_byte),
		cmocka_unit_test(test_wide_and_wild_accesses),
		cmocka_unit_test(test_bad_descriptor_is_refused_and_the_good_one_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A's registers, as drivers use them and as a hostile guest might. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/serial_reg.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "machine/dev/uart.h"

enum { IIR_FIFO_BITS = 0xc0 };

static struct uart chip(void)
{
	struct uart u;

	uart_init(&u);
	return u;
}

static void receive_text(struct uart *u, const char *text, size_t len)
{
	uart_receive(u, (const uint8_t *)text, len);
}

/* What Linux's 8250 driver does in autoconfig() and, for the variants, in autoconfig_16550a(). */
static void test_linux_finds_a_16550a(void **state)
{
	struct uart u = chip();
	uint8_t with_dlab, without_dlab;

	(void)state;
	uart_write(&u, UART_IER, 0);
	assert_int_equal(uart_read(&u, UART_IER), 0);
	uart_write(&u, UART_IER, 0x0f);
	assert_int_equal(uart_read(&u, UART_IER), 0x0f);
	uart_write(&u, UART_IER, 0);

	uart_write(&u, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(uart_read(&u, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	uart_write(&u, UART_MCR, 0);

	uart_write(&u, UART_LCR, 0xbf);
	uart_write(&u, UART_FCR, 0);
	assert_int_not_equal(uart_read(&u, UART_FCR), 0); /* no EFR of a 16650 */
	uart_write(&u, UART_LCR, 0);
	uart_write(&u, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(uart_read(&u, UART_IIR) & IIR_FIFO_BITS, IIR_FIFO_BITS);

	/* A 16750 shows bit 5 here, an XScale keeps bit 6 of IER. */
	uart_write(&u, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	without_dlab = uart_read(&u, UART_IIR);
	uart_write(&u, UART_LCR, UART_LCR_DLAB);
	uart_write(&u, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	with_dlab = uart_read(&u, UART_IIR);
	uart_write(&u, UART_LCR, 0);
	assert_int_equal((without_dlab | with_dlab) & 0x20, 0);
	uart_write(&u, UART_IER, UART_IER_UUE);
	assert_int_equal(uart_read(&u, UART_IER), 0);
}

static void test_fifo_measures_sixteen_in_loopback(void **state)
{
	struct uart u = chip();
	int count;

	(void)state;
	uart_write(&u, UART_FCR, UART_FCR_ENABLE_FIFO);
	uart_write(&u, UART_MCR, UART_MCR_LOOP);
	for (int i = 0; i < 256; i++)
		assert_false(uart_write(&u, UART_TX, (uint8_t)i));
	assert_int_equal(uart_read(&u, UART_LSR) & UART_LSR_OE, UART_LSR_OE);
	assert_int_equal(uart_read(&u, UART_LSR) & UART_LSR_OE, 0);
	for (count = 0; uart_read(&u, UART_LSR) & UART_LSR_DR; count++)
		assert_int_equal(uart_read(&u, UART_RX), count);
	assert_int_equal(count, UART_FIFO_BYTES);
	assert_int_equal(uart_read(&u, UART_RX), 0);
}

static void test_latches_do_not_mix(void **state)
{
	struct uart u = chip();

	(void)state;
	uart_write(&u, UART_IER, 0x05);
	uart_write(&u, UART_SCR, 0xa5);
	uart_write(&u, UART_LCR, UART_LCR_DLAB | 3);
	assert_false(uart_write(&u, UART_DLL, 0x0c));
	uart_write(&u, UART_DLM, 0x7f);
	assert_int_equal(uart_read(&u, UART_DLL), 0x0c);
	assert_int_equal(uart_read(&u, UART_DLM), 0x7f);
	uart_write(&u, UART_LCR, 3);
	assert_int_equal(uart_read(&u, UART_IER), 0x05);
	assert_int_equal(uart_read(&u, UART_SCR), 0xa5);
	assert_int_equal(uart_read(&u, UART_LCR), 3);
	uart_write(&u, UART_LSR, 0xff);
	uart_write(&u, UART_MSR, 0xff);
	assert_int_equal(uart_read(&u, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(uart_read(&u, UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}

static void test_received_bytes_come_in_order(void **state)
{
	struct uart u = chip();
	uint8_t next_in = 0;
	uint8_t next_out = 0;

	(void)state;
	uart_write(&u, UART_FCR, UART_FCR_ENABLE_FIFO);
	for (int round = 0; round < 100; round++) {
		uint8_t byte;

		while (uart_rx_room(&u) > (size_t)(round % 5)) {
			byte = next_in++;
			uart_receive(&u, &byte, 1);
		}
		for (int i = 0; i < 7; i++)
			assert_int_equal(uart_read(&u, UART_RX), next_out++);
	}
}

static void test_fcr_clears_what_was_received(void **state)
{
	struct uart u = chip();

	(void)state;
	uart_write(&u, UART_FCR, UART_FCR_ENABLE_FIFO);
	receive_text(&u, "abc", 3);
	uart_write(&u, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_XMIT);
	assert_int_equal(uart_rx_room(&u), UART_FIFO_BYTES - 3);
	uart_write(&u, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(uart_rx_room(&u), UART_FIFO_BYTES);
	receive_text(&u, "abc", 3);
	uart_write(&u, UART_FCR, 0);
	assert_int_equal(uart_rx_room(&u), UART_FIFO_BYTES);
	/* Without the enable bit the other bits do not count. */
	receive_text(&u, "abc", 3);
	uart_write(&u, UART_FCR, UART_FCR_CLEAR_RCVR | UART_FCR_TRIGGER_MASK);
	assert_int_equal(uart_read(&u, UART_RX), 'a');
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
}

static void test_iir_names_the_most_urgent(void **state)
{
	struct uart u = chip();

	(void)state;
	/* Raise all four causes with IER off, then take them down one by one. */
	uart_write(&u, UART_MCR, UART_MCR_LOOP);
	for (int i = 0; i < UART_FIFO_BYTES + 1; i++)
		uart_write(&u, UART_TX, 'x');
	uart_write(&u, UART_MCR, UART_MCR_OUT2);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
	uart_write(&u, UART_IER, 0x0f);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_RLSI);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_RLSI);
	uart_read(&u, UART_LSR);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_RDI);
	for (int i = 0; i < UART_FIFO_BYTES; i++)
		uart_read(&u, UART_RX);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_THRI);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_MSI);
	uart_read(&u, UART_MSR);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
}

static void test_trigger_level_and_timeout(void **state)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(triggers); i++) {
		struct uart u = chip();

		uart_write(&u, UART_FCR, (uint8_t)(UART_FCR_ENABLE_FIFO | i << 6));
		uart_write(&u, UART_IER, UART_IER_RDI);
		for (int count = 1; count <= UART_FIFO_BYTES; count++) {
			uint8_t iir = count >= triggers[i] ? UART_IIR_RDI : 0x0c;

			receive_text(&u, "x", 1);
			assert_int_equal(uart_read(&u, UART_IIR), iir | IIR_FIFO_BITS);
		}
	}
}

/* serial8250_do_startup(): a chip that fails this is driven by a timer. */
static void test_thre_interrupt_comes_back_when_enabled_again(void **state)
{
	struct uart u = chip();

	(void)state;
	uart_write(&u, UART_IER, UART_IER_THRI);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_THRI);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
	uart_write(&u, UART_IER, UART_IER_THRI);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
	uart_write(&u, UART_IER, 0);
	uart_write(&u, UART_IER, UART_IER_THRI);
	assert_int_equal(uart_read(&u, UART_LSR) & UART_LSR_TEMT, UART_LSR_TEMT);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_THRI);
}

static void test_thre_follows_the_transmitter(void **state)
{
	struct uart u = chip();

	(void)state;
	uart_write(&u, UART_IER, UART_IER_THRI);
	assert_true(uart_write(&u, UART_TX, 'a'));
	assert_int_equal(uart_read(&u, UART_LSR), 0);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
	/* Enabling while the transmitter is busy latches nothing. */
	uart_write(&u, UART_IER, 0);
	uart_write(&u, UART_IER, UART_IER_THRI);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
	uart_set_tx_ready(&u, false);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
	uart_set_tx_ready(&u, true);
	assert_int_equal(uart_read(&u, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_THRI);
	uart_set_tx_ready(&u, true);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_NO_INT);
}

static void test_thre_waits_behind_received_data(void **state)
{
	struct uart u = chip();

	(void)state;
	uart_write(&u, UART_IER, UART_IER_THRI | UART_IER_RDI);
	receive_text(&u, "x", 1);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_RDI);
	uart_read(&u, UART_RX);
	assert_int_equal(uart_read(&u, UART_IIR), UART_IIR_THRI);
}

static void test_modem_lines_report_changes(void **state)
{
	struct uart u = chip();

	(void)state;
	uart_write(&u, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	assert_int_equal(uart_read(&u, UART_MSR),
			 UART_MSR_RI | UART_MSR_DDCD | UART_MSR_DDSR | UART_MSR_DCTS);
	assert_int_equal(uart_read(&u, UART_MSR), UART_MSR_RI);
	uart_write(&u, UART_MCR, UART_MCR_LOOP | UART_MCR_DTR);
	assert_int_equal(uart_read(&u, UART_MSR), UART_MSR_DSR | UART_MSR_DDSR | UART_MSR_TERI);
	assert_int_equal(uart_read(&u, UART_MSR), UART_MSR_DSR);
}

static void test_line_is_gated_like_a_pc(void **state)
{
	struct uart u = chip();

	(void)state;
	assert_false(uart_irq_level(&u));
	uart_write(&u, UART_IER, UART_IER_THRI);
	assert_true(uart_irq_level(&u));
	uart_write(&u, UART_MCR, 0);
	assert_false(uart_irq_level(&u));
	uart_write(&u, UART_MCR, UART_MCR_OUT2 | UART_MCR_LOOP);
	assert_false(uart_irq_level(&u));
	uart_write(&u, UART_MCR, UART_MCR_OUT2);
	assert_true(uart_irq_level(&u));
	uart_read(&u, UART_IIR);
	assert_false(uart_irq_level(&u));
}

static void test_loopback_takes_the_receiver_off_the_line(void **state)
{
	struct uart u = chip();

	(void)state;
	receive_text(&u, "a", 1);
	uart_write(&u, UART_MCR, UART_MCR_LOOP);
	assert_int_equal(uart_rx_room(&u), 0);
	uart_write(&u, UART_TX, 'b');
	uart_write(&u, UART_MCR, 0);
	assert_int_equal(uart_rx_room(&u), UART_FIFO_BYTES - 2);
	assert_int_equal(uart_read(&u, UART_RX), 'a');
	assert_int_equal(uart_read(&u, UART_RX), 'b');
}

/* Whatever a guest writes, wherever: the invariants that indexes and promises rest on hold. */
static void test_random_accesses_keep_the_invariants(void **state)
{
	struct uart u = chip();

	(void)state;
	srandom(1);
	for (int i = 0; i < 200000; i++) {
		unsigned int reg = (unsigned int)random() % 10;
		uint8_t value = (uint8_t)random();

		if (random() % 2)
			uart_read(&u, reg);
		else if (uart_write(&u, reg, value))
			uart_set_tx_ready(&u, random() % 4);
		if (uart_rx_room(&u) > 0 && random() % 4 == 0)
			uart_receive(&u, &value, 1);
		assert_true(u.rx_count <= UART_FIFO_BYTES && u.rx_start < UART_FIFO_BYTES);
		assert_int_equal(u.ier & 0xf0, 0);
		assert_false(u.thre_is_pending && !u.thr_is_empty);
		if (random() % 64 == 0)
			uart_set_tx_ready(&u, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linux_finds_a_16550a),
		cmocka_unit_test(test_fifo_measures_sixteen_in_loopback),
		cmocka_unit_test(test_latches_do_not_mix),
		cmocka_unit_test(test_received_bytes_come_in_order),
		cmocka_unit_test(test_fcr_clears_what_was_received),
		cmocka_unit_test(test_iir_names_the_most_urgent),
		cmocka_unit_test(test_trigger_level_and_timeout),
		cmocka_unit_test(test_thre_interrupt_comes_back_when_enabled_again),
		cmocka_unit_test(test_thre_follows_the_transmitter),
		cmocka_unit_test(test_thre_waits_behind_received_data),
		cmocka_unit_test(test_modem_lines_report_changes),
		cmocka_unit_test(test_line_is_gated_like_a_pc),
		cmocka_unit_test(test_loopback_takes_the_receiver_off_the_line),
		cmocka_unit_test(test_random_accesses_keep_the_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

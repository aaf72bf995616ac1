/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that does anything with the serial port's registers while its host sends, reads and
 * stalls at any moment. The input is a list of operations, each of one byte or more: see run_op().
 * At the end the port has to work: no sequence may leave it stuck.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/serial_rig.h"

struct input {
	const uint8_t *data;
	size_t len;
};

static uint8_t take(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->data++;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Reads what is there; the host never gets what the guest did not send. */
static size_t host_reads(struct rig *r)
{
	uint8_t buf[4096];
	size_t got = 0;
	ssize_t n;

	while ((n = read(r->host_out, buf, sizeof(buf))) > 0)
		got += (size_t)n;
	return got;
}

static void guest_access(struct rig *r, struct input *in, uint8_t op)
{
	static const uint64_t offsets[] = { 8, 1000, UINT64_C(1) << 32, UINT64_MAX };
	uint8_t where = take(in);
	uint64_t offset = where & 0x80 ? offsets[where % 4] : where % 8;
	uint32_t len = 1u << (op >> 2 & 3);
	uint8_t *data = malloc(len); /* exact, so that a byte too far is seen */
	uint32_t repeat = op & 0x10 ? 300 : 1;

	must(data);
	for (uint32_t i = 0; i < len; i++)
		data[i] = op & 1 ? take(in) : 0;
	for (uint32_t i = 0; i < repeat; i++) {
		if (op & 1)
			serial_bus_ops.write(r->serial, offset, data, len);
		else
			serial_bus_ops.read(r->serial, offset, data, len);
	}
	free(data);
}

/*
 * Low two bits of an operation: guest read, guest write (bits 2 and 3: width, bit 4: many times),
 * host sends as many bytes as the next byte says, host lets the loop run (bit 2: and reads).
 */
static void run_op(struct rig *r, struct input *in, uint8_t op)
{
	static const uint8_t typed[256] = "typed by somebody";
	ssize_t n;

	switch (op & 3) {
	case 0:
	case 1:
		guest_access(r, in, op);
		break;
	case 2:
		n = write(r->host_in, typed, take(in));
		(void)n;
		break;
	default:
		event_base_loop(r->base, EVLOOP_NONBLOCK);
		if (op & 4)
			host_reads(r);
		break;
	}
}

static void drain(struct rig *r)
{
	int rounds = 0;

	while (!serial_flush(r->serial, 0)) {
		must(++rounds < 100);
		host_reads(r);
	}
	rig_loop(r);
	host_reads(r);
}

/* After any past: output gets out, input gets in, and both raise an edge. */
static void check_port_works(struct rig *r)
{
	rig_write(r, UART_LCR, UART_LCR_WLEN8);
	rig_write(r, UART_MCR, UART_MCR_OUT2);
	drain(r);
	must(rig_read(r, UART_LSR) & UART_LSR_THRE);
	rig_write(r, UART_IER, 0);
	rig_edges(r);
	rig_write(r, UART_IER, UART_IER_THRI);
	must(rig_edges(r) == 1);
	rig_read(r, UART_LSR);
	rig_write(r, UART_TX, '!');
	must(serial_flush(r->serial, 0) && host_reads(r) == 1);
	must(rig_edges(r) == 1);

	rig_write(r, UART_IER, UART_IER_RDI);
	for (int i = 0; i < 100000 && rig_read(r, UART_LSR) & UART_LSR_DR; i++) {
		rig_read(r, UART_RX);
		rig_loop(r);
	}
	must(!(rig_read(r, UART_LSR) & UART_LSR_DR));
	rig_edges(r);
	must(write(r->host_in, "?", 1) == 1);
	rig_loop(r);
	must(rig_edges(r) == 1 && rig_read(r, UART_RX) == '?');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size < 2000 ? size : 2000 };
	struct rig r;

	rig_start(&r);
	while (in.len > 0)
		run_op(&r, &in, take(&in));
	check_port_works(&r);
	rig_stop(&r);
	return 0;
}

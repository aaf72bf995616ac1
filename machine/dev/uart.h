/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of a 16550A UART, and nothing else: no lock, no descriptor, no clock. serial.c puts
 * the wires on it.
 *
 * The model is of the chip as a driver sees it (National PC16550D data sheet, sections 8.1 to 8.7),
 * with an infinitely fast line: a byte given to the transmitter is gone at once as long as the
 * outside takes it, which it says with uart_set_tx_ready(). Traps:
 *
 *  - THRE in LSR is a promise: a driver that sees it writes a whole FIFO without looking again.
 *  - The THRE interrupt is a latch of its own. Reading IIR clears it only when IIR names it;
 *    writing THR clears it; enabling it in IER while THR is empty sets it again. Linux tests this
 *    and falls back to a timer when it does not hold.
 *  - The chip's interrupt pin is a level; who wires it to an edge-triggered line has to find the
 *    rising edges (uart_irq_level()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UART_REGISTERS = 8,
	UART_FIFO_BYTES = 16, /* what a driver may measure in loopback mode */
};

struct uart {
	uint8_t ier;
	uint8_t fcr; /* enable bit and trigger level only */
	uint8_t lcr;
	uint8_t mcr;
	uint8_t scr;
	uint8_t dll;
	uint8_t dlm;
	uint8_t msr_delta; /* low four bits of MSR */
	bool has_overrun;
	bool thr_is_empty;
	bool thre_is_pending; /* the THRE interrupt latch, before IER */
	uint8_t rx[UART_FIFO_BYTES];
	uint8_t rx_start;
	uint8_t rx_count;
};

/* State after power-on, with OUT2 set as firmware leaves it: interrupts reach the PC's line. */
void uart_init(struct uart *u);

/* The guest reads register @reg (0 to 7). */
uint8_t uart_read(struct uart *u, unsigned int reg);

/*
 * The guest writes register @reg (0 to 7). True when that put @value on the line: the caller takes
 * the byte and then says with uart_set_tx_ready() whether there is room for another FIFO.
 */
bool uart_write(struct uart *u, unsigned int reg, uint8_t value);

/* @is_ready: the outside has room for at least UART_FIFO_BYTES. Latches THRE when it turns true. */
void uart_set_tx_ready(struct uart *u, bool is_ready);

/* How many bytes the receiver takes: 0 in loopback mode, when it is not on the line. */
size_t uart_rx_room(const struct uart *u);

/* Bytes arrive from the line, at most uart_rx_room() of them. */
void uart_receive(struct uart *u, const uint8_t *bytes, size_t len);

/* The level of the interrupt line, as the PC gates it: OUT2 set and not in loopback mode. */
bool uart_irq_level(const struct uart *u);

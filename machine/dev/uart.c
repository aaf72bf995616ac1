/* SPDX-License-Identifier: Apache-2.0 */
/* 16550A registers: see uart.h. */
#include "machine/dev/uart.h"

#include <assert.h>
#include <linux/serial_reg.h>

#include "base/bytes.h"

enum {
	IER_BITS = 0x0f,
	FCR_KEPT_BITS = UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK,
	MCR_BITS = 0x1f,
	MSR_LINE_UP = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS, /* someone is always connected */
	MSR_STATUS_SHIFT = 4, /* from a status bit to its delta bit */
	FCR_TRIGGER_SHIFT = 6,
	IIR_RX_TIMEOUT = 0x0c, /* fewer bytes than the trigger level, and no more for a while */
	IIR_FIFO_ENABLED = 0xc0,
};

void uart_init(struct uart *u)
{
	*u = (struct uart){ .mcr = UART_MCR_OUT2, .thr_is_empty = true };
}

static bool in_loopback(const struct uart *u)
{
	return u->mcr & UART_MCR_LOOP;
}

/* Data sheet 8.6: in loopback mode the modem outputs come back as the modem inputs. */
static uint8_t modem_status(const struct uart *u)
{
	uint8_t status = 0;

	if (!in_loopback(u))
		return MSR_LINE_UP;
	if (u->mcr & UART_MCR_RTS)
		status |= UART_MSR_CTS;
	if (u->mcr & UART_MCR_DTR)
		status |= UART_MSR_DSR;
	if (u->mcr & UART_MCR_OUT1)
		status |= UART_MSR_RI;
	if (u->mcr & UART_MCR_OUT2)
		status |= UART_MSR_DCD;
	return status;
}

static void write_mcr(struct uart *u, uint8_t value)
{
	uint8_t before = modem_status(u);
	uint8_t changed;

	u->mcr = value & MCR_BITS;
	changed = before ^ modem_status(u);
	/* The ring indicator counts only when it ends (TERI). */
	if (!(before & UART_MSR_RI))
		changed &= ~UART_MSR_RI;
	u->msr_delta |= changed >> MSR_STATUS_SHIFT;
}

/* Without FIFO mode the bytes stay readable one by one: dropping them would serve nobody. */
static uint8_t rx_trigger(const struct uart *u)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return u->fcr & UART_FCR_ENABLE_FIFO ? levels[u->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

static void rx_push(struct uart *u, uint8_t byte)
{
	u->rx[(u->rx_start + u->rx_count) % UART_FIFO_BYTES] = byte;
	u->rx_count++;
}

static uint8_t rx_pop(struct uart *u)
{
	uint8_t byte;

	if (u->rx_count == 0)
		return 0;
	byte = u->rx[u->rx_start];
	u->rx_start = (u->rx_start + 1) % UART_FIFO_BYTES;
	u->rx_count--;
	return byte;
}

static void write_fcr(struct uart *u, uint8_t value)
{
	/* Data sheet 8.4: the other bits count only with the enable bit, and changing it clears. */
	if (!(value & UART_FCR_ENABLE_FIFO))
		value = 0;
	if (((u->fcr ^ value) & UART_FCR_ENABLE_FIFO) || (value & UART_FCR_CLEAR_RCVR))
		u->rx_count = 0;
	u->fcr = value & FCR_KEPT_BITS;
	/* Nothing to do for CLEAR_XMIT: what was written is on the line already. */
}

static void write_ier(struct uart *u, uint8_t value)
{
	bool enables_thre = (value & ~u->ier) & UART_IER_THRI;

	u->ier = value & IER_BITS;
	if (enables_thre && u->thr_is_empty)
		u->thre_is_pending = true;
}

/* True when the byte leaves the chip. */
static bool write_thr(struct uart *u, uint8_t byte)
{
	if (!in_loopback(u)) {
		u->thr_is_empty = false;
		u->thre_is_pending = false;
		return true;
	}
	if (u->rx_count < UART_FIFO_BYTES)
		rx_push(u, byte);
	else
		u->has_overrun = true;
	u->thre_is_pending = u->thr_is_empty;
	return false;
}

/* The interrupt with the highest priority, as IIR bits 0 to 3 name it (data sheet table 8.3). */
static uint8_t pending_irq(const struct uart *u)
{
	if ((u->ier & UART_IER_RLSI) && u->has_overrun)
		return UART_IIR_RLSI;
	/* Below the trigger level the time-out comes at once: the line is infinitely fast. */
	if ((u->ier & UART_IER_RDI) && u->rx_count > 0)
		return u->rx_count >= rx_trigger(u) ? UART_IIR_RDI : IIR_RX_TIMEOUT;
	if ((u->ier & UART_IER_THRI) && u->thre_is_pending)
		return UART_IIR_THRI;
	if ((u->ier & UART_IER_MSI) && u->msr_delta)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t irq = pending_irq(u);

	if (irq == UART_IIR_THRI)
		u->thre_is_pending = false;
	return irq | (u->fcr & UART_FCR_ENABLE_FIFO ? IIR_FIFO_ENABLED : 0);
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t lsr = 0;

	if (u->rx_count > 0)
		lsr |= UART_LSR_DR;
	if (u->has_overrun)
		lsr |= UART_LSR_OE;
	if (u->thr_is_empty)
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	u->has_overrun = false;
	return lsr;
}

static uint8_t read_msr(struct uart *u)
{
	uint8_t msr = modem_status(u) | u->msr_delta;

	u->msr_delta = 0;
	return msr;
}

uint8_t uart_read(struct uart *u, unsigned int reg)
{
	bool is_dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return is_dlab ? u->dll : rx_pop(u);
	case UART_IER:
		return is_dlab ? u->dlm : u->ier;
	case UART_IIR:
		return read_iir(u);
	case UART_LCR:
		return u->lcr;
	case UART_MCR:
		return u->mcr;
	case UART_LSR:
		return read_lsr(u);
	case UART_MSR:
		return read_msr(u);
	case UART_SCR:
		return u->scr;
	default:
		return 0xff;
	}
}

bool uart_write(struct uart *u, unsigned int reg, uint8_t value)
{
	bool is_dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (!is_dlab)
			return write_thr(u, value);
		u->dll = value;
		break;
	case UART_IER:
		if (is_dlab)
			u->dlm = value;
		else
			write_ier(u, value);
		break;
	case UART_FCR:
		write_fcr(u, value);
		break;
	case UART_LCR:
		u->lcr = value;
		break;
	case UART_MCR:
		write_mcr(u, value);
		break;
	case UART_SCR:
		u->scr = value;
		break;
	default: /* LSR and MSR: writing them is for factory tests */
		break;
	}
	return false;
}

void uart_set_tx_ready(struct uart *u, bool is_ready)
{
	if (is_ready && !u->thr_is_empty)
		u->thre_is_pending = true;
	u->thr_is_empty = is_ready;
}

size_t uart_rx_room(const struct uart *u)
{
	return in_loopback(u) ? 0 : UART_FIFO_BYTES - u->rx_count;
}

void uart_receive(struct uart *u, const uint8_t *bytes, size_t len)
{
	assert(len <= uart_rx_room(u));
	for (size_t i = 0; i < len; i++)
		rx_push(u, bytes[i]);
}

bool uart_irq_level(const struct uart *u)
{
	return (u->mcr & UART_MCR_OUT2) && !in_loopback(u) && pending_irq(u) != UART_IIR_NO_INT;
}

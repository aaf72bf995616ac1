/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of three sources, each waited for in HLT and acknowledged: the serial port through the
 * I/O APIC, the local APIC's timer one-shot, and the same with a TSC deadline. First with the local
 * APIC in memory, then as x2APIC. An interrupt that does not come leaves the guest halted.
 */
#include "test/guest/lib/apic.h"
#include "test/guest/lib/cpu.h"
#include "test/guest/lib/guest.h"
#include "test/guest/lib/idt.h"
#include "test/guest/lib/print.h"

#define GSI_SERIAL 4
#define IER_TRANSMITTER_EMPTY 0x02
#define IIR_TRANSMITTER_EMPTY 0x02
#define IIR_BITS 0x0f
#define MCR_OUT2 0x08 /* connects the chip's interrupt pin */

#define TIMER_TICKS 100000
#define MSR_TSC_DEADLINE 0x6e0

enum {
	VECTOR_SERIAL = VECTOR_FIRST_FREE + 1,
	VECTOR_TIMER,
};

static volatile unsigned int nr_serial, nr_timer;
static volatile uint8_t last_iir;

__attribute__((interrupt)) static void on_serial(struct interrupt_frame *frame)
{
	(void)frame;
	last_iir = inb(GUEST_PORT_COM1 + 2);
	nr_serial++;
	apic_eoi();
}

__attribute__((interrupt)) static void on_timer(struct interrupt_frame *frame)
{
	(void)frame;
	nr_timer++;
	apic_eoi();
}

static void put_count(const char *what, unsigned int count)
{
	put_string(what);
	put_char(' ');
	put_decimal(count);
	put_char('\n');
}

/* One for being enabled while empty, one for each byte sent; without EOI only the first comes. */
static void serial_interrupts(void)
{
	nr_serial = 0;
	outb(GUEST_PORT_COM1 + 1, IER_TRANSMITTER_EMPTY);
	while (nr_serial < 1)
		wait_for_interrupt();
	for (unsigned int i = 0; i < 2; i++) {
		outb(GUEST_PORT_COM1, (uint8_t)('a' + i));
		while (nr_serial < 2 + i)
			wait_for_interrupt();
	}
	outb(GUEST_PORT_COM1 + 1, 0);
	put_count(" serial", nr_serial);
	put_count("cause", last_iir & IIR_BITS);
}

static void timer_one_shot(void)
{
	nr_timer = 0;
	apic_write(APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_ONE_SHOT | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, TIMER_TICKS);
	while (nr_timer < 1)
		wait_for_interrupt();
	put_count("one-shot", nr_timer);
}

static void timer_deadline(void)
{
	uint64_t deadline;

	nr_timer = 0;
	apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR_TIMER);
	deadline = rdtsc() + TIMER_TICKS;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	while (nr_timer < 1)
		wait_for_interrupt();
	put_count("deadline", nr_timer);
	put_string(rdtsc() >= deadline ? "in time\n" : "early\n");
}

static void all_sources(void)
{
	serial_interrupts();
	timer_one_shot();
	timer_deadline();
}

int guest_main(uint64_t start_info)
{
	(void)start_info;
	idt_set(VECTOR_SERIAL, on_serial);
	idt_set(VECTOR_TIMER, on_timer);
	idt_load();
	apic_enable();
	outb(GUEST_PORT_COM1 + 4, MCR_OUT2);
	ioapic_route(GSI_SERIAL, VECTOR_SERIAL);
	put_string("apic in memory\n");
	all_sources();
	apic_use_x2apic();
	put_string("x2apic\n");
	all_sources();
	return 0;
}

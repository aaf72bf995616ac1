/* SPDX-License-Identifier: Apache-2.0 */
/* Two CPUs send each other an interrupt in turn, waiting in HLT, and report what each received. */
#include <stdbool.h>

#include "test/guest/lib/apic.h"
#include "test/guest/lib/cpu.h"
#include "test/guest/lib/guest.h"
#include "test/guest/lib/idt.h"
#include "test/guest/lib/print.h"
#include "test/guest/lib/smp.h"

#define ROUNDS 100

enum {
	VECTOR_PING = VECTOR_FIRST_FREE + 1,
	VECTOR_PONG,
};

static volatile unsigned int nr_pings, nr_pongs;
static volatile bool second_is_done;

__attribute__((interrupt)) static void on_ping(struct interrupt_frame *frame)
{
	(void)frame;
	nr_pings++;
	apic_eoi();
}

__attribute__((interrupt)) static void on_pong(struct interrupt_frame *frame)
{
	(void)frame;
	nr_pongs++;
	apic_eoi();
}

static void put_report(unsigned int received)
{
	put_string("cpu ");
	put_decimal(apic_id());
	put_string(" received ");
	put_decimal(received);
	put_char('\n');
}

static void second_cpu(void)
{
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		while (nr_pings < i)
			wait_for_interrupt();
		apic_send(0, APIC_ICR_FIXED | VECTOR_PONG);
	}
	put_report(nr_pings);
	second_is_done = true;
}

int guest_main(uint64_t start_info)
{
	(void)start_info;
	idt_set(VECTOR_PING, on_ping);
	idt_set(VECTOR_PONG, on_pong);
	idt_load();
	apic_enable();
	smp_start(1, second_cpu);
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		apic_send(1, APIC_ICR_FIXED | VECTOR_PING);
		while (nr_pongs < i)
			wait_for_interrupt();
	}
	while (!second_is_done)
		pause();
	put_report(nr_pongs);
	return 0;
}

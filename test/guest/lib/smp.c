/* SPDX-License-Identifier: Apache-2.0 */
/* Starts further CPUs: see smp.h. */
#include "test/guest/lib/smp.h"

#include <stdbool.h>
#include <stddef.h>

#include "test/guest/lib/apic.h"
#include "test/guest/lib/cpu.h"
#include "test/guest/lib/guest.h"
#include "test/guest/lib/idt.h"
#include "test/guest/lib/trampoline.h"

extern const uint8_t trampoline_start[], trampoline_end[]; /* trampoline.S */
void smp_main(void);

void *smp_stack_top; /* read by trampoline.S */
static void (*volatile start_fn)(void);
static volatile bool is_running;

/* Called by trampoline.S on the new CPU. */
void smp_main(void)
{
	void (*fn)(void) = start_fn;

	idt_load();
	apic_enable();
	is_running = true;
	fn();
	for (;;)
		halt();
}

void smp_start(uint32_t id, void (*fn)(void))
{
	static uint8_t stacks[SMP_MAX_CPUS][4096] __attribute__((aligned(16)));
	volatile uint8_t *low_copy = (uint8_t *)TRAMPOLINE_ADDRESS;

	for (size_t i = 0; i < (size_t)(trampoline_end - trampoline_start); i++)
		low_copy[i] = trampoline_start[i];
	smp_stack_top = stacks[id] + sizeof(stacks[id]);
	start_fn = fn;
	is_running = false;
	/* Hardware wants 10 ms between the two; KVM keeps both and takes them in this order. */
	apic_send(id, APIC_ICR_INIT);
	apic_send(id, APIC_ICR_STARTUP | TRAMPOLINE_ADDRESS >> 12);
	while (!is_running)
		pause();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt table: see idt.h. */
#include "test/guest/lib/idt.h"

#define SELECTOR_CODE 0x08 /* start.S */
#define GATE_INTERRUPT 0x8e /* present, privilege level 0, interrupts off in the handler */

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t stack;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

static struct gate gates[256];

static void set_gate(uint8_t vector, uint64_t handler)
{
	gates[vector] = (struct gate){
		.offset_low = (uint16_t)handler,
		.selector = SELECTOR_CODE,
		.type = GATE_INTERRUPT,
		.offset_middle = (uint16_t)(handler >> 16),
		.offset_high = (uint32_t)(handler >> 32),
	};
}

void idt_set(uint8_t vector, void (*handler)(struct interrupt_frame *))
{
	set_gate(vector, (uintptr_t)handler);
}

void idt_set_with_error(uint8_t vector, void (*handler)(struct interrupt_frame *, uint64_t))
{
	set_gate(vector, (uintptr_t)handler);
}

void idt_load(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(gates) - 1, (uintptr_t)gates };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

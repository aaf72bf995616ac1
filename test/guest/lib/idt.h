/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt table, one for all CPUs. Handlers are functions with __attribute__((interrupt)); an
 * exception without a handler ends in a triple fault, which the monitor reports.
 */
#pragma once

#include <stdint.h>

enum {
	VECTOR_GP = 13,
	VECTOR_FIRST_FREE = 32,
};

/* What the processor pushes, the error code (if any) taken off. */
struct interrupt_frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Both kinds of handler have their own setter, so that the compiler tells them apart. */
void idt_set(uint8_t vector, void (*handler)(struct interrupt_frame *));
void idt_set_with_error(uint8_t vector, void (*handler)(struct interrupt_frame *, uint64_t));

/* Makes the table that of the CPU this runs on. */
void idt_load(void);

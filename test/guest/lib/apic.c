/* SPDX-License-Identifier: Apache-2.0 */
/* Local and I/O APIC: see apic.h. */
#include "test/guest/lib/apic.h"

#include <stdbool.h>

#include "test/guest/lib/cpu.h"
#include "test/guest/lib/guest.h"

#define LAPIC 0xfee00000u
#define IOAPIC 0xfec00000u
#define IOAPIC_DATA 0x10u
#define IOAPIC_REDIRECTION 0x10u /* index of the first entry's low half; two per entry */

#define PORT_PIC_MASK_FIRST 0x21
#define PORT_PIC_MASK_SECOND 0xa1

#define MSR_APIC_BASE 0x1bu
#define APIC_BASE_X2APIC (1u << 10)
#define MSR_X2APIC 0x800u /* + register / 16 */
#define SPURIOUS_ENABLE 0x100u
#define SPURIOUS_VECTOR 0xffu

static bool is_x2apic;

static volatile uint32_t *memory_register(uint32_t address)
{
	return (volatile uint32_t *)(uintptr_t)address;
}

uint32_t apic_read(uint32_t reg)
{
	if (is_x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
	return *memory_register(LAPIC + reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
	if (is_x2apic)
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		*memory_register(LAPIC + reg) = value;
}

void apic_enable(void)
{
	apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | SPURIOUS_VECTOR);
}

void apic_use_x2apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	is_x2apic = true;
}

uint32_t apic_id(void)
{
	return is_x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send(uint32_t target, uint32_t command)
{
	if (is_x2apic) {
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)target << 32 | command);
		return;
	}
	apic_write(APIC_ICR + 0x10, target << 24);
	apic_write(APIC_ICR, command);
}

static void ioapic_write(uint32_t index, uint32_t value)
{
	*memory_register(IOAPIC) = index;
	*memory_register(IOAPIC + IOAPIC_DATA) = value;
}

void ioapic_route(uint32_t gsi, uint8_t vector)
{
	/*
	 * The PIC has the same lines, and until it is set up its vectors are those of exceptions.
	 */
	outb(PORT_PIC_MASK_FIRST, 0xff);
	outb(PORT_PIC_MASK_SECOND, 0xff);
	ioapic_write(IOAPIC_REDIRECTION + 2 * gsi + 1, 0);
	ioapic_write(IOAPIC_REDIRECTION + 2 * gsi, vector);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of a microVM (ACPI 6.5): processors, I/O APIC, serial port, virtio-mmio devices, pvpanic,
 * power-off and reset. Written into guest RAM once, before the first vCPU runs; never read again.
 *
 * The platform is hardware-reduced (4.1): no PM timer, no SCI, no FACS. Linux then leaves 8259 and
 * PIT alone, and so an ISA interrupt number is the I/O APIC pin of the same number.
 *
 * Traps: power-off is a write of ACPI_SLEEP_VALUE_S5 to LAYOUT_PORT_ACPI_SLEEP, but guests first
 * write to the status port behind it (to clear the wake bit): that must be ignored. Linux waits for
 * that bit after the sleep write, so a VM that goes on must show it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "machine/mem.h"

enum {
	ACPI_SLEEP_TYPE_S5 = 5,
	ACPI_SLEEP_ENABLE = 1 << 5,
	ACPI_SLEEP_VALUE_S5 = ACPI_SLEEP_TYPE_S5 << 2 | ACPI_SLEEP_ENABLE, /* 4.8.3.7 */
	ACPI_RESET_VALUE = 1, /* written to LAYOUT_PORT_ACPI_RESET, 4.8.3.6 */
};

struct acpi_config {
	uint32_t cpu_count; /* 1 to LAYOUT_MAX_CPUS; the APIC id of CPU i is i */
	uint32_t nr_virtio; /* 0 to LAYOUT_MAX_VIRTIO; device i has the i-th window and interrupt */
	bool has_com1;
};

/*
 * Writes the tables at LAYOUT_ACPI and sets @rsdp to the address of the root pointer. Returns 0, or
 * -errno with @e filled: -EINVAL for a config out of range, -EFAULT when RAM ends before the tables
 * do, -ENOSPC when they outgrow their area. On failure guest RAM is as it was. Thread: any.
 */
int acpi_write(const struct mem *mem, const struct acpi_config *config, struct gpa *rsdp,
	       struct err *e);

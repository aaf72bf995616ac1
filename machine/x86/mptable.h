/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MP table (Intel MultiProcessor Specification 1.4): processors, I/O APIC and interrupt pins,
 * for guests that boot without ACPI. Written into guest RAM once, before the first vCPU runs.
 *
 * ISA interrupt n is pin n of the I/O APIC for all 24 pins, edge and active high, so that a guest
 * uses the numbers that it is given on its command line (virtio_mmio.device=4K@0xc0001000:5).
 *
 * Traps: the table names no devices. Interrupt 2 is of no use to Linux where there is an 8259,
 * whose cascade it is; no device of ours has it. With ACPI tables beside it, Linux looks for this
 * table but does not use it, unless started with acpi=off.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "machine/mem.h"

/*
 * Writes the floating pointer at LAYOUT_MPTABLE and the table behind it, for @cpu_count CPUs (1 to
 * LAYOUT_MAX_CPUS) with APIC ids from 0 up. Returns 0, or -errno with @e filled: -EINVAL for a
 * count out of range, -EFAULT when RAM ends before the table does. On failure guest RAM is as it
 * was. Thread: any.
 */
int mptable_write(const struct mem *mem, uint32_t cpu_count, struct err *e);

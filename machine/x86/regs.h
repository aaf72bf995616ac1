/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register state a vCPU has when a boot protocol enters the kernel. Only the boot CPU gets an
 * entry state; the others wait for the guest's INIT and start-up interrupts in KVM's local APIC.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "control/wire.h"
#include "machine/mem.h"

/* The model-specific registers firmware would have set, the same on every vCPU. 0 or -errno. */
int regs_set_msrs(int vcpu_fd, struct err *e);

/* x87, MMX and SSE control words at their reset values. */
int regs_set_fpu(int vcpu_fd, struct err *e);

/* Local APIC pins as firmware leaves them: LINT0 takes the PIC's interrupts, LINT1 is NMI. */
int regs_set_lapic(int vcpu_fd, struct err *e);

/*
 * Writes GDT (and, for LINUX64, page tables) into guest RAM and sets the boot CPU's registers for
 * @protocol (PVH or LINUX64): the kernel starts at @entry with @info (the PVH start info, or the
 * zero page) in RBX or RSI. PVH: xen/include/public/arch-x86/hvm/start_info.h. LINUX64: Linux,
 * Documentation/arch/x86/boot.rst, "64-bit Boot Protocol". 0 or -errno.
 */
int regs_set_entry(int vcpu_fd, const struct mem *mem, enum boot_protocol protocol,
		   struct gpa entry, struct gpa info, struct err *e);

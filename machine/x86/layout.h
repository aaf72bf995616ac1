/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are in the guest-physical address space of an x86-64 microVM. One page, so that
 * overlaps are seen.
 *
 *	0x0000_0500  boot GDT
 *	0x0000_6000  PVH start info, its module list and memory map
 *	0x0000_7000  zero page (Linux struct boot_params)
 *	0x0000_8ff0  stack pointer at kernel entry (grows down to 0x8000)
 *	0x0000_9000  boot page tables (PML4, PDPT low, PDPT high, 4 + 2 page directories)
 *	0x0002_0000  kernel command line (at most 64 KiB)
 *	0x0009_fc00  end of usable low memory
 *	0x000e_0000  ACPI: RSDP, then the tables          (reserved in e820)
 *	0x000f_0000  MP floating pointer, then the MP table (reserved in e820)
 *	0x0010_0000  RAM for kernel and initrd, up to 3 GiB
 *	0xc000_0000  virtio-mmio devices, 4 KiB each      (hole without RAM up to 4 GiB)
 *	0xfec0_0000  I/O APIC;  0xfee0_0000 local APIC
 *	0xfffb_c000  identity-map page and TSS that KVM wants on Intel
 *	0x1_0000_0000  the rest of RAM
 */
#pragma once

#define LAYOUT_GDT 0x500u
#define LAYOUT_PVH_START_INFO 0x6000u
#define LAYOUT_PVH_MODLIST 0x6100u
#define LAYOUT_PVH_MEMMAP 0x6200u
#define LAYOUT_ZERO_PAGE 0x7000u
#define LAYOUT_BOOT_STACK 0x8ff0u
#define LAYOUT_PAGE_TABLES 0x9000u
#define LAYOUT_CMDLINE 0x20000u
#define LAYOUT_CMDLINE_MAX_BYTES 0x10000u
#define LAYOUT_LOW_MEM_END 0x9fc00u
#define LAYOUT_ACPI 0xe0000u
#define LAYOUT_ACPI_MAX_BYTES 0x10000u
#define LAYOUT_MPTABLE 0xf0000u
#define LAYOUT_MPTABLE_MAX_BYTES 0x10000u
#define LAYOUT_HIGH_MEM 0x100000u

#define LAYOUT_LOW_RAM_MAX 0xc0000000ull
#define LAYOUT_HIGH_RAM_START 0x100000000ull

#define LAYOUT_BOOT_TIMER 0xc0000000u
#define LAYOUT_VIRTIO_MMIO 0xc0001000u
#define LAYOUT_VIRTIO_MMIO_STRIDE 0x1000u
#define LAYOUT_IOAPIC 0xfec00000u
#define LAYOUT_LAPIC 0xfee00000u
#define LAYOUT_KVM_IDENTITY_MAP 0xfffbc000u
#define LAYOUT_KVM_TSS 0xfffbd000u

/* I/O ports */
#define LAYOUT_PORT_COM1 0x3f8u
#define LAYOUT_PORT_I8042 0x60u
#define LAYOUT_PORT_EXIT 0x501u
#define LAYOUT_PORT_PVPANIC 0x505u
#define LAYOUT_PORT_ACPI_SLEEP 0x600u /* sleep control; sleep status is the next byte */
#define LAYOUT_PORT_ACPI_RESET 0x602u

/* Interrupt lines (global system interrupts, I/O APIC pins) */
#define LAYOUT_GSI_I8042 1u
#define LAYOUT_GSI_COM1 4u
#define LAYOUT_GSI_VIRTIO 5u
#define LAYOUT_GSI_END 24u
#define LAYOUT_MAX_VIRTIO (LAYOUT_GSI_END - LAYOUT_GSI_VIRTIO)

#define LAYOUT_MAX_CPUS 255u

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF kernels: x86-64 executables whose segments say by physical address (p_paddr) where they go,
 * as Linux's vmlinux. One that carries the Xen note PHYS32_ENTRY can be started by the PVH
 * protocol.
 */
#pragma once

#include "machine/boot/image.h"
#include "machine/boot/kernel.h"

/*
 * Loads @image and fills @kernel; of that it keeps the setup header. @align is what a relocatable
 * kernel's address must be a multiple of (a power of two), 0 for one that stays where it is linked.
 * A relocatable kernel that RAM has no room for goes lower if LINUX64 is @wanted: its 64-bit
 * entry finds out where it is (arch/x86/kernel/head_64.S), while that for PVH takes the address it
 * was linked at, or from Linux 6.13 on (Xen note PHYS32_RELOC) a higher one.
 * Returns 0, or -errno with @e filled. The rest is as for kernel_load().
 */
int elf_load(const struct mem *mem, const struct image *image, enum boot_protocol wanted,
	     uint64_t align, struct boot_kernel *kernel, struct err *e);

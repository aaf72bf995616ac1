/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a kernel: an x86-64 ELF executable (vmlinux), a Linux bzImage, or a compressed ELF
 * executable, told apart by their magic bytes, each checked whole before its first byte goes to
 * guest RAM.
 *
 * The file is hostile: every number of its headers is bounded before it is used. Kernels are
 * loaded from 1 MiB up, since the boot structures of machine/x86/layout.h are below, and under 4
 * GiB, where the boot page tables reach.
 *
 * RAM is taken as it is after mem_init(): zero. So .bss and the rest of a segment need no clearing,
 * and pages the kernel does not touch are never allocated.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "control/wire.h"
#include "machine/mem.h"

enum {
	/* The setup header in a bzImage and in the zero page, and the room it has there. */
	KERNEL_SETUP_HEADER_OFFSET = 0x1f1,
	KERNEL_SETUP_HEADER_END = 0x290,
	KERNEL_SETUP_HEADER_MAX = KERNEL_SETUP_HEADER_END - KERNEL_SETUP_HEADER_OFFSET,
};

struct boot_kernel {
	enum boot_protocol protocol; /* BOOT_PROTOCOL_PVH or BOOT_PROTOCOL_LINUX64 */
	struct gpa entry; /* where the first vCPU starts; below 4 GiB */
	uint64_t load_start; /* what the kernel occupies before it knows its memory map: */
	uint64_t load_end; /* [start, end), with .bss, or init_size of a bzImage */
	uint64_t initrd_addr_max; /* the highest address the initrd's last byte may have */
	uint32_t cmdline_max; /* bytes of command line it takes, without the NUL */
	uint8_t setup_header[KERNEL_SETUP_HEADER_MAX]; /* of a bzImage, as in the file */
	uint32_t setup_header_len; /* 0 for an ELF kernel */
};

/*
 * Loads the kernel in @fd (borrowed; its offset may move) into @mem and fills @kernel. @wanted
 * AUTO takes PVH for an ELF kernel with a PVH entry, the 64-bit Linux protocol otherwise. @unpacker
 * AUTO lets a bzImage unpack itself, and unpacks it here when RAM has no room for that or PVH is
 * wanted; a compressed ELF kernel can be unpacked here only. Returns 0, or -errno with @e filled:
 * RAM may then hold a part of the kernel, and the VM must not run.
 */
int kernel_load(const struct mem *mem, int fd, enum boot_protocol wanted,
		enum kernel_decompress unpacker, struct boot_kernel *kernel, struct err *e);

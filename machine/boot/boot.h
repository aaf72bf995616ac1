/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a kernel finds in memory when it starts: the kernel itself, its initrd and command
 * line, the firmware tables, and the structure its boot protocol hands over. Writes guest RAM only;
 * the vCPU's registers are the caller's (machine/x86/regs.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "control/wire.h"
#include "machine/mem.h"

struct boot_plan {
	int kernel_fd; /* borrowed */
	int initrd_fd; /* borrowed, or -1 */
	const char *cmdline; /* borrowed */
	enum boot_protocol protocol;
	enum kernel_decompress unpacker;
	bool has_acpi;
	bool has_com1;
	uint32_t cpu_count;
	uint32_t nr_virtio; /* devices at LAYOUT_VIRTIO_MMIO and up */
};

struct boot_entry {
	enum boot_protocol protocol; /* PVH or LINUX64 */
	struct gpa entry; /* first instruction */
	struct gpa info; /* start info or zero page */
};

/* Fills fresh (all-zero) guest RAM. 0 or -errno with @e filled. Loop thread, before vCPUs run. */
int boot_load(const struct mem *mem, const struct boot_plan *plan, struct boot_entry *out,
	      struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start info of the PVH boot protocol, at LAYOUT_PVH_START_INFO, with its module list and
 * memory map beside it. The kernel gets its address in EBX.
 */
#pragma once

#include "base/err.h"
#include "machine/boot/initrd.h"
#include "machine/mem.h"

/*
 * Writes the start info. @initrd is NULL when there is none; @cmdline is where cmdline_write() put
 * it; @rsdp is 0 without ACPI. Returns 0, or -EFAULT with @e filled when RAM ends before it.
 */
int pvh_write(const struct mem *mem, const struct initrd *initrd, struct gpa cmdline,
	      struct gpa rsdp, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zero page (struct boot_params) of the 64-bit Linux boot protocol, whose address the kernel
 * gets in RSI: Documentation/arch/x86/{boot,zero-page}.rst. Written at LAYOUT_ZERO_PAGE.
 */
#pragma once

#include "base/err.h"
#include "machine/boot/initrd.h"
#include "machine/boot/kernel.h"
#include "machine/mem.h"

/*
 * Writes the zero page for @kernel, loaded as LINUX64. @initrd is NULL when there is none; @cmdline
 * is where cmdline_write() put it; @rsdp is 0 without ACPI.
 * Returns 0, or -EFAULT with @e filled when RAM ends before the page.
 */
int boot_params_write(const struct mem *mem, const struct boot_kernel *kernel,
		      const struct initrd *initrd, struct gpa cmdline, struct gpa rsdp,
		      struct err *e);

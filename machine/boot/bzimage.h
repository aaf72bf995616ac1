/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux bzImages: a setup header, real-mode code that is not used here, and the protected-mode
 * part, which is loaded and entered at its 64-bit entry (Documentation/arch/x86/boot.rst, "64-bit
 * Boot Protocol"; boot protocol 2.12 or later). It unpacks the kernel by itself, or else the ELF
 * kernel in its payload is unpacked here and loaded.
 *
 * Unpacked here, the kernel runs where it is linked: the randomization of its addresses (KASLR) is
 * a part of the code that is skipped.
 */
#pragma once

#include "machine/boot/image.h"
#include "machine/boot/kernel.h"

/*
 * Loads @image, which has the bzImage magic, and fills @kernel, which is zeroed.
 * Returns 0, or -errno with @e filled. The rest is as for kernel_load().
 */
int bzimage_load(const struct mem *mem, const struct image *image, enum boot_protocol wanted,
		 enum kernel_decompress unpacker, struct boot_kernel *kernel, struct err *e);

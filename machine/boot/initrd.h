/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading an initrd: as high as kernel and RAM below 4 GiB allow, so that it is out of the way of
 * a kernel that unpacks itself or picks another place; else between 1 MiB and the kernel. Its
 * contents are the guest's business and are not looked at.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "machine/boot/kernel.h"
#include "machine/mem.h"

struct initrd {
	struct gpa start; /* page-aligned */
	uint64_t len_bytes; /* > 0 */
};

/*
 * Loads @fd (borrowed; its offset may move) into @mem beside @kernel and fills @initrd.
 * Returns 0, or -errno with @e filled: RAM may then hold a part of it, and the VM must not run.
 */
int initrd_load(const struct mem *mem, int fd, const struct boot_kernel *kernel,
		struct initrd *initrd, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the kernel fuzzers: loads a file into 64 MiB of RAM and checks what the rest of the
 * boot code relies on. File and RAM are kept between runs; RAM is given back to the host after
 * each.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "machine/boot/boot_params.h"
#include "machine/boot/initrd.h"
#include "machine/boot/kernel.h"
#include "machine/boot/pvh.h"
#include "machine/x86/layout.h"

static inline void boot_require(int is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static inline void boot_check_kernel(const struct mem *mem, const struct boot_kernel *k,
				     enum boot_protocol wanted)
{
	boot_require(k->protocol == BOOT_PROTOCOL_PVH || k->protocol == BOOT_PROTOCOL_LINUX64,
		     "protocol is chosen");
	boot_require(wanted == BOOT_PROTOCOL_AUTO || k->protocol == wanted, "wish is kept");
	boot_require(k->load_start >= LAYOUT_HIGH_MEM && k->load_start < k->load_end &&
			     k->load_end <= mem_low_bytes(mem),
		     "kernel is in RAM above 1 MiB");
	boot_require(k->entry.v >= k->load_start && k->entry.v < k->load_end, "entry is inside");
	boot_require(k->setup_header_len <= KERNEL_SETUP_HEADER_MAX, "setup header has room");
	boot_require(k->initrd_addr_max <= UINT32_MAX, "initrd stays below 4 GiB");
}

static inline void boot_check_initrd(const struct mem *mem, const struct boot_kernel *k,
				     const struct initrd *initrd)
{
	uint64_t start = initrd->start.v, end = start + initrd->len_bytes;

	boot_require(mem_ptr(mem, initrd->start, initrd->len_bytes) != NULL, "initrd is in RAM");
	boot_require(start >= LAYOUT_HIGH_MEM && start % 4096 == 0, "initrd is aligned");
	boot_require(end - 1 <= k->initrd_addr_max, "initrd is where the kernel takes it");
	boot_require(end <= k->load_start || start >= k->load_end, "initrd is beside the kernel");
}

/* Loads the @size bytes of @data as a kernel, and the same file as its initrd. */
static inline void boot_check(const uint8_t *data, size_t size, enum boot_protocol wanted)
{
	static struct mem mem;
	static int fd = -1;
	struct boot_kernel kernel;
	struct initrd initrd;
	struct gpa at = { LAYOUT_CMDLINE };
	struct err e = { 0 };
	int r;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		boot_require(fd >= 0 && mem_init(&mem, 64 * MIB, &e) == 0, "set-up");
	}
	boot_require(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size, "file");
	r = kernel_load(&mem, fd, wanted, KERNEL_DECOMPRESS_AUTO, &kernel, &e);
	boot_require((r < 0) == (e.code < 0) && r <= 0 && !strchr(e.msg, '\n'), "error is told");
	if (r == 0) {
		boot_check_kernel(&mem, &kernel, wanted);
		boot_require(boot_params_write(&mem, &kernel, NULL, at, at, &e) == 0, "zero page");
		if (initrd_load(&mem, fd, &kernel, &initrd, &e) == 0) {
			boot_check_initrd(&mem, &kernel, &initrd);
			boot_params_write(&mem, &kernel, &initrd, at, at, &e);
			pvh_write(&mem, &initrd, at, at, &e);
		}
	}
	madvise(mem.mapping, mem.mapping_bytes, MADV_DONTNEED);
}

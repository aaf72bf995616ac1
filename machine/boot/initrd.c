/* SPDX-License-Identifier: Apache-2.0 */
/* Places and loads an initrd: see initrd.h. */
#include "machine/boot/initrd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "machine/boot/image.h"
#include "machine/x86/layout.h"

enum { INITRD_ALIGN = 4096 }; /* the kernel frees it by pages */

/* The highest page-aligned place for @len bytes in [bottom, top). */
static bool place_highest(uint64_t bottom, uint64_t top, uint64_t len, struct gpa *at)
{
	if (top < len)
		return false;
	at->v = align_down(top - len, INITRD_ALIGN);
	return at->v >= bottom;
}

/* @limit: what the kernel allows, exclusive. */
static int initrd_refuse(uint64_t len, const struct boot_kernel *kernel, uint64_t ram,
			 uint64_t limit, struct err *e)
{
	uint64_t room = min_u64(limit, LAYOUT_LOW_RAM_MAX);
	uint64_t above = align_up(kernel->load_end, INITRD_ALIGN);

	/* More memory helps as long as the kernel can take the initrd up there. */
	if (room > above && len <= room - above)
		return err_set(e, -ENOMEM,
			       "the initrd has %" PRIu64 " bytes and does not fit in the %" PRIu64
			       " MiB of guest memory beside the kernel (0x%" PRIx64 " to 0x%" PRIx64
			       "); give the VM at least %" PRIu64 " MiB (--memory)",
			       len, ram / MIB, kernel->load_start, kernel->load_end,
			       align_up(above + len, MIB) / MIB);
	return err_set(e, -EFBIG,
		       "the initrd has %" PRIu64 " bytes; beside the kernel (0x%" PRIx64
		       " to 0x%" PRIx64 ") and below 0x%" PRIx64 " at most %" PRIu64
		       " can be given: make it smaller or use a disk",
		       len, kernel->load_start, kernel->load_end, room,
		       room > above ? room - above : 0);
}

int initrd_load(const struct mem *mem, int fd, const struct boot_kernel *kernel,
		struct initrd *initrd, struct err *e)
{
	uint64_t ram = mem_low_bytes(mem);
	/* Sums stay small: both are under 4 GiB by kernel_load(). */
	uint64_t limit = kernel->initrd_addr_max + 1;
	uint64_t top = min_u64(limit, ram);
	struct image image;
	int r;

	*initrd = (struct initrd){ 0 };
	r = image_init(&image, fd, "initrd", e);
	if (r < 0)
		return r;
	/* The kernel's first and last page are not shared: freeing the initrd must not hit them. */
	if (!place_highest(align_up(kernel->load_end, INITRD_ALIGN), top, image.size_bytes,
			   &initrd->start) &&
	    !place_highest(LAYOUT_HIGH_MEM,
			   min_u64(top, align_down(kernel->load_start, INITRD_ALIGN)),
			   image.size_bytes, &initrd->start))
		return initrd_refuse(image.size_bytes, kernel, ram, limit, e);
	initrd->len_bytes = image.size_bytes;
	return image_load(&image, 0, image.size_bytes, mem, initrd->start, e);
}

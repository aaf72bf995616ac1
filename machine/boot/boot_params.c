/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the zero page: see boot_params.h. */
#include "machine/boot/boot_params.h"

#include <asm/bootparam.h>
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "machine/boot/memmap.h"
#include "machine/x86/layout.h"

static_assert(sizeof(struct boot_params) == 4096, "zero page");
static_assert(offsetof(struct boot_params, acpi_rsdp_addr) == 0x070, "zero page");
static_assert(offsetof(struct boot_params, ext_ramdisk_image) == 0x0c0, "zero page");
static_assert(offsetof(struct boot_params, e820_entries) == 0x1e8, "zero page");
static_assert(offsetof(struct boot_params, hdr) == KERNEL_SETUP_HEADER_OFFSET, "zero page");
static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "zero page");
static_assert(LAYOUT_ZERO_PAGE + sizeof(struct boot_params) <= LAYOUT_BOOT_STACK, "layout");

enum {
	BOOT_FLAG = 0xaa55,
	HEADER_MAGIC = 0x53726448, /* "HdrS" */
	HEADER_VERSION = 0x020f,
	LOADER_UNDEFINED = 0xff, /* no loader id is assigned to us */
	VMLINUX_ALIGNMENT = 0x200000, /* a huge page, the least an x86-64 kernel may say */
};

/* A vmlinux has no setup header; the kernel proper reads few of its fields. */
static void fill_vmlinux_header(struct setup_header *h, const struct boot_kernel *kernel)
{
	h->boot_flag = BOOT_FLAG;
	h->header = HEADER_MAGIC;
	h->version = HEADER_VERSION;
	h->kernel_alignment = VMLINUX_ALIGNMENT;
	h->cmdline_size = kernel->cmdline_max;
	h->initrd_addr_max = (uint32_t)kernel->initrd_addr_max;
}

/* The fields boot.rst marks "write" or "modify": all are set, the file may have others. */
static void fill_loader_fields(struct boot_params *params, const struct initrd *initrd,
			       struct gpa cmdline)
{
	struct setup_header *h = &params->hdr;
	uint64_t start = initrd ? initrd->start.v : 0;
	uint64_t len = initrd ? initrd->len_bytes : 0;

	h->type_of_loader = LOADER_UNDEFINED;
	/* No real-mode code runs, so there is no heap to speak of. */
	h->loadflags = (uint8_t)((h->loadflags | LOADED_HIGH) & ~CAN_USE_HEAP);
	h->heap_end_ptr = 0;
	h->setup_data = 0;
	h->ramdisk_image = (uint32_t)start;
	h->ramdisk_size = (uint32_t)len;
	h->cmd_line_ptr = (uint32_t)cmdline.v;
	params->ext_ramdisk_image = (uint32_t)(start >> 32);
	params->ext_ramdisk_size = (uint32_t)(len >> 32);
	params->ext_cmd_line_ptr = (uint32_t)(cmdline.v >> 32);
}

static void fill_e820(struct boot_params *params, const struct mem *mem)
{
	struct memmap_entry entries[MEMMAP_MAX_ENTRIES];
	size_t nr = memmap_build(mem, entries);

	for (size_t i = 0; i < nr; i++)
		params->e820_table[i] = (struct boot_e820_entry){
			.addr = entries[i].start,
			.size = entries[i].len_bytes,
			.type = entries[i].type,
		};
	params->e820_entries = (uint8_t)nr;
}

int boot_params_write(const struct mem *mem, const struct boot_kernel *kernel,
		      const struct initrd *initrd, struct gpa cmdline, struct gpa rsdp,
		      struct err *e)
{
	struct boot_params params = { 0 };
	uint8_t *header = (uint8_t *)&params + KERNEL_SETUP_HEADER_OFFSET;
	int r;

	assert(kernel->setup_header_len <= sizeof(kernel->setup_header));
	/* The header may be longer than our struct knows; the zero page keeps room for it. */
	if (kernel->setup_header_len)
		memcpy(header, kernel->setup_header, kernel->setup_header_len);
	else
		fill_vmlinux_header(&params.hdr, kernel);
	fill_loader_fields(&params, initrd, cmdline);
	fill_e820(&params, mem);
	params.acpi_rsdp_addr = rsdp.v;
	r = mem_write(mem, (struct gpa){ LAYOUT_ZERO_PAGE }, &params, sizeof(params));
	if (r < 0)
		return err_set(e, r, "guest memory ends before the zero page at 0x%x",
			       LAYOUT_ZERO_PAGE);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the PVH start info: see pvh.h. */
#include "machine/boot/pvh.h"

#include "machine/boot/memmap.h"
#include "machine/boot/pvh_abi.h"
#include "machine/x86/layout.h"

static_assert(LAYOUT_PVH_START_INFO + sizeof(struct pvh_start_info) <= LAYOUT_PVH_MODLIST,
	      "layout");
static_assert(LAYOUT_PVH_MODLIST + sizeof(struct pvh_module) <= LAYOUT_PVH_MEMMAP, "layout");
static_assert(LAYOUT_PVH_MEMMAP + MEMMAP_MAX_ENTRIES * sizeof(struct pvh_memmap_entry) <=
		      LAYOUT_ZERO_PAGE,
	      "layout");

static int write_memmap(const struct mem *mem, uint32_t *nr_entries)
{
	struct memmap_entry entries[MEMMAP_MAX_ENTRIES];
	struct pvh_memmap_entry table[MEMMAP_MAX_ENTRIES] = { 0 };
	size_t nr = memmap_build(mem, entries);

	for (size_t i = 0; i < nr; i++) {
		table[i].addr = le64_put(entries[i].start);
		table[i].size = le64_put(entries[i].len_bytes);
		table[i].type = le32_put(entries[i].type);
	}
	*nr_entries = (uint32_t)nr;
	return mem_write(mem, (struct gpa){ LAYOUT_PVH_MEMMAP }, table, nr * sizeof(table[0]));
}

static int write_modlist(const struct mem *mem, const struct initrd *initrd)
{
	const struct pvh_module module = {
		.paddr = le64_put(initrd->start.v),
		.size = le64_put(initrd->len_bytes),
	};

	return mem_write(mem, (struct gpa){ LAYOUT_PVH_MODLIST }, &module, sizeof(module));
}

int pvh_write(const struct mem *mem, const struct initrd *initrd, struct gpa cmdline,
	      struct gpa rsdp, struct err *e)
{
	struct pvh_start_info info = {
		.magic = le32_put(PVH_START_INFO_MAGIC),
		.version = le32_put(PVH_START_INFO_VERSION),
		.nr_modules = le32_put(initrd ? 1 : 0),
		.modlist_paddr = le64_put(initrd ? LAYOUT_PVH_MODLIST : 0),
		.cmdline_paddr = le64_put(cmdline.v),
		.rsdp_paddr = le64_put(rsdp.v),
		.memmap_paddr = le64_put(LAYOUT_PVH_MEMMAP),
	};
	uint32_t nr_entries;
	int r;

	r = write_memmap(mem, &nr_entries);
	if (r == 0 && initrd)
		r = write_modlist(mem, initrd);
	info.memmap_entries = le32_put(nr_entries);
	if (r == 0)
		r = mem_write(mem, (struct gpa){ LAYOUT_PVH_START_INFO }, &info, sizeof(info));
	if (r < 0)
		return err_set(e, r, "guest memory ends before the PVH start info at 0x%x",
			       LAYOUT_PVH_START_INFO);
	return 0;
}

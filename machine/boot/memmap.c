/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map for the guest: see memmap.h. */
#include "machine/boot/memmap.h"

#include "base/bytes.h"
#include "machine/x86/layout.h"

size_t memmap_build(const struct mem *mem, struct memmap_entry entries[static MEMMAP_MAX_ENTRIES])
{
	const struct {
		uint64_t start, end;
		enum memmap_type type;
	} plan[MEMMAP_MAX_ENTRIES] = {
		{ 0, LAYOUT_LOW_MEM_END, MEMMAP_RAM },
		{ LAYOUT_LOW_MEM_END, LAYOUT_HIGH_MEM, MEMMAP_RESERVED },
		{ LAYOUT_HIGH_MEM, mem_low_bytes(mem), MEMMAP_RAM },
		{ LAYOUT_HIGH_RAM_START, mem_end(mem), MEMMAP_RAM },
	};
	size_t nr = 0;

	for (size_t i = 0; i < ARRAY_LEN(plan); i++)
		if (plan[i].end > plan[i].start)
			entries[nr++] = (struct memmap_entry){ plan[i].start,
							       plan[i].end - plan[i].start,
							       plan[i].type };
	return nr;
}

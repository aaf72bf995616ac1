/* SPDX-License-Identifier: Apache-2.0 */
/* Identity mapping: see paging.h. */
#include "test/guest/lib/paging.h"

#include <stddef.h>

/* Present and writable; in a directory also 2 MiB large (SDM vol. 3, 4.5). */
#define PTE_TABLE 0x03u
#define PTE_LARGE 0x83u
#define PTE_ADDRESS (~(uint64_t)0xfff)

struct table {
	uint64_t entries[512];
} __attribute__((aligned(4096)));

extern struct table page_pointers; /* start.S: one entry per GiB */

bool paging_map(uint64_t address)
{
	static struct table directories[PAGING_DIRECTORIES];
	static size_t nr_directories;
	uint64_t *pointer = &page_pointers.entries[address >> 30 & 511];
	struct table *directory;

	if (!(*pointer & 1)) {
		if (nr_directories == PAGING_DIRECTORIES)
			return false;
		*pointer = (uintptr_t)&directories[nr_directories++] | PTE_TABLE;
	}
	directory = (struct table *)(*pointer & PTE_ADDRESS);
	/* Only absent entries are filled in, so that nothing stale can be in the TLB. */
	if (!(directory->entries[address >> 21 & 511] & 1))
		directory->entries[address >> 21 & 511] = (address >> 21 << 21) | PTE_LARGE;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map a guest is told, the same for the zero page (e820) and PVH. Low memory above
 * LAYOUT_LOW_MEM_END is reserved: ACPI and MP tables are there.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "machine/mem.h"

/* e820 numbers, which PVH shares (XEN_HVM_MEMMAP_TYPE_*). */
enum memmap_type {
	MEMMAP_RAM = 1,
	MEMMAP_RESERVED = 2,
};

enum { MEMMAP_MAX_ENTRIES = 4 };

struct memmap_entry {
	uint64_t start;
	uint64_t len_bytes; /* > 0 */
	enum memmap_type type;
};

/* Fills @entries, ascending and disjoint; returns how many. */
size_t memmap_build(const struct mem *mem, struct memmap_entry entries[static MEMMAP_MAX_ENTRIES]);

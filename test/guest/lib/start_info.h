/* SPDX-License-Identifier: Apache-2.0 */
/* What PVH hands over: Xen's public header arch-x86/hvm/start_info.h, version 1. */
#pragma once

#include <stdint.h>

#define START_INFO_MAGIC 0x336ec578u
#define MEMMAP_RAM 1u

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_address;
	uint64_t cmdline_address;
	uint64_t rsdp_address;
	uint64_t memmap_address;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct memmap_entry {
	uint64_t start;
	uint64_t len_bytes;
	uint32_t type;
	uint32_t reserved;
};

/* The number that the command line begins with; 0 without one. */
static inline uint32_t start_info_number(const struct start_info *info)
{
	const char *at = (const char *)(uintptr_t)info->cmdline_address;
	uint32_t value = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint32_t)(*at - '0');
	return value;
}

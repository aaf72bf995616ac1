/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PVH guest finds at the address in EBX: Xen's public header
 * arch-x86/hvm/start_info.h, version 1.
 */
#pragma once

#include <assert.h>
#include <stddef.h>

#include "base/bytes.h"

enum {
	PVH_START_INFO_MAGIC = 0x336ec578, /* "xEn3", the "E" with its top bit */
	PVH_START_INFO_VERSION = 1, /* has the memory map */
};

struct pvh_start_info {
	le32 magic;
	le32 version;
	le32 flags;
	le32 nr_modules;
	le64 modlist_paddr;
	le64 cmdline_paddr;
	le64 rsdp_paddr;
	le64 memmap_paddr;
	le32 memmap_entries;
	le32 reserved; /* 0 */
};

static_assert(sizeof(struct pvh_start_info) == 56, "Xen ABI");
static_assert(offsetof(struct pvh_start_info, modlist_paddr) == 16, "Xen ABI");
static_assert(offsetof(struct pvh_start_info, memmap_paddr) == 40, "Xen ABI");

/* Linux takes the first module as its initrd. */
struct pvh_module {
	le64 paddr;
	le64 size;
	le64 cmdline_paddr;
	le64 reserved; /* 0 */
};

static_assert(sizeof(struct pvh_module) == 32, "Xen ABI");

struct pvh_memmap_entry {
	le64 addr;
	le64 size;
	le32 type; /* enum memmap_type */
	le32 reserved; /* 0 */
};

static_assert(sizeof(struct pvh_memmap_entry) == 24, "Xen ABI");

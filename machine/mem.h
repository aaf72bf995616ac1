/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM, and the only code that turns a guest address into a pointer.
 *
 * A guest address is a `struct gpa`, which converts to nothing by accident. A pointer is always
 * made from address *and* length, and only when every byte lies in one RAM region: sums are checked
 * for overflow, and a range across the hole below 4 GiB is refused. There is no "pointer to the
 * rest".
 *
 * RAM is frozen before the first vCPU runs, so readers take no lock. The guest writes to RAM at any
 * moment: callers copy with mem_read() once, check the copy, and use the copy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "control/wire.h"

struct gpa {
	uint64_t v;
};

enum { MEM_MAX_REGIONS = 2 };

struct mem_region {
	uint64_t start; /* guest physical address */
	uint64_t len_bytes;
	uint8_t *host; /* owned by struct mem's mapping */
};

/* What guest RAM is made of. */
struct mem_config {
	uint64_t bytes; /* a multiple of 4096, > 0, up to MEM_MAX_BYTES */
	enum hugepages hugepages;
	bool is_shared; /* a memfd, sealed against resizing, that others may map */
	bool has_prefault; /* every page is backed when mem_init() returns */
	bool is_locked; /* no page is swapped out, once it is there */
};

#define MEM_MAX_BYTES (512 * GIB)

struct mem {
	struct mem_region regions[MEM_MAX_REGIONS]; /* ascending */
	size_t nr_regions;
	void *mapping; /* owned; one mapping behind all regions */
	uint64_t mapping_bytes;
	int memfd; /* owned; -1 unless shared */
};

/*
 * Reserves guest RAM as @config says: [0, 3 GiB) and, beyond that, from 4 GiB up. Unless it is to
 * be prefaulted or comes from the pool of huge pages, nothing is touched and nothing is promised by
 * the host (MAP_NORESERVE), so a guest may be given more than the host has. Returns 0 or -errno
 * with @e filled. Release with mem_release().
 */
int mem_init_as(struct mem *mem, const struct mem_config *config, struct err *e);

/* The same with private 4 KiB pages, for @bytes. */
int mem_init(struct mem *mem, uint64_t bytes, struct err *e);

/* Accepts a zeroed or half-built object, and may be called twice. No pointer may be in use. */
void mem_release(struct mem *mem);

/* NULL unless [gpa, gpa+len) is RAM and in one region. A @len of 0 gives NULL. Thread: any. */
void *mem_ptr(const struct mem *mem, struct gpa gpa, uint64_t len);

/* Copies to or from the guest. 0, or -EFAULT when a byte is outside RAM. Thread: any. */
int mem_read(const struct mem *mem, struct gpa from, void *to, uint64_t len);
int mem_write(const struct mem *mem, struct gpa to, const void *from, uint64_t len);

/*
 * Reads a file straight into guest RAM: all @len bytes at @offset. -EFAULT, -ENODATA (short) or
 * -errno.
 */
int mem_pread(const struct mem *mem, struct gpa to, int fd, uint64_t offset, uint64_t len);

/* Bytes of RAM below 4 GiB, and the end of all RAM (exclusive). */
uint64_t mem_low_bytes(const struct mem *mem);
uint64_t mem_end(const struct mem *mem);

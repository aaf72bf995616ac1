/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch of guest accesses to devices: one bus for I/O ports, one for MMIO.
 *
 * Ranges are added while the VM is built and frozen before the first vCPU runs, so that lookups
 * take no lock. An access that no range holds whole reads as all ones and is ignored on write, as
 * on real hardware.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { BUS_MAX_RANGES = 32 };

/*
 * A guest access of @len bytes (1, 2, 4 or 8) at @offset from the start of the range; the range
 * holds it whole. Called on a vCPU thread, on several at once: a device that has state takes its
 * own lock. The access is hostile: any offset, any length, any value, any order.
 */
struct bus_ops {
	void (*read)(void *dev, uint64_t offset, void *data, uint32_t len);
	void (*write)(void *dev, uint64_t offset, const void *data, uint32_t len);
};

struct bus_range {
	uint64_t start;
	uint64_t len;
	const struct bus_ops *ops; /* borrowed: static tables */
	void *dev; /* borrowed: devices outlive the bus */
};

struct bus {
	struct bus_range ranges[BUS_MAX_RANGES]; /* sorted by start, disjoint */
	size_t nr_ranges;
};

/*
 * 0, -EEXIST when the range meets another, -ENOSPC when the bus is full, -EINVAL for an empty one.
 */
int bus_add(struct bus *bus, uint64_t start, uint64_t len, const struct bus_ops *ops, void *dev);

/* Thread: any vCPU, once the bus is frozen. */
void bus_read(const struct bus *bus, uint64_t addr, void *data, uint32_t len);
void bus_write(const struct bus *bus, uint64_t addr, const void *data, uint32_t len);

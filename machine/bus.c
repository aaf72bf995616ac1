/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch of guest accesses: see bus.h. */
#include "machine/bus.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"

int bus_add(struct bus *bus, uint64_t start, uint64_t len, const struct bus_ops *ops, void *dev)
{
	size_t at = 0;
	uint64_t end;

	if (len == 0 || !ck_add(start, len, &end))
		return -EINVAL;
	if (bus->nr_ranges == BUS_MAX_RANGES)
		return -ENOSPC;
	while (at < bus->nr_ranges && bus->ranges[at].start < start)
		at++;
	if (at > 0 && bus->ranges[at - 1].start + bus->ranges[at - 1].len > start)
		return -EEXIST;
	if (at < bus->nr_ranges && bus->ranges[at].start < end)
		return -EEXIST;
	memmove(&bus->ranges[at + 1], &bus->ranges[at],
		(bus->nr_ranges - at) * sizeof(bus->ranges[0]));
	bus->ranges[at] = (struct bus_range){ start, len, ops, dev };
	bus->nr_ranges++;
	return 0;
}

static const struct bus_range *find(const struct bus *bus, uint64_t addr, uint32_t len)
{
	size_t low = 0;
	size_t high = bus->nr_ranges;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct bus_range *r = &bus->ranges[mid];

		if (addr < r->start)
			high = mid;
		else if (addr - r->start >= r->len)
			low = mid + 1;
		else
			return len <= r->len - (addr - r->start) ? r : NULL;
	}
	return NULL;
}

void bus_read(const struct bus *bus, uint64_t addr, void *data, uint32_t len)
{
	const struct bus_range *r = find(bus, addr, len);

	memset(data, 0xff, len);
	if (r)
		r->ops->read(r->dev, addr - r->start, data, len);
}

void bus_write(const struct bus *bus, uint64_t addr, const void *data, uint32_t len)
{
	const struct bus_range *r = find(bus, addr, len);

	if (r)
		r->ops->write(r->dev, addr - r->start, data, len);
}

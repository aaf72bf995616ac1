/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest that makes up its own attacks: the input is a program whose steps are register
 * accesses, descriptors, requests and ranges at interesting places, whole attacks of test/hostile,
 * kicks, and turns of the loop, against virtio-blk on a disk that finishes requests late and out of
 * order. Whatever it does, the disk keeps its size (read-only: its content), and the next driver
 * finds a device that works.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "test/hostile/attacks.h"
#include "test/hostile/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 256 };

struct program {
	const uint8_t *at;
	size_t left;
};

static uint8_t take8(struct program *p)
{
	if (p->left == 0)
		return 0;
	p->left--;
	return *p->at++;
}

static uint64_t take(struct program *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)take8(p) << (8 * i);
	return v;
}

/* A place that means something, up to 127 bytes before or behind it. */
static uint64_t take_address(struct program *p)
{
	static const uint64_t places[] = {
		DRIVER_DESC,
		DRIVER_AVAIL,
		DRIVER_USED,
		DRIVER_TABLE,
		DRIVER_HEADER,
		DRIVER_STATUS,
		DRIVER_DATA,
		0,
		PORT_LOW_END,
		PORT_HIGH_START,
		PORT_HIGH_END,
		PORT_WINDOW,
		PORT_FREE_RAM,
		0,
		0,
		0,
	};
	const uint8_t place = take8(p);
	const uint64_t base = places[place % ARRAY_LEN(places)];

	return place & 0x80 ? base + (uint64_t)(int8_t)take8(p) : base;
}

static uint32_t take_len(struct program *p)
{
	static const uint32_t lens[] = { 0,	  1,	      15,	  16,	      17,
					 32,	  48,	      512,	  513,	      1024,
					 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, UINT32_MAX };
	const uint8_t pick = take8(p);

	return pick < ARRAY_LEN(lens) ? lens[pick] : pick;
}

static uint64_t take_sector(struct program *p)
{
	static const uint64_t sectors[] = { 0,
					    1,
					    PORT_DISK_SECTORS - 1,
					    PORT_DISK_SECTORS,
					    UINT64_C(1) << 54,
					    UINT64_C(1) << 55,
					    (UINT64_C(1) << 55) - 1,
					    UINT64_MAX };
	const uint8_t pick = take8(p);

	return pick < ARRAY_LEN(sectors) ? sectors[pick] : pick;
}

static uint64_t take_value(struct program *p)
{
	static const uint64_t values[] = { 0, 1, 3, 11, 15, UINT32_MAX, UINT64_MAX, DRIVER_DESC };
	const uint8_t pick = take8(p);

	return pick < ARRAY_LEN(values) ? values[pick] : take(p, pick % 9);
}

static bool is_ram(uint64_t address, uint64_t bytes)
{
	const uint64_t end = address + bytes;

	return end > address &&
	       (end <= PORT_LOW_END || (address >= PORT_HIGH_START && end <= PORT_HIGH_END));
}

static void poke(struct driver *d, struct program *p)
{
	const uint64_t address = take_address(p);
	const uint64_t value = take_value(p);
	const uint32_t bytes = 1 + take8(p) % 8;
	uint8_t *ram;

	if (!is_ram(address, bytes))
		return;
	ram = d->port->ram(d->port, address, bytes);
	for (uint32_t i = 0; i < bytes; i++)
		ram[i] = (uint8_t)(value >> (8 * i));
}

static void put_desc(struct driver *d, struct program *p, uint64_t table)
{
	const uint32_t at = take8(p) % DRIVER_QUEUE_SIZE;
	const uint64_t address = take_address(p);
	const uint32_t len = take_len(p);
	const uint32_t flags = take8(p);
	const uint32_t next = flags & 0x80 ? take8(p) : at + 1;

	driver_table_desc(d, table, at, address, len, flags & 0x0f, next);
}

static void put_range(struct driver *d, struct program *p)
{
	struct virtio_blk_range *range =
		d->port->ram(d->port, DRIVER_DATA + 16 * (uint64_t)(take8(p) % 20), sizeof(*range));

	range->sector = le64_put(take_sector(p));
	range->num_sectors = le32_put(take_len(p));
	range->flags = le32_put(take8(p) % 4);
}

static void access_register(struct driver *d, struct program *p)
{
	const uint8_t how = take8(p);
	const uint32_t width = 1u << (how & 3);
	uint64_t offset = take8(p);

	offset = how & 4 ? offset * 4 : offset + take8(p) * 16;
	if (how & 8)
		d->port->read(d->port, offset, width);
	else
		d->port->write(d->port, offset, width, take_value(p));
}

/* All but the lists that take long for one step, or are meant for another disk. */
static void run_attack(struct driver *d, struct program *p)
{
	static const struct attack_list *const lists[] = { &attacks_index, &attacks_table,
							   &attacks_edge, &attacks_setup,
							   &attacks_request };
	const struct attack_list *list = lists[take8(p) % ARRAY_LEN(lists)];
	const struct attack *a = &list->attacks[take8(p) % list->count];

	/* It may be behind one that has moved the queue to an edge, where no second one has room. */
	if (d->queue.desc != DRIVER_DESC || d->queue.avail != DRIVER_AVAIL ||
	    d->queue.used != DRIVER_USED)
		driver_start(d);
	a->run(d, a->row);
}

static void start(struct driver *d, struct program *p)
{
	const struct driver_queue queue = { DRIVER_QUEUE_SIZE, DRIVER_DESC, DRIVER_AVAIL,
					    DRIVER_USED };
	const uint64_t offered = driver_offered(d);
	const uint64_t without = (uint64_t)take8(p) << 24 | (uint64_t)take8(p) << 8;

	driver_start(d);
	driver_begin(d);
	driver_negotiate(d, offered & ~without);
	driver_set_queue(d, d->n, &queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
}

static void step(struct driver *d, struct program *p)
{
	const uint8_t op = take8(p);

	switch (op % 12) {
	case 0:
		access_register(d, p);
		break;
	case 1:
		poke(d, p);
		break;
	case 2:
		put_desc(d, p, DRIVER_DESC);
		break;
	case 3:
		put_desc(d, p, DRIVER_TABLE);
		break;
	case 4:
		driver_header(d, DRIVER_HEADER, take8(p) % 16, take_sector(p));
		break;
	case 5:
		put_range(d, p);
		break;
	case 6:
		driver_build(d, take8(p) % 16, take_sector(p), take_len(p));
		break;
	case 7:
		driver_offer(d, take8(p));
		break;
	case 8:
		driver_kick(d);
		break;
	case 9:
		d->port->pass(d->port);
		break;
	case 10:
		run_attack(d, p);
		break;
	default:
		start(d, p);
		break;
	}
}

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct host *hosts[2];
	struct program p = { data, size };
	const bool is_read_only = take8(&p) & 1;
	struct host **h = &hosts[is_read_only];
	struct driver d = { 0 };

	if (!*h)
		*h = host_new(&(struct host_options){ HOST_PUMPED_SLOW, is_read_only, 8 });
	d.port = host_port(*h);
	d.n = take8(&p) % 8;
	must(driver_start(&d));
	driver_build(&d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
	for (int i = 0; i < STEPS_MAX && p.left > 0; i++)
		step(&d, &p);
	must(driver_start(&d));
	if (is_read_only)
		must(driver_reads_well(&d) && host_disk_is_whole(*h));
	else
		must(driver_request(&d, VIRTIO_BLK_T_IN, 5, 512) == OUTCOME_DONE);
	driver_write(&d, VIRTIO_MMIO_STATUS, 0);
	host_clear_ram(*h);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks at the edges of RAM and on the shape of the queue. */
#include "test/hostile/attacks.h"

#include "base/bytes.h"

/*
 * A place at an edge for a thing of any size: it ends at the edge or starts there, moved by units
 * of its alignment.
 */
struct edge {
	uint64_t address;
	bool is_end;
	int64_t units;
};

static uint64_t place(const struct edge *e, uint64_t bytes, uint64_t unit)
{
	const uint64_t back = e->is_end ? align_up(bytes, unit) : 0;

	return e->address - back + (uint64_t)e->units * unit;
}

/* Data that the device writes. */
static enum outcome run_data(struct driver *d, const void *row)
{
	driver_desc(d, 1, place(row, VIRTIO_BLK_SECTOR_BYTES, 1), VIRTIO_BLK_SECTOR_BYTES,
		    NEXT | WRITE, 2);
	return driver_submit(d, 0);
}

static bool is_ram(uint64_t address, uint64_t bytes)
{
	const uint64_t end = address + bytes;

	return end > address &&
	       (end <= PORT_LOW_END || (address >= PORT_HIGH_START && end <= PORT_HIGH_END));
}

static enum outcome run_header(struct driver *d, const void *row)
{
	const uint32_t bytes = sizeof(struct virtio_blk_header);
	const uint64_t address = place(row, bytes, 1);

	if (is_ram(address, bytes))
		driver_header(d, address, VIRTIO_BLK_T_IN, 0);
	driver_desc(d, 0, address, bytes, NEXT, 1);
	return driver_submit(d, 0);
}

static enum outcome run_status(struct driver *d, const void *row)
{
	const uint64_t address = place(row, 1, 1);

	if (is_ram(address, 1))
		driver_expect_status(d, address);
	driver_desc(d, 2, address, 1, WRITE, 0);
	return driver_submit(d, 0);
}

/* At an odd address: a table needs no alignment. */
static enum outcome run_table(struct driver *d, const void *row)
{
	const uint32_t bytes = 3 * sizeof(struct virtq_desc);
	const uint64_t address = place(row, bytes, 1);

	if (is_ram(address, bytes)) {
		driver_table_desc(d, address, 0, DRIVER_HEADER, sizeof(struct virtio_blk_header),
				  NEXT, 1);
		driver_table_desc(d, address, 1, DRIVER_DATA, VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE,
				  2);
		driver_table_desc(d, address, 2, DRIVER_STATUS, 1, WRITE, 0);
	}
	driver_desc(d, 0, address, bytes, INDIRECT, 0);
	return driver_submit(d, 0);
}

/* Whether a driver can work with a queue there. */
static bool is_queue(const struct driver_queue *queue)
{
	return queue->desc % VIRTQ_DESC_ALIGN == 0 && queue->avail % VIRTQ_AVAIL_ALIGN == 0 &&
	       queue->used % VIRTQ_USED_ALIGN == 0 &&
	       is_ram(queue->desc, sizeof(struct virtq_desc) * queue->size) &&
	       is_ram(queue->avail, VIRTQ_AVAIL_BYTES(queue->size)) &&
	       is_ram(queue->used, VIRTQ_USED_BYTES(queue->size));
}

/* A request on a queue at @queue, if there can be one. */
static enum outcome start_at(struct driver *d, const struct driver_queue *queue)
{
	if (is_queue(queue)) {
		MUST(d, driver_start_at(d, queue) == DRIVER_OK_STATUS);
		return driver_request(d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
	}
	driver_begin(d);
	driver_negotiate(d, VIRTIO_F_VERSION_1);
	driver_set_queue(d, d->n, queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
	driver_kick(d);
	return driver_wait(d);
}

static enum outcome run_desc_area(struct driver *d, const void *row)
{
	struct driver_queue queue = d->queue;

	queue.desc = place(row, sizeof(struct virtq_desc) * queue.size, VIRTQ_DESC_ALIGN);
	return start_at(d, &queue);
}

static enum outcome run_avail_area(struct driver *d, const void *row)
{
	struct driver_queue queue = d->queue;

	queue.avail = place(row, VIRTQ_AVAIL_BYTES(queue.size), VIRTQ_AVAIL_ALIGN);
	return start_at(d, &queue);
}

static enum outcome run_used_area(struct driver *d, const void *row)
{
	struct driver_queue queue = d->queue;

	queue.used = place(row, VIRTQ_USED_BYTES(queue.size), VIRTQ_USED_ALIGN);
	return start_at(d, &queue);
}

#define EDGE(...) ROW(struct edge, __VA_ARGS__)
#define EDGES(what, run)                                                                           \
	{ what " at address 0", OUTCOME_DONE, run, EDGE(0, false, 0) },                            \
		{ what " up to the hole", OUTCOME_DONE, run, EDGE(PORT_LOW_END, true, 0) },        \
		{ what " into the hole", OUTCOME_NEEDS_RESET, run, EDGE(PORT_LOW_END, true, 1) },  \
		{ what " in the hole", OUTCOME_NEEDS_RESET, run, EDGE(PORT_LOW_END, false, 0) },   \
		{ what " in the registers", OUTCOME_NEEDS_RESET, run,                              \
		  EDGE(PORT_WINDOW, false, 0) },                                                   \
		{ what " up to 4 GiB", OUTCOME_NEEDS_RESET, run, EDGE(PORT_HIGH_START, true, 0) }, \
		{ what " across 4 GiB", OUTCOME_NEEDS_RESET, run,                                  \
		  EDGE(PORT_HIGH_START, false, -1) },                                              \
		{ what " at 4 GiB", OUTCOME_DONE, run, EDGE(PORT_HIGH_START, false, 0) },          \
		{ what " up to the end", OUTCOME_DONE, run, EDGE(PORT_HIGH_END, true, 0) },        \
		{ what " across the end", OUTCOME_NEEDS_RESET, run,                                \
		  EDGE(PORT_HIGH_END, true, 1) },                                                  \
		{ what " behind the end", OUTCOME_NEEDS_RESET, run,                                \
		  EDGE(PORT_HIGH_END, false, 0) },                                                 \
		{ what " up to 2^64", OUTCOME_NEEDS_RESET, run, EDGE(0, true, 0) },                \
		{ what " across 2^64", OUTCOME_NEEDS_RESET, run, EDGE(0, false, -1) },             \
	{                                                                                          \
		what " at 2^63", OUTCOME_NEEDS_RESET, run, EDGE(UINT64_C(1) << 63, false, 0)       \
	}

static const struct attack edge_attacks[] = {
	EDGES("data", run_data),
	EDGES("header", run_header),
	EDGES("status byte", run_status),
	EDGES("indirect table", run_table),
	EDGES("descriptors", run_desc_area),
	EDGES("available ring", run_avail_area),
	EDGES("used ring", run_used_area),
};
const struct attack_list attacks_edge = ATTACKS(edge_attacks);

static enum outcome run_size(struct driver *d, const void *row)
{
	struct driver_queue queue = d->queue;

	queue.size = *(const uint32_t *)row;
	driver_begin(d);
	driver_negotiate(d, VIRTIO_F_VERSION_1);
	driver_set_queue(d, d->n, &queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
	if (driver_read(d, VIRTIO_MMIO_STATUS) == DRIVER_OK_STATUS) {
		/* A good size after all. */
		MUST(d, driver_start_at(d, &queue) == DRIVER_OK_STATUS);
		driver_build(d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
		return driver_submit(d, 0);
	}
	driver_kick(d);
	return driver_wait(d);
}

static enum outcome run_place(struct driver *d, const void *row)
{
	return start_at(d, row);
}

/* DRIVER_OK with no queue that is ready: there is nothing to do, and nothing is done. */
static enum outcome run_no_queue(struct driver *d, const void *row)
{
	const struct driver_queue queue = d->queue;

	(void)row;
	driver_begin(d);
	driver_negotiate(d, VIRTIO_F_VERSION_1);
	driver_set_queue(d, d->n, &queue);
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
	driver_set_avail_idx(d, 0xffff);
	driver_kick(d);
	d->port->pass(d->port);
	MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == DRIVER_OK_STATUS);
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/*
 * Areas on top of each other: what the device writes in one is what it reads in the other, at a
 * moment that is its own.
 */
static enum outcome run_overlap(struct driver *d, const void *row)
{
	MUST(d, driver_start_at(d, row) == DRIVER_OK_STATUS);
	driver_build(d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
	for (uint32_t i = 0; i < 4; i++)
		driver_offer(d, i);
	driver_kick(d);
	for (uint32_t i = 0; i < 500; i++)
		d->port->pass(d->port);
	return OUTCOME_SURVIVED;
}

/* Another queue with the same areas: a device with one queue ignores it. */
static enum outcome run_shared(struct driver *d, const void *row)
{
	const struct driver_queue queue = d->queue;

	(void)row;
	driver_begin(d);
	driver_negotiate(d, VIRTIO_F_VERSION_1);
	for (uint32_t n = 0; n <= d->n + 1; n++) {
		driver_set_queue(d, n, &queue);
		driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
	for (uint32_t i = 0; i < 8; i++)
		driver_offer(d, 0);
	for (uint32_t n = 0; n <= d->n + 1; n++)
		driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, n);
	for (uint32_t i = 0; i < 500; i++)
		d->port->pass(d->port);
	return OUTCOME_SURVIVED;
}

#define QUEUE(...) ROW(struct driver_queue, DRIVER_QUEUE_SIZE, __VA_ARGS__)

static const struct attack setup_attacks[] = {
	{ "queue of 0", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, 0) },
	{ "queue of 3", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, 3) },
	{ "queue of 31", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, 31) },
	{ "queue of 255", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, 255) },
	{ "queue of 256, the most", OUTCOME_DONE, run_size, ROW(uint32_t, 256) },
	{ "queue of 512", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, 512) },
	{ "queue of 65536", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, 0x10000) },
	{ "queue of 65568, 32 in 16 bits", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, 0x10020) },
	{ "queue of 2^31", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, 1u << 31) },
	{ "queue of 2^32 - 1", OUTCOME_NEEDS_RESET, run_size, ROW(uint32_t, UINT32_MAX) },
	{ "descriptors off by 8", OUTCOME_NEEDS_RESET, run_place,
	  QUEUE(DRIVER_DESC + 8, DRIVER_AVAIL, DRIVER_USED) },
	{ "descriptors off by 1", OUTCOME_NEEDS_RESET, run_place,
	  QUEUE(DRIVER_DESC + 1, DRIVER_AVAIL, DRIVER_USED) },
	{ "available ring off by 1", OUTCOME_NEEDS_RESET, run_place,
	  QUEUE(DRIVER_DESC, DRIVER_AVAIL + 1, DRIVER_USED) },
	{ "used ring off by 2", OUTCOME_NEEDS_RESET, run_place,
	  QUEUE(DRIVER_DESC, DRIVER_AVAIL, DRIVER_USED + 2) },
	{ "used ring off by 1", OUTCOME_NEEDS_RESET, run_place,
	  QUEUE(DRIVER_DESC, DRIVER_AVAIL, DRIVER_USED + 1) },
	{ "used ring on the available ring", OUTCOME_SURVIVED, run_overlap,
	  QUEUE(DRIVER_DESC, DRIVER_AVAIL, DRIVER_AVAIL) },
	{ "used ring within the available ring", OUTCOME_SURVIVED, run_overlap,
	  QUEUE(DRIVER_DESC, DRIVER_AVAIL, DRIVER_AVAIL + 4) },
	{ "used ring on the descriptors", OUTCOME_SURVIVED, run_overlap,
	  QUEUE(DRIVER_DESC, DRIVER_AVAIL, DRIVER_DESC) },
	{ "available ring on the descriptors", OUTCOME_SURVIVED, run_overlap,
	  QUEUE(DRIVER_DESC, DRIVER_DESC, DRIVER_USED) },
	{ "all areas in one place", OUTCOME_SURVIVED, run_overlap,
	  QUEUE(DRIVER_DESC, DRIVER_DESC, DRIVER_DESC) },
	{ "all areas on the request's header", OUTCOME_SURVIVED, run_overlap,
	  QUEUE(DRIVER_HEADER, DRIVER_HEADER, DRIVER_HEADER) },
	{ "queues that share their areas", OUTCOME_SURVIVED, run_shared, NULL },
	{ "no queue is ready", OUTCOME_IGNORED, run_no_queue, NULL },
};
const struct attack_list attacks_setup = ATTACKS(setup_attacks);

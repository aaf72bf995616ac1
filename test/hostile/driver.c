/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of virtio-blk that behaves: see driver.h. */
#include "test/hostile/driver.h"

#include "base/bytes.h"

uint32_t driver_read(struct driver *d, uint64_t offset)
{
	return (uint32_t)d->port->read(d->port, offset, 4);
}

void driver_write(struct driver *d, uint64_t offset, uint32_t value)
{
	d->port->write(d->port, offset, 4, value);
}

GUEST_RACES static void clear(struct driver *d, uint64_t address, uint64_t bytes)
{
	volatile uint8_t *p = d->port->ram(d->port, address, bytes);

	for (uint64_t i = 0; i < bytes; i++)
		p[i] = 0;
}

uint64_t driver_offered(struct driver *d)
{
	uint64_t features;

	driver_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features = (uint64_t)driver_read(d, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	driver_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return features | driver_read(d, VIRTIO_MMIO_DEVICE_FEATURES);
}

void driver_begin(struct driver *d)
{
	driver_write(d, VIRTIO_MMIO_STATUS, 0);
	driver_write(d, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
	driver_write(d, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
}

uint32_t driver_negotiate(struct driver *d, uint64_t features)
{
	for (uint32_t word = 0; word < 2; word++) {
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * word)));
	}
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS & ~VIRTIO_STATUS_DRIVER_OK);
	return driver_read(d, VIRTIO_MMIO_STATUS);
}

static void write_address(struct driver *d, uint64_t low, uint64_t address)
{
	driver_write(d, low, (uint32_t)address);
	driver_write(d, low + 4, (uint32_t)(address >> 32));
}

void driver_set_queue(struct driver *d, uint32_t n, const struct driver_queue *queue)
{
	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, n);
	driver_write(d, VIRTIO_MMIO_QUEUE_NUM, queue->size);
	write_address(d, VIRTIO_MMIO_QUEUE_DESC_LOW, queue->desc);
	write_address(d, VIRTIO_MMIO_QUEUE_DRIVER_LOW, queue->avail);
	write_address(d, VIRTIO_MMIO_QUEUE_DEVICE_LOW, queue->used);
}

uint32_t driver_start_at(struct driver *d, const struct driver_queue *queue)
{
	const uint64_t not_ours = VIRTIO_F_EVENT_IDX | VIRTIO_BLK_F_RO;

	d->queue = *queue;
	d->offered = 0;
	driver_begin(d);
	/* 2.4.1: a reset takes back interrupts too. */
	if (driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS) != 0)
		return 0;
	driver_negotiate(d, driver_offered(d) & ~not_ours);
	clear(d, queue->desc, sizeof(struct virtq_desc) * queue->size);
	clear(d, queue->avail, VIRTQ_AVAIL_BYTES(queue->size));
	clear(d, queue->used, VIRTQ_USED_BYTES(queue->size));
	driver_set_queue(d, d->n, queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
	return driver_read(d, VIRTIO_MMIO_STATUS);
}

bool driver_start(struct driver *d)
{
	const struct driver_queue queue = {
		.size = DRIVER_QUEUE_SIZE,
		.desc = DRIVER_DESC,
		.avail = DRIVER_AVAIL,
		.used = DRIVER_USED,
	};

	return driver_start_at(d, &queue) == DRIVER_OK_STATUS;
}

GUEST_RACES void driver_table_desc(struct driver *d, uint64_t table, uint32_t at, uint64_t addr,
				   uint32_t len, uint32_t flags, uint32_t next)
{
	volatile struct virtq_desc *desc =
		d->port->ram(d->port, table + at * sizeof(*desc), sizeof(*desc));

	desc->addr.raw = le64_put(addr).raw;
	desc->len.raw = le32_put(len).raw;
	desc->flags.raw = le16_put((uint16_t)flags).raw;
	desc->next.raw = le16_put((uint16_t)next).raw;
}

void driver_desc(struct driver *d, uint32_t at, uint64_t addr, uint32_t len, uint32_t flags,
		 uint32_t next)
{
	driver_table_desc(d, d->queue.desc, at, addr, len, flags, next);
}

GUEST_RACES void driver_header(struct driver *d, uint64_t address, uint32_t type, uint64_t sector)
{
	volatile struct virtio_blk_header *h = d->port->ram(d->port, address, sizeof(*h));

	h->type.raw = le32_put(type).raw;
	h->reserved.raw = 0;
	h->sector.raw = le64_put(sector).raw;
}

static le16 *ring16(struct driver *d, uint64_t address)
{
	return d->port->ram(d->port, address, sizeof(le16));
}

void driver_set_avail_idx(struct driver *d, uint16_t idx)
{
	le16 *p = ring16(d, d->queue.avail + offsetof(struct virtq_avail, idx));

	d->offered = idx;
	__atomic_store_n(&p->raw, le16_put(idx).raw, __ATOMIC_SEQ_CST);
}

void driver_offer(struct driver *d, uint32_t head)
{
	const uint64_t ring = d->queue.avail + offsetof(struct virtq_avail, ring);
	le16 *entry = ring16(d, ring + sizeof(le16) * (d->offered % d->queue.size));

	__atomic_store_n(&entry->raw, le16_put((uint16_t)head).raw, __ATOMIC_RELAXED);
	d->head = head;
	driver_set_avail_idx(d, (uint16_t)(d->offered + 1));
}

void driver_kick(struct driver *d)
{
	driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, d->n);
}

uint16_t driver_used_idx(struct driver *d)
{
	const le16 *p = ring16(d, d->queue.used + offsetof(struct virtq_used, idx));

	return le16_get((le16){ __atomic_load_n(&p->raw, __ATOMIC_SEQ_CST) });
}

static uint8_t load_status(struct driver *d)
{
	const uint8_t *p = d->port->ram(d->port, d->status_address, 1);

	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

void driver_expect_status(struct driver *d, uint64_t address)
{
	uint8_t *p = d->port->ram(d->port, address, 1);

	d->status_address = address;
	__atomic_store_n(p, DRIVER_STATUS_UNSET, __ATOMIC_RELAXED);
}

static enum outcome outcome_of(struct driver *d, uint8_t status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return OUTCOME_DONE;
	case VIRTIO_BLK_S_IOERR:
		return OUTCOME_IOERR;
	case VIRTIO_BLK_S_UNSUPP:
		return OUTCOME_UNSUPP;
	default:
		MUST(d, !"a known status");
	}
}

static volatile struct virtq_used_elem *used_elem(struct driver *d, uint16_t at)
{
	const uint64_t ring = d->queue.used + offsetof(struct virtq_used, ring);
	const uint64_t bytes = sizeof(struct virtq_used_elem);

	return d->port->ram(d->port, ring + bytes * (at % d->queue.size), bytes);
}

/* The head in the newest entry of the used ring. */
static uint32_t used_head(struct driver *d)
{
	return le32_get((le32){ used_elem(d, (uint16_t)(d->offered - 1))->id.raw });
}

/* 2.1.2: a device that needs a reset says so by a configuration interrupt. */
static enum outcome stopped(struct driver *d)
{
	MUST(d, driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_INTERRUPT_CONFIG);
	return OUTCOME_NEEDS_RESET;
}

enum outcome driver_wait(struct driver *d)
{
	for (uint32_t i = 0; i < d->port->patience; i++) {
		const uint8_t status = load_status(d);

		/* The index follows the status byte. */
		if (status != DRIVER_STATUS_UNSET && driver_used_idx(d) == d->offered) {
			MUST(d, used_head(d) == d->head);
			return outcome_of(d, status);
		}
		if (driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET)
			return stopped(d);
		d->port->pass(d->port);
	}
	return OUTCOME_STUCK;
}

enum outcome driver_submit(struct driver *d, uint32_t head)
{
	/* No head: so that the entry to come is not taken for an old one. */
	used_elem(d, d->offered)->id.raw = UINT32_MAX;
	driver_expect_status(d, d->status_address);
	driver_offer(d, head);
	driver_kick(d);
	return driver_wait(d);
}

void driver_build(struct driver *d, uint32_t type, uint64_t sector, uint32_t len)
{
	const uint32_t direction = type == VIRTIO_BLK_T_OUT ? 0 : WRITE;
	uint32_t at = 0;

	driver_header(d, DRIVER_HEADER, type, sector);
	driver_desc(d, at++, DRIVER_HEADER, sizeof(struct virtio_blk_header), NEXT, 1);
	if (len > 0)
		driver_desc(d, at++, DRIVER_DATA, len, NEXT | direction, 2);
	driver_desc(d, at, DRIVER_STATUS, 1, WRITE, 0);
	driver_expect_status(d, DRIVER_STATUS);
}

enum outcome driver_request(struct driver *d, uint32_t type, uint64_t sector, uint32_t len)
{
	driver_build(d, type, sector, len);
	return driver_submit(d, 0);
}

bool driver_reads_well(struct driver *d)
{
	const uint64_t words = VIRTIO_BLK_SECTOR_BYTES / sizeof(le64);
	const uint64_t sector = 5;
	volatile le64 *data = d->port->ram(d->port, DRIVER_DATA, VIRTIO_BLK_SECTOR_BYTES);

	for (uint64_t i = 0; i < words; i++)
		data[i].raw = UINT64_MAX;
	if (driver_request(d, VIRTIO_BLK_T_IN, sector, VIRTIO_BLK_SECTOR_BYTES) != OUTCOME_DONE)
		return false;
	for (uint64_t i = 0; i < words; i++)
		if (data[i].raw != le64_put(sector * words + i).raw)
			return false;
	return true;
}

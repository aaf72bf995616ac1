/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks by two CPUs: one makes requests, the other rewrites what the device is about to read, by
 * way of states that are refused. A device that checks one value and uses another goes beyond RAM
 * or beyond the disk.
 */
#include "test/hostile/attacks.h"

#include "base/bytes.h"

enum { WORDS = 2 };

/* 64-bit words that another CPU moves between two values, one after the other. */
struct flips {
	struct driver *d;
	volatile uint64_t *words[WORDS];
	uint64_t honest[WORDS];
	uint64_t hostile[WORDS];
	uint32_t count;
};

GUEST_RACES static void flip(void *arg)
{
	const struct flips *f = arg;

	for (uint32_t i = 0; i < f->count; i++)
		*f->words[i] = f->hostile[i];
	/* Long enough for the device to meet both. */
	for (uint32_t i = 0; i < 20; i++)
		(void)*f->words[0];
	for (uint32_t i = 0; i < f->count; i++)
		*f->words[i] = f->honest[i];
}

GUEST_RACES static void add_flip(struct flips *f, uint64_t address, uint64_t honest,
				 uint64_t hostile)
{
	f->words[f->count] = f->d->port->ram(f->d->port, address, sizeof(uint64_t));
	f->honest[f->count] = le64_put(honest).raw;
	f->hostile[f->count] = le64_put(hostile).raw;
	*f->words[f->count] = f->honest[f->count];
	f->count++;
}

/* Length, flags and next index of a descriptor, as the word that they are. */
static uint64_t desc_word(uint32_t len, uint32_t flags, uint32_t next)
{
	return len | (uint64_t)flags << 32 | (uint64_t)next << 48;
}

/* Requests at head 0 for as long as the port likes, each of which must end in some way. */
static enum outcome race(struct driver *d, struct flips *f)
{
	struct port *port = d->port;

	port->race(port, flip, f);
	for (uint32_t i = 0; i < port->rounds; i++) {
		const enum outcome outcome = driver_submit(d, 0);

		if (outcome == OUTCOME_STUCK || outcome == OUTCOME_BROKEN) {
			port->race(port, NULL, NULL);
			return outcome;
		}
		if (outcome == OUTCOME_NEEDS_RESET) {
			driver_start(d);
			driver_build(d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
		}
	}
	port->race(port, NULL, NULL);
	return OUTCOME_SURVIVED;
}

static enum outcome run_descriptor(struct driver *d, const void *row)
{
	const uint64_t at = d->queue.desc + sizeof(struct virtq_desc);
	struct flips f = { .d = d };

	(void)row;
	add_flip(&f, at, DRIVER_DATA, PORT_HIGH_END - 16);
	add_flip(&f, at + 8, desc_word(VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE, 2),
		 desc_word(1u << 30, NEXT | WRITE, 2));
	return race(d, &f);
}

/* The last sector of RAM, or far more: it is taken whole or refused, never tried. */
static enum outcome run_length_at_end(struct driver *d, const void *row)
{
	const uint64_t at = d->queue.desc + sizeof(struct virtq_desc);
	struct flips f = { .d = d };
	enum outcome outcome = OUTCOME_DONE;

	(void)row;
	driver_desc(d, 1, PORT_HIGH_END - VIRTIO_BLK_SECTOR_BYTES, VIRTIO_BLK_SECTOR_BYTES,
		    NEXT | WRITE, 2);
	add_flip(&f, at + 8, desc_word(VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE, 2),
		 desc_word(2 * VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE, 2));
	d->port->race(d->port, flip, &f);
	for (uint32_t i = 0; i < d->port->rounds; i++) {
		outcome = driver_submit(d, 0);
		if (outcome == OUTCOME_NEEDS_RESET) {
			driver_start(d);
			driver_build(d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
			driver_desc(d, 1, PORT_HIGH_END - VIRTIO_BLK_SECTOR_BYTES,
				    VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE, 2);
		} else if (outcome != OUTCOME_DONE) {
			break;
		}
	}
	d->port->race(d->port, NULL, NULL);
	MUST(d, outcome == OUTCOME_DONE || outcome == OUTCOME_NEEDS_RESET);
	return OUTCOME_SURVIVED;
}

static enum outcome run_next(struct driver *d, const void *row)
{
	struct flips f = { .d = d };

	(void)row;
	add_flip(&f, d->queue.desc + 8, desc_word(sizeof(struct virtio_blk_header), NEXT, 1),
		 desc_word(sizeof(struct virtio_blk_header), NEXT, 0xffff));
	return race(d, &f);
}

/* The chain of run_next() and run_descriptor(), in a table. */
static enum outcome run_table_entry(struct driver *d, const void *row)
{
	const uint64_t entry = DRIVER_TABLE + sizeof(struct virtq_desc);
	struct flips f = { .d = d };
	enum outcome outcome = OUTCOME_SURVIVED;

	(void)row;
	driver_table_desc(d, DRIVER_TABLE, 0, DRIVER_HEADER, 16, NEXT, 1);
	driver_table_desc(d, DRIVER_TABLE, 1, DRIVER_DATA, VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE,
			  2);
	driver_table_desc(d, DRIVER_TABLE, 2, DRIVER_STATUS, 1, WRITE, 0);
	add_flip(&f, entry, DRIVER_DATA, PORT_HIGH_END - 16);
	add_flip(&f, entry + 8, desc_word(VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE, 2),
		 desc_word(1u << 30, NEXT | WRITE, 0xfff0));
	d->port->race(d->port, flip, &f);
	for (uint32_t i = 0; i < d->port->rounds && outcome < OUTCOME_STUCK; i++) {
		driver_desc(d, 0, DRIVER_TABLE, 3 * sizeof(struct virtq_desc), INDIRECT, 0);
		outcome = driver_submit(d, 0);
		if (outcome == OUTCOME_NEEDS_RESET)
			driver_start(d);
	}
	d->port->race(d->port, NULL, NULL);
	return outcome < OUTCOME_STUCK ? OUTCOME_SURVIVED : outcome;
}

/* The length of the table itself: empty, honest, or 4 GiB. */
static enum outcome run_table_length(struct driver *d, const void *row)
{
	struct flips f = { .d = d };

	(void)row;
	driver_table_desc(d, PORT_HIGH_END - 48, 0, DRIVER_HEADER, 16, NEXT, 1);
	driver_table_desc(d, PORT_HIGH_END - 48, 1, DRIVER_DATA, VIRTIO_BLK_SECTOR_BYTES,
			  NEXT | WRITE, 2);
	driver_table_desc(d, PORT_HIGH_END - 48, 2, DRIVER_STATUS, 1, WRITE, 0);
	add_flip(&f, d->queue.desc, PORT_HIGH_END - 48, PORT_HIGH_END - 48);
	add_flip(&f, d->queue.desc + 8, desc_word(48, INDIRECT, 0), desc_word(4096, INDIRECT, 0));
	return race(d, &f);
}

/* What is asked for: a good read, or a sector that is far beyond the disk of a type that is none. */
static enum outcome run_request_header(struct driver *d, const void *row)
{
	struct flips f = { .d = d };

	(void)row;
	add_flip(&f, DRIVER_HEADER, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_FLUSH);
	add_flip(&f, DRIVER_HEADER + 8, 0, (UINT64_C(1) << 55) + PORT_DISK_SECTORS - 1);
	return race(d, &f);
}

/* A range to discard that is in the scratch part, or in part behind the end, or flagged. */
static enum outcome run_range(struct driver *d, const void *row)
{
	struct flips f = { .d = d };

	(void)row;
	driver_header(d, DRIVER_HEADER, VIRTIO_BLK_T_DISCARD, 0);
	driver_desc(d, 1, DRIVER_DATA, sizeof(struct virtio_blk_range), NEXT, 2);
	add_flip(&f, DRIVER_DATA, PORT_SCRATCH_SECTOR, PORT_DISK_SECTORS - 1);
	add_flip(&f, DRIVER_DATA + 8, 1, UINT64_C(2) << 32 | 0xffffffff);
	return race(d, &f);
}

/* The available index and the first heads. */
static enum outcome run_index(struct driver *d, const void *row)
{
	struct flips f = { .d = d };

	(void)row;
	add_flip(&f, d->queue.avail, 1u << 16, UINT64_C(0xffff) << 32 | 0x8000u << 16);
	d->port->race(d->port, flip, &f);
	for (uint32_t i = 0; i < d->port->rounds; i++) {
		driver_kick(d);
		if (driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET)
			driver_start(d);
		d->port->pass(d->port);
	}
	d->port->race(d->port, NULL, NULL);
	return OUTCOME_SURVIVED;
}

/* The other CPU moves selectors, rewrites the queue and rings doorbells. */
static void meddle(void *arg)
{
	static const struct driver_queue other = { 8, DRIVER_DATA, DRIVER_DATA + 0x1000,
						   DRIVER_DATA + 0x2000 };
	struct driver copy = *(struct driver *)arg;

	driver_set_queue(&copy, copy.n, &other);
	driver_write(&copy, VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	driver_kick(&copy);
}

static enum outcome run_registers(struct driver *d, const void *row)
{
	struct driver other = *d;
	enum outcome outcome = OUTCOME_DONE;

	(void)row;
	d->port->race(d->port, meddle, &other);
	for (uint32_t i = 0; i < d->port->rounds && outcome == OUTCOME_DONE; i++)
		outcome = driver_submit(d, 0);
	d->port->race(d->port, NULL, NULL);
	MUST(d, outcome == OUTCOME_DONE);
	return OUTCOME_SURVIVED;
}

/* The other CPU resets the device and starts it again, in the middle of everything. */
static void restart(void *arg)
{
	struct driver copy = *(struct driver *)arg;

	driver_begin(&copy);
	driver_negotiate(&copy, VIRTIO_F_VERSION_1);
	driver_set_queue(&copy, copy.n, &copy.queue);
	driver_write(&copy, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_write(&copy, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
}

static enum outcome run_resets(struct driver *d, const void *row)
{
	struct driver other = *d;

	(void)row;
	d->port->race(d->port, restart, &other);
	for (uint32_t i = 0; i < d->port->rounds; i++) {
		driver_offer(d, 0);
		driver_kick(d);
		if (i % 16 == 0)
			driver_start(d);
		if (i % 16 == 0)
			driver_build(d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
		d->port->pass(d->port);
	}
	d->port->race(d->port, NULL, NULL);
	return OUTCOME_SURVIVED;
}

static const struct attack race_attacks[] = {
	{ "race: descriptor", OUTCOME_SURVIVED, run_descriptor, NULL },
	{ "race: length at the end of RAM", OUTCOME_SURVIVED, run_length_at_end, NULL },
	{ "race: next index", OUTCOME_SURVIVED, run_next, NULL },
	{ "race: entry of a table", OUTCOME_SURVIVED, run_table_entry, NULL },
	{ "race: length of a table", OUTCOME_SURVIVED, run_table_length, NULL },
	{ "race: request header", OUTCOME_SURVIVED, run_request_header, NULL },
	{ "race: range to discard", OUTCOME_SURVIVED, run_range, NULL },
	{ "race: available ring", OUTCOME_SURVIVED, run_index, NULL },
	{ "race: queue registers", OUTCOME_SURVIVED, run_registers, NULL },
	{ "race: resets", OUTCOME_SURVIVED, run_resets, NULL },
};
const struct attack_list attacks_race = ATTACKS(race_attacks);

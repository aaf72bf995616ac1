/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks by virtio-blk requests (virtio 1.2, 5.2.6), each in a chain that is well-formed. */
#include "test/hostile/attacks.h"

#include "base/bytes.h"

enum { HEADER_BYTES = sizeof(struct virtio_blk_header), RANGES = 2 };

#define IN VIRTIO_BLK_T_IN
#define OUT VIRTIO_BLK_T_OUT
#define FLUSH VIRTIO_BLK_T_FLUSH
#define GET_ID VIRTIO_BLK_T_GET_ID
#define DISCARD VIRTIO_BLK_T_DISCARD
#define ZEROES VIRTIO_BLK_T_WRITE_ZEROES
#define UNMAP VIRTIO_BLK_RANGE_F_UNMAP

/* A request with data of both directions around it, either of which may be empty. */
struct form {
	uint32_t type;
	uint64_t sector;
	uint32_t readable;
	uint32_t writable;
};

static enum outcome run_form(struct driver *d, const void *row)
{
	const struct form *f = row;

	driver_header(d, DRIVER_HEADER, f->type, f->sector);
	driver_desc(d, 0, DRIVER_HEADER, HEADER_BYTES, NEXT, 1);
	driver_desc(d, 1, DRIVER_DATA, f->readable, NEXT, 2);
	driver_desc(d, 2, DRIVER_DATA, f->writable, NEXT | WRITE, 3);
	driver_desc(d, 3, DRIVER_STATUS, 1, WRITE, 0);
	return driver_submit(d, 0);
}

/* Header and status cut into single bytes, more than a queue of direct descriptors would hold. */
static enum outcome run_crumbs(struct driver *d, const void *row)
{
	uint32_t at = 0;

	(void)row;
	for (; at < HEADER_BYTES; at++)
		driver_table_desc(d, DRIVER_TABLE, at, DRIVER_HEADER + at, 1, NEXT, at + 1);
	for (uint32_t i = 0; i < VIRTIO_BLK_SECTOR_BYTES / 8; i++, at++)
		driver_table_desc(d, DRIVER_TABLE, at, DRIVER_DATA + 8 * (uint64_t)i, 8,
				  NEXT | WRITE, at + 1);
	driver_table_desc(d, DRIVER_TABLE, at, DRIVER_STATUS, 1, WRITE, 0);
	driver_desc(d, 0, DRIVER_TABLE, (at + 1) * sizeof(struct virtq_desc), INDIRECT, 0);
	return driver_submit(d, 0);
}

/* What there is of a request that is too short: the bytes of each direction. */
struct stump {
	uint32_t readable;
	uint32_t writable;
};

static enum outcome run_stump(struct driver *d, const void *row)
{
	const struct stump *s = row;

	driver_desc(d, 0, DRIVER_HEADER, s->readable, NEXT, 1);
	driver_desc(d, 1, DRIVER_STATUS, s->writable, WRITE, 0);
	return driver_submit(d, 0);
}

/* Data and status in one descriptor, the header split across two. */
static enum outcome run_odd_frame(struct driver *d, const void *row)
{
	(void)row;
	driver_desc(d, 0, DRIVER_HEADER, 7, NEXT, 1);
	driver_desc(d, 1, DRIVER_HEADER + 7, 9, NEXT, 2);
	driver_desc(d, 2, DRIVER_DATA, VIRTIO_BLK_SECTOR_BYTES + 1, WRITE, 0);
	driver_expect_status(d, DRIVER_DATA + VIRTIO_BLK_SECTOR_BYTES);
	return driver_submit(d, 0);
}

/* The data goes where the header is, and the status byte behind it: the copy is what counts. */
static enum outcome run_over_itself(struct driver *d, const void *row)
{
	(void)row;
	driver_desc(d, 1, DRIVER_HEADER, VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE, 2);
	driver_desc(d, 2, DRIVER_HEADER + VIRTIO_BLK_SECTOR_BYTES, 1, WRITE, 0);
	driver_expect_status(d, DRIVER_HEADER + VIRTIO_BLK_SECTOR_BYTES);
	return driver_submit(d, 0);
}

/* A request for ranges, of @bytes that need not be a multiple of a range. */
struct extent {
	uint32_t type;
	uint32_t bytes;
	struct {
		uint64_t sector;
		uint32_t count;
		uint32_t flags;
	} ranges[RANGES];
};

static enum outcome run_ranges(struct driver *d, const void *row)
{
	const struct extent *e = row;
	volatile struct virtio_blk_range *ranges =
		d->port->ram(d->port, DRIVER_DATA, RANGES * sizeof(*ranges));

	for (uint32_t i = 0; i < RANGES; i++) {
		ranges[i].sector.raw = le64_put(e->ranges[i].sector).raw;
		ranges[i].num_sectors.raw = le32_put(e->ranges[i].count).raw;
		ranges[i].flags.raw = le32_put(e->ranges[i].flags).raw;
	}
	driver_header(d, DRIVER_HEADER, e->type, 0);
	driver_desc(d, 1, DRIVER_DATA, e->bytes, NEXT, 2);
	return driver_submit(d, 0);
}

#define FORM(...) run_form, ROW(struct form, __VA_ARGS__)
#define STUMP(...) run_stump, ROW(struct stump, __VA_ARGS__)
#define ONE_RANGE(type, ...) run_ranges, ROW(struct extent, type, 16, { { __VA_ARGS__ } })
#define LAST (PORT_DISK_SECTORS - 1)
#define END PORT_DISK_SECTORS
#define SCRATCH PORT_SCRATCH_SECTOR

static const struct attack request_attacks[] = {
	{ "read of the last sector", OUTCOME_DONE, FORM(IN, LAST, 0, 512) },
	{ "read across the end", OUTCOME_IOERR, FORM(IN, LAST, 0, 1024) },
	{ "read behind the end", OUTCOME_IOERR, FORM(IN, END, 0, 512) },
	{ "read at sector 2^64 - 1", OUTCOME_IOERR, FORM(IN, UINT64_MAX, 0, 512) },
	{ "read at sector 2^55, byte 2^64", OUTCOME_IOERR, FORM(IN, UINT64_C(1) << 55, 0, 512) },
	{ "read up to byte 2^64", OUTCOME_IOERR, FORM(IN, (UINT64_C(1) << 55) - 1, 0, 512) },
	{ "read at byte 2^63", OUTCOME_IOERR, FORM(IN, UINT64_C(1) << 54, 0, 512) },
	{ "read of 1 byte", OUTCOME_IOERR, FORM(IN, 0, 0, 1) },
	{ "read of 511 bytes", OUTCOME_IOERR, FORM(IN, 0, 0, 511) },
	{ "read of 513 bytes", OUTCOME_IOERR, FORM(IN, 0, 0, 513) },
	{ "read of 2^31 bytes", OUTCOME_IOERR, FORM(IN, 0, 0, 1u << 31) },
	{ "read with readable data", OUTCOME_DONE, FORM(IN, 0, 512, 512) },
	{ "write of the last sector", OUTCOME_DONE, FORM(OUT, LAST, 512, 0) },
	{ "write across the end", OUTCOME_IOERR, FORM(OUT, LAST, 1024, 0) },
	{ "write behind the end", OUTCOME_IOERR, FORM(OUT, END, 512, 0) },
	{ "write at sector 2^64 - 1", OUTCOME_IOERR, FORM(OUT, UINT64_MAX, 512, 0) },
	{ "write at sector 2^55, byte 2^64", OUTCOME_IOERR, FORM(OUT, UINT64_C(1) << 55, 512, 0) },
	{ "write up to byte 2^64", OUTCOME_IOERR, FORM(OUT, (UINT64_C(1) << 55) - 1, 512, 0) },
	{ "write of 511 bytes", OUTCOME_IOERR, FORM(OUT, 0, 511, 0) },
	{ "write of 513 bytes", OUTCOME_IOERR, FORM(OUT, 0, 513, 0) },
	{ "write of 2^31 bytes", OUTCOME_IOERR, FORM(OUT, 0, 1u << 31, 0) },
	{ "write with writable data", OUTCOME_DONE, FORM(OUT, SCRATCH, 512, 512) },
	{ "flush with data", OUTCOME_DONE, FORM(FLUSH, UINT64_MAX, 512, 512) },
	{ "id", OUTCOME_DONE, FORM(GET_ID, UINT64_MAX, 0, 20) },
	{ "id in 0 bytes", OUTCOME_IOERR, FORM(GET_ID, 0, 0, 0) },
	{ "id in 1 byte", OUTCOME_IOERR, FORM(GET_ID, 0, 0, 1) },
	{ "id in 19 bytes", OUTCOME_IOERR, FORM(GET_ID, 0, 0, 19) },
	{ "id in 4096 bytes", OUTCOME_DONE, FORM(GET_ID, 0, 0, 4096) },
	{ "request 2, SCSI command", OUTCOME_UNSUPP, FORM(2, 0, 512, 512) },
	{ "request 3", OUTCOME_UNSUPP, FORM(3, 0, 0, 512) },
	{ "request 10, lifetime", OUTCOME_UNSUPP, FORM(10, 0, 0, 512) },
	{ "request 14, secure erase", OUTCOME_UNSUPP, FORM(14, 0, 16, 0) },
	{ "request 2^31, the old barrier", OUTCOME_UNSUPP, FORM(0x80000000, 0, 0, 512) },
	{ "request 2^32 - 1", OUTCOME_UNSUPP, FORM(UINT32_MAX, 0, 0, 512) },
	{ "nothing at all", OUTCOME_NEEDS_RESET, STUMP(0, 0) },
	{ "header of 0 bytes", OUTCOME_NEEDS_RESET, STUMP(0, 1) },
	{ "header of 15 bytes", OUTCOME_NEEDS_RESET, STUMP(15, 1) },
	{ "header that may only be written", OUTCOME_NEEDS_RESET, STUMP(0, 17) },
	{ "no status byte", OUTCOME_NEEDS_RESET, STUMP(16, 0) },
	{ "status byte that may only be read", OUTCOME_NEEDS_RESET, STUMP(17, 0) },
	{ "header in 16 pieces, data in 64", OUTCOME_DONE, run_crumbs, NULL },
	{ "status behind the data in one piece", OUTCOME_DONE, run_odd_frame, NULL },
	{ "data over the header", OUTCOME_DONE, run_over_itself, NULL },
	{ "discard", OUTCOME_DONE, ONE_RANGE(DISCARD, SCRATCH, 8, 0) },
	{ "discard up to the end", OUTCOME_DONE, ONE_RANGE(DISCARD, LAST, 1, 0) },
	{ "discard of 0 sectors", OUTCOME_DONE, ONE_RANGE(DISCARD, SCRATCH, 0, 0) },
	{ "discard across the end", OUTCOME_IOERR, ONE_RANGE(DISCARD, LAST, 2, 0) },
	{ "discard at sector 2^64 - 1", OUTCOME_IOERR, ONE_RANGE(DISCARD, UINT64_MAX, 1, 0) },
	{ "discard that wraps", OUTCOME_IOERR, ONE_RANGE(DISCARD, UINT64_MAX - 7, 16, 0) },
	{ "discard at byte 2^64", OUTCOME_IOERR, ONE_RANGE(DISCARD, UINT64_C(1) << 55, 8, 0) },
	{ "discard of 2^32 - 1 sectors", OUTCOME_IOERR, ONE_RANGE(DISCARD, 0, UINT32_MAX, 0) },
	{ "discard with unmap", OUTCOME_UNSUPP, ONE_RANGE(DISCARD, SCRATCH, 8, UNMAP) },
	{ "discard with flag 2", OUTCOME_UNSUPP, ONE_RANGE(DISCARD, SCRATCH, 8, 2) },
	{ "discard with flag 2^31", OUTCOME_UNSUPP, ONE_RANGE(DISCARD, SCRATCH, 8, 1u << 31) },
	{ "discard of no range", OUTCOME_IOERR, run_ranges, ROW(struct extent, .type = DISCARD) },
	{ "discard of half a range", OUTCOME_IOERR, run_ranges,
	  ROW(struct extent, DISCARD, 8, { { SCRATCH, 8, 0 } }) },
	{ "discard of a range and a half", OUTCOME_IOERR, run_ranges,
	  ROW(struct extent, DISCARD, 24, { { SCRATCH, 8, 0 }, { SCRATCH, 8, 0 } }) },
	{ "discard, the second range is bad", OUTCOME_IOERR, run_ranges,
	  ROW(struct extent, DISCARD, 32, { { SCRATCH, 8, 0 }, { END, 1, 0 } }) },
	{ "discard of one range twice", OUTCOME_DONE, run_ranges,
	  ROW(struct extent, DISCARD, 32, { { SCRATCH, 8, 0 }, { SCRATCH, 8, 0 } }) },
	{ "discard of 4096 ranges", OUTCOME_IOERR, run_ranges,
	  ROW(struct extent, DISCARD, 4096 * 16, { { SCRATCH, 8, 0 } }) },
	{ "discard with writable data", OUTCOME_IOERR, FORM(DISCARD, 0, 0, 16) },
	{ "zeroes", OUTCOME_DONE, ONE_RANGE(ZEROES, SCRATCH, 8, 0) },
	{ "zeroes with unmap", OUTCOME_DONE, ONE_RANGE(ZEROES, SCRATCH, 8, UNMAP) },
	{ "zeroes with flag 2", OUTCOME_UNSUPP, ONE_RANGE(ZEROES, SCRATCH, 8, 2) },
	{ "zeroes across the end", OUTCOME_IOERR, ONE_RANGE(ZEROES, LAST, 2, 0) },
	{ "zeroes that wrap", OUTCOME_IOERR, ONE_RANGE(ZEROES, UINT64_MAX - 7, 16, 0) },
	{ "zeroes at byte 2^64", OUTCOME_IOERR, ONE_RANGE(ZEROES, UINT64_C(1) << 55, 8, 0) },
	{ "zeroes of 2^32 - 1 sectors", OUTCOME_IOERR, ONE_RANGE(ZEROES, 0, UINT32_MAX, 0) },
	{ "zeroes of half a range", OUTCOME_IOERR, run_ranges,
	  ROW(struct extent, ZEROES, 8, { { SCRATCH, 8, 0 } }) },
	{ "zeroes, the second range is bad", OUTCOME_IOERR, run_ranges,
	  ROW(struct extent, ZEROES, 32, { { SCRATCH, 8, 0 }, { END, 1, 0 } }) },
};
const struct attack_list attacks_request = ATTACKS(request_attacks);

/* 5.2.3: RO is offered, and need not be accepted to be meant. */
static enum outcome run_offers_read_only(struct driver *d, const void *row)
{
	(void)row;
	MUST(d, driver_offered(d) & VIRTIO_BLK_F_RO);
	return OUTCOME_IGNORED;
}

static const struct attack read_only_attacks[] = {
	{ "read-only: is offered", OUTCOME_IGNORED, run_offers_read_only, NULL },
	{ "read-only: write", OUTCOME_IOERR, FORM(OUT, SCRATCH, 512, 0) },
	{ "read-only: write across the end", OUTCOME_IOERR, FORM(OUT, LAST, 1024, 0) },
	{ "read-only: flush", OUTCOME_DONE, FORM(FLUSH, 0, 0, 0) },
	{ "read-only: id", OUTCOME_DONE, FORM(GET_ID, 0, 0, 20) },
	{ "read-only: discard", OUTCOME_UNSUPP, ONE_RANGE(DISCARD, SCRATCH, 8, 0) },
	{ "read-only: zeroes", OUTCOME_UNSUPP, ONE_RANGE(ZEROES, SCRATCH, 8, 0) },
	{ "read-only: zeroes with unmap", OUTCOME_UNSUPP, ONE_RANGE(ZEROES, SCRATCH, 8, UNMAP) },
};
const struct attack_list attacks_read_only = ATTACKS(read_only_attacks);

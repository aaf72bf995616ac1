/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the rings: indices, chains, indirect tables. */
#include "test/hostile/attacks.h"

enum { LINKS = 4, HEADER_BYTES = sizeof(struct virtio_blk_header) };

struct link {
	uint64_t addr;
	uint32_t len;
	uint32_t flags;
	uint32_t next;
};

/* The first descriptors of the queue, and of a table at DRIVER_TABLE. */
struct chain {
	struct link direct[LINKS];
	struct link table[LINKS];
};

#define DIRECT(...) run_chain, ROW(struct chain, .direct = { __VA_ARGS__ })
#define TABLE(ref, ...) run_chain, ROW(struct chain, .direct = { ref }, .table = { __VA_ARGS__ })
#define REF(len, flags)                     \
	{                                   \
		DRIVER_TABLE, len, flags, 0 \
	}
#define TABLE_BYTES (3 * sizeof(struct virtq_desc))

#define A_HEADER DRIVER_HEADER, HEADER_BYTES
#define A_SECTOR DRIVER_DATA, VIRTIO_BLK_SECTOR_BYTES
#define A_STATUS DRIVER_STATUS, 1

static enum outcome run_chain(struct driver *d, const void *row)
{
	const struct chain *c = row;

	for (uint32_t i = 0; i < LINKS; i++) {
		const struct link *l = &c->direct[i];

		driver_desc(d, i, l->addr, l->len, l->flags, l->next);
		l = &c->table[i];
		driver_table_desc(d, DRIVER_TABLE, i, l->addr, l->len, l->flags, l->next);
	}
	return driver_submit(d, 0);
}

/* A head that is none, with a good request where it would be. */
static enum outcome run_head(struct driver *d, const void *row)
{
	const uint32_t *head = row;

	driver_desc(d, *head, A_HEADER, NEXT, 1);
	return driver_submit(d, *head);
}

/* The same for a next index: what is there would do. */
static enum outcome run_next(struct driver *d, const void *row)
{
	const uint32_t *next = row;

	driver_desc(d, 0, A_HEADER, NEXT, *next);
	driver_desc(d, *next, A_SECTOR, NEXT | WRITE, 2);
	return driver_submit(d, 0);
}

static enum outcome run_jump(struct driver *d, const void *row)
{
	const uint16_t *idx = row;

	driver_set_avail_idx(d, *idx);
	driver_kick(d);
	return driver_wait(d);
}

/* An index that went back, after requests that were honest. */
static enum outcome run_back(struct driver *d, const void *row)
{
	(void)row;
	for (int i = 0; i < 3; i++)
		MUST(d, driver_submit(d, 0) == OUTCOME_DONE);
	driver_set_avail_idx(d, 2);
	driver_kick(d);
	driver_expect_status(d, DRIVER_STATUS);
	return driver_wait(d);
}

/* The same chain in each place of the ring at once: they are as many requests. */
static enum outcome run_duplicates(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t i = 0; i < d->queue.size; i++)
		driver_offer(d, 0);
	driver_kick(d);
	return driver_wait(d);
}

/* More available than the ring holds, by one. */
static enum outcome run_overfull(struct driver *d, const void *row)
{
	(void)row;
	driver_set_avail_idx(d, (uint16_t)(d->queue.size + 1));
	driver_kick(d);
	return driver_wait(d);
}

/* A chain through all descriptors, which then starts again: its data is more than any chain's. */
static enum outcome run_ring_of_all(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t i = 0; i < d->queue.size; i++)
		driver_desc(d, i, DRIVER_HEADER, i == 0 ? HEADER_BYTES : 0, NEXT,
			    (i + 1) % d->queue.size);
	return driver_submit(d, 0);
}

/* As long as a chain may be, with empty descriptors between. */
static enum outcome run_longest(struct driver *d, const void *row)
{
	const uint32_t last = d->queue.size - 1;

	(void)row;
	for (uint32_t i = 0; i < last; i++)
		driver_desc(d, i, DRIVER_HEADER, i == 0 ? HEADER_BYTES : 0, NEXT, i + 1);
	driver_desc(d, last, DRIVER_STATUS, 1, WRITE, 0);
	return driver_submit(d, 0);
}

/* A good request ends like this, from its descriptor @at on. */
#define DATA_AND_STATUS(at)                   \
	{ A_SECTOR, NEXT | WRITE, (at) + 1 }, \
	{                                     \
		A_STATUS, WRITE, 0            \
	}

static const struct attack index_attacks[] = {
	{ "available index 33 of a queue of 32", OUTCOME_NEEDS_RESET, run_overfull, NULL },
	{ "available index jumps to 32768", OUTCOME_NEEDS_RESET, run_jump, ROW(uint16_t, 32768) },
	{ "available index jumps to 65535", OUTCOME_NEEDS_RESET, run_jump, ROW(uint16_t, 65535) },
	{ "available index goes back", OUTCOME_NEEDS_RESET, run_back, NULL },
	{ "one head everywhere in the ring", OUTCOME_DONE, run_duplicates, NULL },
	{ "head 32 of 32", OUTCOME_NEEDS_RESET, run_head, ROW(uint32_t, 32) },
	{ "head 256", OUTCOME_NEEDS_RESET, run_head, ROW(uint32_t, 256) },
	{ "head 65535", OUTCOME_NEEDS_RESET, run_head, ROW(uint32_t, 65535) },
	{ "next 32 of 32", OUTCOME_NEEDS_RESET, run_next, ROW(uint32_t, 32) },
	{ "next 65535", OUTCOME_NEEDS_RESET, run_next, ROW(uint32_t, 65535) },
	{ "loop of one", OUTCOME_NEEDS_RESET, DIRECT({ A_HEADER, NEXT, 0 }) },
	{ "loop of one, empty", OUTCOME_NEEDS_RESET, DIRECT({ DRIVER_HEADER, 0, NEXT, 0 }) },
	{ "loop of two", OUTCOME_NEEDS_RESET,
	  DIRECT({ A_HEADER, NEXT, 1 }, { A_HEADER, NEXT, 0 }) },
	{ "loop behind a good beginning", OUTCOME_NEEDS_RESET,
	  DIRECT({ A_HEADER, NEXT, 1 }, { A_SECTOR, NEXT | WRITE, 2 },
		 { A_STATUS, NEXT | WRITE, 2 }) },
	{ "loop of all descriptors", OUTCOME_NEEDS_RESET, run_ring_of_all, NULL },
	{ "all descriptors in one chain", OUTCOME_DONE, run_longest, NULL },
	{ "readable after writable", OUTCOME_NEEDS_RESET,
	  DIRECT({ A_HEADER, NEXT, 1 }, { A_SECTOR, NEXT | WRITE, 2 }, { A_SECTOR, NEXT, 3 },
		 { A_STATUS, WRITE, 0 }) },
	{ "unknown flag 8", OUTCOME_NEEDS_RESET,
	  DIRECT({ A_HEADER, NEXT | 8, 1 }, DATA_AND_STATUS(1)) },
	{ "unknown flag 0x8000", OUTCOME_NEEDS_RESET,
	  DIRECT({ A_HEADER, NEXT, 1 }, { A_STATUS, WRITE | 0x8000, 0 }) },
	{ "data of 0 bytes", OUTCOME_DONE,
	  DIRECT({ A_HEADER, NEXT, 1 }, { DRIVER_DATA, 0, NEXT | WRITE, 2 },
		 { A_STATUS, WRITE, 0 }) },
	{ "data of 0 bytes outside RAM", OUTCOME_DONE,
	  DIRECT({ A_HEADER, NEXT, 1 }, { UINT64_MAX, 0, NEXT | WRITE, 2 },
		 { A_STATUS, WRITE, 0 }) },
	{ "data of 2^32 - 1 bytes from 0", OUTCOME_NEEDS_RESET,
	  DIRECT({ A_HEADER, NEXT, 1 }, { 0, UINT32_MAX, NEXT | WRITE, 2 },
		 { A_STATUS, WRITE, 0 }) },
	{ "data of 2^32 - 1 bytes from 1", OUTCOME_NEEDS_RESET,
	  DIRECT({ A_HEADER, NEXT, 1 }, { 1, UINT32_MAX, NEXT | WRITE, 2 },
		 { A_STATUS, WRITE, 0 }) },
	{ "data of 2^31 bytes that are RAM", OUTCOME_IOERR,
	  DIRECT({ A_HEADER, NEXT, 1 }, { 0, 1u << 31, NEXT | WRITE, 2 }, { A_STATUS, WRITE, 0 }) },
	{ "data of twice 2^31 bytes", OUTCOME_NEEDS_RESET,
	  DIRECT({ A_HEADER, NEXT, 1 }, { 0, 1u << 31, NEXT | WRITE, 2 },
		 { 0, 1u << 31, NEXT | WRITE, 3 }, { A_STATUS, WRITE, 0 }) },
};
const struct attack_list attacks_index = ATTACKS(index_attacks);

/* A whole request in the table, so that what is wrong is the table or the one that points there. */
#define GOOD_TABLE { A_HEADER, NEXT, 1 }, DATA_AND_STATUS(1)

/* The same in as many entries as the table of this size has. */
static enum outcome run_long_table(struct driver *d, const void *row)
{
	const uint32_t *count = row;
	const uint32_t last = *count - 1;

	for (uint32_t i = 0; i < last; i++)
		driver_table_desc(d, DRIVER_TABLE, i, DRIVER_HEADER, i == 0 ? HEADER_BYTES : 0,
				  NEXT, i + 1);
	driver_table_desc(d, DRIVER_TABLE, last, DRIVER_STATUS, 1, WRITE, 0);
	driver_desc(d, 0, DRIVER_TABLE, *count * sizeof(struct virtq_desc), INDIRECT, 0);
	return driver_submit(d, 0);
}

/* Two parts that are each short enough. The data is not a sector, so that only the chain counts. */
static enum outcome run_direct_and_table(struct driver *d, const void *row)
{
	const uint32_t last = d->queue.size - 1;
	const uint32_t count = 256;

	(void)row;
	for (uint32_t i = 0; i < last; i++)
		driver_desc(d, i, DRIVER_HEADER, HEADER_BYTES, NEXT, i + 1);
	for (uint32_t i = 0; i < count - 1; i++)
		driver_table_desc(d, DRIVER_TABLE, i, DRIVER_DATA, 1, NEXT, i + 1);
	driver_table_desc(d, DRIVER_TABLE, count - 1, DRIVER_STATUS, 1, WRITE, 0);
	driver_desc(d, last, DRIVER_TABLE, count * sizeof(struct virtq_desc), INDIRECT, 0);
	return driver_submit(d, 0);
}

/* An honest table, of a driver that did not say it would use any. */
static enum outcome run_not_negotiated(struct driver *d, const void *row)
{
	const struct driver_queue queue = d->queue;
	static const struct chain honest = {
		.direct = { REF(TABLE_BYTES, INDIRECT) },
		.table = { GOOD_TABLE },
	};

	(void)row;
	driver_begin(d);
	driver_negotiate(d, VIRTIO_F_VERSION_1);
	driver_set_queue(d, d->n, &queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
	return run_chain(d, &honest);
}

static const struct attack table_attacks[] = {
	{ "table, honest", OUTCOME_DONE, TABLE(REF(TABLE_BYTES, INDIRECT), GOOD_TABLE) },
	{ "table marked as writable", OUTCOME_DONE,
	  TABLE(REF(TABLE_BYTES, INDIRECT | WRITE), GOOD_TABLE) },
	{ "table after a direct descriptor", OUTCOME_DONE, run_chain,
	  ROW(struct chain, .direct = { { A_HEADER, NEXT, 1 }, REF(2 * 16, INDIRECT) },
	      .table = { DATA_AND_STATUS(0) }) },
	{ "table that was not negotiated", OUTCOME_NEEDS_RESET, run_not_negotiated, NULL },
	{ "table with a next descriptor", OUTCOME_NEEDS_RESET, run_chain,
	  ROW(struct chain,
	      .direct = { { DRIVER_TABLE, TABLE_BYTES, INDIRECT | NEXT, 1 }, DATA_AND_STATUS(1) },
	      .table = { GOOD_TABLE }) },
	{ "table of 0 bytes", OUTCOME_NEEDS_RESET, TABLE(REF(0, INDIRECT), GOOD_TABLE) },
	{ "table of 15 bytes", OUTCOME_NEEDS_RESET, TABLE(REF(15, INDIRECT), GOOD_TABLE) },
	{ "table cut in the middle of an entry", OUTCOME_NEEDS_RESET,
	  TABLE(REF(TABLE_BYTES + 8, INDIRECT), GOOD_TABLE) },
	{ "table cut before its last entry", OUTCOME_NEEDS_RESET,
	  TABLE(REF(TABLE_BYTES - 16, INDIRECT), GOOD_TABLE) },
	{ "table in a table", OUTCOME_NEEDS_RESET,
	  TABLE(REF(16, INDIRECT), REF(TABLE_BYTES, INDIRECT)) },
	{ "table in a table, last", OUTCOME_NEEDS_RESET,
	  TABLE(REF(2 * 16, INDIRECT), { A_HEADER, NEXT, 1 }, REF(16, INDIRECT)) },
	{ "table with an unknown flag", OUTCOME_NEEDS_RESET,
	  TABLE(REF(TABLE_BYTES, INDIRECT), { A_HEADER, NEXT | 16, 1 }, DATA_AND_STATUS(1)) },
	{ "next beyond the table", OUTCOME_NEEDS_RESET,
	  TABLE(REF(TABLE_BYTES, INDIRECT), { A_HEADER, NEXT, 3 }, DATA_AND_STATUS(1),
		{ A_STATUS, WRITE, 0 }) },
	{ "next 65535 in a table", OUTCOME_NEEDS_RESET,
	  TABLE(REF(TABLE_BYTES, INDIRECT), { A_HEADER, NEXT, 65535 }) },
	{ "loop in a table", OUTCOME_NEEDS_RESET,
	  TABLE(REF(2 * 16, INDIRECT), { A_HEADER, NEXT, 1 }, { A_HEADER, NEXT, 0 }) },
	{ "loop in a table, empty", OUTCOME_NEEDS_RESET,
	  TABLE(REF(16, INDIRECT), { DRIVER_HEADER, 0, NEXT, 0 }) },
	{ "readable in a table after a direct writable", OUTCOME_NEEDS_RESET, run_chain,
	  ROW(struct chain,
	      .direct = { { A_HEADER, NEXT, 1 },
			  { A_SECTOR, NEXT | WRITE, 2 },
			  REF(2 * 16, INDIRECT) },
	      .table = { { A_SECTOR, NEXT, 1 }, { A_STATUS, WRITE, 0 } }) },
	{ "table of 256 entries", OUTCOME_DONE, run_long_table, ROW(uint32_t, 256) },
	{ "table of 257 entries", OUTCOME_NEEDS_RESET, run_long_table, ROW(uint32_t, 257) },
	{ "table of 256 entries behind 31 others", OUTCOME_NEEDS_RESET, run_direct_and_table,
	  NULL },
	{ "table of 4 GiB", OUTCOME_NEEDS_RESET, TABLE(REF(0xfffffff0, INDIRECT), GOOD_TABLE) },
};
const struct attack_list attacks_table = ATTACKS(table_attacks);

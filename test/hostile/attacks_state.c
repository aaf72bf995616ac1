/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the state machine: status bits, features, queue registers at the wrong time. */
#include "test/hostile/attacks.h"

#define ACK VIRTIO_STATUS_ACKNOWLEDGE
#define DRIVER (ACK | VIRTIO_STATUS_DRIVER)
#define FEATURES_OK (DRIVER | VIRTIO_STATUS_FEATURES_OK)

/* The bits that a driver sets one after the other (3.1.1), and that only a reset takes back. */
static bool is_legal_status(uint32_t status)
{
	const uint32_t steps = status & DRIVER_OK_STATUS;

	return !(status & ~(DRIVER_OK_STATUS | VIRTIO_STATUS_FAILED)) &&
	       (steps == 0 || steps == ACK || steps == DRIVER || steps == FEATURES_OK ||
		steps == DRIVER_OK_STATUS);
}

/*
 * Whether @after may follow when @value was written at @before. The device may refuse any value but
 * 0, and must never show what is no legal state, nor give up a bit.
 */
static bool is_legal_step(uint32_t before, uint32_t value, uint32_t after)
{
	if (value == 0)
		return after == 0;
	return is_legal_status(after) && (before & ~after) == 0 && (after & ~(before | value)) == 0;
}

/* A good queue is set up on the way, so that DRIVER_OK is all that is missing. */
static void go_to(struct driver *d, uint32_t status)
{
	const struct driver_queue queue = d->queue;

	driver_write(d, VIRTIO_MMIO_STATUS, 0);
	if (status & ACK)
		driver_write(d, VIRTIO_MMIO_STATUS, ACK);
	if (status & VIRTIO_STATUS_DRIVER)
		driver_write(d, VIRTIO_MMIO_STATUS, DRIVER);
	if (status & VIRTIO_STATUS_FEATURES_OK)
		driver_negotiate(d, VIRTIO_F_VERSION_1);
	driver_set_queue(d, d->n, &queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	if (status & VIRTIO_STATUS_DRIVER_OK)
		driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
}

/* Each value of the register from the state in @row. */
static enum outcome run_every_status(struct driver *d, const void *row)
{
	const uint32_t *before = row;

	for (uint32_t value = 0; value < 256; value++) {
		go_to(d, *before);
		MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == *before);
		driver_write(d, VIRTIO_MMIO_STATUS, value);
		MUST(d, is_legal_step(*before, value, driver_read(d, VIRTIO_MMIO_STATUS)));
	}
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Values in a random order, mostly single bits, with no reset in between but those that come up. */
static enum outcome run_status_walk(struct driver *d, const void *row)
{
	uint32_t before = DRIVER_OK_STATUS;
	uint32_t seed = 1;

	(void)row;
	for (int i = 0; i < 2000; i++) {
		const uint32_t r = next_random(&seed);
		const uint32_t value = r & 0x300 ? before | 1u << (r & 7) : r & 0xff;
		uint32_t after;

		driver_write(d, VIRTIO_MMIO_STATUS, value);
		after = driver_read(d, VIRTIO_MMIO_STATUS);
		/* DRIVER_OK with a queue that is none stops the device. */
		if (after & VIRTIO_STATUS_NEEDS_RESET) {
			driver_write(d, VIRTIO_MMIO_STATUS, 0);
			after = 0;
		} else {
			MUST(d, is_legal_step(before, value, after));
		}
		before = after;
	}
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* Status values above the 8 bits that there are. */
static enum outcome run_wide_status(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t bit = 8; bit < 32; bit++) {
		driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS | 1u << bit);
		MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == DRIVER_OK_STATUS);
		driver_write(d, VIRTIO_MMIO_STATUS, 1u << bit);
		MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == DRIVER_OK_STATUS);
	}
	return OUTCOME_IGNORED;
}

/* DRIVER_OK without FEATURES_OK, with a request waiting. */
static enum outcome run_no_features_ok(struct driver *d, const void *row)
{
	(void)row;
	go_to(d, DRIVER);
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER | VIRTIO_STATUS_DRIVER_OK);
	MUST(d, !(driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_DRIVER_OK));
	driver_kick(d);
	d->port->pass(d->port);
	MUST(d, driver_used_idx(d) == 0);
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* FAILED: the driver gives up. The device takes nothing more, and a reset brings it back. */
static enum outcome run_failed(struct driver *d, const void *row)
{
	(void)row;
	driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS | VIRTIO_STATUS_FAILED);
	driver_offer(d, 0);
	driver_kick(d);
	for (int i = 0; i < 100; i++)
		d->port->pass(d->port);
	MUST(d, driver_used_idx(d) == 0);
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* A stopped device stays so, whatever is written, until it is reset. */
static enum outcome run_life_after_fault(struct driver *d, const void *row)
{
	const struct driver_queue queue = d->queue;

	(void)row;
	driver_offer(d, 0xffff);
	driver_kick(d);
	MUST(d, driver_wait(d) == OUTCOME_NEEDS_RESET);
	for (uint32_t value = 1; value < 256; value++) {
		driver_write(d, VIRTIO_MMIO_STATUS, value);
		MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
	}
	driver_set_queue(d, d->n, &queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_set_avail_idx(d, 0);
	driver_offer(d, 0);
	for (int i = 0; i < 100; i++)
		driver_kick(d);
	for (int i = 0; i < 100; i++)
		d->port->pass(d->port);
	MUST(d, driver_used_idx(d) == 0);
	return driver_wait(d);
}

/* Feature words beyond those that exist, in both directions. */
static enum outcome run_feature_words(struct driver *d, const void *row)
{
	static const uint32_t words[] = { 2, 3, 31, 32, 63, 64, 0x80000000, UINT32_MAX };

	(void)row;
	for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		driver_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, words[i]);
		MUST(d, driver_read(d, VIRTIO_MMIO_DEVICE_FEATURES) == 0);
		driver_begin(d);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, words[i]);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, 1);
		MUST(d, !(driver_negotiate(d, VIRTIO_F_VERSION_1) & VIRTIO_STATUS_FEATURES_OK));
	}
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* Each feature that is not offered, on top of those that are. */
static enum outcome run_features_not_offered(struct driver *d, const void *row)
{
	const uint64_t offered = driver_offered(d);

	(void)row;
	for (uint32_t bit = 0; bit < 64; bit++) {
		if (offered >> bit & 1)
			continue;
		driver_begin(d);
		MUST(d, !(driver_negotiate(d, offered | UINT64_C(1) << bit) &
			  VIRTIO_STATUS_FEATURES_OK));
		/* Trying harder does not help. */
		driver_write(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
		MUST(d, !(driver_read(d, VIRTIO_MMIO_STATUS) &
			  (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)));
	}
	driver_begin(d);
	MUST(d, !(driver_negotiate(d, offered & ~VIRTIO_F_VERSION_1) & VIRTIO_STATUS_FEATURES_OK));
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* Features that change when they have been agreed on: the device goes by what it was then. */
static enum outcome run_features_too_late(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t word = 0; word < 3; word++) {
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, 0);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	}
	driver_write(d, VIRTIO_MMIO_STATUS, FEATURES_OK);
	MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == DRIVER_OK_STATUS);
	/* Indirect tables were agreed on, and still are. */
	driver_table_desc(d, DRIVER_TABLE, 0, DRIVER_HEADER, 16, NEXT, 1);
	driver_table_desc(d, DRIVER_TABLE, 1, DRIVER_DATA, VIRTIO_BLK_SECTOR_BYTES, NEXT | WRITE,
			  2);
	driver_table_desc(d, DRIVER_TABLE, 2, DRIVER_STATUS, 1, WRITE, 0);
	driver_desc(d, 3, DRIVER_TABLE, 3 * sizeof(struct virtq_desc), INDIRECT, 0);
	return driver_submit(d, 3);
}

/* All that a queue is, rewritten after DRIVER_OK, with 0 and with what would have been legal. */
static enum outcome run_queue_too_late(struct driver *d, const void *row)
{
	static const struct driver_queue queues[] = {
		{ 0, 0, 0, 0 },
		{ 8, DRIVER_DATA, DRIVER_DATA + 0x1000, DRIVER_DATA + 0x2000 },
		{ 256, DRIVER_DATA, DRIVER_DATA + 0x1000, DRIVER_DATA + 0x2000 },
		{ UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
		{ 3, PORT_LOW_END, PORT_HIGH_END, PORT_WINDOW },
	};

	(void)row;
	for (uint32_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		driver_set_queue(d, d->n, &queues[i]);
		driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
		/* More than the smaller size has entries, so that an index would show it. */
		for (uint32_t n = 0; n < 12; n++)
			MUST(d, driver_submit(d, 0) == OUTCOME_DONE);
	}
	return OUTCOME_IGNORED;
}

/* Likewise with requests waiting: between two vCPUs there is no "before". */
static enum outcome run_queue_while_busy(struct driver *d, const void *row)
{
	static const struct driver_queue other = { 256, DRIVER_DATA, DRIVER_DATA + 0x1000,
						   DRIVER_DATA + 0x2000 };

	(void)row;
	for (uint32_t n = 0; n < d->queue.size; n++)
		driver_offer(d, 0);
	driver_kick(d);
	driver_set_queue(d, d->n, &other);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	MUST(d, driver_wait(d) == OUTCOME_DONE);
	return OUTCOME_IGNORED;
}

static const struct attack status_attacks[] = {
	{ "every status after a reset", OUTCOME_IGNORED, run_every_status, ROW(uint32_t, 0) },
	{ "every status after ACKNOWLEDGE", OUTCOME_IGNORED, run_every_status, ROW(uint32_t, ACK) },
	{ "every status after DRIVER", OUTCOME_IGNORED, run_every_status, ROW(uint32_t, DRIVER) },
	{ "every status after FEATURES_OK", OUTCOME_IGNORED, run_every_status,
	  ROW(uint32_t, FEATURES_OK) },
	{ "every status after DRIVER_OK", OUTCOME_IGNORED, run_every_status,
	  ROW(uint32_t, DRIVER_OK_STATUS) },
	{ "a walk through status values", OUTCOME_IGNORED, run_status_walk, NULL },
	{ "status above 8 bits", OUTCOME_IGNORED, run_wide_status, NULL },
	{ "DRIVER_OK without FEATURES_OK", OUTCOME_IGNORED, run_no_features_ok, NULL },
	{ "requests after FAILED", OUTCOME_IGNORED, run_failed, NULL },
	{ "requests after a fault", OUTCOME_NEEDS_RESET, run_life_after_fault, NULL },
	{ "feature words that do not exist", OUTCOME_IGNORED, run_feature_words, NULL },
	{ "features that were not offered", OUTCOME_IGNORED, run_features_not_offered, NULL },
	{ "features after DRIVER_OK", OUTCOME_DONE, run_features_too_late, NULL },
	{ "queue set-up after DRIVER_OK", OUTCOME_IGNORED, run_queue_too_late, NULL },
	{ "queue set-up under requests", OUTCOME_IGNORED, run_queue_while_busy, NULL },
};
const struct attack_list attacks_status = ATTACKS(status_attacks);

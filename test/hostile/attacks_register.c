/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the register window: every offset and width, selectors, storms of writes. */
#include "test/hostile/attacks.h"

enum { SCAN_BYTES = 0x200, NOTIFIES = 1000, RESETS = 50 };

#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t patterns[] = { UINT64_MAX, 0, 0x0101010101010101, 0x8000000080000000 };

/* What a driver may not change shows no change. */
static bool is_unharmed(struct driver *d)
{
	return driver_read(d, VIRTIO_MMIO_MAGIC) == VIRTIO_MMIO_MAGIC_VALUE &&
	       driver_read(d, VIRTIO_MMIO_VERSION) == VIRTIO_MMIO_VERSION_VALUE &&
	       driver_read(d, VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_BLOCK &&
	       driver_read(d, VIRTIO_MMIO_CONFIG) == PORT_DISK_SECTORS &&
	       driver_read(d, VIRTIO_MMIO_CONFIG + 4) == 0;
}

static bool is_status_write(uint64_t offset, uint32_t width)
{
	return offset == VIRTIO_MMIO_STATUS && width == 4;
}

/* Every access to a running device but the one that may change its state. */
static enum outcome run_scan(struct driver *d, const void *row)
{
	const uint32_t *width = row;

	for (uint64_t offset = 0; offset < SCAN_BYTES; offset++) {
		for (uint32_t i = 0; i < NR_OF(patterns); i++) {
			d->port->read(d->port, offset, *width);
			if (!is_status_write(offset, *width))
				d->port->write(d->port, offset, *width, patterns[i]);
		}
	}
	MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == DRIVER_OK_STATUS);
	MUST(d, is_unharmed(d));
	return OUTCOME_IGNORED;
}

/* The same where queues and features may be written. */
static enum outcome run_scan_early(struct driver *d, const void *row)
{
	const uint32_t *width = row;

	driver_begin(d);
	for (int round = 0; round < 2; round++) {
		for (uint64_t offset = 0; offset < SCAN_BYTES; offset++)
			if (!is_status_write(offset, *width))
				d->port->write(d->port, offset, *width, UINT64_MAX);
		driver_negotiate(d, VIRTIO_F_VERSION_1);
	}
	MUST(d, is_unharmed(d));
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* 4.2.2.2: registers are 32 bits wide and aligned. All else reads as 0. */
static enum outcome run_odd_reads(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t width = 1; width <= 8; width *= 2)
		for (uint64_t offset = 0; offset + width <= VIRTIO_MMIO_CONFIG; offset++)
			if (width != 4 || offset % 4 != 0)
				MUST(d, d->port->read(d->port, offset, width) == 0);
	return OUTCOME_IGNORED;
}

/* Beyond the configuration space, and across its end. */
static enum outcome run_config_reads(struct driver *d, const void *row)
{
	static const uint64_t offsets[] = { 0x140, 0x141, 0x180, 0x1f9, 0x1ff,
					    0x200, 0x7fc, 0xff0, 0xff8 };

	(void)row;
	for (uint32_t i = 0; i < NR_OF(offsets); i++) {
		for (uint32_t width = 1; width <= 8; width *= 2) {
			d->port->write(d->port, offsets[i], width, UINT64_MAX);
			MUST(d, d->port->read(d->port, offsets[i], width) == 0);
		}
	}
	MUST(d, d->port->read(d->port, VIRTIO_MMIO_CONFIG + 0x3c, 8) == 0);
	MUST(d, d->port->read(d->port, VIRTIO_MMIO_CONFIG + 0x3f, 2) == 0);
	/* Partly in the next window, or in none: nobody's. */
	for (uint32_t width = 2; width <= 8; width *= 2) {
		d->port->write(d->port, VIRTIO_MMIO_BYTES - 1, width, UINT64_MAX);
		d->port->read(d->port, VIRTIO_MMIO_BYTES - 1, width);
	}
	MUST(d, is_unharmed(d));
	return OUTCOME_IGNORED;
}

/* Queues that do not exist, while queues may be set up. */
static enum outcome run_queue_selector(struct driver *d, const void *row)
{
	static const uint32_t selectors[] = { 8, 9, 255, 256, 0xffff, 0x80000000, UINT32_MAX };
	const struct driver_queue queue = d->queue;

	(void)row;
	driver_begin(d);
	driver_negotiate(d, VIRTIO_F_VERSION_1);
	for (uint32_t i = 0; i < NR_OF(selectors); i++) {
		driver_set_queue(d, selectors[i], &queue);
		driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
		MUST(d, driver_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX) == 0);
		MUST(d, driver_read(d, VIRTIO_MMIO_QUEUE_READY) == 0);
	}
	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, d->n);
	MUST(d, driver_read(d, VIRTIO_MMIO_QUEUE_READY) == 0);
	MUST(d, driver_start(d));
	/* And again when the device runs. */
	for (uint32_t i = 0; i < NR_OF(selectors); i++) {
		driver_set_queue(d, selectors[i], &queue);
		driver_write(d, VIRTIO_MMIO_QUEUE_READY, 0);
	}
	return OUTCOME_IGNORED;
}

/* Doorbells of queues that exist, are not ready, or do not exist. */
static enum outcome run_notify_storm(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t i = 0; i < NOTIFIES; i++)
		driver_kick(d);
	for (uint32_t i = 0; i < NOTIFIES; i++)
		driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, i);
	for (uint32_t i = 0; i < 32; i++)
		driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, 1u << i | (i & 1));
	driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
	MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == DRIVER_OK_STATUS);
	return OUTCOME_IGNORED;
}

/* The same at a device that is not started. */
static enum outcome run_notify_early(struct driver *d, const void *row)
{
	(void)row;
	driver_begin(d);
	for (uint32_t i = 0; i < NOTIFIES; i++)
		driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, i % 16);
	for (uint32_t i = 0; i < 100; i++)
		d->port->pass(d->port);
	MUST(d, driver_used_idx(d) == 0);
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* Resets under requests that may be anywhere on their way, reads and writes in turn. */
static enum outcome run_reset_storm(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t i = 0; i < RESETS; i++) {
		const bool is_write = i & 1;

		MUST(d, driver_start(d));
		driver_build(d, is_write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			     is_write ? PORT_SCRATCH_SECTOR : 0, VIRTIO_BLK_SECTOR_BYTES);
		for (uint32_t n = 0; n < 1 + i % 16; n++)
			driver_offer(d, 0);
		driver_kick(d);
		if (i % 3 == 0)
			d->port->pass(d->port);
		driver_write(d, VIRTIO_MMIO_STATUS, 0);
		MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == 0);
		/* Nothing comes any more: the memory is the driver's again. */
		driver_expect_status(d, DRIVER_STATUS);
		for (uint32_t n = 0; n < 10; n++)
			d->port->pass(d->port);
		MUST(d, *(volatile uint8_t *)d->port->ram(d->port, DRIVER_STATUS, 1) ==
				DRIVER_STATUS_UNSET);
	}
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* A fault under requests on their way, and the reset at once. */
static enum outcome run_fault_storm(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t i = 0; i < RESETS; i++) {
		MUST(d, driver_start(d));
		driver_build(d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
		for (uint32_t n = 0; n < i % 8; n++)
			driver_offer(d, 0);
		driver_offer(d, 0xffff);
		driver_kick(d);
		driver_write(d, VIRTIO_MMIO_STATUS, 0);
		MUST(d, driver_read(d, VIRTIO_MMIO_STATUS) == 0);
	}
	MUST(d, driver_start(d));
	return OUTCOME_IGNORED;
}

/* Interrupt bits that are not there, taken back. */
static enum outcome run_ack_storm(struct driver *d, const void *row)
{
	(void)row;
	for (uint32_t bit = 0; bit < 32; bit++)
		driver_write(d, VIRTIO_MMIO_INTERRUPT_ACK, 1u << bit);
	driver_write(d, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	MUST(d, driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS) == 0);
	MUST(d, driver_submit(d, 0) == OUTCOME_DONE);
	return OUTCOME_IGNORED;
}

static const struct attack register_attacks[] = {
	{ "registers, 1 byte", OUTCOME_IGNORED, run_scan, ROW(uint32_t, 1) },
	{ "registers, 2 bytes", OUTCOME_IGNORED, run_scan, ROW(uint32_t, 2) },
	{ "registers, 4 bytes", OUTCOME_IGNORED, run_scan, ROW(uint32_t, 4) },
	{ "registers, 8 bytes", OUTCOME_IGNORED, run_scan, ROW(uint32_t, 8) },
	{ "registers before DRIVER_OK, 1 byte", OUTCOME_IGNORED, run_scan_early, ROW(uint32_t, 1) },
	{ "registers before DRIVER_OK, 2 bytes", OUTCOME_IGNORED, run_scan_early,
	  ROW(uint32_t, 2) },
	{ "registers before DRIVER_OK, 4 bytes", OUTCOME_IGNORED, run_scan_early,
	  ROW(uint32_t, 4) },
	{ "registers before DRIVER_OK, 8 bytes", OUTCOME_IGNORED, run_scan_early,
	  ROW(uint32_t, 8) },
	{ "registers, unaligned and narrow", OUTCOME_IGNORED, run_odd_reads, NULL },
	{ "configuration space, beyond its end", OUTCOME_IGNORED, run_config_reads, NULL },
	{ "queues that do not exist", OUTCOME_IGNORED, run_queue_selector, NULL },
};
const struct attack_list attacks_register = ATTACKS(register_attacks);

static const struct attack storm_attacks[] = {
	{ "doorbell storm", OUTCOME_IGNORED, run_notify_storm, NULL },
	{ "doorbell storm before DRIVER_OK", OUTCOME_IGNORED, run_notify_early, NULL },
	{ "reset storm under requests", OUTCOME_IGNORED, run_reset_storm, NULL },
	{ "reset storm under faults", OUTCOME_IGNORED, run_fault_storm, NULL },
	{ "interrupt acknowledge storm", OUTCOME_IGNORED, run_ack_storm, NULL },
};
const struct attack_list attacks_storm = ATTACKS(storm_attacks);

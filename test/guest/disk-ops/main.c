/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of each operation on the first disk for each character that comes, and a line that says how
 * they ended, in order: write, read, flush, discard, write zeroes, identify, and a batch of reads.
 * A full stop ends it.
 */
#include "base/bytes.h"
#include "test/guest/lib/cpu.h"
#include "test/guest/lib/guest.h"
#include "test/guest/lib/io.h"
#include "test/guest/lib/print.h"
#include "test/hostile/driver.h"

enum { PATIENCE = 1000 * 1000, BATCH = 8, STEP = 0x100, ID_BYTES = 20 };

static uint64_t port_read(struct port *port, uint64_t offset, uint32_t width)
{
	(void)port;
	return mmio_read(PORT_WINDOW + offset, width);
}

static void port_write(struct port *port, uint64_t offset, uint32_t width, uint64_t value)
{
	(void)port;
	mmio_write(PORT_WINDOW + offset, width, value);
}

static void *port_ram(struct port *port, uint64_t address, uint64_t len)
{
	(void)port;
	(void)len;
	return (void *)(uintptr_t)address;
}

static void port_pass(struct port *port)
{
	(void)port;
	pause();
}

static enum outcome request_range(struct driver *d, uint32_t type)
{
	volatile struct virtio_blk_range *range = port_ram(d->port, DRIVER_DATA, sizeof(*range));

	range->sector.raw = le64_put(PORT_SCRATCH_SECTOR).raw;
	range->num_sectors.raw = le32_put(8).raw;
	range->flags.raw = le32_put(0).raw;
	driver_header(d, DRIVER_HEADER, type, 0);
	driver_desc(d, 0, DRIVER_HEADER, sizeof(struct virtio_blk_header), NEXT, 1);
	driver_desc(d, 1, DRIVER_DATA, sizeof(*range), NEXT, 2);
	driver_desc(d, 2, DRIVER_STATUS, 1, WRITE, 0);
	return driver_submit(d, 0);
}

/* All offered before the device hears of the first. */
static enum outcome request_batch(struct driver *d)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		driver_header(d, DRIVER_HEADER + STEP * i, VIRTIO_BLK_T_IN, 8 * i);
		driver_desc(d, 3 * i, DRIVER_HEADER + STEP * i, sizeof(struct virtio_blk_header),
			    NEXT, 3 * i + 1);
		driver_desc(d, 3 * i + 1, DRIVER_DATA + 4096 * i, 4096, NEXT | WRITE, 3 * i + 2);
		driver_desc(d, 3 * i + 2, DRIVER_STATUS + i, 1, WRITE, 0);
	}
	for (uint32_t i = 0; i + 1 < BATCH; i++)
		driver_offer(d, 3 * i);
	driver_expect_status(d, DRIVER_STATUS + BATCH - 1);
	return driver_submit(d, 3 * (BATCH - 1));
}

static void report(enum outcome outcome)
{
	put_char(outcome == OUTCOME_DONE     ? '+'
		 : outcome == OUTCOME_IOERR  ? 'e'
		 : outcome == OUTCOME_UNSUPP ? 'u'
					     : '?');
}

int guest_main(uint64_t start_info)
{
	struct port port = {
		.read = port_read,
		.write = port_write,
		.ram = port_ram,
		.pass = port_pass,
		.patience = PATIENCE,
	};
	struct driver d = { .port = &port };

	(void)start_info;
	if (!driver_start(&d))
		return 1;
	put_string("ready\n");
	while (get_char() != '.') {
		report(driver_request(&d, VIRTIO_BLK_T_OUT, PORT_SCRATCH_SECTOR, 4096));
		report(driver_request(&d, VIRTIO_BLK_T_IN, 0, 4096));
		report(driver_request(&d, VIRTIO_BLK_T_FLUSH, 0, 0));
		report(request_range(&d, VIRTIO_BLK_T_DISCARD));
		report(request_range(&d, VIRTIO_BLK_T_WRITE_ZEROES));
		report(driver_request(&d, VIRTIO_BLK_T_GET_ID, 0, ID_BYTES));
		report(request_batch(&d));
		put_char('\n');
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of virtio-blk that behaves: what attacks start from, misuse a part of, and are followed
 * by. One queue of the device; polled, since the used ring and the status byte say all there is.
 *
 * No libc: this is compiled into guests too. Memory that the device sees is volatile here, because
 * it changes at any time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "machine/virtio/abi.h"
#include "test/hostile/port.h"

/* How an attack ended, or a request. All but the last two are ways that a device may choose. */
enum outcome {
	OUTCOME_DONE, /* the request ended well */
	OUTCOME_IOERR, /* it ended in this status, and the device goes on */
	OUTCOME_UNSUPP, /* likewise */
	OUTCOME_NEEDS_RESET, /* the device stopped and said so */
	OUTCOME_IGNORED, /* nothing happened, and the device goes on without a reset */
	OUTCOME_SURVIVED, /* which of these it is depends on who is faster */
	OUTCOME_STUCK, /* no answer */
	OUTCOME_BROKEN, /* a promise was broken: struct driver says where */
};

/* Small, so that a guest which is emulated instruction by instruction clears it quickly. */
#define DRIVER_QUEUE_SIZE 32u

/* Where things are unless an attack moves them. */
#define DRIVER_DESC PORT_FREE_RAM
#define DRIVER_AVAIL (PORT_FREE_RAM + 0x1000)
#define DRIVER_USED (PORT_FREE_RAM + 0x2000)
#define DRIVER_TABLE (PORT_FREE_RAM + 0x4000) /* an indirect table */
#define DRIVER_HEADER (PORT_FREE_RAM + 0x8000)
#define DRIVER_STATUS (PORT_FREE_RAM + 0x9000)
#define DRIVER_DATA (PORT_FREE_RAM + 0x10000)

#define DRIVER_STATUS_UNSET 0xee

#define DRIVER_OK_STATUS                                                                \
	(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK | \
	 VIRTIO_STATUS_DRIVER_OK)

#define NEXT VIRTQ_DESC_F_NEXT
#define WRITE VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT

/* What the registers of the queue are set to. */
struct driver_queue {
	uint32_t size;
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
};

struct driver {
	struct port *port; /* borrowed */
	uint32_t n; /* the queue it uses */
	struct driver_queue queue;
	uint64_t status_address; /* of the request at hand */
	uint16_t offered; /* the available index */
	uint32_t head; /* the last one offered */
	uint32_t where; /* the line of the first check that failed, for OUTCOME_BROKEN */
};

/* In a function that returns an outcome: a promise that must hold. */
#define MUST(driver, is_true)                                                           \
	do {                                                                            \
		if (!(is_true)) {                                                       \
			(driver)->where = (driver)->where ? (driver)->where : __LINE__; \
			return OUTCOME_BROKEN;                                          \
		}                                                                       \
	} while (0)

uint32_t driver_read(struct driver *d, uint64_t offset);
void driver_write(struct driver *d, uint64_t offset, uint32_t value);

/* All features that the device offers. */
uint64_t driver_offered(struct driver *d);

/* Reset, then up to DRIVER; then up to FEATURES_OK with @features, returning the status. */
void driver_begin(struct driver *d);
uint32_t driver_negotiate(struct driver *d, uint64_t features);

/* Writes all registers of queue @n but QueueReady, which is then the one that is selected. */
void driver_set_queue(struct driver *d, uint32_t n, const struct driver_queue *queue);

/* The whole of it, with the queue of this driver in place and empty; false when it is refused. */
bool driver_start(struct driver *d);

/* The same with the queue at @queue, whose areas are RAM; returns the status. */
uint32_t driver_start_at(struct driver *d, const struct driver_queue *queue);

void driver_desc(struct driver *d, uint32_t at, uint64_t addr, uint32_t len, uint32_t flags,
		 uint32_t next);

/* The same in a table at @table. */
void driver_table_desc(struct driver *d, uint64_t table, uint32_t at, uint64_t addr, uint32_t len,
		       uint32_t flags, uint32_t next);

/* A request header at @address. */
void driver_header(struct driver *d, uint64_t address, uint32_t type, uint64_t sector);

/* Makes the chain at @head available; kicks. */
void driver_offer(struct driver *d, uint32_t head);
void driver_set_avail_idx(struct driver *d, uint16_t idx);
void driver_kick(struct driver *d);

uint16_t driver_used_idx(struct driver *d);

/* Marks the status byte of the next request, at @address, as not written yet. */
void driver_expect_status(struct driver *d, uint64_t address);

/* Waits until the request that was marked ends or the device stops. */
enum outcome driver_wait(struct driver *d);

/* Offers the chain at @head, kicks and waits. */
enum outcome driver_submit(struct driver *d, uint32_t head);

/* Descriptors 0 to 2: header at DRIVER_HEADER, @len bytes at DRIVER_DATA (none when 0), status. */
void driver_build(struct driver *d, uint32_t type, uint64_t sector, uint32_t len);

/* Build and submit. */
enum outcome driver_request(struct driver *d, uint32_t type, uint64_t sector, uint32_t len);

/* Reads a sector of the first half of the disk, in the plain way: whether its data is right. */
bool driver_reads_well(struct driver *d);

/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio-blk device in a fake guest, on a disk in a memfd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "machine/backend/block.h"
#include "machine/virtio/blk.h"
#include "test/unit/fake_guest.h"

enum {
	DISK_SECTORS = 4096,
	DISK_BYTES = DISK_SECTORS * 512,

	BLK_HEADER = 0x10000,
	BLK_STATUS = 0x11000,
	BLK_DATA = 0x20000,
};

#define BLK_FEATURES (FAKE_F_RING | VIRTIO_BLK_F_FLUSH)

struct blk_rig {
	struct fake_guest g;
	int disk_fd; /* owned: besides the backend's own */
	struct virtio_blk_options options; /* of the next device */
	struct block_backend *backend; /* owned */
	struct virtio_blk *blk; /* owned */
	uint32_t used_len; /* of the last request */
};

/* For cmocka: the drive 'root', started with BLK_FEATURES. */
int blk_rig_setup(void **state);
int blk_rig_teardown(void **state);

/* Makes the device anew on the same disk, not started. */
void blk_rig_reopen(struct blk_rig *b, bool is_read_only);

/* The same on @backend, which becomes the rig's. */
void blk_rig_use(struct blk_rig *b, struct block_backend *backend);

/* Features and queues 0 to @count - 1; queue 0 where fake_guest_start() puts it. */
void blk_rig_start_queues(struct blk_rig *b, uint64_t features, uint32_t count);

/*
 * Makes a chain available on queue @n > 0 whose header is @sector and @type, without data or, for
 * IN and OUT, with one sector; at most FAKE_QUEUE_SIZE / 3 between starts. Rings no doorbell.
 */
void blk_rig_offer_on(struct blk_rig *b, uint32_t n, uint32_t type, uint64_t sector);
void blk_rig_ring(struct blk_rig *b, uint32_t n);
uint16_t blk_rig_used_on(const struct blk_rig *b, uint32_t n);

/* The features offered. */
uint64_t blk_rig_offered(struct blk_rig *b);

struct virtio_blk_config blk_rig_config(struct blk_rig *b);

/* Writes a request header to BLK_HEADER. */
void blk_rig_header(struct blk_rig *b, uint32_t type, uint64_t sector);

/*
 * Builds a request at descriptors 0 to 2 with @len bytes of data at BLK_DATA, readable for OUT,
 * DISCARD and WRITE_ZEROES, else writable; none when @len is 0.
 */
void blk_rig_build(struct blk_rig *b, uint32_t type, uint64_t sector, uint32_t len);

/* Offers the chain at @head, kicks; the status at BLK_STATUS, or -1 when it was not used. */
int blk_rig_submit(struct blk_rig *b, uint32_t head);

/* Build and submit. */
int blk_rig_request(struct blk_rig *b, uint32_t type, uint64_t sector, uint32_t len);

/* Puts the data of a discard or write of zeroes at place @at of BLK_DATA. */
void blk_rig_range(struct blk_rig *b, uint32_t at, uint64_t sector, uint32_t num_sectors,
		   uint32_t flags);

/* One pass of the event loop. */
void blk_rig_one_turn(struct blk_rig *b);

int blk_rig_disk_byte(const struct blk_rig *b, uint64_t offset);
uint64_t blk_rig_disk_bytes(const struct blk_rig *b);
void blk_rig_truncate(struct blk_rig *b, uint64_t bytes);

/* Runs the loop until @is_true(@opaque), for 10 seconds at most: then the test fails. */
void blk_rig_wait(struct blk_rig *b, bool (*is_true)(void *opaque), void *opaque);

/* The disk can no longer grow: writes beyond its end fail. */
void blk_rig_seal(struct blk_rig *b);

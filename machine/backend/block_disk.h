/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open file or host block device that serves as a disk: what every engine must know of it.
 *
 * A direct descriptor (O_DIRECT) takes only ranges that are multiples of a block, and memory that
 * is aligned. The two are dealt with differently:
 *
 *   ranges  align_bytes is told to the guest as its block size. To read, modify and write a shared
 *           block on behalf of the guest would need locks between requests, and would tear at a
 *           power cut. The price: an image whose partition table counts sectors of 512 bytes is
 *           not understood on a file that needs 4096, unless the drive is not direct.
 *   memory  a guest may place its buffers anywhere. What lies wrong goes through one of a few
 *           bounce buffers, which are allocated here and only for direct descriptors.
 *
 * Whether holes can be punched is asked with a range behind the end: no data is there to lose.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "machine/backend/block.h"

enum {
	BLOCK_BOUNCE_BYTES = 64 << 10, /* of one buffer */
	BLOCK_BOUNCE_MAX = 32, /* buffers of one disk */
	BLOCK_ZEROES_BYTES = 1 << 20,
};

/* Constant while requests are in flight, but for the last group. */
struct block_disk {
	int fd; /* owned; -1: none */
	uint64_t capacity_bytes;
	uint32_t align_bytes; /* of ranges that are read or written; a power of two, >= 512 */
	uint32_t memory_align_bytes; /* of each piece of memory; 1 without O_DIRECT */
	uint32_t allocate_align_bytes; /* of ranges for fallocate() and BLKDISCARD */
	uint32_t physical_block_bytes;
	bool is_read_only;
	bool is_block_device;
	bool is_direct; /* the descriptor has O_DIRECT */
	bool is_in_memory; /* tmpfs or the like: no disk behind it */
	bool can_discard;
	char id[96]; /* of the drive, for messages */
	uint8_t *zeroes; /* owned: BLOCK_ZEROES_BYTES that read as zero, page-aligned, read-only */
	uint8_t *bounce; /* owned: bounce_count buffers; NULL without O_DIRECT */
	unsigned bounce_count;

	/* By the thread that runs requests. */
	uint32_t bounce_free; /* bit n: buffer n is free */
	bool has_punch_zeroes; /* a punched range reads as zeroes; false once that was refused */
	bool has_zero_range; /* likewise for FALLOC_FL_ZERO_RANGE */
};

/*
 * Examines @fd, a regular file or block device that is open for reading, and for writing unless
 * @is_read_only. @bounce_count, 1 to BLOCK_BOUNCE_MAX: how many requests with misaligned memory can
 * be under way at once. Takes @fd on success. 0, or -errno with @e filled.
 */
int block_disk_open(struct block_disk *disk, int fd, bool is_read_only, unsigned bounce_count,
		    const char *id, struct err *e);

/*
 * Opens @fd as @next, to take the place of @disk: with the same rights, and only if the guest can
 * go on with blocks of @align_bytes. @disk does not change. Otherwise as block_disk_open().
 */
int block_disk_open_next(const struct block_disk *disk, struct block_disk *next, int fd,
			 uint32_t align_bytes, struct err *e);

/* Accepts a disk that is zeroed and whose fd is -1, and one that is closed already. */
void block_disk_close(struct block_disk *disk);

/* The head of a backend on @disk. */
struct block_backend block_disk_backend(const struct block_disk *disk,
					const struct block_backend_ops *ops, int completion_fd);

/* Whether all of the @count pieces of @iov lie as the descriptor needs it. */
bool block_disk_fits(const struct block_disk *disk, const struct iovec *iov, size_t count);

/* A free bounce buffer, or NULL; to be given back with block_disk_give_bounce(). */
uint8_t *block_disk_take_bounce(struct block_disk *disk);
void block_disk_give_bounce(struct block_disk *disk, const uint8_t *buf);

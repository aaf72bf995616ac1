/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes and numbers of the virtio 1.2 specification that guest and devices share: what is used of
 * them, by section. Everything in guest memory is little-endian (1.4) and hostile.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* 2.1 Device Status Field. The driver sets these one after the other; 0 resets the device. */
#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER 2u
#define VIRTIO_STATUS_DRIVER_OK 4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u /* set by the device alone */
#define VIRTIO_STATUS_FAILED 128u

/* 6 Reserved Feature Bits */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)

/* 2.7 Split Virtqueues: alignment of the three areas */
#define VIRTQ_DESC_ALIGN 16u
#define VIRTQ_AVAIL_ALIGN 2u
#define VIRTQ_USED_ALIGN 4u

/* 2.7.5 The Virtqueue Descriptor Table */
#define VIRTQ_DESC_F_NEXT 1u
#define VIRTQ_DESC_F_WRITE 2u /* the device writes; without it, the device reads */
#define VIRTQ_DESC_F_INDIRECT 4u

struct virtq_desc {
	le64 addr;
	le32 len;
	le16 flags;
	le16 next;
};
static_assert(sizeof(struct virtq_desc) == 16, "2.7.5");

/* 2.7.6 The Virtqueue Available Ring; le16 used_event follows ring[queue size] */
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u

struct virtq_avail {
	le16 flags;
	le16 idx;
	le16 ring[];
};
static_assert(sizeof(struct virtq_avail) == 4, "2.7.6");
#define VIRTQ_AVAIL_BYTES(size) (6 + UINT64_C(2) * (size))

/* 2.7.8 The Virtqueue Used Ring; le16 avail_event follows ring[queue size] */
#define VIRTQ_USED_F_NO_NOTIFY 1u

struct virtq_used_elem {
	le32 id;
	le32 len;
};
static_assert(sizeof(struct virtq_used_elem) == 8, "2.7.8");

struct virtq_used {
	le16 flags;
	le16 idx;
	struct virtq_used_elem ring[];
};
static_assert(sizeof(struct virtq_used) == 4, "2.7.8");
#define VIRTQ_USED_BYTES(size) (6 + UINT64_C(8) * (size))

/* 4.2.2 MMIO Device Register Layout. R: guest reads, W: guest writes. */
enum virtio_mmio_reg {
	VIRTIO_MMIO_MAGIC = 0x000, /* R */
	VIRTIO_MMIO_VERSION = 0x004, /* R */
	VIRTIO_MMIO_DEVICE_ID = 0x008, /* R */
	VIRTIO_MMIO_VENDOR_ID = 0x00c, /* R */
	VIRTIO_MMIO_DEVICE_FEATURES = 0x010, /* R */
	VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014, /* W */
	VIRTIO_MMIO_DRIVER_FEATURES = 0x020, /* W */
	VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024, /* W */
	VIRTIO_MMIO_QUEUE_SEL = 0x030, /* W */
	VIRTIO_MMIO_QUEUE_NUM_MAX = 0x034, /* R */
	VIRTIO_MMIO_QUEUE_NUM = 0x038, /* W */
	VIRTIO_MMIO_QUEUE_READY = 0x044, /* RW */
	VIRTIO_MMIO_QUEUE_NOTIFY = 0x050, /* W */
	VIRTIO_MMIO_INTERRUPT_STATUS = 0x060, /* R */
	VIRTIO_MMIO_INTERRUPT_ACK = 0x064, /* W */
	VIRTIO_MMIO_STATUS = 0x070, /* RW */
	VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080, /* W */
	VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084, /* W */
	VIRTIO_MMIO_QUEUE_DRIVER_LOW = 0x090, /* W */
	VIRTIO_MMIO_QUEUE_DRIVER_HIGH = 0x094, /* W */
	VIRTIO_MMIO_QUEUE_DEVICE_LOW = 0x0a0, /* W */
	VIRTIO_MMIO_QUEUE_DEVICE_HIGH = 0x0a4, /* W */
	VIRTIO_MMIO_SHM_LEN_LOW = 0x0b0, /* R */
	VIRTIO_MMIO_SHM_LEN_HIGH = 0x0b4, /* R */
	VIRTIO_MMIO_SHM_BASE_LOW = 0x0b8, /* R */
	VIRTIO_MMIO_SHM_BASE_HIGH = 0x0bc, /* R */
	VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc, /* R */
	VIRTIO_MMIO_CONFIG = 0x100, /* RW, to the end of the page */
	VIRTIO_MMIO_BYTES = 0x1000,
};

#define VIRTIO_MMIO_MAGIC_VALUE 0x74726976u /* "virt" */
#define VIRTIO_MMIO_VERSION_VALUE 2u

/* InterruptStatus and InterruptACK */
#define VIRTIO_INTERRUPT_USED 1u
#define VIRTIO_INTERRUPT_CONFIG 2u

/* 5.2 Block Device */
#define VIRTIO_ID_BLOCK 2u

#define VIRTIO_BLK_F_SIZE_MAX (UINT64_C(1) << 1)
#define VIRTIO_BLK_F_SEG_MAX (UINT64_C(1) << 2)
#define VIRTIO_BLK_F_RO (UINT64_C(1) << 5)
#define VIRTIO_BLK_F_BLK_SIZE (UINT64_C(1) << 6)
#define VIRTIO_BLK_F_FLUSH (UINT64_C(1) << 9)
#define VIRTIO_BLK_F_TOPOLOGY (UINT64_C(1) << 10)
#define VIRTIO_BLK_F_CONFIG_WCE (UINT64_C(1) << 11)
#define VIRTIO_BLK_F_MQ (UINT64_C(1) << 12)
#define VIRTIO_BLK_F_DISCARD (UINT64_C(1) << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

#define VIRTIO_BLK_SECTOR_BYTES 512u
#define VIRTIO_BLK_ID_BYTES 20u

/* 5.2.4 Device configuration layout. Fields of features that are not offered stay 0. */
struct virtio_blk_topology {
	uint8_t physical_block_exp; /* log2 of blocks in a physical block */
	uint8_t alignment_offset; /* in blocks, like the next two */
	le16 min_io_size;
	le32 opt_io_size;
};
static_assert(sizeof(struct virtio_blk_topology) == 8, "5.2.4");

struct virtio_blk_config {
	le64 capacity_sectors;
	le32 size_max; /* bytes of one segment */
	le32 seg_max; /* data segments of one request */
	uint8_t geometry[4];
	le32 blk_size; /* the unit of topology */
	struct virtio_blk_topology topology;
	uint8_t writeback; /* R/W: 0 write-through, 1 writeback */
	uint8_t unused0;
	le16 num_queues;
	le32 max_discard_sectors;
	le32 max_discard_seg;
	le32 discard_sector_alignment;
	le32 max_write_zeroes_sectors;
	le32 max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
	uint8_t unused2[4]; /* so that the size has no hidden tail */
};
static_assert(offsetof(struct virtio_blk_config, seg_max) == 12, "5.2.4");
static_assert(offsetof(struct virtio_blk_config, blk_size) == 20, "5.2.4");
static_assert(offsetof(struct virtio_blk_config, writeback) == 32, "5.2.4");
static_assert(offsetof(struct virtio_blk_config, num_queues) == 34, "5.2.4");
static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) == 56, "5.2.4");
static_assert(sizeof(struct virtio_blk_config) == 64, "5.2.4");

/* 5.2.6 Device Operation: this header, then data, then one status byte that the device writes. */
#define VIRTIO_BLK_T_IN 0u
#define VIRTIO_BLK_T_OUT 1u
#define VIRTIO_BLK_T_FLUSH 4u
#define VIRTIO_BLK_T_GET_ID 8u
#define VIRTIO_BLK_T_DISCARD 11u
#define VIRTIO_BLK_T_WRITE_ZEROES 13u

#define VIRTIO_BLK_S_OK 0u
#define VIRTIO_BLK_S_IOERR 1u
#define VIRTIO_BLK_S_UNSUPP 2u

struct virtio_blk_header {
	le32 type;
	le32 reserved;
	le64 sector;
};
static_assert(sizeof(struct virtio_blk_header) == 16, "5.2.6");

/* The data of DISCARD and WRITE_ZEROES: an array of these. */
#define VIRTIO_BLK_RANGE_F_UNMAP 1u /* WRITE_ZEROES alone: the device may deallocate */

struct virtio_blk_range {
	le64 sector;
	le32 num_sectors;
	le32 flags;
};
static_assert(sizeof(struct virtio_blk_range) == 16, "5.2.6");

/* SPDX-License-Identifier: Apache-2.0 */
/* virtio block device: features and configuration space (virtio 1.2, 5.2.3 to 5.2.5). */
#include <stddef.h>

#include "base/bytes.h"
#include "machine/virtio/blk_impl.h"

static bool has_cache_control(const struct virtio_blk *blk)
{
	return blk->cache == BLOCK_CACHE_WRITEBACK;
}

static bool has_discard(const struct virtio_blk *blk)
{
	return blk->backend->can_discard && !blk->backend->is_read_only;
}

uint64_t blk_config_features(const struct virtio_blk *blk)
{
	uint64_t features = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |
			    VIRTIO_BLK_F_TOPOLOGY;

	if (has_cache_control(blk))
		features |= VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE;
	if (blk->queue_count > 1)
		features |= VIRTIO_BLK_F_MQ;
	if (has_discard(blk))
		features |= VIRTIO_BLK_F_DISCARD;
	/* Zeroes can be written to any disk. */
	features |= blk->backend->is_read_only ? VIRTIO_BLK_F_RO : VIRTIO_BLK_F_WRITE_ZEROES;
	return features;
}

/*
 * With blocks of 512 bytes on a disk of 4096: physical_block_exp 3 (2^3 blocks), min_io_size 8. The
 * alignment of discards is in sectors, whatever the block size.
 */
static void set_geometry(struct virtio_blk *blk)
{
	const uint32_t block = blk->block_bytes;
	const uint32_t physical = (uint32_t)max_u64(blk->backend->physical_block_bytes, block);
	uint8_t exp = 0;

	while (physical / block >> (exp + 1) > 0)
		exp++;
	blk->config.blk_size = le32_put(block);
	blk->config.topology.physical_block_exp = exp;
	blk->config.topology.min_io_size =
		le16_put((uint16_t)min_u64(physical / block, UINT16_MAX));
	if (has_discard(blk))
		blk->config.discard_sector_alignment = le32_put(physical / VIRTIO_BLK_SECTOR_BYTES);
}

void blk_config_init(struct virtio_blk *blk)
{
	struct virtio_blk_config *c = &blk->config;

	*c = (struct virtio_blk_config){
		.size_max = le32_put(BLK_SEGMENT_BYTES_MAX),
		.seg_max = le32_put(BLK_DATA_SEGMENTS_MAX),
	};
	if (blk->queue_count > 1)
		c->num_queues = le16_put((uint16_t)blk->queue_count);
	if (has_discard(blk)) {
		c->max_discard_sectors = le32_put(BLK_DISCARD_BYTES_MAX / VIRTIO_BLK_SECTOR_BYTES);
		c->max_discard_seg = le32_put(BLK_RANGES_MAX);
		c->write_zeroes_may_unmap = 1;
	}
	if (!blk->backend->is_read_only) {
		c->max_write_zeroes_sectors =
			le32_put(BLK_WRITE_ZEROES_BYTES_MAX / VIRTIO_BLK_SECTOR_BYTES);
		c->max_write_zeroes_seg = le32_put(BLK_RANGES_MAX);
	}
	set_geometry(blk);
	blk_config_set_capacity(blk);
	blk_config_reset(blk);
}

void blk_config_set_capacity(struct virtio_blk *blk)
{
	blk->config.capacity_sectors =
		le64_put(blk->backend->capacity_bytes / VIRTIO_BLK_SECTOR_BYTES);
}

void blk_config_reset(struct virtio_blk *blk)
{
	blk->config.writeback = has_cache_control(blk);
}

void blk_config_negotiate(struct virtio_blk *blk)
{
	/* A driver that cannot flush starts with write-through. */
	if (!(blk->features & VIRTIO_BLK_F_FLUSH))
		blk->config.writeback = 0;
}

void blk_config_write(struct virtio_blk *blk, uint32_t offset, const void *data, uint32_t len)
{
	const uint8_t *byte = data;

	/* 4.2.2.2: a field of one byte is written as one byte. */
	if (offset != offsetof(struct virtio_blk_config, writeback) || len != sizeof(*byte))
		return;
	/* A driver that has not negotiated CONFIG_WCE changes nothing by it. */
	if (has_cache_control(blk))
		blk->config.writeback = *byte != 0;
}

bool blk_config_is_write_through(const struct virtio_blk *blk)
{
	if (!has_cache_control(blk))
		return false;
	if (blk->features & VIRTIO_BLK_F_CONFIG_WCE)
		return !blk->config.writeback;
	return !(blk->features & VIRTIO_BLK_F_FLUSH);
}

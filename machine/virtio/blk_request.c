/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio block device: the life of one request (virtio 1.2, 5.2.6).
 *
 * parse() copies the header and, for discards, the ranges, and settles all that can be settled
 * without the backend. run() then takes step after step: the ranges one by one, then a flush if
 * there is to be one. One step at a time, so a request is never more than one struct block_request
 * to the backend.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/log.h"
#include "machine/virtio/blk_impl.h"

enum { ERROR_BYTES = 160 };

/* --- reading it ---------------------------------------------------------------------------- */

/* Whether the range lies on the disk; then *@offset_bytes is where. */
static bool range_is_valid(const struct virtio_blk *blk, uint64_t sector, uint64_t len_bytes,
			   uint64_t *offset_bytes)
{
	uint64_t end;

	return ck_mul(sector, VIRTIO_BLK_SECTOR_BYTES, offset_bytes) &&
	       ck_add(*offset_bytes, len_bytes, &end) && end <= blk->backend->capacity_bytes;
}

static void add_range(struct blk_request *req, uint64_t offset_bytes, uint64_t len_bytes,
		      bool may_unmap)
{
	if (len_bytes == 0)
		return;
	req->ranges[req->range_count++] = (struct blk_range){
		.offset_bytes = offset_bytes,
		.len_bytes = (uint32_t)len_bytes, /* the caller has checked */
		.may_unmap = may_unmap,
	};
}

static uint8_t parse_transfer(struct blk_request *req, uint64_t sector)
{
	const struct virtio_blk *blk = req->blk;
	struct block_request *io = &req->io;
	uint64_t offset_bytes;
	uint64_t len_bytes;

	if (req->type == VIRTIO_BLK_T_IN) {
		len_bytes = virtq_writable_bytes(req->chain);
		virtq_writable(req->chain, &io->iov, &io->iov_count);
	} else {
		len_bytes = virtq_readable_bytes(req->chain);
		virtq_readable(req->chain, &io->iov, &io->iov_count);
		/* 5.2.6.2 */
		if (blk->backend->is_read_only)
			return VIRTIO_BLK_S_IOERR;
	}
	if (len_bytes > BLK_TRANSFER_BYTES_MAX ||
	    !range_is_valid(blk, sector, len_bytes, &offset_bytes) ||
	    (offset_bytes | len_bytes) % blk->block_bytes != 0)
		return VIRTIO_BLK_S_IOERR;
	add_range(req, offset_bytes, len_bytes, false);
	return VIRTIO_BLK_S_OK;
}

/* 5.2.6.2: unknown flags, and unmap in a discard, are "unsupported". */
static uint8_t parse_range(struct blk_request *req, const struct virtio_blk_range *range)
{
	const bool is_discard = req->type == VIRTIO_BLK_T_DISCARD;
	const uint32_t known = is_discard ? 0 : VIRTIO_BLK_RANGE_F_UNMAP;
	const uint64_t max_bytes = is_discard ? BLK_DISCARD_BYTES_MAX : BLK_WRITE_ZEROES_BYTES_MAX;
	const uint64_t len_bytes = (uint64_t)le32_get(range->num_sectors) * VIRTIO_BLK_SECTOR_BYTES;
	const uint32_t flags = le32_get(range->flags);
	uint64_t offset_bytes;

	if (flags & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	if (len_bytes > max_bytes ||
	    !range_is_valid(req->blk, le64_get(range->sector), len_bytes, &offset_bytes))
		return VIRTIO_BLK_S_IOERR;
	add_range(req, offset_bytes, len_bytes,
		  (flags & VIRTIO_BLK_RANGE_F_UNMAP) && req->blk->backend->can_discard);
	return VIRTIO_BLK_S_OK;
}

/* All ranges are checked before the first one is touched. */
static uint8_t parse_ranges(struct blk_request *req, uint64_t feature)
{
	const uint64_t bytes = virtq_readable_bytes(req->chain);
	uint8_t status = VIRTIO_BLK_S_OK;
	struct virtio_blk_range range;

	if (!(blk_config_features(req->blk) & feature))
		return VIRTIO_BLK_S_UNSUPP;
	if (bytes == 0 || bytes % sizeof(range) != 0 || bytes / sizeof(range) > BLK_RANGES_MAX)
		return VIRTIO_BLK_S_IOERR;
	for (uint64_t i = 0; i < bytes / sizeof(range) && status == VIRTIO_BLK_S_OK; i++) {
		if (virtq_pull(req->chain, &range, sizeof(range)) < 0)
			return VIRTIO_BLK_S_IOERR;
		status = parse_range(req, &range);
	}
	return status;
}

static uint8_t parse_data(struct blk_request *req, uint64_t sector)
{
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return parse_transfer(req, sector);
	case VIRTIO_BLK_T_DISCARD:
		return parse_ranges(req, VIRTIO_BLK_F_DISCARD);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return parse_ranges(req, VIRTIO_BLK_F_WRITE_ZEROES);
	case VIRTIO_BLK_T_FLUSH:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		/* Half an id could be that of another drive: a short buffer gets none. */
		return req->room_bytes < VIRTIO_BLK_ID_BYTES ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static void on_done(struct block_request *io, int result);

struct blk_request *blk_request_parse(struct virtio_blk *blk, uint32_t n, struct virtq_chain *chain)
{
	struct blk_request *req = &blk->requests[n * VIRTIO_BLK_QUEUE_SIZE + virtq_slot(chain)];
	struct virtio_blk_header h;

	if (virtq_pull(chain, &h, sizeof(h)) < 0 || virtq_split_status(chain) < 0)
		return NULL;
	req->io = (struct block_request){ .done = on_done, .opaque = req };
	req->blk = blk;
	req->vq = virtio_device_queue(blk->device, n);
	req->chain = chain;
	req->room_bytes = virtq_writable_bytes(chain);
	req->type = le32_get(h.type);
	req->started_ns = 0;
	req->is_flushed = false;
	req->range_count = 0;
	req->range_at = 0;
	req->status = parse_data(req, le64_get(h.sector));
	return req;
}

uint64_t blk_request_bytes(const struct blk_request *req)
{
	const bool is_transfer = req->type == VIRTIO_BLK_T_IN || req->type == VIRTIO_BLK_T_OUT;

	return is_transfer && req->status == VIRTIO_BLK_S_OK && req->range_count > 0
		       ? req->ranges[0].len_bytes
		       : 0;
}

uint64_t blk_request_cost(const struct blk_request *req)
{
	if (req->status != VIRTIO_BLK_S_OK)
		return 0;
	switch (req->type) {
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return BLK_TURN_BYTES; /* how long it takes is not to be seen from its size */
	default:
		return blk_request_bytes(req);
	}
}

/* --- carrying it out ----------------------------------------------------------------------- */

static enum block_op op_of(const struct blk_request *req)
{
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		return BLOCK_READ;
	case VIRTIO_BLK_T_OUT:
		return BLOCK_WRITE;
	case VIRTIO_BLK_T_DISCARD:
		return BLOCK_DISCARD;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return BLOCK_WRITE_ZEROES;
	default:
		return BLOCK_FLUSH;
	}
}

static bool needs_flush(const struct blk_request *req)
{
	if (req->is_flushed)
		return false;
	switch (req->type) {
	case VIRTIO_BLK_T_FLUSH:
		return req->blk->cache != BLOCK_CACHE_UNSAFE;
	case VIRTIO_BLK_T_OUT:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return req->range_count > 0 && blk_config_is_write_through(req->blk);
	default:
		return false;
	}
}

/* Makes the next step ready; false when there is none. */
static bool next_step(struct blk_request *req)
{
	struct block_request *io = &req->io;

	if (req->status != VIRTIO_BLK_S_OK)
		return false;
	if (req->range_at < req->range_count) {
		const struct blk_range *range = &req->ranges[req->range_at++];

		io->op = op_of(req);
		io->offset_bytes = range->offset_bytes;
		io->len_bytes = range->len_bytes;
		io->may_unmap = range->may_unmap;
		return true;
	}
	if (!needs_flush(req))
		return false;
	req->is_flushed = true;
	*io = (struct block_request){
		.op = BLOCK_FLUSH,
		.done = io->done,
		.opaque = io->opaque,
	};
	return true;
}

static uint64_t range_bytes(const struct blk_request *req)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < req->range_count; i++)
		sum += req->ranges[i].len_bytes;
	return sum;
}

/* Reads and writes are timed, now and then: a clock for each would cost more than it tells. */
static struct timed_metrics *times_of(const struct blk_request *req)
{
	struct block_counters *c = req->blk->counters;

	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		return &c->read_times;
	case VIRTIO_BLK_T_OUT:
		return &c->write_times;
	default:
		return NULL;
	}
}

static void begin_time(struct blk_request *req)
{
	struct timed_metrics *times = times_of(req);

	if (times && metric_count_timed(times, METRIC_TIMED_REQUESTS))
		req->started_ns = req->blk->clock_ns();
}

static void count_success(const struct blk_request *req)
{
	struct block_counters *c = req->blk->counters;

	if (req->started_ns != 0)
		metric_add_time(times_of(req), req->blk->clock_ns() - req->started_ns);
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		c->reads++;
		c->read_bytes += range_bytes(req);
		break;
	case VIRTIO_BLK_T_OUT:
		c->writes++;
		c->write_bytes += range_bytes(req);
		break;
	case VIRTIO_BLK_T_DISCARD:
		c->discards++;
		c->discard_bytes += range_bytes(req);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		c->write_zeroes++;
		c->write_zeroes_bytes += range_bytes(req);
		break;
	case VIRTIO_BLK_T_FLUSH:
		c->flushes++;
		break;
	default:
		break;
	}
}

/*
 * Gives the chain back. The status byte comes last: when data before it is missing, the used length
 * ends before the gap (2.7.8.2).
 */
static void finish(struct blk_request *req)
{
	uint64_t data_bytes = 0;

	if (req->status == VIRTIO_BLK_S_OK && req->type == VIRTIO_BLK_T_IN)
		data_bytes = range_bytes(req);
	if (req->status == VIRTIO_BLK_S_OK && req->type == VIRTIO_BLK_T_GET_ID &&
	    virtq_push(req->chain, req->blk->serial, VIRTIO_BLK_ID_BYTES) == 0)
		data_bytes = VIRTIO_BLK_ID_BYTES;
	if (req->status == VIRTIO_BLK_S_OK)
		count_success(req);
	virtq_put_status(req->chain, req->status);
	virtq_done(req->vq, req->chain,
		   (uint32_t)data_bytes + (data_bytes == req->room_bytes ? 1 : 0));
}

/* A backend may finish inside block_submit(): on_done() notes it then, and the loop goes on. */
static void run(struct blk_request *req)
{
	struct virtio_blk *blk = req->blk;

	do {
		if (!next_step(req)) {
			finish(req);
			return;
		}
		req->is_step_done = false;
		req->is_submitting = true;
		blk->in_flight++;
		block_submit(blk->backend, &req->io);
		req->is_submitting = false;
	} while (req->is_step_done);
}

static const char *op_name(enum block_op op)
{
	switch (op) {
	case BLOCK_READ:
		return "read";
	case BLOCK_WRITE:
		return "write";
	case BLOCK_FLUSH:
		return "flush";
	case BLOCK_DISCARD:
		return "discard";
	case BLOCK_WRITE_ZEROES:
		return "write of zeroes";
	}
	return "request";
}

/* The guest can repeat a failing request for ever: one line per file. */
static void report_error(struct virtio_blk *blk, const struct block_request *io, int result)
{
	char text[ERROR_BYTES];

	snprintf(text, sizeof(text), "%s of %" PRIu64 " bytes at %" PRIu64 " failed: %s",
		 op_name(io->op), io->len_bytes, io->offset_bytes, strerror(-result));
	virtio_device_report(blk->device, DEVICE_FAULT_IO_ERROR, text);
	if (blk->has_logged_error)
		return;
	blk->has_logged_error = true;
	log_warn("%s: %s (further errors are not logged)", blk->name, text);
}

static void on_done(struct block_request *io, int result)
{
	struct blk_request *req = io->opaque;
	const bool is_optional = io->op == BLOCK_DISCARD || io->op == BLOCK_WRITE_ZEROES;

	req->blk->in_flight--;
	if (result == -EOPNOTSUPP && is_optional) {
		/* A driver then stops asking for discards, and writes its zeroes itself. */
		req->status = VIRTIO_BLK_S_UNSUPP;
		req->blk->counters->refused++;
	} else if (result < 0) {
		req->status = VIRTIO_BLK_S_IOERR;
		req->blk->counters->failed++;
		report_error(req->blk, io, result);
	}
	if (req->is_submitting)
		req->is_step_done = true;
	else
		run(req);
}

void blk_request_start(struct blk_request *req)
{
	if (req->status != VIRTIO_BLK_S_OK)
		req->blk->counters->refused++;
	else
		begin_time(req);
	run(req);
}

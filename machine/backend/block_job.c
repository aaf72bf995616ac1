/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a request: see block_job.h. */
#include "machine/backend/block_job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bytes.h"

/* Lengths of io_uring are 32 bits wide, and the kernel moves no more than 2 GiB at once anyway. */
enum { PIECE_BYTES_MAX = 1 << 30 };

/* Moves the start of the request's memory on by @done bytes, and past empty pieces. */
static void advance(struct block_request *request, size_t done)
{
	while (request->iov_count > 0 && done >= request->iov->iov_len) {
		done -= request->iov->iov_len;
		request->iov++;
		request->iov_count--;
	}
	if (request->iov_count > 0) {
		request->iov->iov_base = (uint8_t *)request->iov->iov_base + done;
		request->iov->iov_len -= done;
	}
}

/* Copies up to @len bytes between the start of the request's memory and @buf. */
static void copy(const struct block_request *request, uint8_t *buf, size_t len)
{
	const struct iovec *iov = request->iov;

	for (size_t i = 0; i < request->iov_count && len > 0; i++) {
		const size_t n = min_u64(iov[i].iov_len, len);

		if (n > 0 && request->op == BLOCK_READ)
			memcpy(iov[i].iov_base, buf, n);
		else if (n > 0)
			memcpy(buf, iov[i].iov_base, n);
		buf += n;
		len -= n;
	}
}

static bool is_aligned(const struct block_job *job, uint32_t align)
{
	return ((job->offset_bytes | job->len_bytes) & (align - 1)) == 0;
}

static int begin_transfer(struct block_job *job)
{
	struct block_request *request = job->request;

	if (!is_aligned(job, job->disk->align_bytes))
		return -EINVAL;
	advance(request, 0);
	job->way = block_disk_fits(job->disk, request->iov, request->iov_count) ? BLOCK_WAY_MEMORY
										: BLOCK_WAY_BOUNCE;
	return BLOCK_JOB_GOES_ON;
}

/* What the host cannot discard in part may stay as it is. */
static int begin_discard(struct block_job *job)
{
	const uint32_t align = job->disk->allocate_align_bytes;
	const uint64_t start = align_up(job->offset_bytes, align);
	const uint64_t end = align_down(job->offset_bytes + job->len_bytes, align);

	if (!job->disk->can_discard)
		return -EOPNOTSUPP;
	if (start >= end)
		return 0;
	job->offset_bytes = start;
	job->len_bytes = end - start;
	job->way = job->disk->is_block_device ? BLOCK_WAY_DISCARD : BLOCK_WAY_PUNCH;
	return BLOCK_JOB_GOES_ON;
}

/* The best way to make zeroes that has not been refused. */
static int choose_zeroes(struct block_job *job)
{
	const struct block_disk *disk = job->disk;
	const bool can_allocate = is_aligned(job, disk->allocate_align_bytes);

	if (can_allocate && job->request->may_unmap && disk->has_punch_zeroes)
		job->way = BLOCK_WAY_PUNCH;
	else if (can_allocate && disk->has_zero_range)
		job->way = BLOCK_WAY_ZERO_RANGE;
	else if (is_aligned(job, disk->align_bytes))
		job->way = BLOCK_WAY_WRITE_ZEROES;
	else
		return -EINVAL;
	return BLOCK_JOB_GOES_ON;
}

int block_job_begin(struct block_job *job, struct block_disk *disk, struct block_request *request)
{
	*job = (struct block_job){
		.disk = disk,
		.request = request,
		.way = BLOCK_WAY_SYNC,
		.offset_bytes = request->offset_bytes,
		.len_bytes = request->len_bytes,
	};
	if (request->op == BLOCK_FLUSH)
		return disk->is_read_only ? 0 : BLOCK_JOB_GOES_ON;
	if (disk->is_read_only && request->op != BLOCK_READ)
		return -EROFS;
	if (request->len_bytes == 0)
		return 0;
	switch (request->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return begin_transfer(job);
	case BLOCK_DISCARD:
		return begin_discard(job);
	case BLOCK_WRITE_ZEROES:
		return choose_zeroes(job);
	case BLOCK_FLUSH:
		break;
	}
	return -EINVAL;
}

bool block_job_get_memory(struct block_job *job)
{
	if (job->way == BLOCK_WAY_BOUNCE && !job->bounce)
		job->bounce = block_disk_take_bounce(job->disk);
	return job->way != BLOCK_WAY_BOUNCE || job->bounce;
}

void block_job_end(struct block_job *job)
{
	if (job->bounce)
		block_disk_give_bounce(job->disk, job->bounce);
	job->bounce = NULL;
}

static struct block_step transfer_step(struct block_job *job)
{
	struct block_request *request = job->request;
	struct block_step step = {
		.op = request->op == BLOCK_READ ? BLOCK_STEP_READ : BLOCK_STEP_WRITE,
		.offset_bytes = job->offset_bytes,
		.iov = &job->piece,
		.iov_count = 1,
	};

	if (job->way == BLOCK_WAY_WRITE_ZEROES) {
		job->piece = (struct iovec){ job->disk->zeroes,
					     min_u64(job->len_bytes, BLOCK_ZEROES_BYTES) };
	} else if (job->way == BLOCK_WAY_BOUNCE) {
		job->piece =
			(struct iovec){ job->bounce, min_u64(job->len_bytes, BLOCK_BOUNCE_BYTES) };
		if (request->op == BLOCK_WRITE)
			copy(request, job->bounce, job->piece.iov_len);
	} else if (request->iov_count == 1) {
		job->piece = *request->iov;
		job->piece.iov_len = min_u64(job->piece.iov_len, PIECE_BYTES_MAX);
	} else {
		step.iov = request->iov;
		step.iov_count = (unsigned)min_u64(request->iov_count, IOV_MAX);
	}
	return step;
}

struct block_step block_job_step(struct block_job *job)
{
	struct block_step step = {
		.op = BLOCK_STEP_ALLOCATE,
		.offset_bytes = job->offset_bytes,
		.len_bytes = job->len_bytes,
	};

	switch (job->way) {
	case BLOCK_WAY_MEMORY:
	case BLOCK_WAY_BOUNCE:
	case BLOCK_WAY_WRITE_ZEROES:
		return transfer_step(job);
	case BLOCK_WAY_SYNC:
		step.op = BLOCK_STEP_SYNC;
		break;
	case BLOCK_WAY_DISCARD:
		step.op = BLOCK_STEP_DISCARD;
		break;
	case BLOCK_WAY_PUNCH:
		step.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		break;
	case BLOCK_WAY_ZERO_RANGE:
		step.mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
		break;
	}
	return step;
}

/*
 * The kernel may move less than asked: at 2 GiB, at a signal, at the end of space. The rest is
 * asked for again, so that the error itself comes out. Nothing moved and no error, or half a block
 * of a direct descriptor: a file that somebody has shortened.
 */
static int transfer_done(struct block_job *job, int64_t result)
{
	struct block_request *request = job->request;

	if (result < 0)
		return (int)result;
	if (result == 0 || (job->disk->bounce && result % job->disk->align_bytes != 0))
		return -EIO;
	if (job->way == BLOCK_WAY_BOUNCE && request->op == BLOCK_READ)
		copy(request, job->bounce, (size_t)result);
	job->offset_bytes += (uint64_t)result;
	job->len_bytes -= min_u64(job->len_bytes, (uint64_t)result);
	if (job->len_bytes == 0)
		return 0;
	if (job->way != BLOCK_WAY_WRITE_ZEROES)
		advance(request, (size_t)result);
	return BLOCK_JOB_GOES_ON;
}

static bool is_unsupported(int64_t result)
{
	return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV;
}

int block_job_step_done(struct block_job *job, int64_t result)
{
	if (result == -EINTR)
		return BLOCK_JOB_GOES_ON;
	switch (job->way) {
	case BLOCK_WAY_MEMORY:
	case BLOCK_WAY_BOUNCE:
	case BLOCK_WAY_WRITE_ZEROES:
		return transfer_done(job, result);
	case BLOCK_WAY_PUNCH:
		if (job->request->op == BLOCK_DISCARD || !is_unsupported(result))
			break;
		job->disk->has_punch_zeroes = false;
		return choose_zeroes(job);
	case BLOCK_WAY_ZERO_RANGE:
		if (!is_unsupported(result))
			break;
		job->disk->has_zero_range = false;
		return choose_zeroes(job);
	case BLOCK_WAY_SYNC:
	case BLOCK_WAY_DISCARD:
		break;
	}
	return (int)result;
}

int64_t block_step_run(const struct block_step *step, int fd)
{
	uint64_t range[2] = { step->offset_bytes, step->len_bytes };
	const off_t at = (off_t)step->offset_bytes;
	int64_t r = -1;

	switch (step->op) {
	case BLOCK_STEP_READ:
		r = preadv2(fd, step->iov, (int)step->iov_count, at, 0);
		break;
	case BLOCK_STEP_WRITE:
		r = pwritev2(fd, step->iov, (int)step->iov_count, at, 0);
		break;
	case BLOCK_STEP_SYNC:
		r = fdatasync(fd);
		break;
	case BLOCK_STEP_ALLOCATE:
		r = fallocate(fd, step->mode, at, (off_t)step->len_bytes);
		break;
	case BLOCK_STEP_DISCARD:
		r = ioctl(fd, BLKDISCARD, range);
		break;
	}
	return r < 0 ? -errno : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way: which system calls it takes, one after the other. Engines differ in how
 * they have a step done, by a system call now or by io_uring later, and in nothing else:
 *
 *	result = block_job_begin(&job, disk, request);
 *	take memory: block_job_get_memory();
 *	while (result == BLOCK_JOB_GOES_ON) {
 *		step = block_job_step(&job);
 *		have it done
 *		result = block_job_step_done(&job, what the step returned);
 *	}
 *	block_job_end(&job);
 *
 * More than one step is needed when the kernel moves less than asked, when memory must go through
 * a bounce buffer, and when a file system does not know how to make zeroes: they are written then.
 *
 * Thread: the one that runs the disk's requests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "machine/backend/block.h"
#include "machine/backend/block_disk.h"

enum { BLOCK_JOB_GOES_ON = 1 };

enum block_step_op {
	BLOCK_STEP_READ, /* preadv() */
	BLOCK_STEP_WRITE, /* pwritev() */
	BLOCK_STEP_SYNC, /* fdatasync() */
	BLOCK_STEP_ALLOCATE, /* fallocate() */
	BLOCK_STEP_DISCARD, /* ioctl(BLKDISCARD) */
};

struct block_step {
	enum block_step_op op;
	int mode; /* of fallocate() */
	uint64_t offset_bytes;
	uint64_t len_bytes; /* for ALLOCATE and DISCARD */
	const struct iovec *iov; /* for READ and WRITE; valid until the step is done */
	unsigned iov_count; /* at most IOV_MAX; each piece is at most 1 GiB when it is only one */
};

struct block_job {
	struct block_disk *disk; /* borrowed: outlives the request */
	struct block_request *request; /* borrowed until its done() */
	enum block_way {
		BLOCK_WAY_MEMORY, /* to or from the request's own memory */
		BLOCK_WAY_BOUNCE,
		BLOCK_WAY_SYNC,
		BLOCK_WAY_PUNCH,
		BLOCK_WAY_DISCARD,
		BLOCK_WAY_ZERO_RANGE,
		BLOCK_WAY_WRITE_ZEROES,
	} way;
	uint64_t offset_bytes; /* of what is left to do */
	uint64_t len_bytes;
	uint8_t *bounce; /* the disk's; held until block_job_end() */
	struct iovec piece; /* the memory of a step that is not the request's */
};

/* BLOCK_JOB_GOES_ON, or the request's result when nothing has to be done. */
int block_job_begin(struct block_job *job, struct block_disk *disk, struct block_request *request);

/* False when a bounce buffer is needed and none is free before some other job ends. */
bool block_job_get_memory(struct block_job *job);

struct block_step block_job_step(struct block_job *job);

/*
 * @result: of the step; -errno, or for reads and writes the bytes moved. BLOCK_JOB_GOES_ON: there
 * is a next step. Otherwise the request's result.
 */
int block_job_step_done(struct block_job *job, int64_t result);

void block_job_end(struct block_job *job);

/* Does @step on @fd now; its result as block_job_step_done() takes it. */
int64_t block_step_run(const struct block_step *step, int fd);

/* SPDX-License-Identifier: Apache-2.0 */
/* A raw file or block device as a disk, by plain system calls: see block_file.h. */
#include "machine/backend/block_file.h"

#include <errno.h>
#include <stdlib.h>

#include "machine/backend/block_disk.h"
#include "machine/backend/block_job.h"

struct block_file {
	struct block_backend backend; /* first: a backend pointer is a block_file pointer */
	struct block_disk disk;
};

static void file_submit(struct block_backend *backend, struct block_request *request)
{
	struct block_file *file = (struct block_file *)backend;
	struct block_job job;
	int r = block_job_begin(&job, &file->disk, request);

	/* Requests do not overlap: the one buffer is free. */
	if (!block_job_get_memory(&job))
		r = -EBUSY;
	while (r == BLOCK_JOB_GOES_ON) {
		const struct block_step step = block_job_step(&job);

		r = block_job_step_done(&job, block_step_run(&step, file->disk.fd));
	}
	block_job_end(&job);
	request->done(request, r);
}

static int file_replace(struct block_backend *backend, int fd, struct err *e)
{
	struct block_file *file = (struct block_file *)backend;
	struct block_disk next;
	int r = block_disk_open_next(&file->disk, &next, fd, backend->request_align_bytes, e);

	if (r < 0)
		return r;
	block_disk_close(&file->disk);
	file->disk = next;
	backend->capacity_bytes = next.capacity_bytes;
	return 0;
}

static void file_close(struct block_backend *backend)
{
	struct block_file *file = (struct block_file *)backend;

	block_disk_close(&file->disk);
	free(file);
}

static const struct block_backend_ops file_ops = {
	.submit = file_submit,
	.replace = file_replace,
	.close = file_close,
};

int block_file_open(struct block_backend **out, int fd, bool is_read_only, const char *id,
		    struct err *e)
{
	struct block_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return err_set(e, -ENOMEM, "drive '%s': no memory", id);
	r = block_disk_open(&file->disk, fd, is_read_only, 1, id, e);
	if (r < 0) {
		free(file);
		return r;
	}
	file->backend = block_disk_backend(&file->disk, &file_ops, -1);
	*out = &file->backend;
	return 0;
}

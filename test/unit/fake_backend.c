/* SPDX-License-Identifier: Apache-2.0 */
/* A disk without contents: see fake_backend.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "test/unit/fake_backend.h"

static void check_request(const struct fake_backend *f, const struct block_request *request)
{
	const bool is_transfer = request->op == BLOCK_READ || request->op == BLOCK_WRITE;
	uint64_t sum = 0;

	for (size_t i = 0; i < request->iov_count; i++)
		sum += request->iov[i].iov_len;
	assert_true(!is_transfer || sum == request->len_bytes);
	assert_true(request->op == BLOCK_FLUSH || request->len_bytes > 0);
	assert_true(request->offset_bytes <= f->backend.capacity_bytes);
	assert_true(request->len_bytes <= f->backend.capacity_bytes - request->offset_bytes);
	assert_false(f->backend.is_read_only && request->op != BLOCK_READ &&
		     request->op != BLOCK_FLUSH);
	assert_true(f->backend.can_discard || request->op != BLOCK_DISCARD);
	assert_true(f->backend.can_discard || !request->may_unmap);
	if (is_transfer) {
		assert_int_equal(request->offset_bytes % f->backend.request_align_bytes, 0);
		assert_int_equal(request->len_bytes % f->backend.request_align_bytes, 0);
	}
}

static void fake_submit(struct block_backend *backend, struct block_request *request)
{
	struct fake_backend *f = (struct fake_backend *)backend;
	const bool fails = f->nr_log == f->fail_at;

	check_request(f, request);
	if (f->nr_log < FAKE_LOG_MAX)
		f->log[f->nr_log++] = (struct fake_entry){ request->op, request->may_unmap,
							   request->offset_bytes,
							   request->len_bytes };
	f->submits++;
	f->unsubmitted++;
	if (f->finish == FAKE_IN_SUBMIT) {
		request->done(request, fails ? -EIO : f->result);
		return;
	}
	assert_true(f->nr_pending < FAKE_PENDING_MAX);
	f->pending[f->nr_pending++] = request;
}

static void fake_commit(struct block_backend *backend, bool may_wait)
{
	struct fake_backend *f = (struct fake_backend *)backend;

	f->commits++;
	f->unsubmitted = 0;
	if (may_wait) {
		f->waits++;
		if (f->on_wait)
			f->on_wait(f->on_wait_opaque);
	}
	while ((f->finish == FAKE_IN_COMMIT || (f->finish == FAKE_IN_WAIT && may_wait)) &&
	       f->nr_pending > 0) {
		struct block_request *request = f->pending[--f->nr_pending];

		request->done(request, f->result);
	}
}

static void fake_complete(struct block_backend *backend)
{
	struct fake_backend *f = (struct fake_backend *)backend;
	uint64_t times;
	const ssize_t n = read(f->backend.completion_fd, &times, sizeof(times));

	(void)n;
	for (uint32_t i = 0; i < f->nr_ready; i++)
		f->ready[i]->done(f->ready[i], f->results[i]);
	f->nr_ready = 0;
}

static int fake_replace(struct block_backend *backend, int fd, struct err *e)
{
	struct fake_backend *f = (struct fake_backend *)backend;

	fake_backend_check_idle(f);
	if (f->next_capacity_bytes == 0)
		return err_set(e, -EINVAL, "not a disk");
	backend->capacity_bytes = f->next_capacity_bytes;
	f->replaced++;
	f->replaced_fd = fd;
	return 0;
}

static void fake_close(struct block_backend *backend)
{
	struct fake_backend *f = (struct fake_backend *)backend;

	fake_backend_check_idle(f);
	close(backend->completion_fd);
}

static const struct block_backend_ops fake_ops = {
	.submit = fake_submit,
	.commit = fake_commit,
	.complete = fake_complete,
	.replace = fake_replace,
	.close = fake_close,
};

void fake_backend_init(struct fake_backend *f, uint64_t capacity_bytes)
{
	*f = (struct fake_backend){
		.backend = {
			.ops = &fake_ops,
			.capacity_bytes = capacity_bytes,
			.physical_block_bytes = 4096,
			.request_align_bytes = 512,
			.can_discard = true,
			.completion_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		},
		.fail_at = UINT32_MAX,
		.replaced_fd = -1,
	};
	assert_true(f->backend.completion_fd >= 0);
}

void fake_backend_end(struct fake_backend *f, uint32_t at, int result)
{
	const uint64_t one = 1;

	assert_true(at < f->nr_pending && f->nr_ready < FAKE_PENDING_MAX);
	f->ready[f->nr_ready] = f->pending[at];
	f->results[f->nr_ready++] = result;
	f->nr_pending--;
	for (size_t i = at; i < f->nr_pending; i++)
		f->pending[i] = f->pending[i + 1];
	assert_int_equal(write(f->backend.completion_fd, &one, sizeof(one)), sizeof(one));
}

void fake_backend_end_all(struct fake_backend *f, int result)
{
	while (f->nr_pending > 0)
		fake_backend_end(f, 0, result);
}

void fake_backend_check_idle(const struct fake_backend *f)
{
	assert_int_equal(f->nr_pending, 0);
	assert_int_equal(f->nr_ready, 0);
}

void fake_backend_clear(struct fake_backend *f)
{
	f->nr_log = 0;
	f->submits = 0;
	f->commits = 0;
	f->unsubmitted = 0;
}

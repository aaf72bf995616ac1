/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that takes its time: see slow_block.h. */
#include "test/hostile/slow_block.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct slow_block {
	struct block_backend backend; /* first: a backend pointer is a slow_block pointer */
	struct block_backend *inner; /* owned */
	struct block_request *pending[SLOW_BLOCK_MAX];
	uint32_t nr_pending;
	uint32_t seed;
};

static void ring(struct slow_block *s)
{
	const uint64_t one = 1;
	const ssize_t n = write(s->backend.completion_fd, &one, sizeof(one));

	(void)n;
}

static void slow_submit(struct block_backend *backend, struct block_request *request)
{
	struct slow_block *s = (struct slow_block *)backend;

	assert(s->nr_pending < SLOW_BLOCK_MAX);
	s->pending[s->nr_pending++] = request;
	ring(s);
}

static void slow_complete(struct block_backend *backend)
{
	struct slow_block *s = (struct slow_block *)backend;
	struct block_request *request;
	uint64_t rings;
	ssize_t n;
	uint32_t at;

	n = read(backend->completion_fd, &rings, sizeof(rings));
	(void)n;
	if (s->nr_pending == 0)
		return;
	s->seed = s->seed * 1664525u + 1013904223u;
	at = (s->seed >> 8) % s->nr_pending;
	request = s->pending[at];
	s->pending[at] = s->pending[--s->nr_pending];
	if (s->nr_pending > 0)
		ring(s);
	block_submit(s->inner, request);
}

static void slow_close(struct block_backend *backend)
{
	struct slow_block *s = (struct slow_block *)backend;

	assert(s->nr_pending == 0);
	close(backend->completion_fd);
	block_close(s->inner);
	free(s);
}

static const struct block_backend_ops slow_ops = {
	.submit = slow_submit,
	.complete = slow_complete,
	.close = slow_close,
};

struct block_backend *slow_block_new(struct block_backend *inner)
{
	struct slow_block *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->backend = *inner;
	s->backend.ops = &slow_ops;
	s->backend.completion_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->inner = inner;
	return &s->backend;
}

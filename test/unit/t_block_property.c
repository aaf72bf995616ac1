/* SPDX-License-Identifier: Apache-2.0 */
/* Random requests, many at once, against a model of the disk: both engines, several disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "machine/backend/block_file.h"
#include "machine/backend/block_uring.h"
#include "test/unit/disk_rig.h"

enum {
	REGIONS = 32, /* of which each has at most one request in flight */
	REGION_BYTES = 256 << 10,
	PIECES_MAX = 24,
	STEPS = 1200,
	UNKNOWN = 0x100, /* in the model: discarded, it may read as anything */
};

#define DISK_BYTES ((uint64_t)REGIONS * REGION_BYTES)

struct region {
	struct disk_io io;
	struct iovec iov[PIECES_MAX];
	uint64_t at; /* of the request */
	uint64_t len;
	uint8_t *memory; /* owned: REGION_BYTES and a page */
	uint8_t *start; /* in memory: the request's bytes */
	bool is_busy;
};

struct world {
	struct block_backend *backend; /* owned */
	uint64_t random;
	uint16_t *model; /* owned: a byte or UNKNOWN */
	struct region regions[REGIONS];
};

static uint64_t below(struct world *w, uint64_t bound)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 11) % bound;
}

static void check_result(struct world *w, struct region *r)
{
	uint16_t *model = w->model + r->at;

	assert_int_equal(r->io.calls, 1);
	assert_int_equal(r->io.result, 0);
	for (uint64_t i = 0; i < r->len; i++) {
		switch (r->io.request.op) {
		case BLOCK_READ:
			if (model[i] != UNKNOWN && model[i] != r->start[i])
				fail_msg("byte %llu is %u, not %u", (unsigned long long)(r->at + i),
					 r->start[i], model[i]);
			break;
		case BLOCK_WRITE:
			model[i] = r->start[i];
			break;
		case BLOCK_DISCARD:
			model[i] = UNKNOWN;
			break;
		case BLOCK_WRITE_ZEROES:
			model[i] = 0;
			break;
		case BLOCK_FLUSH:
			break;
		}
	}
	r->is_busy = false;
}

static void collect(struct world *w)
{
	for (size_t i = 0; i < REGIONS; i++) {
		if (w->regions[i].is_busy && w->regions[i].io.calls > 0)
			check_result(w, &w->regions[i]);
	}
}

/* Cuts the request's memory into pieces; half of the time as aligned as a good guest would. */
static size_t cut(struct world *w, struct region *r)
{
	const uint64_t unit = below(w, 2) ? w->backend->request_align_bytes : 1;
	const size_t pieces = 1 + below(w, PIECES_MAX);
	uint64_t left = r->len;
	uint8_t *at;

	r->start = r->memory + (unit == 1 ? below(w, 4096) : 0);
	at = r->start;
	for (size_t i = 0; i < pieces; i++) {
		uint64_t n = i + 1 == pieces ? left : align_down(below(w, left + 1), unit);

		if (below(w, 8) == 0 && i + 1 < pieces)
			n = 0;
		r->iov[i] = (struct iovec){ at, n };
		at += n;
		left -= n;
	}
	return pieces;
}

static void start(struct world *w, struct region *r, uint64_t base)
{
	static const enum block_op ops[] = { BLOCK_READ, BLOCK_WRITE, BLOCK_DISCARD,
					     BLOCK_WRITE_ZEROES, BLOCK_FLUSH };
	const uint64_t align = w->backend->request_align_bytes;
	enum block_op op = ops[below(w, ARRAY_LEN(ops))];
	const uint64_t blocks = REGION_BYTES / align;
	const uint64_t first = below(w, blocks);

	if (op == BLOCK_FLUSH && below(w, 8) != 0)
		op = BLOCK_READ; /* a flush takes the time of a real disk */
	r->at = base + first * align;
	r->len = op == BLOCK_FLUSH ? 0 : (1 + below(w, blocks - first)) * align;
	r->is_busy = true;
	if (op == BLOCK_READ || op == BLOCK_WRITE) {
		const size_t pieces = cut(w, r);

		for (uint64_t i = 0; op == BLOCK_WRITE && i < r->len; i++)
			r->start[i] = (uint8_t)(w->random + i);
		disk_io_transfer(&r->io, op, r->at, r->iov, pieces);
	} else {
		disk_io_range(&r->io, op, op == BLOCK_FLUSH ? 0 : r->at, r->len);
		r->io.request.may_unmap = below(w, 2);
	}
	block_submit(w->backend, &r->io.request);
}

/* One turn of an event loop that may be late. */
static void turn(struct world *w)
{
	struct pollfd p = { .fd = w->backend->completion_fd, .events = POLLIN };

	block_commit(w->backend);
	if (poll(&p, 1, below(w, 4) == 0) > 0)
		block_complete(w->backend);
	collect(w);
}

static void drain(struct world *w)
{
	block_commit(w->backend);
	for (size_t i = 0; i < REGIONS; i++) {
		if (w->regions[i].is_busy)
			disk_wait(w->backend, &w->regions[i].io);
	}
	collect(w);
}

static void check_whole(struct world *w)
{
	uint8_t *back = aligned_alloc(4096, DISK_BYTES);

	assert_non_null(back);
	assert_int_equal(disk_read(w->backend, 0, back, DISK_BYTES), 0);
	for (uint64_t i = 0; i < DISK_BYTES; i++)
		assert_true(w->model[i] == UNKNOWN || w->model[i] == back[i]);
	free(back);
}

/* Takes @fd. */
static void run_world(disk_opener open, int fd, uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	const int flags = fcntl(fd, F_GETFL) & (O_ACCMODE | O_DIRECT);

	assert_non_null(w);
	w->random = seed;
	w->backend = disk_open(open, dup(fd), false);
	w->model = calloc(DISK_BYTES, sizeof(*w->model));
	assert_non_null(w->model);
	for (size_t i = 0; i < REGIONS; i++) {
		w->regions[i].memory = aligned_alloc(4096, REGION_BYTES + 4096);
		assert_non_null(w->regions[i].memory);
	}
	for (int i = 0; i < STEPS; i++) {
		const size_t n = below(w, REGIONS);

		if (below(w, 500) == 0) {
			drain(w);
			assert_int_equal(block_replace(w->backend, disk_reopen(fd, flags), NULL),
					 0);
		} else if (w->regions[n].is_busy || below(w, 4) == 0) {
			turn(w);
		} else {
			start(w, &w->regions[n], n * REGION_BYTES);
			collect(w);
		}
	}
	drain(w);
	check_whole(w);
	block_close(w->backend);
	for (size_t i = 0; i < REGIONS; i++)
		free(w->regions[i].memory);
	free(w->model);
	free(w);
	close(fd);
}

/* With fewer slots than the requests that wait for a bounce buffer plus those with the kernel. */
static int open_uring(struct block_backend **out, int fd, bool is_read_only, const char *id,
		      struct err *e)
{
	return block_uring_open(out, fd, is_read_only, REGIONS, false, id, e);
}

static int open_with_shortcuts(struct block_backend **out, int fd, bool is_read_only,
			       const char *id, struct err *e)
{
	return block_uring_open(out, fd, is_read_only, REGIONS, true, id, e);
}

static disk_opener opener(void **state)
{
	return *(disk_opener *)*state;
}

static void test_memory(void **state)
{
	run_world(opener(state), disk_memory(DISK_BYTES), 1);
}

static void test_file(void **state)
{
	run_world(opener(state), disk_file(DISK_BYTES, 0), 2);
}

static void test_direct(void **state)
{
	run_world(opener(state), disk_file(DISK_BYTES, O_DIRECT), 3);
}

static void test_device(void **state)
{
	run_world(opener(state), disk_loop(DISK_BYTES, 4096, O_RDWR), 4);
}

static void test_direct_device(void **state)
{
	run_world(opener(state), disk_loop(DISK_BYTES, 4096, O_RDWR | O_DIRECT), 5);
}

static int run_all(const char *name, disk_opener open)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_memory, &open),
		cmocka_unit_test_prestate(test_file, &open),
		cmocka_unit_test_prestate(test_direct, &open),
		cmocka_unit_test_prestate(test_device, &open),
		cmocka_unit_test_prestate(test_direct_device, &open),
	};

	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
	struct io_uring ring;
	int failed = run_all("sync", block_file_open);

	if (io_uring_queue_init(1, &ring, 0) < 0) {
		print_message("no io_uring here: its half is skipped\n");
		return failed;
	}
	io_uring_queue_exit(&ring);
	return failed + run_all("io_uring", open_uring) +
	       run_all("io_uring with shortcuts", open_with_shortcuts);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Files as disks by io_uring: batches, wake-ups, what the ring refuses, and failing submissions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the next calls return in place of a submission; 0: the real thing. */
static int submit_errors[4];
static int submit_calls;

static int submit_or_fail(struct io_uring *ring)
{
	const int n = submit_calls++;

	if (n < 4 && submit_errors[n] != 0)
		return submit_errors[n];
	return io_uring_submit(ring);
}

/* Whether completions are to come just before the eventfd is switched on again. */
static bool is_switched_late;

static int switch_eventfd(struct io_uring *ring, bool is_on)
{
	for (int i = 0; is_switched_late && is_on && io_uring_cq_ready(ring) == 0 && i < 1000; i++)
		usleep(100);
	return io_uring_cq_eventfd_toggle(ring, is_on);
}

#define io_uring_submit submit_or_fail
#define io_uring_cq_eventfd_toggle switch_eventfd
#include "machine/backend/block_uring.c"
#undef io_uring_submit
#undef io_uring_cq_eventfd_toggle

#include "test/unit/block_suite.h"

#define DISK_BYTES (4 * MIB)

enum { DEPTH = 256, CHUNK = 4096, NOBODY = 65534 };

static int open_uring(struct block_backend **out, int fd, bool is_read_only, const char *id,
		      struct err *e)
{
	return block_uring_open(out, fd, is_read_only, DEPTH, false, id, e);
}

static int open_with_shortcuts(struct block_backend **out, int fd, bool is_read_only,
			       const char *id, struct err *e)
{
	return block_uring_open(out, fd, is_read_only, DEPTH, true, id, e);
}

static bool is_signalled(const struct block_backend *backend)
{
	struct pollfd p = { .fd = backend->completion_fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* DEPTH requests, each of which moves its own chunk of @data. */
struct batch {
	struct disk_io io[DEPTH];
	struct iovec iov[DEPTH];
	uint8_t *data; /* owned */
};

static void batch_init(struct batch *b, enum block_op op, size_t misaligned_by)
{
	b->data = aligned_alloc(CHUNK, (DEPTH + 1) * CHUNK);
	assert_non_null(b->data);
	memset(b->data, 0, (DEPTH + 1) * CHUNK);
	for (size_t i = 0; i < DEPTH; i++) {
		b->iov[i] = (struct iovec){ b->data + i * CHUNK + misaligned_by, CHUNK };
		disk_io_transfer(&b->io[i], op, i * CHUNK, &b->iov[i], 1);
		if (op == BLOCK_WRITE)
			memset(b->data + i * CHUNK + misaligned_by, (int)(i % 255) + 1, CHUNK);
	}
}

static void batch_run(struct batch *b, struct block_backend *backend)
{
	for (size_t i = 0; i < DEPTH; i++)
		block_submit(backend, &b->io[i].request);
	block_commit(backend);
	for (size_t i = 0; i < DEPTH; i++) {
		disk_wait(backend, &b->io[i]);
		assert_int_equal(b->io[i].result, 0);
	}
}

static void check_batches(struct block_backend *backend, size_t misaligned_by)
{
	struct batch *b = calloc(1, sizeof(*b));
	uint8_t *written;

	assert_non_null(b);
	batch_init(b, BLOCK_WRITE, misaligned_by);
	batch_run(b, backend);
	written = b->data;
	batch_init(b, BLOCK_READ, misaligned_by);
	batch_run(b, backend);
	assert_memory_equal(b->data + misaligned_by, written + misaligned_by, DEPTH * CHUNK);
	free(written);
	free(b->data);
	free(b);
}

static void test_batches(void **state)
{
	struct block_backend *backend;

	(void)state;
	for (int i = 0; i < 20; i++) {
		backend = disk_open(open_uring, disk_file(DISK_BYTES, 0), false);
		check_batches(backend, 0);
		block_close(backend);
	}
}

/* More requests that need a bounce buffer than there are buffers. */
static void test_batches_direct(void **state)
{
	struct block_backend *backend;

	(void)state;
	backend = disk_open(open_uring, disk_file(DISK_BYTES, O_DIRECT), false);
	check_batches(backend, 0);
	check_batches(backend, 1);
	block_close(backend);
}

/* What is in memory already is done when commit() returns, and wakes nobody. */
static void test_ready_in_commit(void **state)
{
	int fd = disk_file(DISK_BYTES, 0);
	struct iovec first = { (uint8_t[512]){ 0 }, 512 };
	struct block_backend *backend;
	struct batch *b;

	(void)state;
	if (preadv2(fd, &first, 1, 0, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP) {
		print_message("all reads wait on the file system of /tmp, as on tmpfs\n");
		close(fd);
		skip();
	}
	b = calloc(1, sizeof(*b));
	assert_non_null(b);
	backend = disk_open(open_uring, fd, false);
	check_batches(backend, 0);
	batch_init(b, BLOCK_READ, 0);
	for (size_t i = 0; i < DEPTH; i++)
		block_submit(backend, &b->io[i].request);
	assert_int_equal(b->io[0].calls, 0);
	block_commit(backend);
	for (size_t i = 0; i < DEPTH; i++)
		assert_int_equal(b->io[i].calls, 1);
	assert_false(is_signalled(backend));
	block_close(backend);
	free(b->data);
	free(b);
}

/* Flushes are done by a thread of the kernel, at any moment from our point of view. */
static void test_no_lost_wake_up(void **state)
{
	struct block_backend *backend = disk_open(open_uring, disk_memory(DISK_BYTES), false);

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct disk_io io[3];

		for (int k = 0; k < 3; k++) {
			disk_io_range(&io[k], BLOCK_FLUSH, 0, 0);
			block_submit(backend, &io[k].request);
			if (k > 0)
				block_commit(backend);
		}
		for (int k = 0; k < 3; k++)
			disk_wait(backend, &io[k]);
	}
	block_close(backend);
}

/* What finishes between the last look and the switch gives no signal and is found nevertheless. */
static void test_late_switch(void **state)
{
	struct block_backend *backend = disk_open(open_uring, disk_memory(DISK_BYTES), false);

	(void)state;
	is_switched_late = true;
	for (int i = 0; i < 20; i++)
		assert_int_equal(disk_range(backend, BLOCK_FLUSH, 0, 0), 0);
	is_switched_late = false;
	block_close(backend);
}

static void test_one_too_many(void **state)
{
	struct block_backend *backend = NULL;
	struct disk_io io[3];
	int fd = disk_memory(DISK_BYTES);

	(void)state;
	assert_int_equal(block_uring_open(&backend, fd, false, 2, false, "root", NULL), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			disk_io_range(&io[i], BLOCK_FLUSH, 0, 0);
			block_submit(backend, &io[i].request);
		}
		assert_int_equal(io[2].calls, 1);
		assert_int_equal(io[2].result, -EBUSY);
		block_commit(backend);
		for (int i = 0; i < 2; i++) {
			disk_wait(backend, &io[i]);
			assert_int_equal(io[i].result, 0);
		}
	}
	block_close(backend);
}

static void set_submit_errors(int first, int second)
{
	submit_errors[0] = first;
	submit_errors[1] = second;
	submit_calls = 0;
}

/* The kernel is short of memory for a while: the event loop turns, and nothing is lost. */
static void test_submission_fails_for_a_while(void **state)
{
	static const int passing[] = { -EAGAIN, -EBUSY, -EINTR, -ENOMEM };
	struct block_backend *backend = disk_open(open_uring, disk_memory(DISK_BYTES), false);
	struct batch *b = calloc(1, sizeof(*b));

	(void)state;
	assert_non_null(b);
	for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
		batch_init(b, BLOCK_WRITE, 0);
		set_submit_errors(passing[i], passing[i]);
		for (size_t k = 0; k < DEPTH; k++)
			block_submit(backend, &b->io[k].request);
		block_commit(backend);
		assert_int_equal(submit_calls, 1); /* others get their turn */
		assert_true(is_signalled(backend));
		for (size_t k = 0; k < DEPTH; k++) {
			disk_wait(backend, &b->io[k]);
			assert_int_equal(b->io[k].result, 0);
		}
		assert_true(submit_calls > 2);
		free(b->data);
	}
	set_submit_errors(0, 0);
	block_close(backend);
	free(b);
}

/* The kernel takes no more: requests end, those handed in later and by done() too. */
static void test_submission_fails_for_good(void **state)
{
	struct block_backend *backend;
	struct batch *b = calloc(1, sizeof(*b));

	(void)state;
	assert_non_null(b);
	for (size_t misaligned_by = 0; misaligned_by < 2; misaligned_by++) {
		backend = disk_open(open_uring, disk_file(DISK_BYTES, O_DIRECT), false);
		batch_init(b, BLOCK_WRITE, misaligned_by);
		set_submit_errors(-EBADFD, 0);
		for (size_t i = 0; i < DEPTH; i++)
			block_submit(backend, &b->io[i].request);
		block_commit(backend);
		for (size_t i = 0; i < DEPTH; i++) {
			assert_int_equal(b->io[i].calls, 1);
			assert_int_equal(b->io[i].result, -EBADFD);
		}
		assert_int_equal(disk_range(backend, BLOCK_FLUSH, 0, 0), -EBADFD);
		assert_int_equal(submit_calls, 1);
		block_close(backend);
		free(b->data);
	}
	set_submit_errors(0, 0);
	free(b);
}

/* Submits one operation that is not ours; its result. */
static int foreign(struct io_uring *ring, int op, unsigned flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	static uint8_t buf[512];
	int r;

	assert_non_null(sqe);
	io_uring_prep_rw(op, sqe, 0, buf, sizeof(buf), 0);
	io_uring_sqe_set_flags(sqe, flags);
	assert_int_equal(io_uring_submit(ring), 1);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return r;
}

/* Who holds the ring, but is behind seccomp, gets nothing out of it but this disk. */
static void test_restrictions(void **state)
{
	struct block_backend *backend = disk_open(open_uring, disk_memory(DISK_BYTES), false);
	struct io_uring *ring = &((struct block_uring *)backend)->ring;
	struct iovec iov = { backend, 4096 };
	int fds[2] = { -1, -1 };

	(void)state;
	assert_int_equal(foreign(ring, IORING_OP_READ, IOSQE_FIXED_FILE), 512);
	assert_int_equal(foreign(ring, IORING_OP_READ, 0), -EACCES); /* any descriptor */
	assert_int_equal(foreign(ring, IORING_OP_READ, IOSQE_FIXED_FILE | IOSQE_IO_LINK), -EACCES);
	for (int op = 0; op < IORING_OP_LAST; op++) {
		if (op == IORING_OP_READ || op == IORING_OP_WRITE || op == IORING_OP_READV ||
		    op == IORING_OP_WRITEV || op == IORING_OP_FSYNC || op == IORING_OP_FALLOCATE ||
		    op == IORING_OP_URING_CMD)
			continue;
		assert_int_equal(foreign(ring, op, IOSQE_FIXED_FILE), -EACCES);
	}
	assert_int_equal(io_uring_register_buffers(ring, &iov, 1), -EACCES);
	assert_int_equal(io_uring_register_files(ring, fds, 2), -EACCES);
	assert_int_equal(io_uring_unregister_files(ring), -EACCES);
	assert_int_equal(io_uring_unregister_eventfd(ring), -EACCES);
	assert_int_equal(io_uring_register_personality(ring), -EACCES);
	block_close(backend);
}

/* From here on io_uring_setup() fails with @error in this process. */
static void forbid_io_uring(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { ARRAY_LEN(code), code };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void check_refused(int error, int code, const char *message)
{
	struct block_backend *backend = NULL;
	const int fd = disk_memory(DISK_BYTES);
	const int before = disk_open_fds();
	struct err e = { 0 };

	forbid_io_uring(error);
	assert_int_equal(open_uring(&backend, fd, false, "root", &e), code);
	assert_string_equal(e.msg, message);
	assert_null(backend);
	assert_int_equal(disk_open_fds(), before);
	assert_int_equal(close(fd), 0); /* still the caller's */
}

static int without_io_uring(disk_opener open)
{
	(void)open;
	check_refused(ENOSYS, -ENOSYS,
		      "drive 'root': this kernel has no io_uring; choose engine=sync");
	check_refused(EINVAL, -ENOSYS,
		      "drive 'root': the io_uring of this kernel is too old, Linux 5.10 is needed; "
		      "choose engine=sync");
	check_refused(ENOMEM, -ENOMEM,
		      "drive 'root': no memory for io_uring; raise RLIMIT_MEMLOCK or choose "
		      "engine=sync");
	check_refused(EPERM, -EPERM,
		      "drive 'root': io_uring is not allowed here, by sysctl "
		      "kernel.io_uring_disabled or a seccomp filter; choose engine=sync");
	return 0;
}

static void test_without_io_uring(void **state)
{
	(void)state;
	disk_in_child(without_io_uring, open_uring);
}

/* The kernel may not start a thread of its own: what needs one is done in ours. */
static int without_threads(disk_opener open)
{
	const struct rlimit none = { 0, 0 };
	uint8_t buf[4096] = { 0 };
	struct block_backend *backend;

	if (geteuid() == 0) /* whom the limit does not bind */
		assert_int_equal(setresuid(NOBODY, NOBODY, NOBODY), 0);
	assert_int_equal(setrlimit(RLIMIT_NPROC, &none), 0);
	backend = disk_open(open, disk_memory(DISK_BYTES), false);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(disk_range(backend, BLOCK_FLUSH, 0, 0), 0);
		assert_int_equal(disk_range(backend, BLOCK_DISCARD, 0, 8192), 0);
		assert_int_equal(disk_write(backend, 0, buf, sizeof(buf)), 0);
		assert_int_equal(disk_read(backend, 0, buf, sizeof(buf)), 0);
	}
	block_close(backend);
	return 0;
}

static void test_without_threads(void **state)
{
	(void)state;
	disk_in_child(without_threads, open_uring);
}

/* A direct write that is alone is over when a commit that may wait returns, without the ring. */
static void check_lone(struct block_backend *backend, size_t misaligned_by)
{
	struct batch *b = calloc(1, sizeof(*b));
	uint8_t read_back[CHUNK];

	assert_non_null(b);
	batch_init(b, BLOCK_WRITE, misaligned_by);
	set_submit_errors(0, 0);
	block_submit(backend, &b->io[1].request);
	assert_int_equal(b->io[1].calls, 0);
	block_commit_wait(backend);
	assert_int_equal(b->io[1].calls, 1);
	assert_int_equal(b->io[1].result, 0);
	assert_int_equal(submit_calls, 0);
	assert_int_equal(disk_read(backend, CHUNK, read_back, CHUNK), 0);
	assert_memory_equal(read_back, b->data + CHUNK + misaligned_by, CHUNK);
	free(b->data);
	free(b);
}

/* Everything else goes through the ring. */
static void check_not_lone(struct block_backend *backend)
{
	const size_t large = LONE_WRITE_BYTES_MAX + CHUNK;
	uint8_t *data = aligned_alloc(CHUNK, large);
	struct iovec iov[3] = { { data, CHUNK }, { data, CHUNK }, { data, large } };
	struct disk_io io[3];

	assert_non_null(data);
	memset(data, 1, large);
	disk_io_transfer(&io[0], BLOCK_WRITE, 0, &iov[0], 1);
	disk_io_transfer(&io[1], BLOCK_WRITE, CHUNK, &iov[1], 1);
	disk_io_transfer(&io[2], BLOCK_WRITE, 0, &iov[2], 1);
	for (int first = 0; first < 3; first += 2) { /* two at once, then the large one */
		set_submit_errors(0, 0);
		for (int i = first; i < first + 2 && i < 3; i++)
			block_submit(backend, &io[i].request);
		block_commit_wait(backend);
		assert_int_equal(submit_calls, 1);
		for (int i = first; i < first + 2 && i < 3; i++) {
			disk_wait(backend, &io[i]);
			assert_int_equal(io[i].result, 0);
		}
	}
	set_submit_errors(0, 0);
	assert_int_equal(disk_write(backend, 0, data, CHUNK), 0); /* by block_commit() */
	assert_int_equal(submit_calls, 1);
	free(data);
}

static void test_lone_direct_write(void **state)
{
	struct block_backend *backend;

	(void)state;
	backend = disk_open(open_with_shortcuts, disk_file(DISK_BYTES, O_DIRECT), false);
	assert_true(backend->has_commit_wait);
	((struct block_uring *)backend)->disk.is_in_memory = false; /* if /tmp is a tmpfs */
	check_lone(backend, 0);
	check_lone(backend, 1);
	check_not_lone(backend);
	block_close(backend);
	backend = disk_open(open_uring, disk_file(DISK_BYTES, O_DIRECT), false);
	assert_false(backend->has_commit_wait);
	block_close(backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_batches_direct),
		cmocka_unit_test(test_ready_in_commit),
		cmocka_unit_test(test_no_lost_wake_up),
		cmocka_unit_test(test_late_switch),
		cmocka_unit_test(test_one_too_many),
		cmocka_unit_test(test_submission_fails_for_a_while),
		cmocka_unit_test(test_submission_fails_for_good),
		cmocka_unit_test(test_lone_direct_write),
		cmocka_unit_test(test_restrictions),
		cmocka_unit_test(test_without_io_uring),
		cmocka_unit_test(test_without_threads),
	};
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, 0) < 0) {
		print_message("no io_uring here: skipped\n");
		return 77;
	}
	io_uring_queue_exit(&ring);
	return block_suite_run(open_uring) + block_suite_run_disks(open_uring) +
	       block_suite_run(open_with_shortcuts) + block_suite_run_disks(open_with_shortcuts) +
	       cmocka_run_group_tests_name("uring", tests, NULL, NULL);
}

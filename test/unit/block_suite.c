/* SPDX-License-Identifier: Apache-2.0 */
/* Behaviour that engines have in common: see block_suite.h. */
#include "test/unit/block_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

#define DISK_BYTES (4 * MIB)

static disk_opener opener(void **state)
{
	return *(disk_opener *)*state;
}

static void check_refused(void **state, int fd, bool is_read_only, const char *message)
{
	struct block_backend *backend = NULL;
	struct err e = { 0 };

	assert_true(opener(state)(&backend, fd, is_read_only, "root", &e) < 0);
	assert_string_equal(e.msg, message);
	assert_null(backend);
	assert_int_equal(close(fd), 0); /* still the caller's */
}

static void test_sizes(void **state)
{
	struct block_backend *backend;

	check_refused(state, disk_memory(1000), false,
		      "drive 'root': its size 1000 bytes is not a multiple of 512; pad it, for "
		      "example with truncate -s 1024");
	backend = disk_open(opener(state), disk_memory(0), false);
	assert_int_equal(backend->capacity_bytes, 0);
	assert_int_equal(block_replace(backend, disk_memory(1024), NULL), 0);
	assert_int_equal(backend->capacity_bytes, 1024);
	assert_int_equal(block_replace(backend, disk_memory(0), NULL), 0);
	assert_int_equal(backend->capacity_bytes, 0);
	block_close(backend);
	backend = disk_open(opener(state), disk_memory(512), false);
	assert_int_equal(backend->capacity_bytes, 512);
	assert_int_equal(backend->request_align_bytes, 512);
	block_close(backend);
	block_close(NULL);
}

static void test_kinds_and_access(void **state)
{
	int disk = disk_file(512, 0);
	int fds[2];

	check_refused(state, disk_reopen(disk, O_RDONLY), false,
		      "drive 'root': not open for writing; make it read-only");
	check_refused(state, disk_reopen(disk, O_RDWR | O_APPEND), false,
		      "drive 'root': not open for writing; make it read-only");
	check_refused(state, disk_reopen(disk, O_WRONLY), true,
		      "drive 'root': not open for reading");
	check_refused(state, open("/tmp", O_PATH), true, "drive 'root': not open for reading");
	close(disk);
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	check_refused(state, dup(fds[0]), true,
		      "drive 'root': neither a regular file nor a block device");
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK); /* and as it was */
	close(fds[0]);
	close(fds[1]);
	check_refused(state, open("/dev/null", O_RDWR), false,
		      "drive 'root': neither a regular file nor a block device");
}

static uint8_t *pattern(size_t len, unsigned seed)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / 256 + seed) | 1; /* never 0 */
	return data;
}

/* More pieces than one system call takes (IOV_MAX), of uneven lengths, some of them empty. */
static void test_many_pieces(void **state)
{
	enum { PIECES = 3000, EACH = 1024, TOTAL = PIECES / 4 * 1536 };
	struct iovec *iov = calloc(PIECES, sizeof(*iov));
	uint8_t *data = pattern(TOTAL, 0);
	uint8_t *back = calloc(1, TOTAL);
	struct block_backend *backend = disk_open(opener(state), disk_memory(DISK_BYTES), false);
	size_t total = 0;

	for (size_t i = 0; i < PIECES; i++) {
		iov[i] = (struct iovec){ data + total, i % 4 * (EACH / 4) };
		total += iov[i].iov_len;
	}
	assert_int_equal(total, TOTAL);
	assert_int_equal(disk_transfer(backend, BLOCK_WRITE, 512, iov, PIECES), 0);
	assert_int_equal(disk_read(backend, 512, back, TOTAL), 0);
	assert_memory_equal(data, back, TOTAL);
	assert_int_equal(disk_range(backend, BLOCK_FLUSH, 0, 0), 0);
	block_close(backend);
	free(iov);
	free(data);
	free(back);
}

/* No field on the way is 32 bits wide. */
static void test_far_offsets(void **state)
{
	const uint64_t far = 5 * GIB;
	int fd = disk_memory(far + MIB);
	struct block_backend *backend = disk_open(opener(state), dup(fd), false);
	uint8_t *data = pattern(4096, 0);
	uint8_t back[4096];

	assert_int_equal(disk_write(backend, far, data, 4096), 0);
	assert_int_equal(pread(fd, back, 4096, (off_t)far), 4096);
	assert_memory_equal(data, back, 4096);
	assert_int_equal(disk_range(backend, BLOCK_DISCARD, 512, far), 0);
	assert_int_equal(disk_read(backend, far, back, 512), 0);
	for (int i = 0; i < 512; i++)
		assert_int_equal(back[i], 0);
	assert_int_equal(disk_read(backend, far + 512, back, 512), 0);
	assert_memory_equal(data + 512, back, 512);
	block_close(backend);
	close(fd);
	free(data);
}

static void test_read_only(void **state)
{
	int fd = disk_memory(DISK_BYTES);
	struct block_backend *backend = disk_open(opener(state), disk_reopen(fd, O_RDONLY), true);
	uint8_t buf[512] = { 1 };

	assert_true(backend->is_read_only);
	assert_false(backend->can_discard);
	assert_int_equal(disk_write(backend, 0, buf, 512), -EROFS);
	assert_int_equal(disk_range(backend, BLOCK_DISCARD, 0, 512), -EROFS);
	assert_int_equal(disk_write_zeroes(backend, 0, 512, false), -EROFS);
	assert_int_equal(disk_write_zeroes(backend, 0, 512, true), -EROFS);
	assert_int_equal(disk_range(backend, BLOCK_FLUSH, 0, 0), 0);
	assert_int_equal(disk_read(backend, 0, buf, 512), 0);
	assert_int_equal(buf[0], 0);
	block_close(backend);
	/* Also when the descriptor could. */
	backend = disk_open(opener(state), fd, true);
	assert_int_equal(disk_write(backend, 0, buf, 512), -EROFS);
	block_close(backend);
}

static void test_errors_come_out(void **state)
{
	uint8_t buf[1024];
	int fd = disk_memory(DISK_BYTES);
	struct block_backend *backend = disk_open(opener(state), dup(fd), false);

	/* The file is shorter than it was: half of the range is there. */
	assert_int_equal(ftruncate(fd, DISK_BYTES - 512), 0);
	assert_int_equal(disk_read(backend, DISK_BYTES - 1024, buf, sizeof(buf)), -EIO);
	assert_int_equal(disk_read(backend, DISK_BYTES - 512, buf, 512), -EIO);
	/* Memory that is not there. */
	assert_int_equal(disk_read(backend, 0, (void *)(uintptr_t)8, 512), -EFAULT);
	assert_int_equal(disk_write(backend, 0, (void *)(uintptr_t)8, 512), -EFAULT);
	/* Each was the end of that request only. */
	assert_int_equal(disk_read(backend, DISK_BYTES - 1024, buf, 512), 0);
	assert_int_equal(disk_write(backend, 0, buf, sizeof(buf)), 0);
	block_close(backend);
	close(fd);
}

static int full_file_system(disk_opener open)
{
	struct block_backend *backend;
	uint8_t *data = pattern(2 * MIB, 0);

	if (!disk_mount("tmpfs", "size=1m"))
		return DISK_CHILD_SKIPS;
	backend = disk_open(open, disk_file(DISK_BYTES, 0), false);
	assert_int_equal(disk_write(backend, 0, data, 2 * MIB), -ENOSPC);
	assert_int_equal(disk_write(backend, 3 * MIB, data, 4096), -ENOSPC);
	assert_int_equal(disk_range(backend, BLOCK_DISCARD, 0, 2 * MIB), 0);
	assert_int_equal(disk_write(backend, 3 * MIB, data, 4096), 0);
	assert_int_equal(disk_read(backend, 3 * MIB, data, 4096), 0);
	block_close(backend);
	free(data);
	return 0;
}

static void test_full_file_system(void **state)
{
	disk_in_child(full_file_system, opener(state));
}

/* The limit that a jail may set; the one whose signal would be the end otherwise. */
static int file_size_limit(disk_opener open)
{
	const struct rlimit limit = { MIB, MIB };
	int fd = disk_memory(DISK_BYTES);
	struct block_backend *backend;
	uint8_t *data = pattern(4096, 0);

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	backend = disk_open(open, fd, false);
	assert_int_equal(disk_write(backend, MIB, data, 4096), -EFBIG);
	assert_int_equal(disk_write(backend, MIB - 512, data, 4096), -EFBIG);
	assert_int_equal(disk_write(backend, MIB - 4096, data, 4096), 0);
	assert_int_equal(disk_read(backend, MIB, data, 4096), 0);
	block_close(backend);
	free(data);
	return 0;
}

static void test_file_size_limit(void **state)
{
	disk_in_child(file_size_limit, opener(state));
}

static uint64_t allocated(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* Fills the disk behind @fd and says what zeroing @offset and @len with @op does to it. */
static void check_zeroed(struct block_backend *backend, int fd, enum block_op op, bool may_unmap,
			 uint64_t offset, uint64_t len)
{
	uint8_t *data = pattern(DISK_BYTES, (unsigned)op);
	uint8_t *back = malloc(DISK_BYTES);

	assert_non_null(back);
	assert_int_equal(disk_write(backend, 0, data, DISK_BYTES), 0);
	if (op == BLOCK_DISCARD)
		assert_int_equal(disk_range(backend, op, offset, len), 0);
	else
		assert_int_equal(disk_write_zeroes(backend, offset, len, may_unmap), 0);
	memset(data + offset, 0, len);
	assert_int_equal(disk_read(backend, 0, back, DISK_BYTES), 0);
	assert_memory_equal(data, back, DISK_BYTES);
	assert_int_equal(lseek(fd, 0, SEEK_END), DISK_BYTES);
	free(data);
	free(back);
}

static void check_zeroing(struct block_backend *backend, int fd)
{
	const uint64_t most = DISK_BYTES - MIB;

	assert_true(backend->can_discard);
	check_zeroed(backend, fd, BLOCK_DISCARD, false, 512, most + 1024);
	assert_true(allocated(fd) < 2 * MIB);
	check_zeroed(backend, fd, BLOCK_WRITE_ZEROES, true, 1024, most + 512);
	assert_true(allocated(fd) < 2 * MIB);
	check_zeroed(backend, fd, BLOCK_WRITE_ZEROES, false, 1536, most + 512);
	assert_true(allocated(fd) >= DISK_BYTES);
	/* Up to the end, which must stay where it is. */
	check_zeroed(backend, fd, BLOCK_WRITE_ZEROES, false, MIB, most);
	check_zeroed(backend, fd, BLOCK_WRITE_ZEROES, true, MIB, most);
	check_zeroed(backend, fd, BLOCK_DISCARD, false, MIB, most);
}

static void test_zeroing(void **state)
{
	int fds[] = { disk_memory(DISK_BYTES), disk_file(DISK_BYTES, 0) };

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		struct block_backend *backend = disk_open(opener(state), dup(fds[i]), false);

		check_zeroing(backend, fds[i]);
		block_close(backend);
		close(fds[i]);
	}
}

/* ramfs cannot allocate at all: nothing to discard, and zeroes are written. */
static int no_holes(disk_opener open_disk)
{
	struct block_backend *backend;
	int fd;

	if (!disk_mount("ramfs", NULL))
		return DISK_CHILD_SKIPS;
	fd = open("/tmp/disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	backend = disk_open(open_disk, dup(fd), false);
	assert_false(backend->can_discard);
	assert_int_equal(disk_range(backend, BLOCK_DISCARD, 0, 4096), -EOPNOTSUPP);
	for (int may_unmap = 0; may_unmap < 2; may_unmap++)
		check_zeroed(backend, fd, BLOCK_WRITE_ZEROES, may_unmap, 512, DISK_BYTES - MIB);
	block_close(backend);
	return 0;
}

static void test_no_holes(void **state)
{
	disk_in_child(no_holes, opener(state));
}

/* Opening asks about holes behind the end; what is there stays, and so does the size. */
static void test_open_changes_nothing(void **state)
{
	int fd = disk_file(8192, 0);
	uint8_t *data = pattern(8192, 0);
	uint8_t back[8192];

	assert_int_equal(pwrite(fd, data, 8192, 0), 8192);
	block_close(disk_open(opener(state), dup(fd), false));
	assert_int_equal(lseek(fd, 0, SEEK_END), 8192);
	assert_int_equal(pread(fd, back, 8192, 0), 8192);
	assert_memory_equal(data, back, 8192);
	close(fd);
	free(data);
}

static void forget_cache(int fd)
{
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

/* A descriptor that does not block, from the start or later, must not make requests fail. */
static void test_nonblocking(void **state)
{
	int fd = disk_file(DISK_BYTES, O_NONBLOCK);
	struct block_backend *backend;
	uint8_t *data = pattern(DISK_BYTES, 0);

	assert_int_equal(pwrite(fd, data, DISK_BYTES, 0), DISK_BYTES);
	backend = disk_open(opener(state), dup(fd), false);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	for (int i = 0; i < 2; i++) {
		forget_cache(fd);
		assert_int_equal(disk_read(backend, 0, data, DISK_BYTES), 0);
		assert_int_equal(disk_write(backend, 0, data, DISK_BYTES), 0);
		assert_int_equal(disk_range(backend, BLOCK_FLUSH, 0, 0), 0);
		assert_int_equal(disk_write_zeroes(backend, 0, MIB, true), 0);
		assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	}
	block_close(backend);
	close(fd);
	free(data);
}

struct write_through {
	struct disk_io io; /* first */
	struct block_backend *backend;
	int writes;
};

static void on_write_through(struct block_request *request, int result)
{
	struct write_through *w = (struct write_through *)request->opaque;

	assert_int_equal(result, 0);
	if (request->op == BLOCK_WRITE) {
		w->writes++;
		request->op = BLOCK_FLUSH;
		block_submit(w->backend, request);
		return;
	}
	w->io.calls++;
}

/* done() may hand the same request in again, and that one needs no commit. */
static void test_submit_from_done(void **state)
{
	struct block_backend *backend = disk_open(opener(state), disk_file(DISK_BYTES, 0), false);
	uint8_t data[512] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct write_through w = { .backend = backend };

	disk_io_transfer(&w.io, BLOCK_WRITE, 0, &iov, 1);
	w.io.request.done = on_write_through;
	block_submit(backend, &w.io.request);
	block_commit(backend);
	disk_wait(backend, &w.io);
	assert_int_equal(w.writes, 1);
	block_close(backend);
}

/* Opening, replacing, refusing and closing leave no descriptor behind. */
static void test_descriptors(void **state)
{
	const int before = disk_open_fds();

	for (int i = 0; i < 20; i++) {
		struct block_backend *backend =
			disk_open(opener(state), disk_memory(DISK_BYTES), false);

		assert_int_equal(block_replace(backend, disk_memory(512), NULL), 0);
		check_refused(state, disk_memory(1), false,
			      "drive 'root': its size 1 bytes is not a multiple of 512; pad it, "
			      "for example with truncate -s 512");
		block_close(backend);
	}
	assert_int_equal(disk_open_fds(), before);
}

int block_suite_run(disk_opener open)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_sizes, &open),
		cmocka_unit_test_prestate(test_kinds_and_access, &open),
		cmocka_unit_test_prestate(test_many_pieces, &open),
		cmocka_unit_test_prestate(test_far_offsets, &open),
		cmocka_unit_test_prestate(test_read_only, &open),
		cmocka_unit_test_prestate(test_errors_come_out, &open),
		cmocka_unit_test_prestate(test_full_file_system, &open),
		cmocka_unit_test_prestate(test_file_size_limit, &open),
		cmocka_unit_test_prestate(test_zeroing, &open),
		cmocka_unit_test_prestate(test_no_holes, &open),
		cmocka_unit_test_prestate(test_open_changes_nothing, &open),
		cmocka_unit_test_prestate(test_nonblocking, &open),
		cmocka_unit_test_prestate(test_submit_from_done, &open),
		cmocka_unit_test_prestate(test_descriptors, &open),
	};

	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}

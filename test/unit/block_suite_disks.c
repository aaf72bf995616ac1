/* SPDX-License-Identifier: Apache-2.0 */
/* Behaviour that engines have in common, for disks with blocks of their own: see block_suite.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "test/unit/block_suite.h"

#define DISK_BYTES (4 * MIB)

static disk_opener opener(void **state)
{
	return *(disk_opener *)*state;
}

static void fill(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / 256 + seed) | 1; /* never 0 */
}

static void check_byte(struct block_backend *backend, uint64_t offset, uint8_t value)
{
	uint8_t *buf = aligned_alloc(4096, 4096);

	assert_non_null(buf);
	assert_int_equal(disk_read(backend, align_down(offset, 4096), buf, 4096), 0);
	assert_int_equal(buf[offset % 4096], value);
	free(buf);
}

static void check_not_replaced(struct block_backend *backend, int fd, const char *message)
{
	const uint64_t capacity = backend->capacity_bytes;
	struct err e = { 0 };

	assert_true(block_replace(backend, fd, &e) < 0);
	assert_string_equal(e.msg, message);
	assert_int_equal(backend->capacity_bytes, capacity);
	assert_int_equal(close(fd), 0); /* still the caller's */
	check_byte(backend, 0, 'a');
}

static int disk_of(char c, uint64_t bytes)
{
	int fd = disk_memory(bytes);

	assert_int_equal(pwrite(fd, &c, 1, 0), 1);
	return fd;
}

static void test_replace(void **state)
{
	int first = disk_of('a', MIB);
	struct block_backend *backend = disk_open(opener(state), first, false);
	int other = disk_of('b', 2 * MIB);
	uint8_t sector[512] = { 'c' };

	check_not_replaced(backend, open("/tmp", O_RDONLY | O_DIRECTORY),
			   "drive 'root': not open for writing; make it read-only");
	check_not_replaced(backend, open("/dev/null", O_RDWR),
			   "drive 'root': neither a regular file nor a block device");
	check_not_replaced(backend, disk_reopen(other, O_RDONLY),
			   "drive 'root': not open for writing; make it read-only");
	check_not_replaced(backend, disk_memory(100),
			   "drive 'root': its size 100 bytes is not a multiple of 512; pad it, for "
			   "example with truncate -s 512");
	assert_int_equal(block_replace(backend, dup(other), NULL), 0);
	assert_int_equal(fcntl(first, F_GETFD), -1); /* closed */
	assert_int_equal(backend->capacity_bytes, 2 * MIB);
	check_byte(backend, 0, 'b');
	assert_int_equal(disk_write(backend, 2 * MIB - 512, sector, 512), 0);
	assert_int_equal(pread(other, sector, 1, 2 * MIB - 512), 1);
	assert_int_equal(sector[0], 'c');
	/* The same again, and smaller again. */
	assert_int_equal(block_replace(backend, dup(other), NULL), 0);
	assert_int_equal(block_replace(backend, disk_of('d', 512), NULL), 0);
	assert_int_equal(backend->capacity_bytes, 512);
	assert_int_equal(disk_read(backend, 0, sector, 512), 0);
	assert_int_equal(sector[0], 'd');
	block_close(backend);
	close(other);
}

/* Memory at any address, in pieces of any length, larger than a bounce buffer. */
static void check_direct_memory(struct block_backend *backend)
{
	enum { LEN = 300 * 1024 };
	uint8_t *data = malloc(LEN);
	uint8_t *back = malloc(LEN + 1);
	struct iovec iov[5];

	assert_true(data && back);
	fill(data, LEN, 3);
	for (int round = 0; round < 2; round++) { /* the pieces are used up each time */
		uint8_t *at = round == 0 ? data : back + 1;

		iov[0] = (struct iovec){ at, 1 };
		iov[1] = (struct iovec){ at + 1, 0 };
		iov[2] = (struct iovec){ at + 1, 70001 };
		iov[3] = (struct iovec){ at + 70002, 510 };
		iov[4] = (struct iovec){ at + 70512, LEN - 70512 };
		assert_int_equal(disk_transfer(backend, round == 0 ? BLOCK_WRITE : BLOCK_READ, 8192,
					       iov, ARRAY_LEN(iov)),
				 0);
	}
	assert_memory_equal(data, back + 1, LEN);
	/* One piece that lies well. */
	free(back);
	back = aligned_alloc(4096, LEN);
	assert_non_null(back);
	assert_int_equal(disk_read(backend, 8192, back, LEN), 0);
	assert_memory_equal(data, back, LEN);
	free(data);
	free(back);
}

static void test_direct(void **state)
{
	int fd = disk_file(DISK_BYTES, O_DIRECT);
	struct block_backend *backend = disk_open(opener(state), dup(fd), false);
	const uint32_t align = backend->request_align_bytes;
	uint8_t *buf = aligned_alloc(4096, 8192);

	assert_non_null(buf);
	assert_true(align >= 512 && align <= backend->physical_block_bytes);
	check_direct_memory(backend);
	assert_int_equal(disk_read(backend, align / 2, buf, align), -EINVAL);
	assert_int_equal(disk_write(backend, 0, buf, align / 2), -EINVAL);
	fill(buf, 8192, 0);
	assert_int_equal(disk_write(backend, 0, buf, 8192), 0);
	assert_int_equal(disk_write_zeroes(backend, 0, align, false), 0);
	assert_int_equal(disk_range(backend, BLOCK_FLUSH, 0, 0), 0);
	check_byte(backend, align - 1, 0);
	check_byte(backend, align, buf[align]);
	/* Shortened to half a block, read into memory that lies well and that does not. */
	assert_int_equal(ftruncate(fd, DISK_BYTES - 4096 + align / 2), 0);
	assert_int_equal(disk_read(backend, DISK_BYTES - 8192, buf, 8192), -EIO);
	assert_int_equal(disk_read(backend, DISK_BYTES - 4096, buf + 1, 4096), -EIO);
	assert_int_equal(disk_read(backend, 0, buf, 8192), 0);
	block_close(backend);
	close(fd);
	free(buf);
}

static void test_device(void **state)
{
	int fd = disk_loop(DISK_BYTES, 512, O_RDWR);
	struct block_backend *backend = disk_open(opener(state), fd, false);
	uint8_t *data = malloc(DISK_BYTES);

	assert_non_null(data);
	assert_int_equal(backend->capacity_bytes, DISK_BYTES);
	fill(data, DISK_BYTES, 0);
	assert_int_equal(disk_write(backend, 0, data, DISK_BYTES), 0);
	assert_true(backend->can_discard);
	assert_int_equal(disk_range(backend, BLOCK_DISCARD, 8192, MIB), 0);
	check_byte(backend, 8191, data[8191]);
	check_byte(backend, 8192, 0); /* a loop device punches a hole */
	check_byte(backend, MIB + 8191, 0);
	check_byte(backend, MIB + 8192, data[MIB + 8192]);
	for (int may_unmap = 0; may_unmap < 2; may_unmap++) {
		const uint64_t at = (2 + (unsigned)may_unmap) * MIB;

		assert_int_equal(disk_write_zeroes(backend, at, 1024, may_unmap), 0);
		check_byte(backend, at - 1, data[at - 1]);
		check_byte(backend, at, 0);
		check_byte(backend, at + 1023, 0);
		check_byte(backend, at + 1024, data[at + 1024]);
	}
	assert_int_equal(disk_range(backend, BLOCK_FLUSH, 0, 0), 0);
	block_close(backend);
	free(data);
}

/* The page cache takes what the device would not; discard and zeroes must not fail over it. */
static void test_device_large_blocks(void **state)
{
	int fd = disk_loop(DISK_BYTES, 4096, O_RDWR);
	struct block_backend *backend = disk_open(opener(state), fd, false);
	uint8_t *data = malloc(MIB);

	assert_non_null(data);
	assert_int_equal(backend->request_align_bytes, 512);
	assert_int_equal(backend->physical_block_bytes, 4096);
	fill(data, MIB, 0);
	assert_int_equal(disk_write(backend, 512, data, 65536), 0);
	for (int may_unmap = 0; may_unmap < 2; may_unmap++) {
		assert_int_equal(disk_write_zeroes(backend, 1024, 8192, may_unmap), 0);
		check_byte(backend, 1023, data[511]);
		check_byte(backend, 1024, 0);
		check_byte(backend, 9215, 0);
		check_byte(backend, 9216, data[8704]);
	}
	/* Only the whole blocks inside may go. */
	assert_int_equal(disk_range(backend, BLOCK_DISCARD, 12288 + 512, 4096), 0);
	check_byte(backend, 12288 + 512, data[12288]);
	assert_int_equal(disk_range(backend, BLOCK_DISCARD, 12288 + 512, 8192), 0);
	check_byte(backend, 16383, data[16383 - 512]);
	check_byte(backend, 16384, 0);
	check_byte(backend, 20480, data[20480 - 512]);
	block_close(backend);
	free(data);
}

static void test_direct_device(void **state)
{
	int fd = disk_loop(DISK_BYTES, 4096, O_RDWR | O_DIRECT);
	struct block_backend *backend = disk_open(opener(state), fd, false);
	uint8_t *buf = aligned_alloc(4096, 8192);

	assert_non_null(buf);
	assert_int_equal(backend->request_align_bytes, 4096);
	check_direct_memory(backend);
	assert_int_equal(disk_read(backend, 512, buf, 4096), -EINVAL);
	assert_int_equal(disk_write_zeroes(backend, 512, 4096, false), -EINVAL);
	fill(buf, 8192, 0);
	assert_int_equal(disk_write(backend, 0, buf, 8192), 0);
	assert_int_equal(disk_write_zeroes(backend, 0, 4096, true), 0);
	check_byte(backend, 4095, 0);
	check_byte(backend, 4096, buf[4096]);
	block_close(backend);
	free(buf);
}

/* The guest was told a block size for good. */
static void test_replace_by_larger_blocks(void **state)
{
	int fd = disk_loop(DISK_BYTES, 4096, O_RDWR | O_DIRECT);
	struct block_backend *backend = disk_open(opener(state), disk_of('a', MIB), false);
	uint8_t *odd = malloc(4097);

	check_not_replaced(backend, dup(fd),
			   "drive 'root': its blocks are 4096 bytes, but the guest was told 512");
	block_close(backend);
	backend = disk_open(opener(state), fd, false);
	assert_non_null(odd);
	memset(odd, 'a', 4097);
	assert_int_equal(disk_write(backend, 0, odd + 1, 4096), 0);
	check_not_replaced(backend, disk_of('b', MIB + 512),
			   "drive 'root': its size 1049088 bytes is not a multiple of 4096, the "
			   "block size; pad it, for example with truncate -s 1052672");
	/* From direct to not, and on. */
	assert_int_equal(block_replace(backend, disk_of('c', MIB), NULL), 0);
	assert_int_equal(backend->request_align_bytes, 4096);
	assert_int_equal(disk_read(backend, 0, odd + 1, 4096), 0);
	assert_int_equal(odd[1], 'c');
	block_close(backend);
	free(odd);
}

int block_suite_run_disks(disk_opener open)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_replace, &open),
		cmocka_unit_test_prestate(test_direct, &open),
		cmocka_unit_test_prestate(test_device, &open),
		cmocka_unit_test_prestate(test_device_large_blocks, &open),
		cmocka_unit_test_prestate(test_direct_device, &open),
		cmocka_unit_test_prestate(test_replace_by_larger_blocks, &open),
	};

	return cmocka_run_group_tests_name("disks", tests, NULL, NULL);
}

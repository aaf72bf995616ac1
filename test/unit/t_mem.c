/* SPDX-License-Identifier: Apache-2.0 */
/* Guest addresses to pointers: no range that is not wholly RAM ever gives one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "machine/mem.h"

static void assert_ram(const struct mem *mem, uint64_t gpa, uint64_t len)
{
	assert_non_null(mem_ptr(mem, (struct gpa){ gpa }, len));
}

static void assert_no_ram(const struct mem *mem, uint64_t gpa, uint64_t len)
{
	assert_null(mem_ptr(mem, (struct gpa){ gpa }, len));
}

static void test_small_ram_has_one_region(void **state)
{
	struct mem mem;

	(void)state;
	assert_int_equal(mem_init(&mem, 64 * MIB, NULL), 0);
	assert_int_equal(mem_low_bytes(&mem), 64 * MIB);
	assert_int_equal(mem_end(&mem), 64 * MIB);
	assert_ram(&mem, 0, 1);
	assert_ram(&mem, 0, 64 * MIB);
	assert_ram(&mem, 64 * MIB - 1, 1);
	assert_no_ram(&mem, 64 * MIB - 1, 2);
	assert_no_ram(&mem, 64 * MIB, 1);
	assert_no_ram(&mem, 0, 64 * MIB + 1);
	assert_no_ram(&mem, 4 * GIB, 1);
	mem_release(&mem);
}

static void test_hole_below_4_gib(void **state)
{
	struct mem mem;

	(void)state;
	assert_int_equal(mem_init(&mem, 5 * GIB, NULL), 0);
	assert_int_equal(mem_low_bytes(&mem), 3 * GIB);
	assert_int_equal(mem_end(&mem), 6 * GIB);
	assert_ram(&mem, 3 * GIB - 1, 1);
	assert_no_ram(&mem, 3 * GIB - 1, 2);
	assert_no_ram(&mem, 3 * GIB, 1);
	assert_no_ram(&mem, 4 * GIB - 1, 1);
	assert_no_ram(&mem, 4 * GIB - 1, 2);
	assert_ram(&mem, 4 * GIB, 1);
	assert_ram(&mem, 4 * GIB, 2 * GIB);
	assert_no_ram(&mem, 4 * GIB, 2 * GIB + 1);
	assert_no_ram(&mem, 6 * GIB, 1);
	assert_no_ram(&mem, 0, 6 * GIB); /* from RAM to RAM, across the hole */
	mem_release(&mem);
}

static void test_sums_that_wrap(void **state)
{
	struct mem mem;

	(void)state;
	assert_int_equal(mem_init(&mem, 64 * MIB, NULL), 0);
	assert_no_ram(&mem, UINT64_MAX, 1);
	assert_no_ram(&mem, UINT64_MAX, 2);
	assert_no_ram(&mem, 4096, UINT64_MAX);
	assert_no_ram(&mem, 4096, UINT64_MAX - 4095);
	assert_no_ram(&mem, UINT64_MAX - 4095, 8192);
	assert_no_ram(&mem, 0, UINT64_MAX);
	assert_no_ram(&mem, 0, 0);
	mem_release(&mem);
}

static void test_copies(void **state)
{
	struct mem mem;
	char text[8] = "";

	(void)state;
	assert_int_equal(mem_init(&mem, MIB, NULL), 0);
	assert_int_equal(mem_write(&mem, (struct gpa){ 0x1000 }, "seven77", 8), 0);
	assert_int_equal(mem_read(&mem, (struct gpa){ 0x1000 }, text, 8), 0);
	assert_string_equal(text, "seven77");
	assert_int_equal(mem_write(&mem, (struct gpa){ MIB - 4 }, "seven77", 8), -EFAULT);
	assert_int_equal(mem_read(&mem, (struct gpa){ MIB - 4 }, text, 8), -EFAULT);
	mem_release(&mem);
	mem_release(&mem);
}

static void test_file_into_ram(void **state)
{
	struct mem mem;
	int fd = memfd_create("file", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(write(fd, "0123456789", 10), 10);
	assert_int_equal(mem_init(&mem, MIB, NULL), 0);
	assert_int_equal(mem_pread(&mem, (struct gpa){ 0 }, fd, 2, 8), 0);
	assert_memory_equal(mem_ptr(&mem, (struct gpa){ 0 }, 8), "23456789", 8);
	assert_int_equal(mem_pread(&mem, (struct gpa){ 0 }, fd, 3, 8), -ENODATA);
	assert_int_equal(mem_pread(&mem, (struct gpa){ MIB - 4 }, fd, 0, 8), -EFAULT);
	assert_int_equal(mem_pread(&mem, (struct gpa){ 0 }, -1, 0, 8), -EBADF);
	mem_release(&mem);
	close(fd);
}

static void test_more_than_the_address_space(void **state)
{
	struct mem mem;
	struct err e;

	(void)state;
	assert_true(mem_init(&mem, UINT64_C(1) << 60, &e) < 0);
	assert_non_null(strstr(e.msg, "1152921504606846976 bytes"));
	mem_release(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_ram_has_one_region),
		cmocka_unit_test(test_hole_below_4_gib),
		cmocka_unit_test(test_sums_that_wrap),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_file_into_ram),
		cmocka_unit_test(test_more_than_the_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

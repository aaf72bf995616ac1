/* SPDX-License-Identifier: Apache-2.0 */
/* Initrds: where they are put beside a kernel, and those that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/boot/image.h"
#include "machine/boot/initrd.h"
#include "machine/x86/layout.h"
#include "test/unit/boot_image.h"

static const uint64_t ram_bytes = 64 * MIB;

static const struct boot_kernel low_kernel = {
	.load_start = 16 * MIB,
	.load_end = 24 * MIB,
	.initrd_addr_max = 0x7fffffff,
};

static int set_up(void **state)
{
	static struct mem mem;
	struct err e;

	*state = &mem;
	return mem_init(&mem, ram_bytes, &e);
}

static int tear_down(void **state)
{
	mem_release(*state);
	return 0;
}

/* A sparse file of @len bytes that begins with "initrd" and ends with "!". */
static int initrd_file(uint64_t len)
{
	int fd = test_file("initrd", 6);

	assert_int_equal(pwrite(fd, "!", 1, (off_t)len - 1), 1);
	return fd;
}

static int load(const struct mem *mem, const struct boot_kernel *kernel, uint64_t len,
		struct initrd *initrd, struct err *e)
{
	auto_fd int fd = initrd_file(len);

	return initrd_load(mem, fd, kernel, initrd, e);
}

/* Loads @len bytes, which must end up at @start. */
static void assert_placed(const struct mem *mem, const struct boot_kernel *kernel, uint64_t len,
			  uint64_t start)
{
	struct initrd initrd;
	struct err e = { 0 };
	char *p;

	if (load(mem, kernel, len, &initrd, &e) != 0)
		fail_msg("refused: %s", e.msg);
	assert_int_equal(initrd.start.v, start);
	assert_int_equal(initrd.len_bytes, len);
	p = mem_ptr(mem, initrd.start, len);
	assert_non_null(p);
	assert_memory_equal(p, "initrd", 6);
	assert_int_equal(p[len - 1], '!');
}

static void goes_to_the_top_of_ram(void **state)
{
	assert_placed(*state, &low_kernel, 100, ram_bytes - 4096);
	assert_placed(*state, &low_kernel, 4096, ram_bytes - 4096);
	assert_placed(*state, &low_kernel, 4097, ram_bytes - 8192);
	assert_placed(*state, &low_kernel, 40 * MIB, 24 * MIB);
}

static void obeys_the_kernels_limit(void **state)
{
	struct boot_kernel kernel = low_kernel;

	kernel.initrd_addr_max = 32 * MIB - 1;
	assert_placed(*state, &kernel, 8 * MIB, 24 * MIB);
	kernel.initrd_addr_max = 32 * MIB; /* one byte more does not make another page */
	assert_placed(*state, &kernel, 1 * MIB, 31 * MIB);
}

static void goes_below_the_kernel_when_there_is_no_room_above(void **state)
{
	struct boot_kernel kernel = low_kernel;

	kernel.load_start = 32 * MIB;
	kernel.load_end = 60 * MIB;
	assert_placed(*state, &kernel, 4 * MIB, 60 * MIB);
	assert_placed(*state, &kernel, 4 * MIB + 1, 28 * MIB - 4096);
	assert_placed(*state, &kernel, 31 * MIB, 1 * MIB);
	/* The kernel's limit counts below it as well. */
	kernel.initrd_addr_max = 16 * MIB - 1;
	assert_placed(*state, &kernel, 4 * MIB, 12 * MIB);
}

static void shares_no_page_with_the_kernel(void **state)
{
	struct boot_kernel kernel = low_kernel;

	kernel.load_end = ram_bytes - 8192 + 1;
	assert_placed(*state, &kernel, 4096, ram_bytes - 4096);
	kernel.load_start = 16 * MIB + 1;
	assert_placed(*state, &kernel, 8192, 16 * MIB - 8192);
}

static void is_refused_when_it_does_not_fit(void **state)
{
	struct boot_kernel kernel = low_kernel;
	struct initrd initrd;
	struct err e = { 0 };
	int r;

	r = load(*state, &kernel, 40 * MIB + 1, &initrd, &e);
	test_assert_err(
		&e, -ENOMEM, r,
		"the initrd has 41943041 bytes and does not fit in the 64 MiB of guest memory "
		"beside the kernel (0x1000000 to 0x1800000); give the VM at least 65 MiB");
	/* Larger than RAM. */
	r = load(*state, &kernel, 1 * GIB, &initrd, &e);
	test_assert_err(&e, -ENOMEM, r, "give the VM at least 1048 MiB (--memory)");
	/* No memory would do. */
	r = load(*state, &kernel, 2 * GIB, &initrd, &e);
	test_assert_err(&e, -EFBIG, r, "below 0x80000000 at most 2122317824 can be given");
	r = load(*state, &kernel, 8ull << 40, &initrd, &e);
	test_assert_err(&e, -EFBIG, r, "make it smaller or use a disk");
	kernel.initrd_addr_max = 0;
	r = load(*state, &kernel, 16, &initrd, &e);
	test_assert_err(&e, -EFBIG, r, "below 0x1 at most 0 can be given");
}

static void bad_files_are_refused(void **state)
{
	auto_fd int empty = test_file("", 0);
	auto_fd int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct initrd initrd;
	struct err e = { 0 };
	int r;

	r = initrd_load(*state, empty, &low_kernel, &initrd, &e);
	test_assert_err(&e, -ENODATA, r, "the initrd is an empty file");
	r = initrd_load(*state, dir, &low_kernel, &initrd, &e);
	test_assert_err(&e, -EISDIR, r, "the initrd is a directory");
	r = initrd_load(*state, -1, &low_kernel, &initrd, &e);
	test_assert_err(&e, -EBADF, r, "cannot examine the initrd: ");
}

/* The file is cut after its size was taken. */
static void a_file_that_shrinks_is_an_error(void **state)
{
	auto_fd int fd = initrd_file(64 * KIB);
	struct gpa to = { 32 * MIB };
	struct image image;
	struct err e = { 0 };
	char byte;
	int r;

	assert_int_equal(image_init(&image, fd, "initrd", &e), 0);
	assert_int_equal(ftruncate(fd, 5000), 0);
	r = image_load(&image, 0, image.size_bytes, *state, to, &e);
	test_assert_err(&e, -ENODATA, r,
			"the initrd ended early: it had 65536 bytes and became shorter");
	r = image_read(&image, 5000, &byte, 1, &e);
	test_assert_err(&e, -ENODATA, r, "the initrd ended early");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_to_the_top_of_ram),
		cmocka_unit_test(obeys_the_kernels_limit),
		cmocka_unit_test(goes_below_the_kernel_when_there_is_no_room_above),
		cmocka_unit_test(shares_no_page_with_the_kernel),
		cmocka_unit_test(is_refused_when_it_does_not_fit),
		cmocka_unit_test(bad_files_are_refused),
		cmocka_unit_test(a_file_that_shrinks_is_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

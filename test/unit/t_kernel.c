/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are no kernel: each is refused with a line that says what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/boot/kernel.h"
#include "test/unit/boot_image.h"
#include "test/unit/packed.h"

static int set_up(void **state)
{
	static struct mem mem;
	struct err e;

	*state = &mem;
	return mem_init(&mem, 16 * MIB, &e);
}

static int tear_down(void **state)
{
	mem_release(*state);
	return 0;
}

static void assert_file_refused(const struct mem *mem, int fd, int code, const char *message)
{
	struct boot_kernel kernel;
	struct err e = { 0 };
	int r = kernel_load(mem, fd, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_AUTO, &kernel, &e);

	test_assert_err(&e, code, r, message);
}

static void assert_bytes_refused(const struct mem *mem, const void *bytes, size_t len,
				 const char *message)
{
	auto_fd int fd = test_file(bytes, len);

	assert_file_refused(mem, fd, -ENOEXEC, message);
}

static void files_that_cannot_be_read_are_refused(void **state)
{
	auto_fd int empty = test_file("", 0);
	auto_fd int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char path[] = "/tmp/t_kernel.XXXXXX";
	auto_fd int file = mkstemp(path);
	auto_fd int write_only = open(path, O_WRONLY | O_CLOEXEC);
	int pipe_fds[2];

	unlink(path);
	assert_int_equal(write(file, "\177ELF", 4), 4);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_file_refused(*state, -1, -EBADF, "cannot examine the kernel: ");
	assert_file_refused(*state, write_only, -EBADF, "cannot read the kernel: ");
	assert_file_refused(*state, empty, -ENODATA, "the kernel is an empty file");
	assert_file_refused(*state, dir, -EISDIR, "the kernel is a directory; give a regular");
	assert_file_refused(*state, null, -EINVAL, "the kernel is a character device");
	assert_file_refused(*state, pipe_fds[0], -EINVAL, "the kernel is a pipe");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void other_formats_are_named(void **state)
{
	static const struct {
		size_t offset;
		const char *magic;
		const char *message;
	} cases[] = {
		{ 0, "BZh9", "is a bzip2 file, neither an ELF64 x86-64 executable" },
		{ 0, "MZ", "is an EFI program" },
		{ 0, "#!/bin/sh\n", "is a script" },
		{ 0, "070701", "is a cpio archive, neither" },
		{ 0x38, "ARM\x64", "is an arm64 Image" },
		{ 0x202, "HdrS", "(first bytes 00 00 00 00 00 00 00 00)" },
		{ 1, "\xab",
		  "neither an ELF64 x86-64 executable (vmlinux) nor a bzImage (first "
		  "bytes 00 ab 00" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char file[1024] = "";

		memcpy(file + cases[i].offset, cases[i].magic, strlen(cases[i].magic));
		assert_bytes_refused(*state, file, sizeof(file), cases[i].message);
	}
	assert_bytes_refused(*state, "x", 1, "(first bytes 78)");
	assert_bytes_refused(*state, "\177EL", 3, "(first bytes 7f 45 4c)");
}

static int load_packed(const struct mem *mem, const struct packer *packer, const void *file,
		       size_t file_len, enum kernel_decompress unpacker, struct boot_kernel *kernel,
		       struct err *e)
{
	static uint8_t packed[65536];
	size_t len = packer->pack(file, file_len, packed, sizeof(packed));
	auto_fd int fd = test_file(packed, len);

	return kernel_load(mem, fd, BOOT_PROTOCOL_AUTO, unpacker, kernel, e);
}

static void a_compressed_elf_file_is_unpacked_on_the_host(void **state)
{
	static const enum kernel_decompress unpackers[] = {
		KERNEL_DECOMPRESS_AUTO,
		KERNEL_DECOMPRESS_HOST,
	};
	struct elf_test t;

	elf_test_build(&t);
	for (size_t i = 0; i < ARRAY_LEN(packers) * ARRAY_LEN(unpackers); i++) {
		struct boot_kernel k;
		struct err e = { 0 };

		if (load_packed(*state, &packers[i / 2], &t, sizeof(t), unpackers[i % 2], &k, &e))
			fail_msg("%s: %s", packers[i / 2].name, e.msg);
		assert_int_equal(k.protocol, BOOT_PROTOCOL_PVH);
		assert_int_equal(k.entry.v, ELF_TEST_PVH_ENTRY);
		assert_memory_equal(mem_ptr(*state, (struct gpa){ ELF_TEST_DATA_ADDR }, 16), t.data,
				    16);
	}
}

static void a_guest_cannot_unpack_an_elf_file(void **state)
{
	struct elf_test t;

	elf_test_build(&t);
	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		struct boot_kernel k;
		struct err e = { 0 };
		int r = load_packed(*state, &packers[i], &t, sizeof(t), KERNEL_DECOMPRESS_GUEST, &k,
				    &e);

		test_assert_err(&e, -ENOEXEC, r, packers[i].name);
		test_assert_err(&e, -ENOEXEC, r, "no guest can unpack by itself; unpack it first");
	}
}

static void something_else_that_is_compressed_is_refused(void **state)
{
	struct bz_test bz;

	bz_test_build(&bz);
	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		struct boot_kernel k;
		struct err e = { 0 };
		int r = load_packed(*state, &packers[i], &bz, sizeof(bz), KERNEL_DECOMPRESS_AUTO,
				    &k, &e);

		test_assert_err(&e, -ENOEXEC, r, "with something else than an ELF64 x86-64");
	}
}

static void a_damaged_compressed_file_is_refused(void **state)
{
	auto_fd int fd = test_file("\x1f\x8b\x08 is gzip, and no more", 24);

	assert_file_refused(*state, fd, -EBADMSG, "the kernel's gzip data are damaged");
}

static void every_truncation_of_an_elf_file_is_refused(void **state)
{
	struct elf_test t;

	elf_test_build(&t);
	for (size_t len = 4; len < sizeof(t); len += 4 + len / 16) {
		auto_fd int fd = test_file(&t, len);

		assert_file_refused(*state, fd, -ENODATA, "the kernel is truncated: ");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_that_cannot_be_read_are_refused),
		cmocka_unit_test(other_formats_are_named),
		cmocka_unit_test(a_compressed_elf_file_is_unpacked_on_the_host),
		cmocka_unit_test(a_guest_cannot_unpack_an_elf_file),
		cmocka_unit_test(something_else_that_is_compressed_is_refused),
		cmocka_unit_test(a_damaged_compressed_file_is_refused),
		cmocka_unit_test(every_truncation_of_an_elf_file_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

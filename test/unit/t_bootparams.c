/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel is handed: memory map, zero page and PVH start info, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <asm/bootparam.h>
#include <errno.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/boot/boot_params.h"
#include "machine/boot/memmap.h"
#include "machine/boot/pvh.h"
#include "machine/x86/layout.h"
#include "test/unit/boot_image.h"

static const struct gpa cmdline_at = { LAYOUT_CMDLINE };
static const struct gpa rsdp_at = { LAYOUT_ACPI };
static const struct gpa no_rsdp = { 0 };
static const struct initrd some_initrd = { { 0x3ffe000 }, 0x1234 };

static int set_up(void **state)
{
	static struct mem mem;
	struct err e;

	*state = &mem;
	return mem_init(&mem, 64 * MIB, &e);
}

static int tear_down(void **state)
{
	mem_release(*state);
	return 0;
}

/* Numbers from guest RAM, as the kernel reads them. */
static uint64_t ram_get(const struct mem *mem, uint64_t at, size_t len)
{
	le64 v = le64_put(0);

	assert_int_equal(mem_read(mem, (struct gpa){ at }, &v, len), 0);
	return le64_get(v);
}

static uint64_t zero_page(const struct mem *mem, uint64_t offset, size_t len)
{
	return ram_get(mem, LAYOUT_ZERO_PAGE + offset, len);
}

static void assert_memmap(uint64_t ram_bytes, const struct memmap_entry *want, size_t nr)
{
	struct memmap_entry got[MEMMAP_MAX_ENTRIES];
	struct mem mem;
	struct err e;

	assert_int_equal(mem_init(&mem, ram_bytes, &e), 0);
	assert_int_equal(memmap_build(&mem, got), nr);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(got[i].start, want[i].start);
		assert_int_equal(got[i].len_bytes, want[i].len_bytes);
		assert_int_equal(got[i].type, want[i].type);
	}
	mem_release(&mem);
}

static void memory_map_leaves_out_tables_and_devices(void **state)
{
	struct memmap_entry want[] = {
		{ 0, 0x9fc00, MEMMAP_RAM },
		{ 0x9fc00, 0x60400, MEMMAP_RESERVED },
		{ 0x100000, 63 * MIB, MEMMAP_RAM },
		{ 4 * GIB, 1 * GIB, MEMMAP_RAM },
	};

	(void)state;
	assert_memmap(64 * MIB, want, 3);
	want[2].len_bytes = 3 * GIB - 1 * MIB;
	assert_memmap(3 * GIB, want, 3);
	assert_memmap(4 * GIB, want, 4);
	assert_memmap(1 * MIB, want, 2);
}

static void zero_page_of_a_bzimage_has_its_header(void **state)
{
	auto_fd int fd = -1;
	struct boot_kernel kernel;
	struct bz_test t;
	struct err e;

	bz_test_build(&t);
	t.header.hardware_subarch_data = 0x1122334455667788;
	fd = test_file(&t, sizeof(t));
	assert_int_equal(
		kernel_load(*state, fd, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_AUTO, &kernel, &e),
		0);
	assert_int_equal(boot_params_write(*state, &kernel, &some_initrd, cmdline_at, rsdp_at, &e),
			 0);
	assert_int_equal(zero_page(*state, 0x1f1, 1), 9);
	assert_int_equal(zero_page(*state, 0x1fe, 2), 0xaa55);
	assert_int_equal(zero_page(*state, 0x202, 4), 0x53726448);
	assert_int_equal(zero_page(*state, 0x206, 2), 0x020f);
	assert_int_equal(zero_page(*state, 0x210, 1), 0xff); /* type_of_loader */
	assert_int_equal(zero_page(*state, 0x211, 1), LOADED_HIGH);
	assert_int_equal(zero_page(*state, 0x218, 4), 0x3ffe000);
	assert_int_equal(zero_page(*state, 0x21c, 4), 0x1234);
	assert_int_equal(zero_page(*state, 0x228, 4), LAYOUT_CMDLINE);
	assert_int_equal(zero_page(*state, 0x240, 8), 0x1122334455667788);
	assert_int_equal(zero_page(*state, 0x258, 8), BZ_TEST_PREF_ADDRESS);
	assert_int_equal(zero_page(*state, 0x070, 8), LAYOUT_ACPI);
	assert_int_equal(zero_page(*state, 0x1ef, 1), 0); /* sentinel */
}

/* What the file has in fields that are ours to write must not reach the kernel. */
static void zero_page_takes_no_loader_fields_from_the_file(void **state)
{
	auto_fd int fd = -1;
	struct boot_kernel kernel;
	struct bz_test t;
	struct err e;

	bz_test_build(&t);
	t.header.ramdisk_image = t.header.ramdisk_size = 0xdead;
	t.header.setup_data = 0xdeadbeef;
	t.header.cmd_line_ptr = 0xdead;
	t.header.type_of_loader = 0x11;
	t.header.loadflags |= CAN_USE_HEAP;
	t.header.heap_end_ptr = 0xdead;
	fd = test_file(&t, sizeof(t));
	assert_int_equal(
		kernel_load(*state, fd, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_AUTO, &kernel, &e),
		0);
	assert_int_equal(boot_params_write(*state, &kernel, NULL, cmdline_at, no_rsdp, &e), 0);
	assert_int_equal(zero_page(*state, 0x210, 1), 0xff);
	assert_int_equal(zero_page(*state, 0x211, 1), LOADED_HIGH);
	assert_int_equal(zero_page(*state, 0x218, 8), 0);
	assert_int_equal(zero_page(*state, 0x224, 2), 0);
	assert_int_equal(zero_page(*state, 0x228, 4), LAYOUT_CMDLINE);
	assert_int_equal(zero_page(*state, 0x250, 8), 0);
	assert_int_equal(zero_page(*state, 0x070, 8), 0);
	assert_int_equal(zero_page(*state, 0x0c0, 8), 0);
}

/* The longest header ends at 0x290 and leaves the fields behind it alone. */
static void zero_page_bounds_the_header(void **state)
{
	struct boot_kernel kernel = { .setup_header_len = KERNEL_SETUP_HEADER_MAX };
	struct err e;

	memset(kernel.setup_header, 0x5a, sizeof(kernel.setup_header));
	assert_int_equal(boot_params_write(*state, &kernel, NULL, cmdline_at, no_rsdp, &e), 0);
	assert_int_equal(zero_page(*state, 0x1f0, 1), 0);
	assert_int_equal(zero_page(*state, 0x1f1, 1), 0x5a);
	assert_int_equal(zero_page(*state, 0x28f, 1), 0x5a);
	assert_int_equal(zero_page(*state, 0x290, 8), 0);
}

static void zero_page_of_a_vmlinux_has_a_header_too(void **state)
{
	const struct boot_kernel kernel = { .cmdline_max = 2047, .initrd_addr_max = 0x7fffffff };
	struct err e;

	assert_int_equal(boot_params_write(*state, &kernel, &some_initrd, cmdline_at, rsdp_at, &e),
			 0);
	assert_int_equal(zero_page(*state, 0x1fe, 2), 0xaa55);
	assert_int_equal(zero_page(*state, 0x202, 4), 0x53726448);
	assert_true(zero_page(*state, 0x206, 2) >= 0x020c);
	assert_int_equal(zero_page(*state, 0x210, 1), 0xff);
	assert_int_equal(zero_page(*state, 0x211, 1), LOADED_HIGH);
	assert_int_equal(zero_page(*state, 0x218, 4), 0x3ffe000);
	assert_int_equal(zero_page(*state, 0x228, 4), LAYOUT_CMDLINE);
	assert_int_equal(zero_page(*state, 0x230, 4), 0x200000);
	assert_int_equal(zero_page(*state, 0x238, 4), 2047);
}

static void zero_page_has_the_memory_map(void **state)
{
	const struct boot_kernel kernel = { 0 };
	struct err e;

	assert_int_equal(boot_params_write(*state, &kernel, NULL, cmdline_at, no_rsdp, &e), 0);
	assert_int_equal(zero_page(*state, 0x1e8, 1), 3);
	assert_int_equal(zero_page(*state, 0x2d0, 8), 0);
	assert_int_equal(zero_page(*state, 0x2d8, 8), 0x9fc00);
	assert_int_equal(zero_page(*state, 0x2e0, 4), 1);
	assert_int_equal(zero_page(*state, 0x2e4, 8), 0x9fc00);
	assert_int_equal(zero_page(*state, 0x2f4, 4), 2);
	assert_int_equal(zero_page(*state, 0x2f8, 8), 0x100000);
	assert_int_equal(zero_page(*state, 0x300, 8), 63 * MIB);
	assert_int_equal(zero_page(*state, 0x308, 4), 1);
	assert_int_equal(zero_page(*state, 0x30c, 8), 0);
}

static void pvh_start_info_points_to_all(void **state)
{
	const uint64_t at = LAYOUT_PVH_START_INFO;
	uint64_t modlist, memmap;
	struct err e;

	assert_int_equal(pvh_write(*state, &some_initrd, cmdline_at, rsdp_at, &e), 0);
	assert_int_equal(ram_get(*state, at, 4), 0x336ec578);
	assert_int_equal(ram_get(*state, at + 4, 4), 1); /* version */
	assert_int_equal(ram_get(*state, at + 8, 4), 0);
	assert_int_equal(ram_get(*state, at + 12, 4), 1); /* modules */
	assert_int_equal(ram_get(*state, at + 24, 8), LAYOUT_CMDLINE);
	assert_int_equal(ram_get(*state, at + 32, 8), LAYOUT_ACPI);
	assert_int_equal(ram_get(*state, at + 48, 4), 3); /* memory map entries */
	assert_int_equal(ram_get(*state, at + 52, 4), 0);
	modlist = ram_get(*state, at + 16, 8);
	assert_int_equal(ram_get(*state, modlist, 8), 0x3ffe000);
	assert_int_equal(ram_get(*state, modlist + 8, 8), 0x1234);
	assert_int_equal(ram_get(*state, modlist + 16, 8), 0);
	memmap = ram_get(*state, at + 40, 8);
	assert_int_equal(ram_get(*state, memmap + 8, 8), 0x9fc00);
	assert_int_equal(ram_get(*state, memmap + 16, 4), 1);
	assert_int_equal(ram_get(*state, memmap + 24, 8), 0x9fc00);
	assert_int_equal(ram_get(*state, memmap + 40, 4), 2);
	assert_int_equal(ram_get(*state, memmap + 48, 8), 0x100000);
	assert_int_equal(ram_get(*state, memmap + 56, 8), 63 * MIB);
}

static void pvh_without_initrd_has_no_module(void **state)
{
	struct err e;

	assert_int_equal(pvh_write(*state, NULL, cmdline_at, no_rsdp, &e), 0);
	assert_int_equal(ram_get(*state, LAYOUT_PVH_START_INFO + 12, 4), 0);
	assert_int_equal(ram_get(*state, LAYOUT_PVH_START_INFO + 16, 8), 0);
	assert_int_equal(ram_get(*state, LAYOUT_PVH_START_INFO + 32, 8), 0);
}

static void too_little_ram_is_an_error(void **state)
{
	const struct boot_kernel kernel = { 0 };
	struct mem mem;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(mem_init(&mem, 0x4000, &e), 0);
	test_assert_err(&e, -EFAULT,
			boot_params_write(&mem, &kernel, NULL, cmdline_at, no_rsdp, &e),
			"guest memory ends before the zero page at 0x7000");
	test_assert_err(&e, -EFAULT, pvh_write(&mem, &some_initrd, cmdline_at, no_rsdp, &e),
			"guest memory ends before the PVH start info at 0x6000");
	mem_release(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_map_leaves_out_tables_and_devices),
		cmocka_unit_test(zero_page_of_a_bzimage_has_its_header),
		cmocka_unit_test(zero_page_takes_no_loader_fields_from_the_file),
		cmocka_unit_test(zero_page_bounds_the_header),
		cmocka_unit_test(zero_page_of_a_vmlinux_has_a_header_too),
		cmocka_unit_test(zero_page_has_the_memory_map),
		cmocka_unit_test(pvh_start_info_points_to_all),
		cmocka_unit_test(pvh_without_initrd_has_no_module),
		cmocka_unit_test(too_little_ram_is_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bzImages: where they are loaded, and setup headers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/boot/kernel.h"
#include "machine/x86/layout.h"
#include "test/unit/boot_image.h"

static const uint64_t ram_bytes = 64 * MIB;

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

static int load(const struct mem *mem, const struct bz_test *t, enum boot_protocol wanted,
		struct boot_kernel *kernel, struct err *e)
{
	auto_fd int fd = test_file(t, sizeof(*t));

	return kernel_load(mem, fd, wanted, KERNEL_DECOMPRESS_AUTO, kernel, e);
}

static void load_ok(const struct mem *mem, const struct bz_test *t, struct boot_kernel *kernel)
{
	struct err e = { 0 };

	if (load(mem, t, BOOT_PROTOCOL_AUTO, kernel, &e) != 0)
		fail_msg("refused: %s", e.msg);
}

static void code_is_loaded_where_it_runs(void **state)
{
	const struct mem *mem = *state;
	struct boot_kernel k;
	struct bz_test t;

	bz_test_build(&t);
	load_ok(mem, &t, &k);
	assert_int_equal(k.protocol, BOOT_PROTOCOL_LINUX64);
	assert_int_equal(k.load_start, BZ_TEST_PREF_ADDRESS);
	assert_int_equal(k.load_end, BZ_TEST_PREF_ADDRESS + BZ_TEST_INIT_SIZE);
	assert_int_equal(k.entry.v, BZ_TEST_PREF_ADDRESS + 0x200);
	assert_int_equal(k.cmdline_max, 2047);
	assert_int_equal(k.initrd_addr_max, 0x7fffffff);
	assert_memory_equal(mem_ptr(mem, (struct gpa){ k.load_start }, sizeof(t.code)), t.code,
			    sizeof(t.code));
	assert_int_equal(k.setup_header_len, 0x26c - 0x1f1);
	assert_memory_equal(k.setup_header, &t.header, k.setup_header_len);
}

static void linux64_may_be_asked_for_and_pvh_not_without_a_payload(void **state)
{
	struct boot_kernel k;
	struct err e = { 0 };
	struct bz_test t;
	int r;

	bz_test_build(&t);
	assert_int_equal(load(*state, &t, BOOT_PROTOCOL_LINUX64, &k, &e), 0);
	r = load(*state, &t, BOOT_PROTOCOL_PVH, &k, &e);
	test_assert_err(&e, -ENOEXEC, r,
			"there is no compressed kernel"); /* for the host to unpack */
}

static void zero_fields_have_their_old_meaning(void **state)
{
	struct boot_kernel k;
	struct bz_test t;

	bz_test_build(&t);
	t.header.cmdline_size = 0;
	t.header.setup_sects = 0; /* 4: the code begins earlier in the file */
	load_ok(*state, &t, &k);
	assert_int_equal(k.cmdline_max, 255);
	assert_memory_equal(mem_ptr(*state, (struct gpa){ k.load_start }, 16),
			    (const uint8_t *)&t + 5 * 512, 16);
}

static void a_low_or_odd_address_moves_up(void **state)
{
	struct boot_kernel k;
	struct bz_test t;

	bz_test_build(&t);
	t.header.pref_address = 0;
	load_ok(*state, &t, &k);
	assert_int_equal(k.load_start, 0x200000);
	t.header.pref_address = BZ_TEST_PREF_ADDRESS + 1;
	load_ok(*state, &t, &k);
	assert_int_equal(k.load_start, BZ_TEST_PREF_ADDRESS + 0x200000);
	t.header.relocatable_kernel = 0;
	t.header.kernel_alignment = 3; /* counts for relocatable kernels only */
	load_ok(*state, &t, &k);
	assert_int_equal(k.load_start, BZ_TEST_PREF_ADDRESS + 1);
}

static void the_window_holds_the_code_whatever_init_size_says(void **state)
{
	struct boot_kernel k;
	struct bz_test t;

	bz_test_build(&t);
	t.header.init_size = 0x300;
	load_ok(*state, &t, &k);
	assert_int_equal(k.load_end, k.load_start + BZ_TEST_CODE_BYTES);
}

static void the_window_may_end_with_ram(void **state)
{
	struct boot_kernel k;
	struct bz_test t;

	bz_test_build(&t);
	t.header.init_size = (uint32_t)(ram_bytes - BZ_TEST_PREF_ADDRESS);
	load_ok(*state, &t, &k);
	assert_int_equal(k.load_end, ram_bytes);
}

static void an_initrd_may_be_anywhere_below_4_gib_for_a_kernel_that_says_so(void **state)
{
	struct boot_kernel k;
	struct bz_test t;

	bz_test_build(&t);
	t.header.xloadflags |= XLF_CAN_BE_LOADED_ABOVE_4G;
	load_ok(*state, &t, &k);
	assert_int_equal(k.initrd_addr_max, UINT32_MAX);
}

/* The header's length byte may point beyond the zero page's room: only what has room is taken. */
static void a_long_setup_header_is_cut(void **state)
{
	struct boot_kernel k;
	struct bz_test t;

	bz_test_build(&t);
	t.header.jump = 0xffeb;
	load_ok(*state, &t, &k);
	assert_int_equal(k.setup_header_len, KERNEL_SETUP_HEADER_MAX);
}

typedef void (*corrupt_fn)(struct setup_header *h);

static void old_protocol(struct setup_header *h)
{
	h->version = 0x020b;
}

static void short_header(struct setup_header *h)
{
	h->jump = 0x65eb; /* ends at 0x267 */
}

static void no_header(struct setup_header *h)
{
	h->jump = 0x00eb;
}

static void zimage(struct setup_header *h)
{
	h->loadflags = 0;
}

static void for_32_bits(struct setup_header *h)
{
	h->xloadflags = 0;
}

static void alignment_zero(struct setup_header *h)
{
	h->kernel_alignment = 0;
}

static void alignment_odd(struct setup_header *h)
{
	h->kernel_alignment = 0x300000;
}

static void alignment_huge(struct setup_header *h)
{
	h->kernel_alignment = 0x80000000;
}

static void code_beyond_file(struct setup_header *h)
{
	h->syssize++;
}

static void code_huge(struct setup_header *h)
{
	h->syssize = UINT32_MAX;
}

static void setup_huge(struct setup_header *h)
{
	h->setup_sects = 255;
}

static void no_code(struct setup_header *h)
{
	h->syssize = 0;
}

static void code_without_entry(struct setup_header *h)
{
	h->syssize = 0x200 / 16;
}

static void init_size_beyond_ram(struct setup_header *h)
{
	h->init_size = (uint32_t)(ram_bytes - BZ_TEST_PREF_ADDRESS) + 1;
}

static void init_size_huge(struct setup_header *h)
{
	h->init_size = UINT32_MAX;
}

static void address_beyond_ram(struct setup_header *h)
{
	h->pref_address = 0x10000000;
}

static void address_huge(struct setup_header *h)
{
	h->pref_address = UINT64_MAX;
}

static void address_in_device_hole(struct setup_header *h)
{
	h->pref_address = LAYOUT_IOAPIC;
}

static void fixed_and_low(struct setup_header *h)
{
	h->relocatable_kernel = 0;
	h->pref_address = LAYOUT_ZERO_PAGE;
}

static void fixed_and_zero(struct setup_header *h)
{
	h->relocatable_kernel = 0;
	h->pref_address = 0;
}

static void aligned_into_hole(struct setup_header *h)
{
	h->kernel_alignment = 1 << 30;
	h->pref_address = LAYOUT_LOW_RAM_MAX - 1;
}

static void lying_headers_are_refused(void **state)
{
	static const struct {
		corrupt_fn corrupt;
		int code;
		const char *message;
	} cases[] = {
		{ old_protocol, -ENOEXEC, "speaks Linux boot protocol 2.11; 2.12" },
		{ short_header, -ENOEXEC, "setup header ends at 0x267, before 0x268" },
		{ no_header, -ENOEXEC, "setup header ends at 0x202, before 0x268" },
		{ zimage, -ENOEXEC, "is a zImage" },
		{ for_32_bits, -ENOEXEC, "has no 64-bit entry (xloadflags 0x0); give one built" },
		{ alignment_zero, -ENOEXEC, "asks for an alignment of 0x0; powers of two" },
		{ alignment_odd, -ENOEXEC, "asks for an alignment of 0x300000;" },
		{ alignment_huge, -ENOEXEC, "asks for an alignment of 0x80000000;" },
		{ code_beyond_file, -ENODATA,
		  "truncated or its setup header lies: 5120 bytes of setup and 8208 of code do "
		  "not fit in its 13312 bytes" },
		{ code_huge, -ENODATA, "and 68719476720 of code do not fit" },
		{ setup_huge, -ENODATA, "131072 bytes of setup" },
		{ no_code, -ENOEXEC, "counts 0 bytes of code (syssize)" },
		{ code_without_entry, -ENOEXEC, "counts 512 bytes of code (syssize)" },
		{ init_size_beyond_ram, -ENOMEM,
		  "needs 0x3000001 bytes at 0x1000000 to start, outside the 64 MiB of guest "
		  "memory; give the VM at least 65 MiB (--memory)" },
		{ init_size_huge, -ENOEXEC, "they must end by 0xc0000000" },
		{ address_beyond_ram, -ENOMEM, "give the VM at least 264 MiB (--memory)" },
		{ address_huge, -ENOEXEC,
		  "wants to run at 0xffffffffffffffff; it must be 0x100000 or above" },
		{ address_in_device_hole, -ENOEXEC, "wants to run at 0xfec00000" },
		{ fixed_and_low, -ENOEXEC, "wants to run at 0x7000; it must be 0x100000" },
		{ fixed_and_zero, -ENOEXEC, "wants to run at 0x0; it must be" },
		{ aligned_into_hole, -ENOEXEC, "at 0xc0000000 to start; they must end by" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct boot_kernel kernel;
		struct err e = { 0 };
		struct bz_test t;
		int r;

		bz_test_build(&t);
		cases[i].corrupt(&t.header);
		r = load(*state, &t, BOOT_PROTOCOL_AUTO, &kernel, &e);
		test_assert_err(&e, cases[i].code, r, cases[i].message);
	}
}

static void every_truncation_is_refused(void **state)
{
	struct bz_test t;

	bz_test_build(&t);
	for (size_t len = 0x206; len < sizeof(t); len += 1 + len / 32) {
		auto_fd int fd = test_file(&t, len);
		struct boot_kernel kernel;
		struct err e = { 0 };
		int r = kernel_load(*state, fd, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_AUTO, &kernel,
				    &e);

		test_assert_err(&e, -ENODATA, r, "the kernel is truncated");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_is_loaded_where_it_runs),
		cmocka_unit_test(linux64_may_be_asked_for_and_pvh_not_without_a_payload),
		cmocka_unit_test(zero_fields_have_their_old_meaning),
		cmocka_unit_test(a_low_or_odd_address_moves_up),
		cmocka_unit_test(the_window_holds_the_code_whatever_init_size_says),
		cmocka_unit_test(the_window_may_end_with_ram),
		cmocka_unit_test(an_initrd_may_be_anywhere_below_4_gib_for_a_kernel_that_says_so),
		cmocka_unit_test(a_long_setup_header_is_cut),
		cmocka_unit_test(lying_headers_are_refused),
		cmocka_unit_test(every_truncation_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

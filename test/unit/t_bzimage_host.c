/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImages whose kernel is unpacked on the host: who does it, where it goes, and payloads that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/boot/initrd.h"
#include "machine/boot/kernel.h"
#include "test/unit/boot_image.h"
#include "test/unit/packed.h"

enum {
	PAYLOAD = 0x400, /* in the code */
	LINKED = 0x1000000, /* as Linux is: 16 MiB */
	SHIFT = LINKED - ELF_TEST_TEXT_ADDR,
};

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

/* The test kernel, linked at 16 MiB, with @bss bytes behind its data. */
static void build_elf(struct elf_test *t, uint64_t bss)
{
	elf_test_build(t);
	t->header.e_entry += SHIFT;
	t->phdrs[0].p_paddr += SHIFT;
	t->phdrs[1].p_paddr += SHIFT;
	t->phdrs[1].p_memsz += bss;
	t->pvh_note.desc += SHIFT;
}

/* A bzImage around it. Its size field is behind all formats but gzip, which has its own. */
static void build(struct bz_test *bz, const struct packer *packer, uint64_t bss)
{
	uint32_t size = sizeof(struct elf_test);
	struct elf_test elf;
	static uint8_t packed[65536]; /* packers ask for more room than they need */
	size_t len;

	build_elf(&elf, bss);
	bz_test_build(bz);
	len = packer->pack(&elf, sizeof(elf), packed, sizeof(packed));
	assert_true(len + sizeof(size) <= sizeof(bz->code) - PAYLOAD);
	memcpy(bz->code + PAYLOAD, packed, len);
	if (packer->pack != pack_gzip) {
		memcpy(bz->code + PAYLOAD + len, &size, sizeof(size));
		len += sizeof(size);
	}
	bz->header.payload_offset = PAYLOAD;
	bz->header.payload_length = (uint32_t)len;
}

static int load(const struct mem *mem, const struct bz_test *bz, enum boot_protocol wanted,
		enum kernel_decompress unpacker, struct boot_kernel *k, struct err *e)
{
	auto_fd int fd = test_file(bz, sizeof(*bz));

	return kernel_load(mem, fd, wanted, unpacker, k, e);
}

static void load_ok(const struct mem *mem, const struct bz_test *bz, enum boot_protocol wanted,
		    enum kernel_decompress unpacker, struct boot_kernel *k)
{
	struct err e = { 0 };

	if (load(mem, bz, wanted, unpacker, k, &e) != 0)
		fail_msg("refused: %s", e.msg);
}

static void assert_refused(const struct mem *mem, const struct bz_test *bz,
			   enum kernel_decompress unpacker, int code, const char *message)
{
	struct boot_kernel k;
	struct err e = { 0 };
	int r = load(mem, bz, BOOT_PROTOCOL_AUTO, unpacker, &k, &e);

	test_assert_err(&e, code, r, message);
}

static void every_format_is_unpacked(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		struct boot_kernel k;
		struct bz_test bz;

		build(&bz, &packers[i], 0);
		load_ok(*state, &bz, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_HOST, &k);
		assert_int_equal(k.protocol, BOOT_PROTOCOL_LINUX64);
		assert_int_equal(k.load_start, LINKED);
		assert_int_equal(k.entry.v, LINKED);
		assert_int_equal(k.cmdline_max, 2047);
		assert_int_equal(k.initrd_addr_max, 0x7fffffff);
		assert_memory_equal(k.setup_header, &bz.header, k.setup_header_len);
		assert_int_equal(*(uint8_t *)mem_ptr(*state, k.entry, 1), 0x90);
	}
}

static void pvh_is_possible_when_the_host_unpacks(void **state)
{
	struct boot_kernel k;
	struct err e = { 0 };
	struct bz_test bz;
	int r;

	build(&bz, &packers[0], 0);
	load_ok(*state, &bz, BOOT_PROTOCOL_PVH, KERNEL_DECOMPRESS_AUTO, &k);
	assert_int_equal(k.protocol, BOOT_PROTOCOL_PVH);
	assert_int_equal(k.entry.v, ELF_TEST_PVH_ENTRY + SHIFT);
	load_ok(*state, &bz, BOOT_PROTOCOL_PVH, KERNEL_DECOMPRESS_HOST, &k);
	assert_int_equal(k.protocol, BOOT_PROTOCOL_PVH);
	r = load(*state, &bz, BOOT_PROTOCOL_PVH, KERNEL_DECOMPRESS_GUEST, &k, &e);
	test_assert_err(&e, -ENOEXEC, r, "has no PVH entry; let the host unpack it");
}

static void the_guest_unpacks_where_it_can(void **state)
{
	struct boot_kernel k;
	struct bz_test bz;

	build(&bz, &packers[0], 0);
	load_ok(*state, &bz, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_AUTO, &k);
	assert_int_equal(k.entry.v, BZ_TEST_PREF_ADDRESS + 0x200);
	bz.header.init_size = (uint32_t)ram_bytes;
	load_ok(*state, &bz, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_AUTO, &k);
	assert_int_equal(k.entry.v, LINKED);
	assert_refused(*state, &bz, KERNEL_DECOMPRESS_GUEST, -ENOMEM,
		       "give the VM at least 80 MiB");
}

/* 56 MiB fit below 64 MiB from 2 MiB on, but not from 16 MiB on. */
static void a_large_kernel_goes_lower(void **state)
{
	struct boot_kernel k;
	struct initrd initrd;
	struct err e = { 0 };
	struct bz_test bz;
	auto_fd int fd = test_file("initrd", 6);

	build(&bz, &packers[0], 56 * MIB);
	load_ok(*state, &bz, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_HOST, &k);
	assert_int_equal(k.load_start, 2 * MIB);
	assert_int_equal(k.entry.v, 2 * MIB);
	assert_true(k.load_end > 58 * MIB && k.load_end < 59 * MIB);
	assert_int_equal(*(uint8_t *)mem_ptr(*state, k.entry, 1), 0x90);
	assert_int_equal(*(uint8_t *)mem_ptr(*state, (struct gpa){ 2 * MIB + 0x1000 }, 1), 0xda);
	assert_int_equal(initrd_load(*state, fd, &k, &initrd, &e), 0);
	assert_true(initrd.start.v >= k.load_end);
	bz.header.kernel_alignment = 4 << 20;
	load_ok(*state, &bz, BOOT_PROTOCOL_AUTO, KERNEL_DECOMPRESS_HOST, &k);
	assert_int_equal(k.load_start, 4 * MIB);
}

static void a_kernel_that_may_not_move_stays(void **state)
{
	struct boot_kernel k;
	struct err e = { 0 };
	struct bz_test bz;
	int r;

	build(&bz, &packers[0], 56 * MIB);
	r = load(*state, &bz, BOOT_PROTOCOL_PVH, KERNEL_DECOMPRESS_HOST, &k, &e);
	test_assert_err(&e, -ENOMEM, r, "give the VM at least 73 MiB");
	bz.header.relocatable_kernel = 0;
	assert_refused(*state, &bz, KERNEL_DECOMPRESS_HOST, -ENOMEM, "at least 73 MiB");
	build(&bz, &packers[0], 70 * MIB);
	assert_refused(*state, &bz, KERNEL_DECOMPRESS_HOST, -ENOMEM, "at least 73 MiB");
	bz.header.init_size = 100 << 20; /* the host's wish is the smaller one */
	assert_refused(*state, &bz, KERNEL_DECOMPRESS_AUTO, -ENOMEM, "at least 73 MiB");
}

static void a_payload_that_is_not_there_is_refused(void **state)
{
	static const uint32_t spans[][2] = {
		{ 0, 0 },
		{ PAYLOAD, 9 },
		{ PAYLOAD, BZ_TEST_CODE_BYTES },
		{ ~0u, 64 },
		{ PAYLOAD, ~0u },
		{ ~0u, ~0u },
		{ 0x1fff, 4096 },
		{ BZ_TEST_CODE_BYTES, 100 },
	};
	struct bz_test bz;

	build(&bz, &packers[0], 0);
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		bz.header.payload_offset = spans[i][0];
		bz.header.payload_length = spans[i][1];
		assert_refused(*state, &bz, KERNEL_DECOMPRESS_HOST, -ENOEXEC,
			       "there is no compressed kernel");
	}
	build(&bz, &packers[0], 0);
	memcpy(bz.code + PAYLOAD, "BZh91A", 6);
	assert_refused(*state, &bz, KERNEL_DECOMPRESS_HOST, -ENOEXEC,
		       "not known here (gzip, xz, zstd and lz4 are)");
	bz.header.init_size = (uint32_t)ram_bytes; /* then the guest's wish is told */
	assert_refused(*state, &bz, KERNEL_DECOMPRESS_AUTO, -ENOMEM, "at least 80 MiB");
}

static void a_wrong_size_is_refused(void **state)
{
	static const uint32_t small[] = { sizeof(struct elf_test) - 1, sizeof(struct elf_test) + 1,
					  1, 100 << 20 };
	static const uint32_t bad[] = { 0, 0xffffffff, 129 << 20 };

	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		struct bz_test bz;
		uint8_t *size;

		build(&bz, &packers[i], 0);
		size = bz.code + PAYLOAD + bz.header.payload_length - 4;
		for (size_t k = 0; k < ARRAY_LEN(small); k++) {
			memcpy(size, &small[k], 4);
			assert_refused(*state, &bz, KERNEL_DECOMPRESS_HOST, -EBADMSG, "damaged");
		}
		for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
			memcpy(size, &bad[k], 4);
			assert_refused(*state, &bz, KERNEL_DECOMPRESS_HOST, -EFBIG,
				       "bytes; 1 to 134217728 can be unpacked for this guest");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_is_unpacked),
		cmocka_unit_test(pvh_is_possible_when_the_host_unpacks),
		cmocka_unit_test(the_guest_unpacks_where_it_can),
		cmocka_unit_test(a_large_kernel_goes_lower),
		cmocka_unit_test(a_kernel_that_may_not_move_stays),
		cmocka_unit_test(a_payload_that_is_not_there_is_refused),
		cmocka_unit_test(a_wrong_size_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* ELF kernels: what is loaded where, and how bad ones are refused. */
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

static int load(const struct mem *mem, const struct elf_test *t, enum boot_protocol wanted,
		struct boot_kernel *kernel, struct err *e)
{
	auto_fd int fd = test_file(t, sizeof(*t));

	return kernel_load(mem, fd, wanted, KERNEL_DECOMPRESS_AUTO, kernel, e);
}

static void load_ok(const struct mem *mem, const struct elf_test *t, enum boot_protocol wanted,
		    struct boot_kernel *kernel)
{
	struct err e = { 0 };
	int r = load(mem, t, wanted, kernel, &e);

	if (r != 0)
		fail_msg("refused: %s", e.msg);
}

static void is_loaded_by_physical_address(void **state)
{
	const struct mem *mem = *state;
	struct boot_kernel k;
	struct elf_test t;

	elf_test_build(&t);
	load_ok(mem, &t, BOOT_PROTOCOL_AUTO, &k);
	assert_int_equal(k.load_start, ELF_TEST_TEXT_ADDR);
	assert_int_equal(k.load_end, ELF_TEST_DATA_ADDR + ELF_TEST_DATA_MEMSZ);
	assert_int_equal(k.cmdline_max, 2047);
	assert_int_equal(k.initrd_addr_max, 0x7fffffff);
	assert_int_equal(k.setup_header_len, 0);
	assert_memory_equal(mem_ptr(mem, (struct gpa){ ELF_TEST_TEXT_ADDR }, sizeof(t.text)),
			    t.text, sizeof(t.text));
	assert_memory_equal(mem_ptr(mem, (struct gpa){ ELF_TEST_DATA_ADDR }, sizeof(t.data)),
			    t.data, sizeof(t.data));
}

static void protocol_follows_the_wish_and_the_note(void **state)
{
	struct boot_kernel k;
	struct elf_test t;

	elf_test_build(&t);
	load_ok(*state, &t, BOOT_PROTOCOL_AUTO, &k);
	assert_int_equal(k.protocol, BOOT_PROTOCOL_PVH);
	assert_int_equal(k.entry.v, ELF_TEST_PVH_ENTRY);
	load_ok(*state, &t, BOOT_PROTOCOL_PVH, &k);
	assert_int_equal(k.protocol, BOOT_PROTOCOL_PVH);
	load_ok(*state, &t, BOOT_PROTOCOL_LINUX64, &k);
	assert_int_equal(k.protocol, BOOT_PROTOCOL_LINUX64);
	assert_int_equal(k.entry.v, ELF_TEST_TEXT_ADDR);
	t.header.e_phnum = 2; /* no notes */
	load_ok(*state, &t, BOOT_PROTOCOL_AUTO, &k);
	assert_int_equal(k.protocol, BOOT_PROTOCOL_LINUX64);
}

static void pvh_note_may_have_4_bytes(void **state)
{
	struct boot_kernel k;
	struct elf_test t;

	elf_test_build(&t);
	t.pvh_note.header.n_descsz = 4;
	t.pvh_note.desc = 0x4141414100000000 | ELF_TEST_PVH_ENTRY;
	t.phdrs[2].p_filesz -= 4;
	load_ok(*state, &t, BOOT_PROTOCOL_AUTO, &k);
	assert_int_equal(k.entry.v, ELF_TEST_PVH_ENTRY);
}

static void notes_of_8_byte_alignment_are_stepped_over(void **state)
{
	static const struct {
		Elf64_Nhdr other;
		char other_name[5]; /* "Linux" ends at 17; the descriptor is at 24 */
		uint8_t pad[7];
		uint32_t other_desc;
		uint32_t pad2; /* the next note is at 32 */
		Elf64_Nhdr pvh;
		char pvh_name[4];
		uint32_t entry;
	} notes = { .other = { 5, 4, 18 },
		    .other_name = { 'L', 'i', 'n', 'u', 'x' },
		    .pvh = { 4, 4, 18 },
		    .pvh_name = "Xen",
		    .entry = ELF_TEST_PVH_ENTRY };
	struct boot_kernel k;
	struct elf_test t;

	elf_test_build(&t);
	memcpy(t.data, &notes, sizeof(notes));
	t.phdrs[2].p_offset = ELF_TEST_DATA;
	t.phdrs[2].p_filesz = sizeof(notes);
	t.phdrs[2].p_align = 8;
	load_ok(*state, &t, BOOT_PROTOCOL_PVH, &k);
	assert_int_equal(k.entry.v, ELF_TEST_PVH_ENTRY);
}

static void another_owners_note_18_is_no_pvh_entry(void **state)
{
	struct boot_kernel k;
	struct elf_test t;

	elf_test_build(&t);
	memcpy(t.pvh_note.name, "Xeno", 4);
	load_ok(*state, &t, BOOT_PROTOCOL_AUTO, &k);
	assert_int_equal(k.protocol, BOOT_PROTOCOL_LINUX64);
}

static void bad_notes_do_not_hurt_linux64(void **state)
{
	struct boot_kernel k;
	struct elf_test t;

	elf_test_build(&t);
	t.pvh_note.header.n_namesz = UINT32_MAX;
	load_ok(*state, &t, BOOT_PROTOCOL_LINUX64, &k);
}

/* Segments may touch each other and the end of RAM; empty ones and other types do not count. */
static void edges_are_allowed(void **state)
{
	struct boot_kernel k;
	struct elf_test t;

	elf_test_build(&t);
	t.phdrs[1].p_paddr = ram_bytes - ELF_TEST_DATA_MEMSZ;
	t.phdrs[2] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_paddr = UINT64_MAX };
	load_ok(*state, &t, BOOT_PROTOCOL_AUTO, &k);
	assert_int_equal(k.load_end, ram_bytes);
	t.phdrs[2] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_memsz = UINT64_MAX };
	load_ok(*state, &t, BOOT_PROTOCOL_AUTO, &k);
	/* Only .bss: nothing is read, and the place is taken. */
	t.phdrs[2] = (Elf64_Phdr){ .p_type = PT_LOAD,
				   .p_offset = ELF_TEST_BYTES,
				   .p_paddr = 0x200000,
				   .p_memsz = 0x1000 };
	load_ok(*state, &t, BOOT_PROTOCOL_AUTO, &k);
}

typedef void (*corrupt_fn)(struct elf_test *t);

static void wrong_class(struct elf_test *t)
{
	t->header.e_ident[EI_CLASS] = ELFCLASS32;
}

static void no_class(struct elf_test *t)
{
	t->header.e_ident[EI_CLASS] = 0;
}

static void big_endian(struct elf_test *t)
{
	t->header.e_ident[EI_DATA] = ELFDATA2MSB;
}

static void for_aarch64(struct elf_test *t)
{
	t->header.e_machine = EM_AARCH64;
}

static void object_file(struct elf_test *t)
{
	t->header.e_type = ET_REL;
}

static void shared_object(struct elf_test *t)
{
	t->header.e_type = ET_DYN;
}

static void no_phdrs(struct elf_test *t)
{
	t->header.e_phnum = 0;
}

static void many_phdrs(struct elf_test *t)
{
	t->header.e_phnum = PN_XNUM;
}

static void odd_phdr_size(struct elf_test *t)
{
	t->header.e_phentsize = 32;
}

static void phdrs_beyond_file(struct elf_test *t)
{
	t->header.e_phoff = ELF_TEST_BYTES - sizeof(Elf64_Phdr);
}

static void phdrs_wrap(struct elf_test *t)
{
	t->header.e_phoff = UINT64_MAX - sizeof(Elf64_Phdr);
}

static void nothing_to_load(struct elf_test *t)
{
	t->phdrs[0].p_type = PT_NULL;
	t->phdrs[1].p_memsz = t->phdrs[1].p_filesz = 0;
}

static void more_in_file_than_memory(struct elf_test *t)
{
	t->phdrs[1].p_memsz = t->phdrs[1].p_filesz - 1;
}

static void segment_beyond_file(struct elf_test *t)
{
	t->phdrs[1].p_offset = ELF_TEST_DATA + 1;
}

static void segment_offset_wraps(struct elf_test *t)
{
	t->phdrs[1].p_offset = UINT64_MAX - 0x100;
}

static void segment_beyond_ram(struct elf_test *t)
{
	t->phdrs[1].p_paddr = ram_bytes - ELF_TEST_DATA_MEMSZ + 1;
}

/* The highest one is named, so that the message is right the first time. */
static void segments_beyond_ram(struct elf_test *t)
{
	t->phdrs[0].p_paddr = 80 * MIB;
	t->phdrs[1].p_paddr = 100 * MIB;
	t->phdrs[2] = t->phdrs[0];
	t->phdrs[2].p_paddr = 90 * MIB;
}

static void segment_size_huge(struct elf_test *t)
{
	t->phdrs[1].p_memsz = 1 * GIB;
}

static void segment_address_wraps(struct elf_test *t)
{
	t->phdrs[1].p_paddr = UINT64_MAX - 0xfff;
}

static void segment_size_wraps(struct elf_test *t)
{
	t->phdrs[1].p_memsz = UINT64_MAX;
}

static void segment_in_device_hole(struct elf_test *t)
{
	t->phdrs[1].p_paddr = LAYOUT_IOAPIC;
}

static void segment_on_zero_page(struct elf_test *t)
{
	t->phdrs[1].p_paddr = LAYOUT_ZERO_PAGE;
}

static void segment_just_below_1_mib(struct elf_test *t)
{
	t->phdrs[1].p_paddr = LAYOUT_HIGH_MEM - 1;
}

static void segments_overlap(struct elf_test *t)
{
	t->phdrs[1].p_paddr = ELF_TEST_TEXT_ADDR + 0xfff;
}

static void segments_overlap_from_below(struct elf_test *t)
{
	t->phdrs[0].p_paddr = 0x201000;
	t->phdrs[1].p_paddr = 0x201000 - ELF_TEST_DATA_MEMSZ + 1;
}

static void segment_inside_other(struct elf_test *t)
{
	t->phdrs[2] = (Elf64_Phdr){ .p_type = PT_LOAD,
				    .p_paddr = ELF_TEST_DATA_ADDR + 0x1000,
				    .p_memsz = 1 };
}

static void same_segment_twice(struct elf_test *t)
{
	t->phdrs[1] = t->phdrs[0];
}

static void pvh_entry_outside(struct elf_test *t)
{
	t->pvh_note.desc = 0x300000;
}

static void pvh_entry_above_4_gib(struct elf_test *t)
{
	t->pvh_note.desc = (1ull << 32) | ELF_TEST_PVH_ENTRY;
}

static void pvh_entry_in_bss(struct elf_test *t)
{
	t->pvh_note.desc = ELF_TEST_DATA_ADDR + sizeof(t->data);
}

static void pvh_entry_of_2_bytes(struct elf_test *t)
{
	t->pvh_note.header.n_descsz = 2;
}

static void note_name_too_long(struct elf_test *t)
{
	t->other_note.header.n_namesz = UINT32_MAX;
}

static void note_desc_too_long(struct elf_test *t)
{
	t->other_note.header.n_descsz = 0xfffffff0;
}

static void notes_beyond_file(struct elf_test *t)
{
	t->phdrs[2].p_offset = ELF_TEST_BYTES - 8;
}

static void notes_wrap(struct elf_test *t)
{
	t->phdrs[2].p_offset = UINT64_MAX;
}

static void notes_huge(struct elf_test *t)
{
	t->phdrs[2].p_filesz = UINT64_MAX;
}

static const struct {
	corrupt_fn corrupt;
	int code;
	const char *message;
} bad_images[] = {
	{ wrong_class, -ENOEXEC, "is a 32-bit ELF file" },
	{ no_class, -ENOEXEC, "is a damaged ELF file (class 0)" },
	{ big_endian, -ENOEXEC, "not little-endian" },
	{ for_aarch64, -ENOEXEC, "an ELF file for aarch64 (machine 183); give one built" },
	{ object_file, -ENOEXEC, "is an ELF object file, not linked" },
	{ shared_object, -ENOEXEC, "is an ELF file of type 3; give an executable" },
	{ no_phdrs, -ENOEXEC, "has 0 program headers; 1 to 64 can be loaded" },
	{ many_phdrs, -ENOEXEC, "has 65535 program headers" },
	{ odd_phdr_size, -ENOEXEC, "headers are 32 bytes each; in ELF64 they are 56" },
	{ phdrs_beyond_file, -ENODATA, "truncated: its program headers (168 bytes at" },
	{ phdrs_wrap, -ENODATA, "truncated: its program headers" },
	{ nothing_to_load, -ENOEXEC, "has nothing to load" },
	{ more_in_file_than_memory, -ENOEXEC,
	  "program header 1 has more bytes in the file (0x800) than in memory (0x7ff)" },
	{ segment_beyond_file, -ENODATA,
	  "truncated: its program header 1 takes 0x800 bytes at 0x2001 of a file of "
	  "0x2800 bytes" },
	{ segment_offset_wraps, -ENODATA, "truncated: its program header 1" },
	{ segment_beyond_ram, -ENOMEM,
	  "program header 1 puts 0x3000 bytes at 0x3ffd001, outside the 64 MiB of guest "
	  "memory; give the VM at least 65 MiB (--memory)" },
	{ segments_beyond_ram, -ENOMEM,
	  "program header 1 puts 0x3000 bytes at 0x6400000, outside the 64 MiB of guest "
	  "memory; give the VM at least 101 MiB (--memory)" },
	{ segment_size_huge, -ENOMEM, "give the VM at least 1026 MiB (--memory)" },
	{ segment_address_wraps, -ENOEXEC,
	  "puts 0x3000 bytes at 0xfffffffffffff000; it must end by 0xc0000000" },
	{ segment_size_wraps, -ENOEXEC, "it must end by 0xc0000000" },
	{ segment_in_device_hole, -ENOEXEC, "it must end by 0xc0000000" },
	{ segment_on_zero_page, -ENOEXEC, "at 0x7000, below 1 MiB" },
	{ segment_just_below_1_mib, -ENOEXEC, "at 0xfffff, below 1 MiB" },
	{ segments_overlap, -ENOEXEC, "program headers 0 and 1 overlap" },
	{ segments_overlap_from_below, -ENOEXEC,
	  "overlap: 0x1000 bytes at 0x201000 and 0x3000 bytes at 0x1fe001" },
	{ segment_inside_other, -ENOEXEC, "program headers 1 and 2 overlap" },
	{ same_segment_twice, -ENOEXEC, "program headers 0 and 1 overlap" },
	{ pvh_entry_outside, -ENOEXEC, "PVH entry 0x300000 is in none of its segments" },
	{ pvh_entry_above_4_gib, -ENOEXEC, "PVH entry 0x100100040 is in none" },
	{ pvh_entry_in_bss, -ENOEXEC, "PVH entry 0x101800 is in none" },
	{ pvh_entry_of_2_bytes, -ENOEXEC, "has 2 bytes; 4 or 8 are right" },
	{ note_name_too_long, -ENOEXEC,
	  "notes (program header 2) are damaged: one has a name of 0xffffffff" },
	{ note_desc_too_long, -ENOEXEC, "a descriptor of 0xfffffff0 bytes" },
	{ notes_beyond_file, -ENOEXEC, "they must be inside the file" },
	{ notes_wrap, -ENOEXEC, "they must be inside the file" },
	{ notes_huge, -ENOEXEC, "at most 0x10000 bytes" },
};

static void bad_images_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_images); i++) {
		struct boot_kernel kernel;
		struct err e = { 0 };
		struct elf_test t;
		int r;

		elf_test_build(&t);
		bad_images[i].corrupt(&t);
		r = load(*state, &t, BOOT_PROTOCOL_AUTO, &kernel, &e);
		test_assert_err(&e, bad_images[i].code, r, bad_images[i].message);
	}
}

/* All checks come before the first byte is loaded. */
static void a_refused_kernel_leaves_ram_alone(void **state)
{
	const struct mem *mem = *state;
	struct boot_kernel kernel;
	struct elf_test t;
	struct err e;

	memset(mem_ptr(mem, (struct gpa){ ELF_TEST_TEXT_ADDR }, 16), 0, 16);
	elf_test_build(&t);
	segment_beyond_ram(&t);
	assert_int_equal(load(mem, &t, BOOT_PROTOCOL_AUTO, &kernel, &e), -ENOMEM);
	assert_memory_equal(mem_ptr(mem, (struct gpa){ ELF_TEST_TEXT_ADDR }, 16), (char[16]){ 0 },
			    16);
}

static void elf_entry_is_checked_for_linux64(void **state)
{
	struct boot_kernel kernel;
	struct err e = { 0 };
	struct elf_test t;
	int r;

	elf_test_build(&t);
	t.header.e_entry = 0xffffffff80100000;
	r = load(*state, &t, BOOT_PROTOCOL_LINUX64, &kernel, &e);
	test_assert_err(&e, -ENOEXEC, r, "ELF entry 0xffffffff80100000 is in none of its segments");
}

static void forced_pvh_needs_the_note(void **state)
{
	struct boot_kernel kernel;
	struct err e = { 0 };
	struct elf_test t;
	int r;

	elf_test_build(&t);
	t.header.e_phnum = 2;
	r = load(*state, &t, BOOT_PROTOCOL_PVH, &kernel, &e);
	test_assert_err(&e, -ENOEXEC, r, "has no PVH entry (no ELF note Xen PHYS32_ENTRY)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_loaded_by_physical_address),
		cmocka_unit_test(protocol_follows_the_wish_and_the_note),
		cmocka_unit_test(pvh_note_may_have_4_bytes),
		cmocka_unit_test(notes_of_8_byte_alignment_are_stepped_over),
		cmocka_unit_test(another_owners_note_18_is_no_pvh_entry),
		cmocka_unit_test(bad_notes_do_not_hurt_linux64),
		cmocka_unit_test(edges_are_allowed),
		cmocka_unit_test(bad_images_are_refused),
		cmocka_unit_test(a_refused_kernel_leaves_ram_alone),
		cmocka_unit_test(elf_entry_is_checked_for_linux64),
		cmocka_unit_test(forced_pvh_needs_the_note),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small kernel images for tests, valid as built: a test changes one field and loads them. The ELF
 * kernel has two segments at 1 MiB and a PVH note, the bzImage a code part of 8 KiB.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <asm/bootparam.h>
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

enum {
	ELF_TEST_NOTES = 0x400, /* offsets in the file */
	ELF_TEST_TEXT = 0x1000,
	ELF_TEST_DATA = 0x2000,
	ELF_TEST_BYTES = 0x2800,
	ELF_TEST_TEXT_ADDR = 0x100000,
	ELF_TEST_DATA_ADDR = 0x101000,
	ELF_TEST_DATA_MEMSZ = 0x3000,
	ELF_TEST_PVH_ENTRY = 0x100040,

	BZ_TEST_CODE = 0x1400, /* 9 setup sectors and the boot sector */
	BZ_TEST_CODE_BYTES = 0x2000,
	BZ_TEST_BYTES = BZ_TEST_CODE + BZ_TEST_CODE_BYTES,
	BZ_TEST_PREF_ADDRESS = 0x1000000,
	BZ_TEST_INIT_SIZE = 0x800000,
};

/* A file in memory with @bytes in it. The caller closes it. */
static inline int test_file(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (fd >= 0 && pwrite(fd, bytes, len, 0) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The call must have failed with @code and one line of text that has @message in it. */
static inline void test_assert_err(const struct err *e, int code, int returned, const char *message)
{
	if (!strstr(e->msg, message))
		fail_msg("'%s' does not say '%s'", e->msg, message);
	if (strchr(e->msg, '\n') || strlen(e->msg) >= ERR_MSG_BYTES - 1)
		fail_msg("'%s' is not one whole line", e->msg);
	assert_int_equal(returned, code);
	assert_int_equal(e->code, code);
}

struct elf_test {
	Elf64_Ehdr header;
	Elf64_Phdr phdrs[3]; /* text, data, notes */
	uint8_t pad0[ELF_TEST_NOTES - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
	struct {
		Elf64_Nhdr header;
		char name[4];
		uint32_t desc;
	} other_note;
	struct {
		Elf64_Nhdr header;
		char name[4];
		uint64_t desc;
	} __attribute__((packed)) pvh_note;
	uint8_t pad1[ELF_TEST_TEXT - ELF_TEST_NOTES - 20 - 24];
	uint8_t text[ELF_TEST_DATA - ELF_TEST_TEXT];
	uint8_t data[ELF_TEST_BYTES - ELF_TEST_DATA];
};

_Static_assert(offsetof(struct elf_test, other_note) == ELF_TEST_NOTES, "layout");
_Static_assert(offsetof(struct elf_test, text) == ELF_TEST_TEXT, "layout");
_Static_assert(sizeof(struct elf_test) == ELF_TEST_BYTES, "layout");

static inline void elf_test_build(struct elf_test *t)
{
	*t = (struct elf_test){
		.header = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = ELF_TEST_TEXT_ADDR,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 3,
		},
		.phdrs = {
			{ .p_type = PT_LOAD,
			  .p_offset = ELF_TEST_TEXT,
			  .p_vaddr = 0xffffffff80000000 + ELF_TEST_TEXT_ADDR,
			  .p_paddr = ELF_TEST_TEXT_ADDR,
			  .p_filesz = sizeof(t->text),
			  .p_memsz = sizeof(t->text) },
			{ .p_type = PT_LOAD,
			  .p_offset = ELF_TEST_DATA,
			  .p_vaddr = 0xffffffff80000000 + ELF_TEST_DATA_ADDR,
			  .p_paddr = ELF_TEST_DATA_ADDR,
			  .p_filesz = sizeof(t->data),
			  .p_memsz = ELF_TEST_DATA_MEMSZ },
			{ .p_type = PT_NOTE,
			  .p_offset = ELF_TEST_NOTES,
			  .p_filesz = sizeof(t->other_note) + sizeof(t->pvh_note),
			  .p_memsz = sizeof(t->other_note) + sizeof(t->pvh_note),
			  .p_align = 4 },
		},
		.other_note = { { 4, 4, 18 }, "GNU", 0x41414141 },
		.pvh_note = { { 4, 8, 18 }, "Xen", ELF_TEST_PVH_ENTRY },
	};
	memset(t->text, 0x90, sizeof(t->text));
	memset(t->data, 0xda, sizeof(t->data));
}

struct bz_test {
	uint8_t boot_sector[0x1f1];
	struct setup_header header;
	uint8_t setup[BZ_TEST_CODE - 0x1f1 - sizeof(struct setup_header)];
	uint8_t code[BZ_TEST_CODE_BYTES];
} __attribute__((packed));

_Static_assert(sizeof(struct bz_test) == BZ_TEST_BYTES, "layout");

static inline void bz_test_build(struct bz_test *t)
{
	memset(t, 0, sizeof(*t));
	t->header = (struct setup_header){
		.setup_sects = 9,
		.syssize = BZ_TEST_CODE_BYTES / 16,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb, /* "jmp", and the header's length: up to 0x26c */
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.pref_address = BZ_TEST_PREF_ADDRESS,
		.init_size = BZ_TEST_INIT_SIZE,
	};
	memset(t->code, 0xc0, sizeof(t->code));
}

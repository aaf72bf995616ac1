/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and loads ELF kernels: see elf.h. All numbers of the file are hostile. */
#include "machine/boot/elf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "machine/x86/layout.h"

enum {
	ELF_MAX_PHDRS = 64, /* vmlinux has 5 */
	ELF_MAX_NOTES_BYTES = 64 * 1024, /* vmlinux has about 500 */
	/* Linux's COMMAND_LINE_SIZE - 1 on x86; an ELF kernel does not say its own. */
	ELF_CMDLINE_MAX = 2047,
	/* xen/include/public/elfnote.h */
	XEN_ELFNOTE_PHYS32_ENTRY = 18,
};

/* What the setup header of every x86-64 bzImage says; the vmlinux inside has no word for it. */
static const uint64_t elf_initrd_addr_max = 0x7fffffff;

/* Where a kernel may go that moves: the first huge page behind the boot data, and no finer. */
static const uint64_t elf_lowest = 2 * MIB;

struct elf_file {
	const struct image *image; /* borrowed: outlives the load */
	uint64_t ram_bytes; /* of guest RAM below 4 GiB */
	uint64_t slide; /* how much lower it is loaded than it is linked */
	unsigned int last; /* the segment with the highest address */
	Elf64_Ehdr header;
	Elf64_Phdr phdrs[ELF_MAX_PHDRS];
};

static int elf_check_kind(const Elf64_Ehdr *h, struct err *e)
{
	if (h->e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(
			e, -ENOEXEC,
			"the kernel is %s ELF file (class %u); give an ELF64 x86-64 executable "
			"(class %u) or a bzImage",
			h->e_ident[EI_CLASS] == ELFCLASS32 ? "a 32-bit" : "a damaged",
			h->e_ident[EI_CLASS], ELFCLASS64);
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return err_set(e, -ENOEXEC,
			       "the kernel is an ELF file that is not little-endian (data encoding "
			       "%u); give one built for x86-64",
			       h->e_ident[EI_DATA]);
	if (h->e_machine != EM_X86_64)
		return err_set(e, -ENOEXEC,
			       "the kernel is an ELF file for %s (machine %u); give one built for "
			       "x86-64 (machine %u)",
			       h->e_machine == EM_AARCH64 ? "aarch64" : "another processor",
			       h->e_machine, EM_X86_64);
	if (h->e_type == ET_REL)
		return err_set(e, -ENOEXEC,
			       "the kernel is an ELF object file, not linked yet; give the "
			       "executable (vmlinux)");
	if (h->e_type != ET_EXEC)
		return err_set(e, -ENOEXEC,
			       "the kernel is an ELF file of type %u; give an executable linked at "
			       "fixed addresses (type %u), as vmlinux is",
			       h->e_type, ET_EXEC);
	return 0;
}

static int elf_read_headers(struct elf_file *elf, struct err *e)
{
	const Elf64_Ehdr *h = &elf->header;
	uint64_t len;
	int r;

	if (!image_has(elf->image, 0, sizeof(*h)))
		return err_set(e, -ENODATA,
			       "the kernel is truncated: it has %" PRIu64
			       " bytes, and an ELF header alone has %zu",
			       elf->image->size_bytes, sizeof(*h));
	r = image_read(elf->image, 0, &elf->header, sizeof(elf->header), e);
	if (r < 0)
		return r;
	r = elf_check_kind(h, e);
	if (r < 0)
		return r;
	if (h->e_phnum == 0 || h->e_phnum > ELF_MAX_PHDRS)
		return err_set(e, -ENOEXEC,
			       "the kernel has %u program headers; 1 to %d can be loaded",
			       h->e_phnum, ELF_MAX_PHDRS);
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return err_set(
			e, -ENOEXEC,
			"the kernel's program headers are %u bytes each; in ELF64 they are %zu",
			h->e_phentsize, sizeof(Elf64_Phdr));
	len = h->e_phnum * sizeof(Elf64_Phdr);
	if (!image_has(elf->image, h->e_phoff, len))
		return err_set(e, -ENODATA,
			       "the kernel is truncated: its program headers (%" PRIu64
			       " bytes at 0x%" PRIx64 ") are not inside its %" PRIu64 " bytes",
			       len, h->e_phoff, elf->image->size_bytes);
	return image_read(elf->image, h->e_phoff, elf->phdrs, len, e);
}

static int elf_check_segment(const struct elf_file *elf, unsigned int i, struct err *e)
{
	const Elf64_Phdr *p = &elf->phdrs[i];
	uint64_t end;

	if (p->p_filesz > p->p_memsz)
		return err_set(
			e, -ENOEXEC,
			"the kernel's program header %u has more bytes in the file (0x%" PRIx64
			") than in memory (0x%" PRIx64 ")",
			i, p->p_filesz, p->p_memsz);
	if (!image_has(elf->image, p->p_offset, p->p_filesz))
		return err_set(e, -ENODATA,
			       "the kernel is truncated: its program header %u takes 0x%" PRIx64
			       " bytes at 0x%" PRIx64 " of a file of 0x%" PRIx64 " bytes",
			       i, p->p_filesz, p->p_offset, elf->image->size_bytes);
	if (p->p_paddr < LAYOUT_HIGH_MEM)
		return err_set(e, -ENOEXEC,
			       "the kernel's program header %u puts 0x%" PRIx64
			       " bytes at 0x%" PRIx64 ", below 1 MiB, where boot data is; link it "
			       "at 0x%x or above",
			       i, p->p_memsz, p->p_paddr, LAYOUT_HIGH_MEM);
	if (!ck_add(p->p_paddr, p->p_memsz, &end) || end > LAYOUT_LOW_RAM_MAX)
		return err_set(e, -ENOEXEC,
			       "the kernel's program header %u puts 0x%" PRIx64
			       " bytes at 0x%" PRIx64 "; it must end by 0x%llx",
			       i, p->p_memsz, p->p_paddr, LAYOUT_LOW_RAM_MAX);
	return 0;
}

static bool elf_is_loaded(const Elf64_Phdr *p)
{
	return p->p_type == PT_LOAD && p->p_memsz > 0;
}

/* Segments before @i are checked, so their ends do not wrap. */
static int elf_check_overlap(const struct elf_file *elf, unsigned int i, struct err *e)
{
	const Elf64_Phdr *p = &elf->phdrs[i];

	for (unsigned int k = 0; k < i; k++) {
		const Elf64_Phdr *q = &elf->phdrs[k];

		if (elf_is_loaded(q) && p->p_paddr < q->p_paddr + q->p_memsz &&
		    q->p_paddr < p->p_paddr + p->p_memsz)
			return err_set(e, -ENOEXEC,
				       "the kernel's program headers %u and %u overlap: 0x%" PRIx64
				       " bytes at 0x%" PRIx64 " and 0x%" PRIx64
				       " bytes at 0x%" PRIx64,
				       k, i, q->p_memsz, q->p_paddr, p->p_memsz, p->p_paddr);
	}
	return 0;
}

/* The message names the highest segment, so that the memory it asks for is enough for all. */
static int elf_check_ram(const struct elf_file *elf, struct err *e)
{
	const Elf64_Phdr *p = &elf->phdrs[elf->last];
	uint64_t start = p->p_paddr - elf->slide;
	uint64_t end = start + p->p_memsz;

	if (end <= elf->ram_bytes)
		return 0;
	return err_set(e, -ENOMEM,
		       "the kernel's program header %u puts 0x%" PRIx64 " bytes at 0x%" PRIx64
		       ", outside the %" PRIu64
		       " MiB of guest memory; give the VM at least %" PRIu64 " MiB (--memory)",
		       elf->last, p->p_memsz, start, elf->ram_bytes / MIB,
		       align_up(end, MIB) / MIB);
}

static int elf_check_segments(struct elf_file *elf, struct boot_kernel *kernel, struct err *e)
{
	kernel->load_start = UINT64_MAX;
	kernel->load_end = 0;
	for (unsigned int i = 0; i < elf->header.e_phnum; i++) {
		const Elf64_Phdr *p = &elf->phdrs[i];
		int r;

		if (!elf_is_loaded(p))
			continue;
		r = elf_check_segment(elf, i, e);
		if (r == 0)
			r = elf_check_overlap(elf, i, e);
		if (r < 0)
			return r;
		kernel->load_start = min_u64(kernel->load_start, p->p_paddr);
		if (p->p_paddr + p->p_memsz > kernel->load_end) {
			kernel->load_end = p->p_paddr + p->p_memsz;
			elf->last = i;
		}
	}
	if (kernel->load_end == 0)
		return err_set(e, -ENOEXEC,
			       "the kernel has nothing to load: no program header of type LOAD "
			       "with bytes in it");
	return 0;
}

/*
 * Moves a kernel that may be moved down when RAM ends before it does: as far as it goes, so that
 * all memory that is left is in one piece. The kernel's page tables want steps of 2 MiB.
 */
static int elf_place(struct elf_file *elf, uint64_t align, struct boot_kernel *kernel,
		     struct err *e)
{
	if (align && kernel->load_end > elf->ram_bytes && kernel->load_start > elf_lowest)
		elf->slide =
			align_down(kernel->load_start - elf_lowest, max_u64(align, elf_lowest));
	kernel->load_start -= elf->slide;
	kernel->load_end -= elf->slide;
	return elf_check_ram(elf, e);
}

/* One note, with offsets from the start of its segment. */
struct elf_note {
	uint32_t type;
	char name[4]; /* empty when the name has another length than "Xen" with its NUL */
	uint64_t desc;
	uint32_t desc_len;
	uint64_t next;
};

/*
 * Reads the note at @at of the note segment @i, which is inside the file and small, so that sums of
 * its offsets with 32-bit lengths do not wrap. Name and descriptor are padded to the segment's
 * alignment (gABI, "Note Section").
 */
static int elf_read_note(const struct elf_file *elf, unsigned int i, uint64_t at,
			 struct elf_note *note, struct err *e)
{
	const Elf64_Phdr *p = &elf->phdrs[i];
	uint64_t align = p->p_align == 8 ? 8 : 4;
	Elf64_Nhdr h;
	int r;

	r = image_read(elf->image, p->p_offset + at, &h, sizeof(h), e);
	if (r < 0)
		return r;
	*note = (struct elf_note){ .type = h.n_type, .desc_len = h.n_descsz };
	note->desc = align_up(at + sizeof(h) + h.n_namesz, align);
	note->next = align_up(note->desc + h.n_descsz, align);
	/* The last descriptor may come without its padding. */
	if (note->desc + h.n_descsz > p->p_filesz)
		return err_set(e, -ENOEXEC,
			       "the kernel's notes (program header %u) are damaged: one has a name "
			       "of 0x%x and a descriptor of 0x%x bytes",
			       i, h.n_namesz, h.n_descsz);
	if (h.n_namesz == sizeof(note->name))
		return image_read(elf->image, p->p_offset + at + sizeof(h), note->name,
				  sizeof(note->name), e);
	return 0;
}

static int elf_read_pvh_entry(const struct elf_file *elf, uint64_t offset, uint32_t len,
			      uint64_t *entry, struct err *e)
{
	le64 value = le64_put(0); /* 4 bytes fill the low half */
	int r;

	if (len != 4 && len != 8)
		return err_set(e, -ENOEXEC,
			       "the kernel's PVH entry note (Xen PHYS32_ENTRY) has %" PRIu32
			       " bytes; 4 or 8 are right",
			       len);
	r = image_read(elf->image, offset, &value, len, e);
	*entry = le64_get(value);
	return r;
}

/* Looks for the PVH entry in the note segment @i. 1 when found, 0 when not, or -errno. */
static int elf_scan_notes(const struct elf_file *elf, unsigned int i, uint64_t *entry,
			  struct err *e)
{
	const Elf64_Phdr *p = &elf->phdrs[i];
	struct elf_note note;
	int r;

	if (p->p_filesz > ELF_MAX_NOTES_BYTES || !image_has(elf->image, p->p_offset, p->p_filesz))
		return err_set(e, -ENOEXEC,
			       "the kernel's program header %u has 0x%" PRIx64
			       " bytes of notes at 0x%" PRIx64
			       "; they must be inside the file, and at most 0x%x bytes",
			       i, p->p_filesz, p->p_offset, ELF_MAX_NOTES_BYTES);
	/* Bounded: each note is at least a header long. */
	for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= p->p_filesz; at = note.next) {
		r = elf_read_note(elf, i, at, &note, e);
		if (r < 0)
			return r;
		if (note.type != XEN_ELFNOTE_PHYS32_ENTRY ||
		    memcmp(note.name, "Xen", sizeof(note.name)) != 0)
			continue;
		r = elf_read_pvh_entry(elf, p->p_offset + note.desc, note.desc_len, entry, e);
		return r < 0 ? r : 1;
	}
	return 0;
}

/* 1 when the kernel has a PVH entry, 0 when not, or -errno. */
static int elf_find_pvh_entry(const struct elf_file *elf, uint64_t *entry, struct err *e)
{
	for (unsigned int i = 0; i < elf->header.e_phnum; i++) {
		int r = 0;

		if (elf->phdrs[i].p_type == PT_NOTE)
			r = elf_scan_notes(elf, i, entry, e);
		if (r != 0)
			return r;
	}
	return 0;
}

/* Is there code from the file at @entry? Segments are checked, so they end below 4 GiB. */
static bool elf_has_code_at(const struct elf_file *elf, uint64_t entry)
{
	for (unsigned int i = 0; i < elf->header.e_phnum; i++) {
		const Elf64_Phdr *p = &elf->phdrs[i];

		if (elf_is_loaded(p) && entry >= p->p_paddr && entry - p->p_paddr < p->p_filesz)
			return true;
	}
	return false;
}

static int elf_choose_entry(const struct elf_file *elf, enum boot_protocol wanted,
			    struct boot_kernel *kernel, struct err *e)
{
	uint64_t entry = elf->header.e_entry;
	int found = 0;

	if (wanted != BOOT_PROTOCOL_LINUX64)
		found = elf_find_pvh_entry(elf, &entry, e);
	if (found < 0)
		return found;
	if (wanted == BOOT_PROTOCOL_PVH && !found)
		return err_set(
			e, -ENOEXEC,
			"the kernel has no PVH entry (no ELF note Xen PHYS32_ENTRY); build it "
			"with CONFIG_PVH=y or use --boot-protocol linux64");
	kernel->protocol = found ? BOOT_PROTOCOL_PVH : BOOT_PROTOCOL_LINUX64;
	if (!elf_has_code_at(elf, entry))
		return err_set(e, -ENOEXEC,
			       "the kernel's %s entry 0x%" PRIx64
			       " is in none of its segments, which are loaded by physical address",
			       found ? "PVH" : "ELF", entry);
	kernel->entry = (struct gpa){ entry - elf->slide };
	return 0;
}

int elf_load(const struct mem *mem, const struct image *image, enum boot_protocol wanted,
	     uint64_t align, struct boot_kernel *kernel, struct err *e)
{
	struct elf_file elf = { .image = image, .ram_bytes = mem_low_bytes(mem) };
	int r;

	r = elf_read_headers(&elf, e);
	if (r < 0)
		return r;
	r = elf_check_segments(&elf, kernel, e);
	if (r < 0)
		return r;
	r = elf_place(&elf, wanted == BOOT_PROTOCOL_LINUX64 ? align : 0, kernel, e);
	if (r < 0)
		return r;
	r = elf_choose_entry(&elf, wanted, kernel, e);
	if (r < 0)
		return r;
	kernel->initrd_addr_max = elf_initrd_addr_max;
	kernel->cmdline_max = ELF_CMDLINE_MAX;
	for (unsigned int i = 0; i < elf.header.e_phnum; i++) {
		const Elf64_Phdr *p = &elf.phdrs[i];

		if (!elf_is_loaded(p))
			continue;
		r = image_load(image, p->p_offset, p->p_filesz, mem,
			       (struct gpa){ p->p_paddr - elf.slide }, e);
		if (r < 0)
			return r;
	}
	return 0;
}

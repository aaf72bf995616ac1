/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks and loads bzImages: see bzimage.h. Field names and meanings are those of
 * Documentation/arch/x86/boot.rst, "Details of Header Fields"; all of them are hostile.
 */
#include "machine/boot/bzimage.h"

#include <asm/bootparam.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "machine/boot/decompress.h"
#include "machine/boot/elf.h"
#include "machine/x86/layout.h"

enum {
	BZIMAGE_HEADER_LEN_OFFSET = 0x201, /* the header ends that many bytes after 0x202 */
	BZIMAGE_HEADER_LEN_BASE = 0x202,
	BZIMAGE_MIN_HEADER_END = 0x268, /* behind the last field of protocol 2.12 */
	BZIMAGE_MIN_VERSION = 0x020c,
	BZIMAGE_SECTOR_BYTES = 512,
	BZIMAGE_DEFAULT_SETUP_SECTS = 4, /* what a setup_sects of 0 means */
	BZIMAGE_PARAGRAPH_BYTES = 16, /* unit of syssize */
	BZIMAGE_ENTRY64_OFFSET = 0x200,
	BZIMAGE_DEFAULT_CMDLINE_MAX = 255, /* what a cmdline_size of 0 means */
	BZIMAGE_MIN_ALIGNMENT = 4096,
	BZIMAGE_MAX_ALIGNMENT = 1 << 30,
};

static_assert(offsetof(struct boot_params, hdr) == KERNEL_SETUP_HEADER_OFFSET, "zero page");
static_assert(offsetof(struct setup_header, syssize) == 0x1f4 - 0x1f1, "setup header");
static_assert(offsetof(struct setup_header, initrd_addr_max) == 0x22c - 0x1f1, "setup header");
static_assert(offsetof(struct setup_header, xloadflags) == 0x236 - 0x1f1, "setup header");
static_assert(offsetof(struct setup_header, init_size) == 0x260 - 0x1f1, "setup header");
static_assert(sizeof(struct setup_header) <= KERNEL_SETUP_HEADER_MAX, "room in the zero page");

/* The setup header goes to the zero page as it is; struct setup_header is in host order (x86). */
static int bzimage_read_header(const struct image *image, struct boot_kernel *kernel,
			       struct setup_header *h, struct err *e)
{
	uint8_t head[KERNEL_SETUP_HEADER_END];
	uint32_t end;
	int r;

	r = image_read(image, 0, head, sizeof(head), e);
	if (r < 0)
		return r;
	end = BZIMAGE_HEADER_LEN_BASE + head[BZIMAGE_HEADER_LEN_OFFSET];
	/* A later protocol's header may be longer than its room in the zero page: cut. */
	if (end > sizeof(head))
		end = sizeof(head);
	if (end < BZIMAGE_MIN_HEADER_END)
		return err_set(e, -ENOEXEC,
			       "the kernel's setup header ends at 0x%x, before 0x%x where that of "
			       "Linux boot protocol 2.12 (Linux 3.8) ends; give a later kernel",
			       end, BZIMAGE_MIN_HEADER_END);
	kernel->setup_header_len = end - KERNEL_SETUP_HEADER_OFFSET;
	memcpy(kernel->setup_header, head + KERNEL_SETUP_HEADER_OFFSET, kernel->setup_header_len);
	*h = (struct setup_header){ 0 };
	memcpy(h, kernel->setup_header, min_u64(kernel->setup_header_len, sizeof(*h)));
	if (h->version < BZIMAGE_MIN_VERSION)
		return err_set(e, -ENOEXEC,
			       "the kernel speaks Linux boot protocol %u.%02u; 2.12 (Linux 3.8) or "
			       "later is needed",
			       h->version >> 8, h->version & 0xff);
	return 0;
}

static int bzimage_check_header(const struct setup_header *h, struct err *e)
{
	if (!(h->loadflags & LOADED_HIGH))
		return err_set(e, -ENOEXEC,
			       "the kernel is a zImage, made to run below 1 MiB (loadflags 0x%x); "
			       "give a bzImage",
			       h->loadflags);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return err_set(
			e, -ENOEXEC,
			"the kernel has no 64-bit entry (xloadflags 0x%x); give one built for "
			"x86-64",
			h->xloadflags);
	if (h->relocatable_kernel && (h->kernel_alignment < BZIMAGE_MIN_ALIGNMENT ||
				      h->kernel_alignment > BZIMAGE_MAX_ALIGNMENT ||
				      (h->kernel_alignment & (h->kernel_alignment - 1)) != 0))
		return err_set(e, -ENOEXEC,
			       "the kernel's setup header asks for an alignment of 0x%x; powers of "
			       "two from 0x%x to 0x%x can be given",
			       h->kernel_alignment, BZIMAGE_MIN_ALIGNMENT, BZIMAGE_MAX_ALIGNMENT);
	return 0;
}

/* Where a part of the file is. */
struct span {
	uint64_t offset;
	uint64_t len;
};

/* The protected-mode part: what is loaded when the kernel unpacks itself. */
static int bzimage_find_code(const struct image *image, const struct setup_header *h,
			     struct span *code, struct err *e)
{
	uint64_t sects = h->setup_sects ? h->setup_sects : BZIMAGE_DEFAULT_SETUP_SECTS;

	code->offset = (sects + 1) * BZIMAGE_SECTOR_BYTES; /* and the boot sector */
	code->len = (uint64_t)h->syssize * BZIMAGE_PARAGRAPH_BYTES;
	if (!image_has(image, code->offset, code->len))
		return err_set(e, -ENODATA,
			       "the kernel is truncated or its setup header lies: %" PRIu64
			       " bytes of setup and %" PRIu64 " of code do not fit in its %" PRIu64
			       " bytes",
			       code->offset, code->len, image->size_bytes);
	if (code->len <= BZIMAGE_ENTRY64_OFFSET)
		return err_set(e, -ENOEXEC,
			       "the kernel's setup header counts %" PRIu64
			       " bytes of code (syssize); its 64-bit entry alone is at 0x%x",
			       code->len, BZIMAGE_ENTRY64_OFFSET);
	return 0;
}

/*
 * Takes the address where the kernel wants to run: it moves itself there when it finds itself
 * lower, and RAM has no gap above it, so that no other address could fit where this one does not
 * (boot.rst, pref_address and init_size). The window holds the unpacked kernel, @len bytes at
 * least.
 */
static int bzimage_place(const struct mem *mem, const struct setup_header *h, uint64_t len,
			 struct boot_kernel *kernel, struct err *e)
{
	uint64_t ram = mem_low_bytes(mem);
	uint64_t window = max_u64(h->init_size, len);
	uint64_t start = h->pref_address;

	if (start < LAYOUT_HIGH_MEM && h->relocatable_kernel)
		start = LAYOUT_HIGH_MEM;
	if (start < LAYOUT_HIGH_MEM || start >= LAYOUT_LOW_RAM_MAX)
		return err_set(e, -ENOEXEC,
			       "the kernel wants to run at 0x%" PRIx64
			       "; it must be 0x%x or above, and below 0x%llx",
			       start, LAYOUT_HIGH_MEM, LAYOUT_LOW_RAM_MAX);
	if (h->relocatable_kernel)
		start = align_up(start, h->kernel_alignment);
	/* Both are far below 2^64: no wrap. */
	if (start + window > LAYOUT_LOW_RAM_MAX)
		return err_set(e, -ENOEXEC,
			       "the kernel asks for 0x%" PRIx64 " bytes at 0x%" PRIx64
			       " to start; they must end by 0x%llx",
			       window, start, LAYOUT_LOW_RAM_MAX);
	if (start + window > ram)
		return err_set(e, -ENOMEM,
			       "the kernel needs 0x%" PRIx64 " bytes at 0x%" PRIx64
			       " to start, outside the %" PRIu64
			       " MiB of guest memory; give the VM at least %" PRIu64
			       " MiB (--memory)",
			       window, start, ram / MIB, align_up(start + window, MIB) / MIB);
	kernel->load_start = start;
	kernel->load_end = start + window;
	kernel->entry = (struct gpa){ start + BZIMAGE_ENTRY64_OFFSET };
	return 0;
}

/*
 * The compressed kernel inside the code. Its last four bytes are its unpacked size, which the
 * kernel's build appends; gzip data end so by themselves (RFC 1952, ISIZE).
 */
static int bzimage_find_payload(const struct image *image, const struct setup_header *h,
				const struct span *code, struct span *payload,
				uint32_t *unpacked_bytes, struct err *e)
{
	uint8_t head[DECOMPRESS_MAGIC_BYTES];
	const char *format;
	uint64_t end;
	le32 size;
	int r;

	payload->offset = code->offset + h->payload_offset;
	payload->len = h->payload_length;
	end = payload->offset + payload->len; /* small numbers: no wrap */
	if (payload->len < sizeof(head) + sizeof(size) || end > code->offset + code->len)
		return err_set(e, -ENOEXEC,
			       "the kernel's setup header has a payload of 0x%x bytes at 0x%x of "
			       "0x%" PRIx64 " bytes of code: there is no compressed kernel",
			       h->payload_length, h->payload_offset, code->len);
	r = image_read(image, payload->offset, head, sizeof(head), e);
	if (r == 0)
		r = image_read(image, end - sizeof(size), &size, sizeof(size), e);
	if (r < 0)
		return r;
	format = decompress_format(head, sizeof(head));
	if (!format)
		return err_set(
			e, -ENOEXEC,
			"the kernel in this bzImage is compressed in a way that is not known "
			"here (gzip, xz, zstd and lz4 are); use --kernel-decompress guest");
	if (strcmp(format, "gzip") != 0)
		payload->len -= sizeof(size);
	*unpacked_bytes = le32_get(size);
	return 0;
}

static int bzimage_unpack(const struct mem *mem, const struct image *image,
			  const struct setup_header *h, const struct span *code,
			  struct unpacked *out, struct err *e)
{
	struct span payload;
	uint32_t size = 0;
	int r;

	r = bzimage_find_payload(image, h, code, &payload, &size, e);
	if (r < 0)
		return r;
	if (size == 0 || size > decompress_limit(mem))
		return err_set(e, -EFBIG,
			       "the kernel in this bzImage says it unpacks to %" PRIu32
			       " bytes; 1 to %" PRIu64 " can be unpacked for this guest",
			       size, decompress_limit(mem));
	r = decompress_image(image, payload.offset, payload.len, size, out, e);
	if (r == -EFBIG || (r == 0 && out->len_bytes != size)) {
		unpacked_release(out);
		return err_set(e, -EBADMSG,
			       "the kernel in this bzImage is damaged: it does not unpack to the "
			       "%" PRIu32 " bytes it says",
			       size);
	}
	return r;
}

/* Such a kernel takes 64-bit pointers; initrd_addr_max is for older loaders. */
static uint64_t bzimage_initrd_addr_max(const struct setup_header *h)
{
	return h->xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G ? UINT32_MAX : h->initrd_addr_max;
}

/* Entered as it would enter itself, by the 64-bit protocol, unless PVH is wanted. */
static int bzimage_load_unpacked(const struct mem *mem, const struct image *image,
				 const struct setup_header *h, const struct span *code,
				 enum boot_protocol wanted, struct boot_kernel *kernel,
				 struct err *e)
{
	struct unpacked unpacked;
	struct image elf;
	int r;

	r = bzimage_unpack(mem, image, h, code, &unpacked, e);
	if (r < 0)
		return r;
	image_init_bytes(&elf, unpacked.bytes, unpacked.len_bytes, "kernel");
	r = elf_load(mem, &elf, wanted == BOOT_PROTOCOL_PVH ? wanted : BOOT_PROTOCOL_LINUX64,
		     h->relocatable_kernel ? h->kernel_alignment : 0, kernel, e);
	unpacked_release(&unpacked);
	if (r == 0 && kernel->protocol == BOOT_PROTOCOL_LINUX64)
		kernel->initrd_addr_max = bzimage_initrd_addr_max(h);
	return r;
}

/* The compressed kernel and the code that unpacks it. */
static int bzimage_load_code(const struct mem *mem, const struct image *image,
			     const struct setup_header *h, const struct span *code,
			     struct boot_kernel *kernel, struct err *e)
{
	int r = bzimage_place(mem, h, code->len, kernel, e);

	if (r < 0)
		return r;
	kernel->protocol = BOOT_PROTOCOL_LINUX64;
	kernel->initrd_addr_max = bzimage_initrd_addr_max(h);
	return image_load(image, code->offset, code->len, mem, (struct gpa){ kernel->load_start },
			  e);
}

static int bzimage_load_either(const struct mem *mem, const struct image *image,
			       const struct setup_header *h, const struct span *code,
			       enum boot_protocol wanted, enum kernel_decompress unpacker,
			       struct boot_kernel *kernel, struct err *e)
{
	struct err guest = { 0 }, host = { 0 };
	int r;

	if (unpacker == KERNEL_DECOMPRESS_HOST || wanted == BOOT_PROTOCOL_PVH)
		return bzimage_load_unpacked(mem, image, h, code, wanted, kernel, e);
	r = bzimage_load_code(mem, image, h, code, kernel, &guest);
	if (r == 0)
		return 0;
	if (r != -ENOMEM || unpacker == KERNEL_DECOMPRESS_GUEST)
		return err_set(e, r, "%s", guest.msg);
	/* The room that unpacking takes in the guest is not needed if it is done here. */
	r = bzimage_load_unpacked(mem, image, h, code, wanted, kernel, &host);
	if (r == 0) {
		log_info("the kernel is unpacked on the host and loaded at 0x%" PRIx64
			 ": there is no memory for it to unpack itself",
			 kernel->load_start);
		return 0;
	}
	/* When both lack memory, the host's way needs less: its wish is the one to tell. */
	return err_set(e, -ENOMEM, "%s", r == -ENOMEM ? host.msg : guest.msg);
}

int bzimage_load(const struct mem *mem, const struct image *image, enum boot_protocol wanted,
		 enum kernel_decompress unpacker, struct boot_kernel *kernel, struct err *e)
{
	struct setup_header h;
	struct span code;
	int r;

	if (wanted == BOOT_PROTOCOL_PVH && unpacker == KERNEL_DECOMPRESS_GUEST)
		return err_set(e, -ENOEXEC,
			       "the kernel is a bzImage, which has no PVH entry; let the host "
			       "unpack it (--kernel-decompress host), give the ELF file vmlinux or "
			       "use --boot-protocol linux64");
	r = bzimage_read_header(image, kernel, &h, e);
	if (r < 0)
		return r;
	r = bzimage_check_header(&h, e);
	if (r < 0)
		return r;
	r = bzimage_find_code(image, &h, &code, e);
	if (r == 0)
		r = bzimage_load_either(mem, image, &h, &code, wanted, unpacker, kernel, e);
	kernel->cmdline_max = h.cmdline_size ? h.cmdline_size : BZIMAGE_DEFAULT_CMDLINE_MAX;
	return r;
}

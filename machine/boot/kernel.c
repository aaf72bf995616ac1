/* SPDX-License-Identifier: Apache-2.0 */
/* Tells kernel formats apart, and says what a file is that is no kernel: see kernel.h. */
#include "machine/boot/kernel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/boot/bzimage.h"
#include "machine/boot/decompress.h"
#include "machine/boot/elf.h"
#include "machine/boot/image.h"

/* Enough for every magic below. */
enum { KERNEL_HEAD_BYTES = 0x210, KERNEL_SHOWN_BYTES = 8 };

struct magic {
	uint16_t offset;
	uint16_t len;
	const char *bytes;
};

struct format_hint {
	struct magic magic;
	const char *what;
	const char *advice;
};

static const struct magic magic_elf = { 0, 4, "\177ELF" };
static const struct magic magic_boot_flag = { 0x1fe, 2, "\125\252" };
static const struct magic magic_bzimage = { 0x202, 4, "HdrS" };

/* Files that people take for a kernel. Magic in octal, which ends after three digits. */
static const struct format_hint hints[] = {
	{ { 0, 3, "BZh" }, "a bzip2 file", "unpack it first (bunzip2)" },
	{ { 0x38, 4, "ARMd" }, "an arm64 Image", "give a kernel built for x86-64" },
	{ { 0, 4, "\047\005\031\126" }, "a U-Boot image", "give the vmlinux it was made of" },
	{ { 0, 2, "MZ" }, "an EFI program", "give the kernel inside it" },
	{ { 0, 2, "#!" }, "a script", "give the kernel itself" },
	{ { 0, 5, "07070" }, "a cpio archive", "an initrd goes with --initrd" },
	{ { 0, 7, "!<arch>" }, "a package or archive", "unpack it and give the kernel in it" },
};

static bool magic_matches(const struct magic *magic, const uint8_t *head, size_t len)
{
	return (size_t)magic->offset + magic->len <= len &&
	       !memcmp(head + magic->offset, magic->bytes, magic->len);
}

static int kernel_refuse(const uint8_t *head, size_t len, struct err *e)
{
	char shown[3 * KERNEL_SHOWN_BYTES + 1] = "";

	for (size_t i = 0; i < ARRAY_LEN(hints); i++)
		if (magic_matches(&hints[i].magic, head, len))
			return err_set(e, -ENOEXEC,
				       "the kernel is %s, neither an ELF64 x86-64 executable "
				       "(vmlinux) nor a bzImage; %s",
				       hints[i].what, hints[i].advice);
	for (size_t i = 0; i < min_u64(len, KERNEL_SHOWN_BYTES); i++)
		snprintf(shown + 3 * i, sizeof(shown) - 3 * i, " %02x", head[i]);
	return err_set(e, -ENOEXEC,
		       "the kernel is neither an ELF64 x86-64 executable (vmlinux) nor a bzImage "
		       "(first bytes%s)",
		       shown);
}

/* A file that is compressed as a whole, of @format. What is in it need not be relocatable. */
static int load_compressed(const struct mem *mem, const struct image *file, const char *format,
			   enum boot_protocol wanted, struct boot_kernel *kernel, struct err *e)
{
	struct unpacked unpacked;
	struct image image;
	int r;

	r = decompress_image(file, 0, file->size_bytes, decompress_limit(mem), &unpacked, e);
	if (r < 0)
		return r;
	image_init_bytes(&image, unpacked.bytes, unpacked.len_bytes, "kernel");
	if (magic_matches(&magic_elf, unpacked.bytes, unpacked.len_bytes))
		r = elf_load(mem, &image, wanted, 0, kernel, e);
	else
		r = err_set(e, -ENOEXEC,
			    "the kernel is a %s file with something else than an ELF64 x86-64 "
			    "executable (vmlinux) in it; unpack it first",
			    format);
	unpacked_release(&unpacked);
	return r;
}

int kernel_load(const struct mem *mem, int fd, enum boot_protocol wanted,
		enum kernel_decompress unpacker, struct boot_kernel *kernel, struct err *e)
{
	uint8_t head[KERNEL_HEAD_BYTES];
	struct image image;
	const char *format;
	size_t len;
	int r;

	*kernel = (struct boot_kernel){ 0 };
	r = image_init(&image, fd, "kernel", e);
	if (r < 0)
		return r;
	len = min_u64(image.size_bytes, sizeof(head));
	r = image_read(&image, 0, head, len, e);
	if (r < 0)
		return r;
	if (magic_matches(&magic_elf, head, len))
		return elf_load(mem, &image, wanted, 0, kernel, e);
	if (magic_matches(&magic_bzimage, head, len) && magic_matches(&magic_boot_flag, head, len))
		return bzimage_load(mem, &image, wanted, unpacker, kernel, e);
	format = decompress_format(head, len);
	if (!format)
		return kernel_refuse(head, len, e);
	if (unpacker == KERNEL_DECOMPRESS_GUEST)
		return err_set(e, -ENOEXEC,
			       "the kernel is a %s file, which no guest can unpack by itself; "
			       "unpack it first or use --kernel-decompress host",
			       format);
	return load_compressed(mem, &image, format, wanted, kernel, e);
}

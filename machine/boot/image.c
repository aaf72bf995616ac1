/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are loaded into guest RAM: see image.h. */
#include "machine/boot/image.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/file.h"

static const char *file_type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFIFO:
		return "pipe";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "character device";
	default:
		return "special file";
	}
}

int image_init(struct image *image, int fd, const char *what, struct err *e)
{
	struct stat st;
	off_t size;

	*image = (struct image){ .what = what, .fd = fd };
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot examine the %s", what);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
			       "the %s is a %s; give a regular file", what,
			       file_type_name(st.st_mode));
	/* st_size of a block device is 0; its end is where a seek to the end goes. */
	size = S_ISREG(st.st_mode) ? st.st_size : lseek(fd, 0, SEEK_END);
	if (size < 0)
		return err_errno(e, -errno, "cannot find the size of the %s", what);
	if (size == 0)
		return err_set(e, -ENODATA, "the %s is an empty file (0 bytes)", what);
	image->size_bytes = (uint64_t)size;
	return 0;
}

void image_init_bytes(struct image *image, const uint8_t *bytes, uint64_t len, const char *what)
{
	*image = (struct image){ .what = what, .fd = -1, .bytes = bytes, .size_bytes = len };
}

bool image_has(const struct image *image, uint64_t offset, uint64_t len)
{
	uint64_t end;

	return ck_add(offset, len, &end) && end <= image->size_bytes;
}

static int image_read_failed(const struct image *image, int code, struct err *e)
{
	if (code == -ENODATA)
		return err_set(e, code,
			       "the %s ended early: it had %" PRIu64
			       " bytes and became shorter while it was read",
			       image->what, image->size_bytes);
	return err_errno(e, code, "cannot read the %s", image->what);
}

int image_read(const struct image *image, uint64_t offset, void *to, size_t len, struct err *e)
{
	ssize_t n;

	if (!image_has(image, offset, len))
		return err_set(e, -ENODATA,
			       "the %s is truncated: it has %" PRIu64
			       " bytes, and %zu at 0x%" PRIx64 " are needed",
			       image->what, image->size_bytes, len, offset);
	if (image->bytes) {
		memcpy(to, image->bytes + offset, len);
		return 0;
	}
	n = file_pread_full(image->fd, to, len, (off_t)offset);
	if (n < 0)
		return image_read_failed(image, (int)n, e);
	if ((size_t)n != len)
		return image_read_failed(image, -ENODATA, e);
	return 0;
}

int image_load(const struct image *image, uint64_t offset, uint64_t len, const struct mem *mem,
	       struct gpa to, struct err *e)
{
	int r;

	if (len == 0)
		return 0;
	if (!image_has(image, offset, len))
		return err_set(e, -ENODATA,
			       "the %s is truncated: it has %" PRIu64 " bytes, and %" PRIu64
			       " at 0x%" PRIx64 " are needed",
			       image->what, image->size_bytes, len, offset);
	if (!mem_ptr(mem, to, len))
		return err_set(e, -EFAULT,
			       "the %s puts 0x%" PRIx64 " bytes at 0x%" PRIx64
			       ", outside guest memory",
			       image->what, len, to.v);
	if (image->bytes)
		return mem_write(mem, to, image->bytes + offset, len);
	r = mem_pread(mem, to, image->fd, offset, len);
	return r < 0 ? image_read_failed(image, r, e) : 0;
}

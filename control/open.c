/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files with useful complaints: see open.h. */
#include "control/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"

enum {
	SECTOR_BYTES = 512,
	LOCK_ATTEMPTS = 26, /* half a second */
	LOCK_NAP_MS = 20,
};

static int open_quietly(const char *path, int flags)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0600);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static int make_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFBLK:
		return "a block device";
	case S_IFCHR:
		return "a character device";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "no file of a known type";
	}
}

/* @wanted completes "X is a directory; give ...". */
static int refuse_type(const char *what, const char *path, mode_t mode, const char *wanted,
		       struct err *e)
{
	return err_set(e, S_ISDIR(mode) ? -EISDIR : -EINVAL, "%s %s is %s; give %s", what,
		       quote(path).text, type_name(mode), wanted);
}

int open_kvm(const char *path, struct err *e)
{
	int fd = open_quietly(path, O_RDWR);

	if (fd == -EACCES || fd == -EPERM)
		return err_set(e, fd, "cannot open %s: %s; add your user to the kvm group", path,
			       strerror(-fd));
	if (fd == -ENOENT || fd == -ENODEV || fd == -ENXIO)
		return err_set(e, fd,
			       "cannot open %s: %s; load kvm_intel or kvm_amd, or check that "
			       "virtualization is enabled",
			       path, strerror(-fd));
	if (fd < 0)
		return err_errno(e, fd, "cannot open %s", path);
	return fd;
}

int open_image(const char *what, const char *path, struct err *e)
{
	auto_fd int fd = open_quietly(path, O_RDONLY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return err_errno(e, fd, "cannot open %s %s", what, quote(path).text);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot examine %s %s", what, quote(path).text);
	if (!S_ISREG(st.st_mode))
		return refuse_type(what, path, st.st_mode, "a regular file", e);
	if (st.st_size == 0)
		return err_set(e, -EINVAL, "%s %s is empty; give the whole file", what,
			       quote(path).text);
	r = make_blocking(fd);
	if (r < 0)
		return err_errno(e, r, "cannot prepare %s %s", what, quote(path).text);
	return take_fd(&fd);
}

static const char drive_wanted[] = "a raw disk image or a block device";

static int refuse_drive_open(const char *path, bool is_read_only, int code, struct err *e)
{
	bool is_about_writing = code == -EACCES || code == -EPERM || code == -EROFS ||
				code == -ETXTBSY;

	if (code == -EISDIR)
		return refuse_type("drive", path, S_IFDIR, drive_wanted, e);
	if (is_read_only || !is_about_writing)
		return err_errno(e, code, "cannot open drive %s", quote(path).text);
	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
		return err_errno(e, code, "cannot open drive %s for reading and writing",
				 quote(path).text);
	return err_set(e, code,
		       "cannot open drive %s for writing: %s; add ',ro' for a read-only drive",
		       quote(path).text, strerror(-code));
}

static int check_drive(int fd, const char *path, struct err *e)
{
	struct stat st;
	off_t bytes;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot examine drive %s", quote(path).text);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return refuse_type("drive", path, st.st_mode, drive_wanted, e);
	bytes = lseek(fd, 0, SEEK_END); /* st_size is 0 for a block device */
	if (bytes < 0)
		return err_errno(e, -errno, "cannot find the size of drive %s", quote(path).text);
	if (bytes % SECTOR_BYTES != 0)
		return err_set(e, -EINVAL,
			       "drive %s has %jd bytes, not a multiple of %d; round it up with: "
			       "truncate -s %%%d FILE",
			       quote(path).text, (intmax_t)bytes, SECTOR_BYTES, SECTOR_BYTES);
	return 0;
}

int open_check_filled(int fd, const char *path, struct err *e)
{
	if (lseek(fd, 0, SEEK_END) != 0)
		return 0;
	return err_set(e, -EINVAL, "drive %s is empty; give it a size, for example: %s",
		       quote(path).text, "truncate -s 1G FILE");
}

bool open_is_same_file(int fd, const char *path)
{
	struct stat a, b;

	if (fstat(fd, &a) < 0 || stat(path, &b) < 0)
		return false;
	if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode))
		return a.st_rdev == b.st_rdev;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int open_lock_drive(int fd, const char *path, bool is_read_only, struct err *e)
{
	const struct timespec nap = { .tv_nsec = LOCK_NAP_MS * 1000000L };
	int r = -1;

	/* When a VM is killed, the kernel lets go of what its io_uring holds a moment later. */
	for (int i = 0; r < 0 && i < LOCK_ATTEMPTS; i++) {
		if (i > 0)
			nanosleep(&nap, NULL);
		r = flock(fd, (is_read_only ? LOCK_SH : LOCK_EX) | LOCK_NB);
		if (r < 0 && errno != EWOULDBLOCK && errno != EINTR)
			break;
	}
	if (r == 0)
		return 0;
	if (errno != EWOULDBLOCK && errno != EINTR)
		return err_errno(e, -errno, "cannot lock drive %s; ',lock=off' goes without",
				 quote(path).text);
	if (is_read_only)
		return err_set(
			e, -EBUSY,
			"drive %s is being written by another virtual machine; stop that, or "
			"add ',lock=off' if it may change under this one",
			quote(path).text);
	return err_set(
		e, -EBUSY,
		"drive %s is in use by another virtual machine; stop that, make it read-only "
		"in both (',ro'), or add ',lock=off' if its content may be lost",
		quote(path).text);
}

int open_drive(const char *path, bool is_read_only, bool is_direct, struct err *e)
{
	const int flags = (is_read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK;
	auto_fd int fd = open_quietly(path, flags | (is_direct ? O_DIRECT : 0));
	int r;

	if (fd == -EINVAL && is_direct)
		return err_set(
			e, fd,
			"drive %s: its file system has no direct I/O; leave out ',direct=on'",
			quote(path).text);
	if (fd < 0)
		return refuse_drive_open(path, is_read_only, fd, e);
	r = check_drive(fd, path, e);
	if (r < 0)
		return r;
	r = make_blocking(fd);
	if (r < 0)
		return err_errno(e, r, "cannot prepare drive %s", quote(path).text);
	return take_fd(&fd);
}

static const char console_wanted[] = "a regular file, a FIFO or a character device";

int open_console(const char *path, struct err *e)
{
	auto_fd int fd = open_quietly(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK);
	struct stat st;

	if (fd == -EISDIR)
		return refuse_type("console file", path, S_IFDIR, console_wanted, e);
	if (fd == -ENXIO)
		return err_set(
			e, fd,
			"cannot open console file %s: nobody reads from it; start its reader "
			"first, or give a regular file",
			quote(path).text);
	if (fd < 0)
		return err_errno(e, fd, "cannot open console file %s", quote(path).text);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot examine console file %s", quote(path).text);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return refuse_type("console file", path, st.st_mode, console_wanted, e);
	return take_fd(&fd);
}

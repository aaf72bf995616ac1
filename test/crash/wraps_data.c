/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that change what files hold, or make it durable: see record.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "test/crash/recorder.h"
#include "test/crash/wrap.h"

enum { OWN_POSITION = -1 }; /* in place of an offset */

/* --- writes ---------------------------------------------------------------------------------- */

/* A single part by the call that the caller made: a filter may allow no other. */
static ssize_t make_write(int fd, const struct iovec *iov, int nr, off_t offset)
{
	if (nr == 1 && offset == OWN_POSITION)
		return syscall(SYS_write, fd, iov->iov_base, iov->iov_len);
	if (nr == 1)
		return syscall(SYS_pwrite64, fd, iov->iov_base, iov->iov_len, offset);
	if (offset == OWN_POSITION)
		return syscall(SYS_writev, fd, iov, nr);
	return syscall(SYS_pwritev, fd, iov, nr, offset, 0L);
}

/* Where a write that was not told begins. */
static off_t position_before(int fd, int flags)
{
	struct stat st;

	if (flags & O_APPEND)
		return fstat(fd, &st) == 0 ? st.st_size : 0;
	return lseek(fd, 0, SEEK_CUR);
}

static void log_write(uint32_t object, const struct iovec *iov, size_t len, off_t at, bool durable)
{
	struct crash_op *op = recorder_op(CRASH_WRITE, object);
	size_t done = 0;

	op->is_durable = durable;
	op->offset = (uint64_t)at;
	op->len = len;
	for (; done < len; iov++) {
		size_t part = iov->iov_len < len - done ? iov->iov_len : len - done;
		const uint8_t *kept = recorder_keep(iov->iov_base, part);

		if (!kept) {
			op->len = done;
			return;
		}
		if (!op->data)
			op->data = kept; /* further parts come right behind */
		done += part;
	}
}

static ssize_t recorded_write(int fd, uint32_t object, const struct iovec *iov, int nr,
			      off_t offset)
{
	int failure = recorder_fault(CALL_WRITE, true);
	int flags = fcntl(fd, F_GETFL);
	off_t at = offset == OWN_POSITION ? position_before(fd, flags) : offset;
	struct iovec half;
	ssize_t n;

	if (failure > 0)
		return -1;
	if (failure == CRASH_SHORT) {
		half = (struct iovec){ iov->iov_base, (iov->iov_len + 1) / 2 };
		iov = &half;
		nr = 1;
	}
	if (offset != OWN_POSITION && flags & O_APPEND)
		recorder_complain("pwrite to a file that was opened with O_APPEND");
	n = make_write(fd, iov, nr, offset);
	if (n > 0)
		log_write(object, iov, (size_t)n, at, flags & O_DSYNC);
	return n;
}

static ssize_t any_write(int fd, const struct iovec *iov, int nr, off_t offset)
{
	uint32_t object;
	ssize_t n;

	if (!recorder_enter())
		return make_write(fd, iov, nr, offset);
	object = recorder_object(fd);
	if (object == RECORDER_NONE || nr < 1)
		n = make_write(fd, iov, nr, offset);
	else
		n = recorded_write(fd, object, iov, nr, offset);
	recorder_leave();
	return n;
}

static struct iovec one_part(const void *buf, size_t len)
{
	struct iovec iov = { .iov_len = len };

	memcpy(&iov.iov_base, &buf, sizeof(buf)); /* it is only read */
	return iov;
}

WRAP(ssize_t, write, int fd, const void *buf, size_t len)
{
	struct iovec iov = one_part(buf, len);

	return any_write(fd, &iov, 1, OWN_POSITION);
}

WRAP(ssize_t, pwrite, int fd, const void *buf, size_t len, off_t offset)
{
	struct iovec iov = one_part(buf, len);

	return any_write(fd, &iov, 1, offset);
}

WRAP(ssize_t, pwrite64, int fd, const void *buf, size_t len, off_t offset)
{
	struct iovec iov = one_part(buf, len);

	return any_write(fd, &iov, 1, offset);
}

WRAP(ssize_t, writev, int fd, const struct iovec *iov, int nr)
{
	return any_write(fd, iov, nr, OWN_POSITION);
}

WRAP(ssize_t, pwritev, int fd, const struct iovec *iov, int nr, off_t offset)
{
	return any_write(fd, iov, nr, offset);
}

WRAP(ssize_t, pwritev64, int fd, const struct iovec *iov, int nr, off_t offset)
{
	return any_write(fd, iov, nr, offset);
}

/* What arrived is read again: from a descriptor of ours, theirs may be for writing only. */
static void log_copied(int fd, uint32_t object, size_t len, off_t at)
{
	char path[32];
	auto_fd int own = -1;
	auto_free uint8_t *buf = malloc(len);
	struct iovec iov = { buf, len };

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_CLOEXEC);
	if (!buf || own < 0 || file_pread_full(own, buf, len, at) != (ssize_t)len) {
		recorder_complain("cannot read what copy_file_range wrote");
		return;
	}
	log_write(object, &iov, len, at, false);
}

WRAP(ssize_t, copy_file_range, int in, off_t *in_offset, int out, off_t *out_offset, size_t len,
     unsigned flags)
{
	uint32_t object = RECORDER_NONE;
	bool is_watched = recorder_enter();
	off_t at = 0;
	ssize_t n = -1;
	int failure = 0;

	if (is_watched)
		object = recorder_object(out);
	if (object != RECORDER_NONE) {
		failure = recorder_fault(CALL_WRITE, true);
		at = out_offset ? *out_offset : position_before(out, 0);
	}
	if (failure == CRASH_SHORT)
		len = (len + 1) / 2;
	if (failure <= 0)
		n = syscall(SYS_copy_file_range, in, in_offset, out, out_offset, len, flags);
	if (n > 0 && object != RECORDER_NONE)
		log_copied(out, object, (size_t)n, at);
	if (is_watched)
		recorder_leave();
	return n;
}

/* --- sizes ----------------------------------------------------------------------------------- */

static int any_truncate(int fd, off_t len)
{
	uint32_t object;
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_ftruncate, fd, len);
	object = recorder_object(fd);
	if (object == RECORDER_NONE || recorder_fault(CALL_SIZE, false) == 0)
		r = (int)syscall(SYS_ftruncate, fd, len);
	if (r == 0 && object != RECORDER_NONE)
		recorder_op(CRASH_TRUNCATE, object)->len = (uint64_t)len;
	recorder_leave();
	return r;
}

WRAP(int, ftruncate, int fd, off_t len)
{
	return any_truncate(fd, len);
}

WRAP(int, ftruncate64, int fd, off_t len)
{
	return any_truncate(fd, len);
}

static void log_allocated(uint32_t object, int mode, off_t offset, off_t len)
{
	struct crash_op *op;

	if (mode == FALLOC_FL_KEEP_SIZE)
		return;
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE))
		recorder_complain("fallocate with mode %#x", (unsigned)mode);
	op = recorder_op(mode == 0 ? CRASH_TRUNCATE : CRASH_ZERO, object);
	op->is_growing = !(mode & FALLOC_FL_KEEP_SIZE);
	op->offset = (uint64_t)offset;
	op->len = (uint64_t)len;
}

static int any_allocate(int fd, int mode, off_t offset, off_t len)
{
	struct stat st = { 0 };
	uint32_t object;
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_fallocate, fd, mode, offset, len);
	object = recorder_object(fd);
	if (object == RECORDER_NONE || recorder_fault(CALL_SIZE, false) == 0) {
		fstat(fd, &st);
		r = (int)syscall(SYS_fallocate, fd, mode, offset, len);
	}
	if (r == 0 && object != RECORDER_NONE) {
		if (mode == 0) /* only the size changes, if it does */
			log_allocated(object, 0, 0,
				      st.st_size > offset + len ? st.st_size : offset + len);
		else
			log_allocated(object, mode, offset, len);
	}
	recorder_leave();
	return r;
}

WRAP(int, fallocate, int fd, int mode, off_t offset, off_t len)
{
	return any_allocate(fd, mode, offset, len);
}

WRAP(int, fallocate64, int fd, int mode, off_t offset, off_t len)
{
	return any_allocate(fd, mode, offset, len);
}

WRAP(int, posix_fallocate, int fd, off_t offset, off_t len)
{
	return any_allocate(fd, 0, offset, len) < 0 ? errno : 0;
}

WRAP(int, posix_fallocate64, int fd, off_t offset, off_t len)
{
	return any_allocate(fd, 0, offset, len) < 0 ? errno : 0;
}

/* --- syncs ----------------------------------------------------------------------------------- */

static int any_sync(long number, int fd)
{
	bool is_all = number == SYS_syncfs;
	uint32_t object;
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(number, fd);
	object = recorder_object(fd);
	if (object == RECORDER_NONE || recorder_fault(CALL_SYNC, false) == 0)
		r = (int)syscall(number, fd);
	if (object != RECORDER_NONE && (r == 0 || !is_all))
		recorder_op(r < 0    ? CRASH_SYNC_FAILED
			    : is_all ? CRASH_SYNC_ALL
				     : CRASH_SYNC,
			    object);
	recorder_leave();
	return r;
}

WRAP(int, fsync, int fd)
{
	return any_sync(SYS_fsync, fd);
}

WRAP(int, fdatasync, int fd)
{
	return any_sync(SYS_fdatasync, fd);
}

WRAP(int, syncfs, int fd)
{
	return any_sync(SYS_syncfs, fd);
}

WRAP(void, sync, void)
{
	syscall(SYS_sync);
	if (!recorder_enter())
		return;
	recorder_op(CRASH_SYNC_ALL, CRASH_ROOT);
	recorder_leave();
}

/* It promises nothing after a crash: it is not in the log. */
WRAP(int, sync_file_range, int fd, off_t offset, off_t len, unsigned flags)
{
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_sync_file_range, fd, offset, len, flags);
	if (recorder_object(fd) == RECORDER_NONE || recorder_fault(CALL_SYNC, false) == 0)
		r = (int)syscall(SYS_sync_file_range, fd, offset, len, flags);
	recorder_leave();
	return r;
}

/* What a mapping held is unknown before and after: see CRASH_MAPPED. */
WRAP(int, msync, void *p, size_t len, int flags)
{
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_msync, p, len, flags);
	if (recorder_fault(CALL_SYNC, false) == 0)
		r = (int)syscall(SYS_msync, p, len, flags);
	recorder_leave();
	return r;
}

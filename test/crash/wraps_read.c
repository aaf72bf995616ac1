/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that change nothing on disk: only to be counted and to fail, see record.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "test/crash/recorder.h"
#include "test/crash/wrap.h"

/* Whether the call on @fd is to fail: see recorder_fault(). Does not keep others waiting. */
static int failure_of(int fd, enum crash_call call)
{
	int failure = 0;

	if (!recorder_enter())
		return 0;
	if (recorder_object(fd) != RECORDER_NONE)
		failure = recorder_fault(call, call == CALL_READ);
	recorder_leave();
	return failure;
}

/* --- reads ----------------------------------------------------------------------------------- */

static size_t length_of(int failure, size_t len)
{
	return failure == CRASH_SHORT ? (len + 1) / 2 : len;
}

WRAP(ssize_t, read, int fd, void *buf, size_t len)
{
	int failure = failure_of(fd, CALL_READ);

	return failure > 0 ? -1 : syscall(SYS_read, fd, buf, length_of(failure, len));
}

WRAP(ssize_t, __read_chk, int fd, void *buf, size_t len, size_t room)
{
	int failure = failure_of(fd, CALL_READ);

	if (len > room)
		__builtin_trap();
	return failure > 0 ? -1 : syscall(SYS_read, fd, buf, length_of(failure, len));
}

static ssize_t any_pread(int fd, void *buf, size_t len, off_t offset)
{
	int failure = failure_of(fd, CALL_READ);

	return failure > 0 ? -1 : syscall(SYS_pread64, fd, buf, length_of(failure, len), offset);
}

WRAP(ssize_t, pread, int fd, void *buf, size_t len, off_t offset)
{
	return any_pread(fd, buf, len, offset);
}

WRAP(ssize_t, pread64, int fd, void *buf, size_t len, off_t offset)
{
	return any_pread(fd, buf, len, offset);
}

WRAP(ssize_t, __pread_chk, int fd, void *buf, size_t len, off_t offset, size_t room)
{
	if (len > room)
		__builtin_trap();
	return any_pread(fd, buf, len, offset);
}

WRAP(ssize_t, __pread64_chk, int fd, void *buf, size_t len, off_t offset, size_t room)
{
	if (len > room)
		__builtin_trap();
	return any_pread(fd, buf, len, offset);
}

static ssize_t any_preadv(int fd, const struct iovec *iov, int nr, off_t offset)
{
	int failure = failure_of(fd, CALL_READ);

	if (failure > 0)
		return -1;
	if (failure == CRASH_SHORT && nr > 0)
		return syscall(SYS_pread64, fd, iov->iov_base, length_of(failure, iov->iov_len),
			       offset);
	return syscall(SYS_preadv, fd, iov, nr, offset, 0L);
}

WRAP(ssize_t, preadv, int fd, const struct iovec *iov, int nr, off_t offset)
{
	return any_preadv(fd, iov, nr, offset);
}

WRAP(ssize_t, preadv64, int fd, const struct iovec *iov, int nr, off_t offset)
{
	return any_preadv(fd, iov, nr, offset);
}

/* --- mappings -------------------------------------------------------------------------------- */

void *__real_mmap(void *p, size_t len, int prot, int flags, int fd, off_t offset);

static void *any_mmap(void *p, size_t len, int prot, int flags, int fd, off_t offset)
{
	uint32_t object;
	void *got = MAP_FAILED;

	if (fd < 0 || !recorder_enter())
		return __real_mmap(p, len, prot, flags, fd, offset);
	object = recorder_object(fd);
	if (object == RECORDER_NONE || recorder_fault(CALL_MMAP, false) == 0)
		got = __real_mmap(p, len, prot, flags, fd, offset);
	if (got != MAP_FAILED && object != RECORDER_NONE && flags & MAP_SHARED && prot & PROT_WRITE)
		recorder_op(CRASH_MAPPED, object);
	recorder_leave();
	return got;
}

WRAP(void *, mmap, void *p, size_t len, int prot, int flags, int fd, off_t offset)
{
	return any_mmap(p, len, prot, flags, fd, offset);
}

WRAP(void *, mmap64, void *p, size_t len, int prot, int flags, int fd, off_t offset)
{
	return any_mmap(p, len, prot, flags, fd, offset);
}

/* --- the rest -------------------------------------------------------------------------------- */

WRAP(int, flock, int fd, int operation)
{
	if (!(operation & LOCK_UN) && failure_of(fd, CALL_LOCK) > 0)
		return -1;
	return (int)syscall(SYS_flock, fd, operation);
}

static bool is_lock(int command)
{
	return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
	       command == F_OFD_SETLKW;
}

/* Releasing does not fail: there is nothing a program could do then. */
static int any_fcntl(int fd, int command, void *argument)
{
	const struct flock *range = argument;

	if (is_lock(command) && range->l_type != F_UNLCK && failure_of(fd, CALL_LOCK) > 0)
		return -1;
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

WRAP(int, fcntl, int fd, int command, ...)
{
	va_list args;
	void *argument;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	return any_fcntl(fd, command, argument);
}

WRAP(int, fcntl64, int fd, int command, ...)
{
	va_list args;
	void *argument;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	return any_fcntl(fd, command, argument);
}

WRAP(int, close, int fd)
{
	int failure = failure_of(fd, CALL_CLOSE);
	int r = (int)syscall(SYS_close, fd);

	if (failure > 0)
		errno = failure;
	return failure > 0 ? -1 : r;
}

static int any_fstat(int fd, struct stat *st)
{
	if (failure_of(fd, CALL_STAT) > 0)
		return -1;
	return (int)syscall(SYS_fstat, fd, st);
}

WRAP(int, fstat, int fd, struct stat *st)
{
	return any_fstat(fd, st);
}

WRAP(int, fstat64, int fd, struct stat *st)
{
	return any_fstat(fd, st);
}

WRAP(int, __fxstat, int version, int fd, struct stat *st)
{
	(void)version;
	return any_fstat(fd, st);
}

WRAP(off_t, lseek, int fd, off_t offset, int whence)
{
	return failure_of(fd, CALL_SEEK) > 0 ? -1 : syscall(SYS_lseek, fd, offset, whence);
}

WRAP(off_t, lseek64, int fd, off_t offset, int whence)
{
	return failure_of(fd, CALL_SEEK) > 0 ? -1 : syscall(SYS_lseek, fd, offset, whence);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that change directories, or make files: see record.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "test/crash/recorder.h"
#include "test/crash/wrap.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

/* --- open ------------------------------------------------------------------------------------ */

/* @dir and @name: where a file without a name before this call appeared, or RECORDER_NONE. */
static void log_opened(int fd, int flags, uint32_t dir, const char *name, bool was_there)
{
	struct crash_op *op;
	struct stat st;
	uint32_t object;

	if (fstat(fd, &st) < 0)
		return;
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		recorder_new_object(&st);
		return;
	}
	if (flags & O_CREAT && !was_there) {
		object = recorder_new_object(&st);
		op = recorder_op(CRASH_LINK, dir);
		op->target = object;
		op->name = recorder_keep_name(name);
		return;
	}
	object = recorder_object(fd);
	if (flags & O_TRUNC && object != RECORDER_NONE)
		recorder_op(CRASH_TRUNCATE, object)->len = 0;
}

/* The directory that matters to the call, RECORDER_NONE if it is none of ours. */
static uint32_t dir_of_open(int dirfd, const char *path, int flags, char name[static NAME_MAX + 1])
{
	uint32_t dir = (flags & O_TMPFILE) == O_TMPFILE ? recorder_object_at(dirfd, path, 0)
							: recorder_parent(dirfd, path, name);

	return dir != RECORDER_NONE ? dir : recorder_object_at(dirfd, path, 0);
}

static int any_open(int dirfd, const char *path, int flags, mode_t mode)
{
	char name[NAME_MAX + 1] = "";
	struct stat st;
	bool was_there;
	uint32_t dir;
	int fd = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_openat, dirfd, path, flags, mode);
	dir = dir_of_open(dirfd, path, flags, name);
	was_there = fstatat(dirfd, path, &st, 0) == 0;
	if (dir == RECORDER_NONE || recorder_fault(CALL_OPEN, false) == 0)
		fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
	if (fd >= 0 && dir != RECORDER_NONE)
		log_opened(fd, flags, dir, name, was_there);
	recorder_leave();
	return fd;
}

static mode_t mode_argument(int flags, va_list args)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

WRAP(int, open, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_argument(flags, args);
	va_end(args);
	return any_open(AT_FDCWD, path, flags, mode);
}

WRAP(int, open64, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_argument(flags, args);
	va_end(args);
	return any_open(AT_FDCWD, path, flags, mode);
}

WRAP(int, openat, int dirfd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_argument(flags, args);
	va_end(args);
	return any_open(dirfd, path, flags, mode);
}

WRAP(int, openat64, int dirfd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_argument(flags, args);
	va_end(args);
	return any_open(dirfd, path, flags, mode);
}

/* What fortified callers get when no mode can be needed. */
WRAP(int, __open_2, const char *path, int flags)
{
	return any_open(AT_FDCWD, path, flags, 0);
}

WRAP(int, __open64_2, const char *path, int flags)
{
	return any_open(AT_FDCWD, path, flags, 0);
}

WRAP(int, __openat_2, int dirfd, const char *path, int flags)
{
	return any_open(dirfd, path, flags, 0);
}

WRAP(int, __openat64_2, int dirfd, const char *path, int flags)
{
	return any_open(dirfd, path, flags, 0);
}

WRAP(int, creat, const char *path, mode_t mode)
{
	return any_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

WRAP(int, creat64, const char *path, mode_t mode)
{
	return any_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* --- new names ------------------------------------------------------------------------------- */

static int any_mkdir(int dirfd, const char *path, mode_t mode)
{
	char name[NAME_MAX + 1];
	struct stat st;
	uint32_t dir;
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_mkdirat, dirfd, path, mode);
	dir = recorder_parent(dirfd, path, name);
	if (dir == RECORDER_NONE || recorder_fault(CALL_MKDIR, false) == 0)
		r = (int)syscall(SYS_mkdirat, dirfd, path, mode);
	if (r == 0 && dir != RECORDER_NONE && fstatat(dirfd, path, &st, 0) == 0) {
		uint32_t object = recorder_new_object(&st);
		struct crash_op *op = recorder_op(CRASH_LINK, dir);

		op->target = object;
		op->name = recorder_keep_name(name);
	}
	recorder_leave();
	return r;
}

WRAP(int, mkdir, const char *path, mode_t mode)
{
	return any_mkdir(AT_FDCWD, path, mode);
}

WRAP(int, mkdirat, int dirfd, const char *path, mode_t mode)
{
	return any_mkdir(dirfd, path, mode);
}

static int any_link(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	char name[NAME_MAX + 1];
	uint32_t dir;
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
	dir = recorder_parent(to_fd, to, name);
	if (dir == RECORDER_NONE || recorder_fault(CALL_LINK, false) == 0)
		r = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
	if (r == 0 && dir != RECORDER_NONE) {
		uint32_t object = recorder_object_at(to_fd, to, AT_SYMLINK_NOFOLLOW);
		struct crash_op *op = recorder_op(CRASH_LINK, dir);

		if (object == RECORDER_NONE) {
			recorder_complain("'%s' was linked from elsewhere", name);
			object = CRASH_ROOT;
		}
		op->target = object;
		op->name = recorder_keep_name(name);
	}
	recorder_leave();
	return r;
}

WRAP(int, link, const char *from, const char *to)
{
	return any_link(AT_FDCWD, from, AT_FDCWD, to, 0);
}

WRAP(int, linkat, int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return any_link(from_fd, from, to_fd, to, flags);
}

WRAP(int, symlink, const char *target, const char *path)
{
	char name[NAME_MAX + 1];

	if (recorder_enter()) {
		if (recorder_parent(AT_FDCWD, path, name) != RECORDER_NONE)
			recorder_complain("symbolic link '%s'", name);
		recorder_leave();
	}
	return (int)syscall(SYS_symlink, target, path);
}

/* --- names that go --------------------------------------------------------------------------- */

static int any_unlink(int dirfd, const char *path, int flags)
{
	char name[NAME_MAX + 1];
	uint32_t dir;
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_unlinkat, dirfd, path, flags);
	dir = recorder_parent(dirfd, path, name);
	if (dir == RECORDER_NONE || recorder_fault(CALL_UNLINK, false) == 0)
		r = (int)syscall(SYS_unlinkat, dirfd, path, flags);
	if (r == 0 && dir != RECORDER_NONE)
		recorder_op(CRASH_UNLINK, dir)->name = recorder_keep_name(name);
	recorder_leave();
	return r;
}

WRAP(int, unlink, const char *path)
{
	return any_unlink(AT_FDCWD, path, 0);
}

WRAP(int, rmdir, const char *path)
{
	return any_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}

WRAP(int, unlinkat, int dirfd, const char *path, int flags)
{
	return any_unlink(dirfd, path, flags);
}

/* @moved: what has the new name now. */
static void log_renamed(uint32_t from, const char *name, uint32_t to, const char *name2,
			uint32_t moved, uint32_t exchanged)
{
	struct crash_op *op;

	if (from == RECORDER_NONE || to == RECORDER_NONE || moved == RECORDER_NONE) {
		recorder_complain("'%s' was renamed across the edge of the watched folder", name);
		return;
	}
	op = recorder_op(exchanged != RECORDER_NONE ? CRASH_EXCHANGE : CRASH_RENAME, from);
	op->object2 = to;
	op->target = moved;
	op->target2 = exchanged;
	op->name = recorder_keep_name(name);
	op->name2 = recorder_keep_name(name2);
}

static int any_rename(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	char name[NAME_MAX + 1] = "";
	char name2[NAME_MAX + 1] = "";
	uint32_t exchanged = RECORDER_NONE;
	uint32_t moved;
	uint32_t dir;
	uint32_t dir2;
	int r = -1;

	if (!recorder_enter())
		return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
	dir = recorder_parent(from_fd, from, name);
	dir2 = recorder_parent(to_fd, to, name2);
	moved = recorder_object_at(from_fd, from, AT_SYMLINK_NOFOLLOW);
	if (flags & RENAME_EXCHANGE)
		exchanged = recorder_object_at(to_fd, to, AT_SYMLINK_NOFOLLOW);
	if ((dir == RECORDER_NONE && dir2 == RECORDER_NONE) ||
	    recorder_fault(CALL_RENAME, false) == 0)
		r = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
	if (r == 0 && (dir != RECORDER_NONE || dir2 != RECORDER_NONE))
		log_renamed(dir, name, dir2, name2, moved, exchanged);
	recorder_leave();
	return r;
}

WRAP(int, rename, const char *from, const char *to)
{
	return any_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

WRAP(int, renameat, int from_fd, const char *from, int to_fd, const char *to)
{
	return any_rename(from_fd, from, to_fd, to, 0);
}

WRAP(int, renameat2, int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return any_rename(from_fd, from, to_fd, to, flags);
}

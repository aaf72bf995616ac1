/* SPDX-License-Identifier: Apache-2.0 */
/* A store of two files, right or broken: see toy_store.h. */
#include "test/crash/toy_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

enum {
	BODY_BYTES = 9 * 1024,
	FILE_BYTES = BODY_BYTES + 512, /* the last sector repeats what all others hold */
};

const char *const toy_fault_names[TOY_NR] = {
	[TOY_RIGHT] = "right",
	[TOY_NO_SYNC] = "no-sync",
	[TOY_NO_DIR_SYNC] = "no-dir-sync",
	[TOY_EARLY_NOTE] = "early-note",
	[TOY_FOOTER_TRUSTED] = "footer-trusted",
	[TOY_IN_PLACE] = "in-place",
	[TOY_UNLINK_FIRST] = "unlink-first",
	[TOY_SYNC_AGAIN] = "sync-again",
	[TOY_IGNORES_WRITE] = "ignores-write",
	[TOY_IGNORES_DIR_SYNC] = "ignores-dir-sync",
	[TOY_LEAKS] = "leaks",
	[TOY_SHORT_WRITE] = "short-write",
	[TOY_STUCK] = "stuck",
	[TOY_DIES] = "dies",
	[TOY_HANGS] = "hangs",
	[TOY_MAPS] = "maps",
	[TOY_UNSEEN] = "unseen",
};

static void fill(char *buf, int version)
{
	memset(buf, '0' + version, FILE_BYTES);
}

/* --- writing --------------------------------------------------------------------------------- */

static int write_once(int fd, const char *buf, size_t len)
{
	ssize_t n;

	do
		n = write(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int write_body(int fd, int version, enum toy_fault fault, struct err *e)
{
	char buf[FILE_BYTES];
	int r;

	fill(buf, version);
	if (fault == TOY_SHORT_WRITE)
		r = write_once(fd, buf, FILE_BYTES);
	else
		r = file_write_full(fd, buf, BODY_BYTES);
	if (r == 0 && fault != TOY_SHORT_WRITE)
		r = file_write_full(fd, buf + BODY_BYTES, FILE_BYTES - BODY_BYTES);
	if (r < 0 && fault != TOY_IGNORES_WRITE)
		return err_errno(e, r, "cannot write version %d", version);
	if (fault == TOY_NO_SYNC || fault == TOY_FOOTER_TRUSTED || fault == TOY_DIES ||
	    fault == TOY_HANGS)
		return 0;
	if (fdatasync(fd) < 0 && (fault != TOY_SYNC_AGAIN || fdatasync(fd) < 0))
		return err_errno(e, -errno, "cannot sync version %d", version);
	return 0;
}

static int sync_dir(int dir, enum toy_fault fault, struct err *e)
{
	if (fault == TOY_NO_DIR_SYNC || fsync(dir) == 0 || fault == TOY_IGNORES_DIR_SYNC)
		return 0;
	return err_errno(e, -errno, "cannot sync the folder");
}

static int map_byte(int fd, struct err *e)
{
	char *p = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return err_errno(e, -errno, "cannot map");
	p[100] ^= 0; /* that it may be written is what matters */
	munmap(p, FILE_BYTES);
	return 0;
}

static int put(int dir, const char *name, int version, enum toy_fault fault, struct err *e)
{
	const char *temporary = fault == TOY_IN_PLACE ? name : "new";
	int flags = O_RDWR | O_CREAT | O_CLOEXEC | (fault == TOY_STUCK ? O_EXCL : 0) |
		    (fault == TOY_IN_PLACE ? 0 : O_TRUNC);
	auto_fd int fd = openat(dir, temporary, flags, 0644);
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot make '%s'", temporary);
	r = write_body(fd, version, fault, e);
	if (r == 0 && fault == TOY_MAPS)
		r = map_byte(fd, e);
	if (r == 0 && fault == TOY_UNSEEN)
		dprintf(fd, "x");
	if (r < 0 && fault == TOY_LEAKS)
		take_fd(&fd);
	if (r < 0)
		return r;
	if (fault == TOY_UNLINK_FIRST)
		unlinkat(dir, name, 0);
	if (fault == TOY_EARLY_NOTE)
		crash_note("%s %d", name, version);
	if (fault != TOY_IN_PLACE && renameat(dir, temporary, dir, name) < 0)
		return err_errno(e, -errno, "cannot rename '%s'", name);
	r = sync_dir(dir, fault, e);
	if (r == 0)
		crash_note("%s %d", name, version);
	return r;
}

static int open_dir(const char *path, struct err *e)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? err_errno(e, -errno, "cannot open '%s'", path) : dir;
}

static int toy_setup(const char *path, const void *opaque, struct err *e)
{
	auto_fd int dir = open_dir(path, e);

	(void)opaque;
	return dir < 0 ? dir : put(dir, "old", 1, TOY_RIGHT, e);
}

static int toy_act(const char *path, const void *opaque, struct err *e)
{
	const enum toy_fault *fault = opaque;
	auto_fd int dir = open_dir(path, e);
	int r = dir < 0 ? dir : put(dir, "old", 2, *fault, e);

	return r < 0 ? r : put(dir, "added", 1, *fault, e);
}

/* --- reading --------------------------------------------------------------------------------- */

/* What must not happen to a reader of a file of @len bytes happens. */
static void misbehave(enum toy_fault fault, ssize_t len)
{
	static volatile char *const nowhere;

	if (len == FILE_BYTES)
		return;
	if (fault == TOY_DIES)
		*nowhere = 1; /* NOLINT: a signal is what is wanted */
	while (fault == TOY_HANGS) /* NOLINT: for ever, until the time limit */
		usleep(1000);
}

/* The version that @name has; 0: there is none. */
static int version_of(int dir, const char *name, enum toy_fault fault, struct err *e)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char wanted[FILE_BYTES];
	char buf[FILE_BYTES];
	ssize_t n;

	if (fd < 0)
		return 0;
	n = file_pread_full(fd, buf, sizeof(buf), 0);
	misbehave(fault, n);
	if (n != FILE_BYTES)
		return err_set(e, -EINVAL, "'%s' has %zd bytes", name, n);
	fill(wanted, buf[FILE_BYTES - 1] - '0');
	if (fault == TOY_FOOTER_TRUSTED && buf[FILE_BYTES - 1] == '\0')
		return 0;
	if (memcmp(buf, wanted, sizeof(buf)) != 0)
		return err_set(e, -EINVAL, "'%s' is half-made", name);
	return wanted[0] - '0';
}

static int toy_check(const char *path, const struct crash_acks *acks, const void *opaque,
		     struct err *e)
{
	const enum toy_fault *fault = opaque;
	auto_fd int dir = open_dir(path, e);
	int old = version_of(dir, "old", *fault, e);
	int added = version_of(dir, "added", *fault, e);

	if (old < 0 || added < 0)
		return -EINVAL;
	if (old < 1 || (crash_acked(acks, "old 2") && old != 2))
		return err_set(e, -EINVAL, "'old' has version %d", old);
	if (crash_acked(acks, "added 1") && added != 1)
		return err_set(e, -EINVAL, "'added' is not there");
	return 0;
}

struct crash_scenario toy_scenario(const enum toy_fault *fault)
{
	return (struct crash_scenario){
		.name = toy_fault_names[*fault],
		.setup = toy_setup,
		.act = toy_act,
		.check = toy_check,
		.opaque = fault,
	};
}

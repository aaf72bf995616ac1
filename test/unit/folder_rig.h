/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fresh folder for tests of files that others may have touched, and an fsync() that fails when
 * told. Include it after cmocka.h, in one file of a program.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

struct folder_rig {
	char path[64];
	int fd;
};

/* Which call of fsync() fails; it counts down, and 0 is none. */
static int failing_fsync;

/* How long each takes, for races that a quick disk hides. */
static useconds_t fsync_delay_us;

/* In place of the C library's. */
int fsync(int fd)
{
	if (failing_fsync > 0 && --failing_fsync == 0) {
		errno = EIO;
		return -1;
	}
	if (fsync_delay_us)
		usleep(fsync_delay_us);
	return (int)syscall(SYS_fsync, fd);
}

static inline int folder_set_up(void **state)
{
	static struct folder_rig rig;

	/* Whatever waits for a FIFO is ended. */
	alarm(100);
	failing_fsync = 0;
	fsync_delay_us = 0;
	/* On tmpfs where there is one: it is quick, and its listings are the least orderly. */
	snprintf(rig.path, sizeof(rig.path), "%s/volt-folder-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(rig.path));
	rig.fd = open(rig.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(rig.fd >= 0);
	*state = &rig;
	return 0;
}

static inline int folder_tear_down(void **state)
{
	struct folder_rig *rig = *state;
	char command[128];

	close(rig->fd);
	snprintf(command, sizeof(command), "rm -rf '%s'", rig->path);
	assert_int_equal(system(command), 0);
	return 0;
}

static inline void folder_put(const struct folder_rig *rig, const char *name, const void *bytes,
			      size_t len)
{
	auto_fd int fd = openat(rig->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(file_write_full(fd, bytes, len), 0);
}

static inline size_t folder_get(const struct folder_rig *rig, const char *name, void *bytes,
				size_t cap)
{
	const ssize_t len = file_read_head(rig->fd, name, bytes, cap);

	assert_true(len >= 0);
	return (size_t)len;
}

static inline bool folder_has(const struct folder_rig *rig, const char *name)
{
	struct stat st;

	return fstatat(rig->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline int folder_count(const struct folder_rig *rig)
{
	DIR *folder = opendir(rig->path);
	struct dirent *entry;
	int count = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(folder);
	return count;
}

/* fork(), with a child that does not outlive the test. */
static inline pid_t folder_fork(void)
{
	const pid_t parent = getpid();
	const pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return child;
}

/* Kinds of things at a name that are no regular file. */
enum { FOLDER_STRANGERS = 4 };

static inline void folder_put_stranger(const struct folder_rig *rig, const char *name, int kind)
{
	switch (kind) {
	case 0:
		assert_int_equal(mkfifoat(rig->fd, name, 0644), 0);
		break;
	case 1:
		assert_int_equal(symlinkat("elsewhere", rig->fd, name), 0);
		break;
	case 2:
		/* A terminal or a watchdog would be harmed by being opened; this one only tells. */
		if (mknodat(rig->fd, name, S_IFCHR | 0644, makedev(1, 3)) < 0)
			assert_int_equal(mkfifoat(rig->fd, name, 0644), 0);
		break;
	default:
		assert_int_equal(mkdirat(rig->fd, name, 0755), 0);
		break;
	}
}

static inline void folder_remove(const struct folder_rig *rig, const char *name)
{
	if (unlinkat(rig->fd, name, 0) < 0)
		assert_int_equal(unlinkat(rig->fd, name, AT_REMOVEDIR), 0);
}

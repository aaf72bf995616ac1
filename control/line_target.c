/* SPDX-License-Identifier: Apache-2.0 */
/* Files, FIFOs and descriptors that take lines: see line_target.h. */
#include "control/line_target.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/quote.h"

enum { OPEN_FLAGS = O_NONBLOCK | O_APPEND | O_CLOEXEC | O_NOCTTY, FILE_MODE = 0666 };

static int check_type(int fd, const char *path, const char *what, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot examine %s %s", what, quote(path).text);
	if (S_ISBLK(st.st_mode))
		return err_set(e, -ENOTSUP, "cannot write %s to %s: it is a block device", what,
			       quote(path).text);
	return 0;
}

/*
 * O_NONBLOCK belongs to the open file description, which whoever started us may share with others:
 * a FIFO or terminal is opened anew. What cannot be (a socket, another user's FIFO) is asked
 * before each write instead.
 */
static int open_inherited(const char *path, const char *what, struct err *e)
{
	char again[64];
	uint64_t number;
	struct stat st;
	int flags, fd = -1;

	if (parse_u64(path + strlen("fd:"), &number) < 0 || number > INT32_MAX)
		return err_set(e, -EINVAL, "%s %s: behind fd: comes a number", what,
			       quote(path).text);
	flags = fcntl((int)number, F_GETFL);
	if (flags < 0 || fstat((int)number, &st) < 0)
		return err_errno(e, -errno, "cannot write %s to %s", what, quote(path).text);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return err_set(e, -EBADF, "cannot write %s to %s: it is open for reading only",
			       what, quote(path).text);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		snprintf(again, sizeof(again), "/proc/self/fd/%d", (int)number);
		fd = open(again, O_WRONLY | OPEN_FLAGS);
	}
	if (fd < 0)
		fd = fcntl((int)number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		return err_errno(e, -errno, "cannot write %s to %s", what, quote(path).text);
	return fd;
}

int line_target_open(const char *path, const char *what, struct err *e)
{
	auto_fd int fd = -1;
	int r;

	if (strncmp(path, "fd:", strlen("fd:")) == 0) {
		fd = open_inherited(path, what, e);
		if (fd < 0)
			return fd;
	} else {
		fd = open(path, O_RDWR | O_CREAT | OPEN_FLAGS, FILE_MODE);
		if (fd < 0)
			return err_errno(e, -errno, "cannot open %s %s", what, quote(path).text);
	}
	r = check_type(fd, path, what, e);
	return r < 0 ? r : take_fd(&fd);
}

ssize_t line_target_write(int fd, const void *buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	do {
		n = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0 || errno != ENOTSOCK)
		return n < 0 ? -errno : n;
	/* A FIFO that is writable has room for PIPE_BUF bytes (pipe(7)). */
	if (poll(&p, 1, 0) <= 0)
		return -EAGAIN;
	do {
		n = write(fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

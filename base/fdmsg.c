/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with descriptors: see fdmsg.h. */
#include "base/fdmsg.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * FDMSG_MAX_FDS)];
};

static int send_message(int sock, const void *buf, size_t len, const int *fds, size_t nr_fds,
			int flags)
{
	union control control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr_fds > FDMSG_MAX_FDS)
		return -E2BIG;
	if (nr_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nr_fds);
	}
	while (sendmsg(sock, &msg, MSG_NOSIGNAL | flags) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int fdmsg_send(int sock, const void *buf, size_t len, const int *fds, size_t nr_fds)
{
	return send_message(sock, buf, len, fds, nr_fds, 0);
}

int fdmsg_try_send(int sock, const void *buf, size_t len, const int *fds, size_t nr_fds)
{
	return send_message(sock, buf, len, fds, nr_fds, MSG_DONTWAIT);
}

/* Moves the descriptors of @msg to @fds; those beyond @max_fds are closed and counted. */
static size_t collect_fds(struct msghdr *msg, int *fds, size_t max_fds, size_t *nr_fds)
{
	size_t dropped = 0;

	*nr_fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t nr;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < nr; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*nr_fds < max_fds) {
				fds[(*nr_fds)++] = fd;
			} else {
				close(fd);
				dropped++;
			}
		}
	}
	return dropped;
}

ssize_t fdmsg_recv(int sock, void *buf, size_t len, int *fds, size_t max_fds, size_t *nr_fds)
{
	union control control;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t dropped;
	ssize_t n;

	msg.msg_control = control.bytes;
	msg.msg_controllen = sizeof(control.bytes);
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	dropped = collect_fds(&msg, fds, max_fds, nr_fds);
	if (dropped > 0 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		for (size_t i = 0; i < *nr_fds; i++)
			close(fds[i]);
		*nr_fds = 0;
		return -EMSGSIZE;
	}
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message with descriptors over a SOCK_SEQPACKET socket (SCM_RIGHTS, unix(7)).
 * Received descriptors are close-on-exec. Thread: any; a message is atomic.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

enum { FDMSG_MAX_FDS = 64 };

/* Sends @len bytes and @nr_fds descriptors, which stay the caller's. 0 or -errno (-EAGAIN too). */
int fdmsg_send(int sock, const void *buf, size_t len, const int *fds, size_t nr_fds);

/* The same, but -EAGAIN where that would have to wait. */
int fdmsg_try_send(int sock, const void *buf, size_t len, const int *fds, size_t nr_fds);

/*
 * Receives one message of at most @len bytes and at most @max_fds (<= FDMSG_MAX_FDS) descriptors,
 * which the caller owns; *@nr_fds says how many. Returns the byte count, 0 when the other side has
 * closed, or -errno; -EMSGSIZE when message or descriptors were cut (all are closed then).
 */
ssize_t fdmsg_recv(int sock, void *buf, size_t len, int *fds, size_t max_fds, size_t *nr_fds);

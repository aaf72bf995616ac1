/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of a Unix socket: the process that called connect(2), as it was then
 * (unix(7), SO_PEERCRED). For log lines; the process may be another by now.
 */
#pragma once

#include <sys/types.h>

struct peer {
	pid_t pid; /* 0 when it cannot be seen from our PID namespace */
	uid_t uid; /* (uid_t)-1 when unknown, likewise gid */
	gid_t gid;
};

struct peer peer_of(int fd);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource limits and what else the kernel keeps for a process by number (setrlimit(2), prctl(2),
 * close_range(2)).
 *
 *	drops	core dumps, ptrace by others of the same user, new processes and threads beyond
 *		those that are planned, real-time and raised priority, descriptors beyond those
 *		that are planned; speculation that leaks across
 *	must still work	kernel threads that work for the process (io_uring, KVM)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct jail_limits {
	uint64_t descriptors; /* the highest number that can be opened, and one */
	uint64_t
		threads; /* of this user in its namespace; 0: no limit, the user has other processes */
};

/* Lowers limits for good: soft and hard. 0 or -errno with @e filled. */
int jail_limit(const struct jail_limits *limits, struct err *e);

/* No core dump, no ptrace, no reading of /proc/PID files by others of this user. */
int jail_hide(struct err *e);

/* Store bypass and indirect branch speculation off for good, where the processor has them. */
void jail_stop_speculation(void);

/*
 * No other process may be on the same core at the same time as this one and its children
 * (core scheduling, Linux 5.14). -errno with @e filled where there is none.
 */
int jail_schedule_apart(struct err *e);

/* Closes all descriptors but @keep, which is sorted here. */
int jail_close_all_but(int *keep, size_t nr, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call filters (seccomp(2)), one for each kind of thread, compiled from policy.h when the
 * program was built.
 *
 *	drops	every system call, and every use of one, that the table does not name
 *	must still work	what the table says
 *
 * A call that is not allowed is never executed. Who watches over the process can have it reported:
 * the thread then stands still in that call, and the watcher reads from the listener which one it
 * is and ends the process (seccomp_unotify(2)). Without a watcher, and where the kernel cannot
 * report, the kernel ends the process with SIGSYS and notes the call in its audit log.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "jail/policy.h"

/*
 * Filters this thread, for good. @listener_fd: NULL, or where to put the descriptor that reports
 * (-1 when the kernel ends the process instead); the caller passes it to the watcher and closes it.
 * Needs no_new_privs. 0 or -errno with @e filled.
 */
int jail_filter(enum jail_thread thread, int *listener_fd, struct err *e);

/*
 * Filters this thread by a program of somebody else's, on top: @bytes of struct sock_filter. May
 * be done before jail_filter(), not after it.
 */
int jail_filter_custom(const void *program, size_t bytes, struct err *e);

/* A call that was reported. */
struct jail_report {
	int pid; /* of the thread, in the reader's PID namespace */
	int number; /* of the call */
	uint64_t arguments[6];
	char name[32]; /* of the call: "openat", or its number when it has no name here */
};

/*
 * Reads a report from a listener. 0; -EAGAIN when there is none (any more); -ENOENT when the
 * thread has gone. The thread that is reported stands still until its process is ended.
 */
int jail_read_report(int listener_fd, struct jail_report *report);

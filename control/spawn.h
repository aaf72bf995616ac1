/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the machine process: this same binary, executed anew so that it gets an address space
 * layout of its own, in a session without a terminal, with an empty environment and these
 * descriptors only: an empty standard input, a pipe to us as standard output and error (for the last
 * words of a C library or a sanitizer), and its end of the socket pair. Neither /proc nor /dev/null
 * need be there: Firecracker's jail has neither.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

struct machine_process {
	pid_t pid; /* 0 when not running */
	int wire_fd; /* owned: our end of the socket pair */
	int stderr_fd; /* owned: what the process says on its standard error; non-blocking */
};

/* 0 or -errno with @e filled. Loop thread. Release with machine_process_kill(). */
int machine_process_spawn(struct machine_process *process, struct err *e);

/*
 * Waits for a process whose sockets have closed, for a bounded time, and kills it then. Returns its
 * wait status (wait(2)).
 */
int machine_process_wait(struct machine_process *process);

/* Ends it at once if it still runs, and releases the descriptors. Accepts a zeroed object. */
void machine_process_kill(struct machine_process *process);

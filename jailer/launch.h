/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last steps: the daemon, the PID namespace, the pid file, limits, the user, and the program.
 *
 * Whichever process becomes the program, the one that the user started knows how it went: it ends
 * with success only when the program has been executed.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "jailer/options.h"

struct launch {
	const struct jailer_options *options; /* borrowed */
	int root; /* borrowed: the jail, which is our root */
	int null; /* borrowed: /dev/null, of a daemon */
	bool is_rootless;
	sigset_t signals; /* that the program is to have blocked; here all are */
	uint64_t start_us; /* CLOCK_MONOTONIC when we were started */
	uint64_t start_cpu_us; /* our CPU time then */
	uint64_t parent_cpu_us; /* what we have used for the jail; filled by launch() */
	char pid_name[JAILER_NAME_MAX + 8]; /* filled by launch() */
};

/* Microseconds of CLOCK_MONOTONIC or CLOCK_PROCESS_CPUTIME_ID. */
uint64_t launch_clock_us(int clock);

/*
 * Becomes the program, or ends with success when another process has become it. Returns only with
 * -errno and @e filled: then this process is as it was, and no other is left.
 */
int launch(struct launch *l, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* Work done in a child, so that its death is a result; and folders to work in. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

enum { CHILD_REASON_BYTES = 2048 };

struct crash_child {
	pid_t pid; /* 0: none */
	int out; /* owned: what it printed */
	unsigned timeout_s;
};

/*
 * Calls @work in a child, which ends with what that returned, and after @timeout_s by SIGALRM.
 * What it prints goes to a file in memory. Returns 0 or -errno.
 */
int crash_child_start(struct crash_child *c, int (*work)(void *opaque), void *opaque,
		      unsigned timeout_s);

/* Waits for its end. Returns its exit status; -1: a signal ended it. Fills @reason unless 0. */
int crash_child_wait(struct crash_child *c, char reason[static CHILD_REASON_BYTES]);

/* The same with the status that waitpid() gave. */
int crash_child_ended(struct crash_child *c, int status, char reason[static CHILD_REASON_BYTES]);

/* Both in one. -1 too if there was no child. */
int crash_child_run(int (*work)(void *opaque), void *opaque, unsigned timeout_s,
		    char reason[static CHILD_REASON_BYTES]);

/* Says why the test itself cannot go on (no room, no memory...), and ends the program: status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void crash_give_up(const char *fmt, ...);

/* A new folder below /dev/shm (or TMPDIR if that is set), or it gives up. */
void crash_folder_new(char path[static PATH_MAX]);
void crash_folder_remove(const char *path);

/* Descriptors that this process has open. */
int crash_count_fds(void);

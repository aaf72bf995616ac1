/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last step before the guest runs: every thread of machine filters its system calls, and none
 * goes on before all have.
 *
 * Threads other than the main one call guard_enter() first of all; it filters them and makes them
 * wait. The main thread calls guard_close(), which filters it too, and hands the descriptors that
 * report a forbidden call (jail/seccomp.h) to control, through a thread that is gone afterwards: the
 * filtered ones cannot pass descriptors any more. Then guard_open() lets all of them go.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "jail/policy.h"

struct guard;

/*
 * For @nr_threads threads besides the main one. @custom_fd: a filter program of the user's that is
 * put on top for all threads, borrowed until guard_close() returns; or -1. 0 or -errno with @e.
 */
int guard_new(struct guard **out, uint32_t nr_threads, int custom_fd, struct err *e);

/*
 * Filters the calling thread and waits for guard_open(). false: there is nothing to do for it.
 * @guard may be NULL: then nothing happens. Thread: any but the main one.
 */
bool guard_enter(struct guard *guard, enum jail_thread thread);

/*
 * Main thread: waits for the others, filters itself. 0 or -errno with @e filled; -EBADMSG when it is
 * the user's filter that does not work.
 */
int guard_close(struct guard *guard, struct err *e);

/* Lets the waiting threads go: to their work, or (@may_go false) to their end. The first call counts. */
void guard_open(struct guard *guard, bool may_go);

/* No thread waits any more. Accepts NULL. */
void guard_free(struct guard *guard);

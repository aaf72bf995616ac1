/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shutdown: ends all processes and brings the file systems to a clean end. Each step has a limit,
 * because a guest that cannot stop is worse than one that stops without a last write.
 */
#pragma once

#include <sys/types.h>

/*
 * Ends every other process: SIGTERM, a short grace, SIGKILL. An interactive shell that still runs
 * is named to be hung up; otherwise shell is 0.
 */
void shutdown_processes(pid_t shell);

/* Writes everything to disk, unmounts what it can and makes the rest read-only. */
void shutdown_storage(void);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT ask the work to stop: it ends at the next place where that
 * leaves nothing behind. Calls that wait end with EINTR. A second signal of the kind ends the process
 * at once, which the store survives as it survives a crash.
 */
#pragma once

#include <stdatomic.h>

/* From now on. Signals that were ignored before (nohup) stay so. */
void cancel_start(void);

/* For work_control. */
const atomic_bool *cancel_flag(void);

/* The signal that came, or 0. */
int cancel_signal(void);

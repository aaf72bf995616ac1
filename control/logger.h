/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control's log. Until logger_configure() is called, lines have the plain form and go to standard
 * error (stdlog.h). After it they have Firecracker's form or are JSON, and go where the user wants:
 *
 *	2026-01-31T12:00:00.123456789 [my-vm:main:WARN:control/run.c:88] message
 *	{"time":"2026-01-31T12:00:00.123456789Z","level":"warn","id":"my-vm","thread":"main",
 *	 "file":"control/run.c","line":88,"message":"..."}		(on one line)
 *
 * Firecracker's time is local time, JSON's is UTC. The thread is "main", or "machine" for what the
 * machine process says, whatever that process claims. Each line is limited (base/log_limit.h) and
 * none waits for its reader: what a full FIFO does not take is dropped and counted.
 *
 * The log is the process's: there is one, as the sink it feeds (base/log.h). Lines may come from any
 * thread; the functions here are for the loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "control/settings.h"

struct logger_counts {
	uint64_t lost; /* lines that their target did not take */
	uint64_t limited; /* lines above a limit */
};

/* The plain form, from now on. */
void logger_open(enum log_level max_level);

/*
 * Does what @value asks for; fields it does not have stay as they were, so it may be called again,
 * before the VM starts. @instance_id is copied. A file that is there is added to; see line_target.h
 * for what a path may be. 0 or -errno with @e filled and nothing changed.
 */
int logger_configure(const struct logger_value *value, const char *instance_id, struct err *e);

/* Writes what the limits have held back: when nothing more will be said. */
void logger_flush(void);

struct logger_counts logger_counts(void);

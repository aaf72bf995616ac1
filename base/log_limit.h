/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often one place of the program may write to the log: 10 lines in 5 seconds, counted from the
 * first. What comes above that is dropped and counted, and when the 5 seconds are over one line
 * tells how many there were. Places do not share a limit, so a guest that floods one of them hides
 * nothing of the others. What another process says (log_site.process) has one limit for all of it,
 * a larger one: that process may be a guest's by now, and names whatever place it likes.
 *
 * The table is fixed. When more places speak than fit into it, one that has been silent longest is
 * forgotten, which can only let more lines through.
 *
 * Thread: any; the lock is inside. A zeroed struct log_limit is ready.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

enum {
	LOG_LIMIT_LINES = 10,
	LOG_LIMIT_PROCESS_LINES = 200, /* as many as a sanitizer's last words have */
	LOG_LIMIT_MS = 5000,
	LOG_LIMIT_SLOTS = 256,
};

struct log_limit_slot {
	const void *key; /* NULL: free */
	struct log_site site; /* of the last line that was dropped */
	uint64_t start_ms;
	uint32_t count; /* lines since then, those let through */
	uint64_t dropped; /* and those not */
};

struct log_limit {
	pthread_mutex_t lock;
	uint64_t next_report_ms; /* no slot has to be reported before; 0: none has to be at all */
	uint64_t dropped; /* in all; read it with log_limit_dropped() */
	struct log_limit_slot slots[LOG_LIMIT_SLOTS];
};

/* Called with the lock held: writes the line that tells of dropped ones, and logs nothing itself. */
typedef void (*log_limit_report_fn)(void *opaque, const struct log_site *site, const char *line);

/*
 * Whether a line from @site may be written at @now_ms (CLOCK_MONOTONIC). First reports, through
 * @report, what has been dropped in windows that are over.
 */
bool log_limit_allows(struct log_limit *limit, const struct log_site *site, uint64_t now_ms,
		      log_limit_report_fn report, void *opaque);

/* Reports all that has been dropped and not been reported: at the end. */
void log_limit_flush(struct log_limit *limit, log_limit_report_fn report, void *opaque);

/* How many lines were dropped since the beginning. */
uint64_t log_limit_dropped(struct log_limit *limit);

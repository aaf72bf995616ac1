/* SPDX-License-Identifier: Apache-2.0 */
/* What a log can leave, checked state by state: the common part of all that is about crashes. */
#pragma once

#include "test/crash/parts.h"

/* What there is to check. All is borrowed. */
struct crash_work {
	const struct crash_scenario *scenario;
	const struct crash_options *options;
	const struct crash_log *log;
	size_t first; /* the shortest prefix */
	const char *dir; /* where the log comes from: must be what it says in the end */
	const char *extra; /* further options of the command that repeats a failure */
	const struct crash_acks *acks; /* what was acknowledged; NULL: the log's notes say it */
};

struct crash_result crash_check_states(const struct crash_work *w);

/* One line with figures. */
void crash_print_result(const struct crash_scenario *s, const struct crash_options *o,
			const char *what, const struct crash_result *result);

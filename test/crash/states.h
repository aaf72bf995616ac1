/* SPDX-License-Identifier: Apache-2.0 */
/* What a log can leave, checked state by state: the common part of all that is about crashes. */
#pragma once

#include "test/crash/parts.h"

/*
 * Checks the states of crashes from op @first of @log on, whose act worked on @dir; @extra are
 * further options of the command that repeats a failure.
 */
struct crash_result crash_check_states(const struct crash_scenario *s,
				       const struct crash_options *o, const struct crash_log *log,
				       size_t first, const char *dir, const char *extra);

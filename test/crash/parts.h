/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a scenario as work for a child, for crash_run() and fail_run(). */
#pragma once

#include "test/crash/child.h"
#include "test/crash/crash.h"

/* One call of a part, and what it left; in memory that children share, but for the pointers. */
struct crash_part {
	const struct crash_scenario *scenario;
	const char *dir;
	const struct crash_acks *acks; /* for check */
	struct crash_log *log; /* for act: recorded here */
	struct crash_fault fault; /* for act: nth 0: none, calls are counted */
	bool may_fail; /* for act: its error is in result, and the child ends well */
	int result;
	int leaked_fds;
	struct err error;
};

/* For crash_child_start(), with a struct crash_part. */
int crash_part_setup(void *opaque);
int crash_part_act(void *opaque);
int crash_part_recover(void *opaque); /* recorded, as act is */
int crash_part_check(void *opaque);

/* One in memory that children share; ends the program if there is no memory. */
struct crash_part *crash_part_new(const struct crash_scenario *s);
void crash_part_free(struct crash_part *p);

/* A folder after setup, or the end of the program: nothing can be tested without. */
void crash_set_up(const struct crash_scenario *s, const struct crash_options *o, const char *dir);

/* Makes @to, which is not there, a copy of @from. */
int crash_copy_folder(const char *from, const char *to, struct crash_log *log, struct err *e);

double crash_now(void);

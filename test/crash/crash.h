/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios of crashes and failing calls, and what runs them.
 *
 * A scenario has three parts, each run in a child of its own, so that a signal, a failed assertion
 * or an endless loop is a failure found and not the end of the test:
 *
 *	setup	prepares a folder; all of it is durable
 *	act	does what is tested, and says with crash_note() what the user was told, and when
 *	check	looks at a folder that a crash during act may have left, and says what is wrong
 *
 * crash_run() takes act's calls down once and then checks the folders of many crashes (replay.h).
 * fail_run() does act again and again, each time with another call that fails, checks the folder
 * each time, does act once more without failures, which must work, and checks again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "test/crash/record.h"
#include "test/crash/replay.h"

/* What was noted before the crash. */
struct crash_acks {
	const struct crash_log *log;
	size_t prefix;
	const struct crash_acks *earlier; /* of an act before that one; NULL: none */
	bool is_brief; /* act and check are done once more after that: less will do */
};

bool crash_acked(const struct crash_acks *acks, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Each returns 0, or a negative errno and the reason in @e. After fail_run()'s failing call act may
 * return an error, and is called again on what that left: it must be able to start from there.
 */
struct crash_scenario {
	const char *name;
	int (*setup)(const char *dir, const void *opaque,
		     struct err *e); /* NULL: an empty folder */
	int (*act)(const char *dir, const void *opaque, struct err *e);
	int (*check)(const char *dir, const struct crash_acks *acks, const void *opaque,
		     struct err *e);
	int (*recover)(const char *dir, const void *opaque, struct err *e); /* what comes after a
									      crash; may be NULL */
	const void *opaque;
	unsigned fault_calls; /* fail_run(): which calls; 0: all */
};

struct crash_options {
	uint64_t seed;
	size_t max_states; /* of a scenario: no more are tried */
	unsigned seconds; /* of a scenario: no new one is begun after that */
	unsigned randoms; /* random choices for each prefix */
	unsigned jobs;
	unsigned timeout_s; /* of one part of a scenario */
	const char *program; /* for the command that repeats a failure */
	const char *keep; /* a folder for the last state that failed, or NULL */
	const char *choice; /* crash_run(): only this one, at @at, or NULL */
	size_t at;
	unsigned second; /* crash_run_twice(): only this first crash, or 0 */
	bool is_basic; /* fail_run(): only the errors that tell most */
	const char *fault; /* fail_run(): only this one, or NULL */
	unsigned failed_sync; /* crash_run_failed_syncs(): only this one, or 0 */
	size_t max_failures; /* then it is clear */
	bool is_quiet; /* failures are what the caller wants */
	bool is_dump; /* crash_run(): only print what act does */
};

struct crash_result {
	size_t nr_ops;
	size_t nr_states; /* distinct folders */
	size_t nr_checks; /* a folder is checked again when more has been promised */
	size_t nr_failures;
	double seconds;
	size_t failed_at; /* crash_run(): the first failure, as options name it */
	struct crash_choice failed_choice;
};

/* The defaults, some of which the environment may set: see crash_main(). */
void crash_options_init(struct crash_options *o);

/* Both print one line with figures, and some for each failure, to stdout. */
struct crash_result crash_run(const struct crash_scenario *s, const struct crash_options *o);
struct crash_result fail_run(const struct crash_scenario *s, const struct crash_options *o);

/*
 * crash_run() once for each sync of act, which fails, whatever act says then: what was
 * acknowledged must survive that and a crash at any time after.
 */
struct crash_result crash_run_failed_syncs(const struct crash_scenario *s,
					   const struct crash_options *o);

/*
 * Crashes during recover(), in folders that crashes of act have left. What was acknowledged before
 * the first must survive the second.
 */
struct crash_result crash_run_twice(const struct crash_scenario *s, const struct crash_options *o);

/*
 * A test of the check: leaves each sync of act out of the log and tells which of them the check does
 * not miss: they are needless, or it is blind. nr_states: how many it does. No failure either way.
 */
struct crash_result crash_run_without_syncs(const struct crash_scenario *s,
					    const struct crash_options *o);

/* The main function of a program of scenarios: see --help in main.c. Returns the exit status. */
int crash_main(int argc, char **argv, const struct crash_scenario *const scenarios[], size_t nr);

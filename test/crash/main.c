/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of programs of scenarios: see crash.h. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/crash/crash.h"

static const char help[] =
	"Usage: %s [OPTION...] [SCENARIO...]\n"
	"\n"
	"Checks what crashes and failing calls leave. Without SCENARIO: all.\n"
	"\n"
	"  --list             names the scenarios\n"
	"  --seed N           of random choices [CRASH_SEED or 1]\n"
	"  --states N         at most so many folders of a scenario [CRASH_STATES]\n"
	"  --seconds N        and so long [CRASH_SECONDS or 10]\n"
	"  --randoms N        random choices of each prefix [CRASH_RANDOMS or 20]\n"
	"  --jobs N           checks at the same time [CRASH_JOBS or 2]\n"
	"  --timeout N        seconds for one check [CRASH_TIMEOUT or 30]\n"
	"  --only WHICH       crashes, twice, syncs (that fail), calls (that fail), or\n"
	"                     left-out (which syncs the checks miss; not done otherwise)\n"
	"  --basic            of failing calls only each with EIO, and a few more\n"
	"  --at N --choice C  only this crash, as a failure names it\n"
	"  --second N         only crashes after that first one\n"
	"  --failed-sync N    only crashes after that sync failed\n"
	"  --fail CASE        only this failing call, as a failure names it\n"
	"  --dump             only print the calls that crashes are tried between\n"
	"  --keep DIR         leave the last folder that failed there\n"
	"\n"
	"Exit status 1: something failed.\n";

enum option_id {
	OPTION_LIST = 256,
	OPTION_SEED,
	OPTION_STATES,
	OPTION_SECONDS,
	OPTION_RANDOMS,
	OPTION_JOBS,
	OPTION_TIMEOUT,
	OPTION_ONLY,
	OPTION_AT,
	OPTION_CHOICE,
	OPTION_FAILED_SYNC,
	OPTION_FAIL,
	OPTION_KEEP,
	OPTION_SECOND,
	OPTION_BASIC,
	OPTION_DUMP,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "states", required_argument, NULL, OPTION_STATES },
	{ "seconds", required_argument, NULL, OPTION_SECONDS },
	{ "randoms", required_argument, NULL, OPTION_RANDOMS },
	{ "jobs", required_argument, NULL, OPTION_JOBS },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "only", required_argument, NULL, OPTION_ONLY },
	{ "at", required_argument, NULL, OPTION_AT },
	{ "choice", required_argument, NULL, OPTION_CHOICE },
	{ "failed-sync", required_argument, NULL, OPTION_FAILED_SYNC },
	{ "fail", required_argument, NULL, OPTION_FAIL },
	{ "keep", required_argument, NULL, OPTION_KEEP },
	{ "basic", no_argument, NULL, OPTION_BASIC },
	{ "second", required_argument, NULL, OPTION_SECOND },
	{ "dump", no_argument, NULL, OPTION_DUMP },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ 0 },
};

/* What the command line asks for. */
struct wish {
	struct crash_options options;
	const char *only; /* "crashes", "syncs", "calls", or NULL: all */
	bool is_list;
	bool is_help;
};

/* Options that ask for a part of what there is; false: it is none of them. */
static bool take_choice(struct wish *w, int id, const char *value, uint64_t number)
{
	struct crash_options *o = &w->options;

	switch (id) {
	case OPTION_ONLY:
		w->only = value;
		return true;
	case OPTION_AT:
		o->at = number;
		return true;
	case OPTION_CHOICE:
		o->choice = value;
		w->only = w->only ? w->only : "crashes";
		return true;
	case OPTION_FAILED_SYNC:
		o->failed_sync = (unsigned)number;
		w->only = "syncs";
		return true;
	case OPTION_SECOND:
		o->second = (unsigned)number;
		w->only = "twice";
		return true;
	case OPTION_FAIL:
		o->fault = value;
		w->only = "calls";
		return true;
	case OPTION_BASIC:
		o->is_basic = true;
		return true;
	default:
		return false;
	}
}

/* Takes over one option; false: it is not known. */
static bool take(struct wish *w, int id, const char *value)
{
	struct crash_options *o = &w->options;
	uint64_t number = value ? strtoull(value, NULL, 0) : 0;

	switch (id) {
	case OPTION_LIST:
		w->is_list = true;
		return true;
	case OPTION_HELP:
		w->is_help = true;
		return true;
	case OPTION_SEED:
		o->seed = number;
		return true;
	case OPTION_STATES:
		o->max_states = number;
		return true;
	case OPTION_SECONDS:
		o->seconds = (unsigned)number;
		return true;
	case OPTION_RANDOMS:
		o->randoms = (unsigned)number;
		return true;
	case OPTION_JOBS:
		o->jobs = number ? (unsigned)number : 1;
		return true;
	case OPTION_TIMEOUT:
		o->timeout_s = (unsigned)number;
		return true;
	case OPTION_DUMP:
		o->is_dump = true;
		w->only = w->only ? w->only : "crashes";
		return true;
	case OPTION_KEEP:
		o->keep = value;
		return true;
	default:
		return take_choice(w, id, value, number);
	}
}

static bool wants(const struct wish *w, const char *what)
{
	return !w->only || strcmp(w->only, what) == 0;
}

/* Adds what the scenario shows to @total. */
static void run_scenario(const struct crash_scenario *s, const struct wish *w,
			 struct crash_result *total)
{
	struct crash_result r = { 0 };
	struct crash_result syncs = { 0 };
	struct crash_result calls = { 0 };
	struct crash_result twice = { 0 };

	if (wants(w, "crashes"))
		r = crash_run(s, &w->options);
	if (wants(w, "twice") && s->recover)
		twice = crash_run_twice(s, &w->options);
	if (wants(w, "syncs"))
		syncs = crash_run_failed_syncs(s, &w->options);
	if (wants(w, "calls"))
		calls = fail_run(s, &w->options);
	if (w->only && strcmp(w->only, "left-out") == 0)
		crash_run_without_syncs(s, &w->options);
	total->nr_states += r.nr_states + twice.nr_states + syncs.nr_states;
	total->nr_checks += calls.nr_checks;
	total->nr_failures +=
		r.nr_failures + twice.nr_failures + syncs.nr_failures + calls.nr_failures;
	total->seconds += r.seconds + twice.seconds + syncs.seconds + calls.seconds;
}

static bool is_named(const char *name, char **names, int nr)
{
	for (int i = 0; i < nr; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return nr == 0;
}

int crash_main(int argc, char **argv, const struct crash_scenario *const scenarios[], size_t nr)
{
	struct crash_result total = { 0 };
	struct wish w = { 0 };
	size_t nr_run = 0;
	int id;

	crash_options_init(&w.options);
	w.options.program = argv[0];
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (!take(&w, id, optarg))
			return 2;
	}
	if (w.is_help)
		printf(help, argv[0]);
	for (size_t i = 0; i < nr && !w.is_help; i++) {
		if (w.is_list)
			puts(scenarios[i]->name);
		else if (is_named(scenarios[i]->name, argv + optind, argc - optind))
			run_scenario(scenarios[i], &w, &total);
		nr_run += is_named(scenarios[i]->name, argv + optind, argc - optind);
	}
	if (w.is_help || w.is_list)
		return 0;
	if (nr_run == 0)
		fprintf(stderr, "%s: no such scenario; see --list\n", argv[0]);
	printf("crash: all: %zu states and %zu failed calls, %zu failures (%.1f s)\n",
	       total.nr_states, total.nr_checks, total.nr_failures, total.seconds);
	return total.nr_failures || nr_run == 0 ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Crashes of what comes after a crash: see crash_run_twice() in crash.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "test/crash/content.h"
#include "test/crash/states.h"

enum { FIRST_CRASHES = 12 };

struct twice {
	const struct crash_scenario *scenario;
	const struct crash_options *options;
	struct crash_part *first; /* owned: act */
	struct crash_part *second; /* owned: recover */
	struct replay *replay; /* owned: of act */
	char store[PATH_MAX];
	char dir[PATH_MAX];
};

/* The first crash of that number: some with all lost or kept, most at random. */
static struct crash_choice first_choice(const struct twice *t, unsigned number, size_t *prefix)
{
	const struct crash_log *log = t->first->log;
	const uint64_t seed = crash_mix(t->options->seed, number) >> 8;
	struct crash_choice c = { .data = DATA_RANDOM, .dirs = DIRS_RANDOM, .seed = seed };

	*prefix = log->nr_initial + seed % (log->nr_ops - log->nr_initial + 1);
	if (number % 4 == 0)
		c = (struct crash_choice){ .data = number % 8 ? DATA_KEPT : DATA_LOST };
	return c;
}

static struct crash_result run_one(struct twice *t, unsigned number, unsigned seconds)
{
	struct crash_options o = *t->options;
	struct crash_acks acks = { .log = t->first->log };
	struct crash_choice choice = first_choice(t, number, &acks.prefix);
	struct crash_result result = { .nr_failures = 1 };
	char reason[CHILD_REASON_BYTES];
	char extra[32];
	struct err e = { 0 };

	o.seconds = seconds;
	snprintf(extra, sizeof(extra), " --second %u", number);
	replay_state(t->replay, acks.prefix, &choice);
	if (mkdir(t->dir, 0755) < 0)
		crash_give_up("cannot make '%s': %s", t->dir, strerror(errno));
	if (replay_make(t->replay, t->dir, &e) < 0)
		crash_give_up("%s", e.msg);
	t->second->dir = t->dir;
	if (crash_child_run(crash_part_recover, t->second, o.timeout_s, reason) != 0)
		printf("crash: %s: FAILED to recover after crash %u: %s\n", t->scenario->name,
		       number, reason);
	else
		result = crash_check_states(
			&(struct crash_work){ .scenario = t->scenario,
					      .options = &o,
					      .log = t->second->log,
					      .first = t->second->log->nr_initial,
					      .dir = t->dir,
					      .extra = extra,
					      .acks = &acks });
	crash_folder_remove(t->dir);
	return result;
}

static void run_all(struct twice *t, struct crash_result *total)
{
	const unsigned only = t->options->second;
	const unsigned nr = only ? only : FIRST_CRASHES;

	for (unsigned i = only ? only : 1; i <= nr; i++) {
		const struct crash_result one = run_one(
			t, i, only ? t->options->seconds : t->options->seconds / FIRST_CRASHES + 1);

		total->nr_ops += one.nr_ops;
		total->nr_states += one.nr_states;
		total->nr_checks += one.nr_checks;
		total->nr_failures += one.nr_failures;
	}
}

struct crash_result crash_run_twice(const struct crash_scenario *s, const struct crash_options *o)
{
	struct twice t = { .scenario = s, .options = o };
	struct crash_result total = { 0 };
	char reason[CHILD_REASON_BYTES];
	char folder[PATH_MAX];
	const double start = crash_now();

	crash_folder_new(folder);
	snprintf(t.store, PATH_MAX, "%.*s/store", PATH_MAX - 16, folder);
	snprintf(t.dir, PATH_MAX, "%.*s/again", PATH_MAX - 16, folder);
	t.first = crash_part_new(s);
	t.second = crash_part_new(s);
	crash_set_up(s, o, t.store);
	t.first->dir = t.store;
	if (crash_child_run(crash_part_act, t.first, o->timeout_s, reason) == 0) {
		t.replay = replay_new(t.first->log);
		if (!t.replay)
			crash_give_up("out of memory");
		run_all(&t, &total);
		replay_free(t.replay);
	} else {
		total.nr_failures = 1;
		printf("crash: %s: FAILED without a crash: %s\n", s->name, reason);
	}
	crash_folder_remove(folder);
	crash_part_free(t.first);
	crash_part_free(t.second);
	total.seconds = crash_now() - start;
	crash_print_result(s, o, ", crashed twice", &total);
	return total;
}

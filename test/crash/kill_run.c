/* SPDX-License-Identifier: Apache-2.0 */
/* Processes killed at random: see kill.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test/crash/content.h"
#include "test/crash/kill.h"
#include "test/crash/parts.h"

enum { FAILURES_SHOWN = 8 };

struct worker {
	struct crash_child child;
	struct round *round;
	unsigned number;
	uint64_t
		kill_us; /* when it is killed, from the begin of the round; UINT64_MAX: it is not */
	bool is_killed;
};

struct round {
	const struct kill_plan *plan;
	const struct kill_options *options;
	struct kill_ledger *ledger;
	const char *dir;
	struct worker workers[KILL_WORKERS];
	uint64_t seed;
	unsigned number;
	struct kill_result *result;
};

/* --- ledger ---------------------------------------------------------------------------------- */

struct kill_ledger *kill_ledger_new(void)
{
	void *p = mmap(NULL, sizeof(struct kill_ledger), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void kill_ledger_free(struct kill_ledger *l)
{
	if (l)
		munmap(l, sizeof(*l));
}

void kill_begin(struct kill_ledger *l, unsigned worker, unsigned name, uint64_t wanted)
{
	struct kill_entry *entry = &l->entries[worker][name];

	entry->wanted = wanted;
	entry->is_changing = true;
}

void kill_end(struct kill_ledger *l, unsigned worker, unsigned name, bool was_done)
{
	struct kill_entry *entry = &l->entries[worker][name];

	if (was_done)
		entry->done = entry->wanted;
	entry->is_changing = false;
	l->steps++;
}

bool kill_accept(struct kill_ledger *l, unsigned worker, unsigned name, uint64_t value)
{
	struct kill_entry *entry = &l->entries[worker][name];

	if (value != entry->done && !(entry->is_changing && value == entry->wanted))
		return false;
	entry->done = value;
	entry->is_changing = false;
	return true;
}

/* --- one round ------------------------------------------------------------------------------- */

static void fail(struct round *r, const char *who, const char *reason)
{
	if (r->result->failures++ >= FAILURES_SHOWN || r->options->is_quiet)
		return;
	printf("kill: %s: FAILED in round %u (seed %llu): %s: %s\n", r->plan->name, r->number,
	       (unsigned long long)r->options->seed, who, reason);
	fflush(stdout);
}

static int work(void *opaque)
{
	struct worker *w = opaque;
	struct round *r = w->round;
	struct err e = { 0 };
	int result = r->plan->work[w->number](r->dir, r->ledger, w->number,
					      crash_mix(r->seed, w->number), r->plan->opaque, &e);

	if (result < 0)
		printf("%s", e.msg[0] ? e.msg : strerror(-result));
	return result < 0 ? 1 : 0;
}

static int check(void *opaque)
{
	struct round *r = opaque;
	struct err e = { 0 };
	int result = r->plan->check(r->dir, r->ledger, r->seed, r->plan->opaque, &e);

	if (result < 0)
		printf("%s", e.msg[0] ? e.msg : strerror(-result));
	return result < 0 ? 1 : 0;
}

static void start_all(struct round *r)
{
	for (unsigned i = 0; i < KILL_WORKERS; i++) {
		struct worker *w = &r->workers[i];
		uint64_t h = crash_mix(r->seed ^ 0x6b696c6c, i) >> 4;
		bool is_condemned = r->number % 2 == 0 || h % 3 == 0;

		w->round = r;
		w->number = i;
		w->is_killed = false;
		w->kill_us = is_condemned ? (h >> 8) % (r->options->round_ms * 1000) : UINT64_MAX;
		if (crash_child_start(&w->child, work, w, r->options->timeout_s) < 0)
			crash_give_up("cannot start a child");
	}
}

/* Kills each when its time has come; returns when the round's time is over. */
static void kill_some(struct round *r)
{
	const double start = crash_now();

	for (;;) {
		const uint64_t now_us = (uint64_t)((crash_now() - start) * 1e6);
		uint64_t next_us = r->options->round_ms * 1000;

		for (unsigned i = 0; i < KILL_WORKERS; i++) {
			struct worker *w = &r->workers[i];

			if (w->is_killed || w->kill_us == UINT64_MAX)
				continue;
			if (w->kill_us <= now_us) {
				kill(w->child.pid, SIGKILL);
				w->is_killed = true;
			} else if (w->kill_us < next_us) {
				next_us = w->kill_us;
			}
		}
		if (now_us >= r->options->round_ms * 1000)
			return;
		if (next_us > now_us)
			usleep((useconds_t)(next_us - now_us));
	}
}

/* Whoever lives must end well; one that was killed may have ended before, also only well. */
static void wait_for_all(struct round *r)
{
	char reason[CHILD_REASON_BYTES];
	char who[32];

	for (unsigned i = 0; i < KILL_WORKERS; i++) {
		struct worker *w = &r->workers[i];
		int status = crash_child_wait(&w->child, reason);

		r->result->killed += w->is_killed && status == -1;
		snprintf(who, sizeof(who), "worker %u", i);
		if (status > 0 || (status < 0 && !w->is_killed))
			fail(r, who, reason);
	}
}

static void run_round(struct round *r)
{
	char reason[CHILD_REASON_BYTES];

	r->ledger->must_stop = false;
	start_all(r);
	kill_some(r);
	r->ledger->must_stop = true;
	wait_for_all(r);
	if (crash_child_run(check, r, r->options->timeout_s, reason) != 0)
		fail(r, "check", reason);
}

/* --- all ------------------------------------------------------------------------------------- */

static int setup(void *opaque)
{
	struct round *r = opaque;
	struct err e = { 0 };
	int result = r->plan->setup(r->dir, r->plan->opaque, &e);

	if (result < 0)
		printf("%s", e.msg);
	return result < 0 ? 1 : 0;
}

struct kill_result kill_run(const struct kill_plan *p, const struct kill_options *o)
{
	struct kill_result result = { 0 };
	struct round r = { .plan = p, .options = o, .result = &result };
	char reason[CHILD_REASON_BYTES];
	char folder[PATH_MAX];
	char dir[PATH_MAX];
	const double start = crash_now();

	r.ledger = kill_ledger_new();
	if (!r.ledger)
		crash_give_up("out of memory");
	crash_folder_new(folder);
	snprintf(dir, sizeof(dir), "%.*s/store", PATH_MAX - 16, folder);
	r.dir = dir;
	if (mkdir(dir, 0755) < 0)
		crash_give_up("cannot make '%s': %s", dir, strerror(errno));
	if (p->setup && crash_child_run(setup, &r, o->timeout_s, reason) != 0)
		fail(&r, "setup", reason);
	while (result.rounds < o->rounds && result.failures < o->max_failures) {
		r.number = result.rounds++;
		r.seed = crash_mix(o->seed, r.number);
		run_round(&r);
	}
	result.steps = r.ledger->steps;
	crash_folder_remove(folder);
	kill_ledger_free(r.ledger);
	result.seconds = crash_now() - start;
	if (!o->is_quiet)
		printf("kill: %s: %u rounds, %u failures (%u processes killed, %llu changes, %.1f "
		       "s)\n",
		       p->name, result.rounds, result.failures, result.killed,
		       (unsigned long long)result.steps, result.seconds);
	fflush(stdout);
	return result;
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *value = getenv(name);

	return value ? (unsigned)strtoul(value, NULL, 0) : otherwise;
}

void kill_options_init(struct kill_options *o, unsigned rounds)
{
	*o = (struct kill_options){
		.seed = from_environment("KILL_SEED", 1),
		.rounds = from_environment("KILL_ROUNDS", rounds),
		.round_ms = from_environment("KILL_MS", 20),
		.timeout_s = from_environment("CRASH_TIMEOUT", 30),
		.max_failures = 10,
	};
}

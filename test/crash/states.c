/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a log, each checked: see states.h. */
#include "test/crash/states.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/crash/content.h"
#include "test/crash/enumerate.h"

enum {
	JOBS_MAX = 16,
	FAILURES_SHOWN = 5,
	SET_ROOM_FIRST = 1 << 12,
	OP_TEXT_BYTES = 400,
};

/* Numbers that were seen. */
struct seen {
	uint64_t *keys; /* owned */
	size_t room;
	size_t nr;
};

struct job {
	struct crash_child child;
	struct crash_part part;
	struct crash_acks acks; /* of the log */
	struct crash_choice choice;
	char dir[PATH_MAX];
};

struct run {
	const struct crash_work *work;
	const struct crash_scenario *scenario;
	const struct crash_options *options;
	const struct crash_log *log;
	struct replay *replay;
	const char *folder;
	struct seen states;
	struct seen checks;
	struct crash_result result;
	struct job jobs[JOBS_MAX];
	unsigned nr_jobs;
	double deadline;
};

/* --- what was seen --------------------------------------------------------------------------- */

static void seen_init(struct seen *s)
{
	s->room = SET_ROOM_FIRST;
	s->nr = 0;
	s->keys = calloc(s->room, sizeof(*s->keys));
	if (!s->keys)
		crash_give_up("out of memory");
}

static bool seen_insert(uint64_t *keys, size_t room, uint64_t key)
{
	size_t i = key & (room - 1);

	while (keys[i] && keys[i] != key)
		i = (i + 1) & (room - 1);
	if (keys[i])
		return false;
	keys[i] = key;
	return true;
}

/* False: it is there already. */
static bool seen_add(struct seen *s, uint64_t key)
{
	uint64_t *keys;

	if (!seen_insert(s->keys, s->room, key ? key : 1))
		return false;
	if (++s->nr <= s->room / 2)
		return true;
	keys = calloc(s->room * 2, sizeof(*keys));
	if (!keys)
		crash_give_up("out of memory");
	for (size_t i = 0; i < s->room; i++) {
		if (s->keys[i])
			seen_insert(keys, s->room * 2, s->keys[i]);
	}
	free(s->keys);
	s->keys = keys;
	s->room *= 2;
	return true;
}

/* --- children that check --------------------------------------------------------------------- */

static void show_failure(struct run *r, const struct job *j, const char *reason)
{
	const struct crash_options *o = r->options;
	char choice[CRASH_CHOICE_BYTES];
	char op[OP_TEXT_BYTES];

	if (o->is_quiet || r->result.nr_failures > FAILURES_SHOWN)
		return;
	crash_choice_text(&j->choice, choice);
	printf("crash: %s: FAILED after %zu of %zu ops, choice %s\n", r->scenario->name,
	       j->acks.prefix, r->log->nr_ops, choice);
	if (j->acks.prefix > 0) {
		crash_op_text(r->log, j->acks.prefix - 1, op, sizeof(op));
		printf("  last op: %s\n", op);
	}
	printf("  %s\n  again: %s %s%s --seed %llu --at %zu --choice %s\n", reason, o->program,
	       r->scenario->name, r->work->extra, (unsigned long long)o->seed, j->acks.prefix,
	       choice);
}

/* Makes the state anew: the check may have changed what was there. */
static void keep(struct run *r, const struct job *j)
{
	struct err e;

	if (!r->options->keep || r->options->is_quiet)
		return;
	crash_folder_remove(r->options->keep);
	replay_state(r->replay, j->acks.prefix, &j->choice);
	if (mkdir(r->options->keep, 0755) < 0 || replay_make(r->replay, r->options->keep, &e) < 0)
		printf("crash: cannot keep the state in '%s'\n", r->options->keep);
}

static void reap(struct run *r, struct job *j, int status)
{
	char reason[CHILD_REASON_BYTES];

	r->result.nr_checks++;
	if (crash_child_ended(&j->child, status, reason) != 0) {
		if (r->result.nr_failures++ == 0) {
			r->result.failed_at = j->acks.prefix;
			r->result.failed_choice = j->choice;
		}
		show_failure(r, j, reason);
		keep(r, j);
	}
	crash_folder_remove(j->dir);
}

/* Waits for the end of one check. */
static void reap_one(struct run *r)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	for (unsigned i = 0; i < r->nr_jobs; i++) {
		if (pid > 0 && r->jobs[i].child.pid == pid)
			reap(r, &r->jobs[i], status);
	}
}

static struct job *free_job(struct run *r)
{
	for (;;) {
		for (unsigned i = 0; i < r->nr_jobs; i++) {
			if (r->jobs[i].child.pid == 0)
				return &r->jobs[i];
		}
		reap_one(r);
	}
}

static void reap_all(struct run *r)
{
	for (unsigned i = 0; i < r->nr_jobs; i++) {
		while (r->jobs[i].child.pid != 0)
			reap_one(r);
	}
}

static size_t notes_before(const struct crash_log *log, size_t prefix)
{
	size_t nr = 0;

	for (size_t i = 0; i < prefix; i++)
		nr += log->ops[i].kind == CRASH_NOTE;
	return nr;
}

/* Checks the state unless that was done. False: no more are wanted. */
static bool try_state(void *opaque, size_t prefix, const struct crash_choice *choice)
{
	struct run *r = opaque;
	uint64_t hash = replay_state(r->replay, prefix, choice);
	struct err e = { 0 };
	struct job *j;

	if (!seen_add(&r->checks, crash_mix(hash, notes_before(r->log, prefix))))
		return crash_now() < r->deadline;
	seen_add(&r->states, hash);
	j = free_job(r);
	j->choice = *choice;
	j->acks = (struct crash_acks){ .log = r->log, .prefix = prefix };
	j->part = (struct crash_part){ .scenario = r->scenario,
				       .dir = j->dir,
				       .acks = r->work->acks ? r->work->acks : &j->acks };
	if (mkdir(j->dir, 0755) < 0 || replay_make(r->replay, j->dir, &e) < 0 ||
	    crash_child_start(&j->child, crash_part_check, &j->part, r->options->timeout_s) < 0)
		crash_give_up("cannot make a state in '%s': %s", j->dir, e.msg);
	return r->states.nr < r->options->max_states && crash_now() < r->deadline &&
	       r->result.nr_failures < r->options->max_failures;
}

/* --- a scenario ------------------------------------------------------------------------------ */

/* Whether the log says how @dir came about; if not, that is a failure. */
static bool is_explained(struct run *r, const char *dir)
{
	static const struct crash_choice kept = { .data = DATA_KEPT };
	struct err e = { 0 };

	replay_state(r->replay, r->log->nr_ops, &kept);
	if (!r->log->complaint[0] && replay_explains(r->replay, dir, &e) == 0)
		return true;
	if (r->log->complaint[0])
		err_set(&e, -EPROTO, "%s", r->log->complaint);
	r->result.nr_failures++;
	if (!r->options->is_quiet)
		printf("crash: %s: FAILED: the recorder did not see all calls: %s\n",
		       r->scenario->name, e.msg);
	return false;
}

static void dump(const struct crash_log *log)
{
	char text[OP_TEXT_BYTES];

	for (size_t i = log->nr_initial; i < log->nr_ops; i++) {
		crash_op_text(log, i, text, sizeof(text));
		puts(text);
	}
}

/* All crashes from op @first on, or the one that was asked for. */
static void try_wanted(struct run *r, size_t first)
{
	const struct crash_options *o = r->options;
	struct crash_choice choice;

	if (o->is_dump)
		dump(r->log);
	else if (!o->choice)
		crash_enumerate(&(struct crash_enumeration){ .log = r->log,
							     .replay = r->replay,
							     .first = first,
							     .randoms = o->randoms,
							     .seed = o->seed,
							     .try_state = try_state,
							     .opaque = r });
	else if (o->at <= r->log->nr_ops && crash_choice_parse(o->choice, &choice))
		try_state(r, o->at, &choice);
	else
		printf("crash: no choice '%s' at %zu\n", o->choice, o->at);
}

/* The states of crashes during what @log tells, from op @first on. */
struct crash_result crash_check_states(const struct crash_work *w)
{
	struct run *r = calloc(1, sizeof(*r));
	char folder[PATH_MAX];
	struct crash_result result;

	if (!r)
		crash_give_up("out of memory");
	crash_folder_new(folder);
	*r = (struct run){ .work = w,
			   .scenario = w->scenario,
			   .options = w->options,
			   .log = w->log,
			   .folder = folder };
	r->replay = replay_new(w->log);
	if (!r->replay)
		crash_give_up("out of memory");
	r->nr_jobs = w->options->jobs < JOBS_MAX ? w->options->jobs : JOBS_MAX;
	r->deadline = crash_now() + w->options->seconds;
	for (unsigned i = 0; i < r->nr_jobs; i++)
		snprintf(r->jobs[i].dir, PATH_MAX, "%.*s/%u", PATH_MAX - 16, folder, i);
	seen_init(&r->states);
	seen_init(&r->checks);
	if (is_explained(r, w->dir))
		try_wanted(r, w->first);
	reap_all(r);
	crash_folder_remove(folder);
	result = r->result;
	result.nr_ops = w->log->nr_ops - w->log->nr_initial;
	result.nr_states = r->states.nr;
	free(r->states.keys);
	free(r->checks.keys);
	replay_free(r->replay);
	free(r);
	return result;
}

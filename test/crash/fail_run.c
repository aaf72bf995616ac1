/* SPDX-License-Identifier: Apache-2.0 */
/* Each call failing once, and from then on: see crash.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test/crash/parts.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum {
	JOBS_MAX = 16,
	FAILURES_SHOWN = 8,
	FAULT_TEXT_BYTES = 64,
};

/* What may go wrong with which calls. */
struct way {
	const char *name;
	enum crash_call call;
	int error;
	bool is_lasting; /* is tried too: a disk stays full, a device broken */
	bool is_basic; /* is among those that are tried when time is short */
};

static const struct way ways[] = {
	{ "open:EACCES", CALL_OPEN, EACCES, false, false },
	{ "open:EMFILE", CALL_OPEN, EMFILE, false, false },
	{ "open:ENOSPC", CALL_OPEN, ENOSPC, true, false },
	{ "open:EROFS", CALL_OPEN, EROFS, true, false },
	{ "open:EIO", CALL_OPEN, EIO, false, false },
	{ "write:EIO", CALL_WRITE, EIO, true, false },
	{ "write:ENOSPC", CALL_WRITE, ENOSPC, true, true },
	{ "write:short", CALL_WRITE, CRASH_SHORT, false, true },
	{ "write:EINTR", CALL_WRITE, EINTR, false, false },
	{ "sync:EIO", CALL_SYNC, EIO, true, false },
	{ "sync:ENOSPC", CALL_SYNC, ENOSPC, false, false },
	{ "size:EIO", CALL_SIZE, EIO, false, false },
	{ "size:ENOSPC", CALL_SIZE, ENOSPC, true, false },
	{ "rename:EIO", CALL_RENAME, EIO, false, false },
	{ "rename:ENOSPC", CALL_RENAME, ENOSPC, true, false },
	{ "link:EIO", CALL_LINK, EIO, false, false },
	{ "link:ENOSPC", CALL_LINK, ENOSPC, true, false },
	{ "unlink:EIO", CALL_UNLINK, EIO, true, false },
	{ "unlink:EROFS", CALL_UNLINK, EROFS, false, false },
	{ "mkdir:ENOSPC", CALL_MKDIR, ENOSPC, true, false },
	{ "mkdir:EIO", CALL_MKDIR, EIO, false, false },
	{ "read:EIO", CALL_READ, EIO, true, false },
	{ "read:short", CALL_READ, CRASH_SHORT, false, false },
	{ "read:EINTR", CALL_READ, EINTR, false, false },
	{ "mmap:ENOMEM", CALL_MMAP, ENOMEM, true, false },
	{ "lock:ENOLCK", CALL_LOCK, ENOLCK, false, false },
	{ "lock:EINTR", CALL_LOCK, EINTR, false, false },
	{ "close:EIO", CALL_CLOSE, EIO, false, false },
	{ "stat:EIO", CALL_STAT, EIO, false, false },
	{ "seek:EIO", CALL_SEEK, EIO, false, false },
	{ "all:EIO", CALL_ALL, EIO, true, true },
};

struct one_case {
	const struct way *way;
	unsigned nth;
	bool is_lasting;
};

/* One of several cases that are tried at the same time. */
struct job {
	struct crash_child child;
	struct run *run;
	struct one_case which;
	struct crash_part *first; /* owned: the act that fails */
	struct crash_part *second; /* owned: the one after it */
	char dir[PATH_MAX];
};

struct run {
	const struct crash_scenario *scenario;
	const struct crash_options *options;
	char store[PATH_MAX]; /* what all begin with */
	char folder[PATH_MAX];
	struct job jobs[JOBS_MAX];
	unsigned nr_jobs;
	struct crash_result result;
};

static void case_text(const struct one_case *c, char buf[static FAULT_TEXT_BYTES])
{
	snprintf(buf, FAULT_TEXT_BYTES, "%s:%u%s", c->way->name, c->nth,
		 c->is_lasting ? ":lasting" : "");
}

static bool case_parse(const char *text, struct one_case *c)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		size_t len = strlen(ways[i].name);
		char *end;

		if (strncmp(text, ways[i].name, len) != 0 || text[len] != ':')
			continue;
		c->way = &ways[i];
		c->nth = (unsigned)strtoul(text + len + 1, &end, 10);
		c->is_lasting = strcmp(end, ":lasting") == 0;
		return true;
	}
	return false;
}

/* --- one case, in a child -------------------------------------------------------------------- */

/* Runs a part in a child of its own; prints why if it does not end well. */
static bool runs(const struct job *j, int (*work)(void *), struct crash_part *p, const char *when)
{
	char reason[CHILD_REASON_BYTES];

	if (crash_child_run(work, p, j->run->options->timeout_s, reason) == 0)
		return true;
	printf("%s: %s", when, reason);
	return false;
}

static int try_case(void *opaque)
{
	struct job *j = opaque;
	struct crash_part *first = j->first;
	struct crash_part *second = j->second;
	struct crash_acks acks = { .log = first->log, .is_brief = true };
	struct crash_acks acks_after = { .log = second->log, .earlier = &acks };
	struct err e = { 0 };

	crash_folder_remove(j->dir);
	if (crash_copy_folder(j->run->store, j->dir, first->log, &e) < 0) {
		printf("%s", e.msg);
		return 1;
	}
	first->dir = second->dir = j->dir;
	first->may_fail = true;
	first->fault = (struct crash_fault){ .calls = j->which.way->call,
					     .nth = j->which.nth,
					     .error = j->which.way->error,
					     .is_lasting = j->which.is_lasting };
	if (!runs(j, crash_part_act, first, "while it failed"))
		return 1;
	if (first->leaked_fds != 0) {
		printf("%d file descriptors more than before ('%s')", first->leaked_fds,
		       first->error.msg);
		return 1;
	}
	if (first->result < 0 && !first->error.msg[0]) {
		printf("%d without a message", first->result);
		return 1;
	}
	acks.prefix = first->log->nr_ops;
	first->acks = &acks;
	if (!runs(j, crash_part_check, first, "after the failure") ||
	    !runs(j, crash_part_act, second, "once more"))
		goto failed;
	acks_after.prefix = second->log->nr_ops;
	second->acks = &acks_after;
	if (runs(j, crash_part_check, second, "after the repetition"))
		return 0;
failed:
	printf(" (act had returned %d '%s')", first->result, first->error.msg);
	return 1;
}

/* --- and all --------------------------------------------------------------------------------- */

static void reap_one(struct run *r)
{
	char reason[CHILD_REASON_BYTES];
	char text[FAULT_TEXT_BYTES];
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	for (unsigned i = 0; i < r->nr_jobs; i++) {
		struct job *j = &r->jobs[i];

		if (pid <= 0 || j->child.pid != pid)
			continue;
		r->result.nr_checks++;
		if (crash_child_ended(&j->child, status, reason) == 0)
			continue;
		case_text(&j->which, text);
		if (++r->result.nr_failures <= FAILURES_SHOWN && !r->options->is_quiet)
			printf("fail: %s: FAILED with %s\n  %s\n  again: %s %s --fail %s\n",
			       r->scenario->name, text, reason, r->options->program,
			       r->scenario->name, text);
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

static void start_case(struct run *r, const struct one_case *which)
{
	struct job *j = free_job(r);

	j->which = *which;
	if (crash_child_start(&j->child, try_case, j, 4 * r->options->timeout_s) < 0)
		crash_give_up("cannot start a child");
}

/* How many of the calls act makes when none fails; 0: act does not work. */
static unsigned count_calls(struct run *r, const struct way *way)
{
	struct crash_part *p = r->jobs[0].first;
	char reason[CHILD_REASON_BYTES];
	struct err e = { 0 };

	crash_folder_remove(r->jobs[0].dir);
	if (crash_copy_folder(r->store, r->jobs[0].dir, p->log, &e) < 0)
		crash_give_up("%s", e.msg);
	p->dir = r->jobs[0].dir;
	p->may_fail = false;
	p->fault = (struct crash_fault){ .calls = way->call, .error = way->error };
	if (crash_child_run(crash_part_act, p, r->options->timeout_s, reason) == 0)
		return p->fault.nr_seen;
	printf("fail: %s: FAILED without a failing call: %s\n", r->scenario->name, reason);
	r->result.nr_failures++;
	return 0;
}

/* Waits for cases that run, so that their folders are free. */
static void reap_all(struct run *r)
{
	for (unsigned i = 0; i < r->nr_jobs; i++) {
		while (r->jobs[i].child.pid != 0)
			reap_one(r);
	}
}

/* Whether all calls from the n-th on fail, too, and not only that one. */
static bool has_lasting(const struct run *r, const struct way *way)
{
	return way->is_lasting && !(r->options->is_basic && way->call == CALL_ALL);
}

/*
 * All cases of all ways, the n-th call of each way before the next of any. When time ends before
 * that, the last calls are left out, and the line printed says how many.
 */
static void try_all(struct run *r)
{
	unsigned nr_calls[ARRAY_LEN(ways)] = { 0 };
	double deadline = crash_now() + r->options->seconds;
	unsigned most = 0;

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if ((r->scenario->fault_calls && !(ways[i].call & r->scenario->fault_calls)) ||
		    (r->options->is_basic && !ways[i].is_basic))
			continue;
		nr_calls[i] = count_calls(r, &ways[i]);
		if (r->result.nr_failures)
			return;
		r->result.nr_ops += nr_calls[i] * (has_lasting(r, &ways[i]) ? 2 : 1);
		most = nr_calls[i] > most ? nr_calls[i] : most;
	}
	for (unsigned nth = 1; nth <= most; nth++) {
		for (size_t i = 0; i < 2 * ARRAY_LEN(ways); i++) {
			struct one_case c = { &ways[i / 2], nth, i % 2 };

			if (nth > nr_calls[i / 2] || (c.is_lasting && !has_lasting(r, c.way)))
				continue;
			if (crash_now() > deadline ||
			    r->result.nr_failures >= r->options->max_failures)
				return;
			start_case(r, &c);
		}
	}
}

static void run_init(struct run *r)
{
	crash_folder_new(r->folder);
	r->nr_jobs = r->options->jobs < JOBS_MAX ? r->options->jobs : JOBS_MAX;
	snprintf(r->store, PATH_MAX, "%.*s/store", PATH_MAX - 16, r->folder);
	for (unsigned i = 0; i < r->nr_jobs; i++) {
		struct job *j = &r->jobs[i];

		j->run = r;
		j->first = crash_part_new(r->scenario);
		j->second = crash_part_new(r->scenario);
		snprintf(j->dir, PATH_MAX, "%.*s/%u", PATH_MAX - 16, r->folder, i);
	}
	crash_set_up(r->scenario, r->options, r->store);
}

struct crash_result fail_run(const struct crash_scenario *s, const struct crash_options *o)
{
	struct run *r = calloc(1, sizeof(*r));
	double start = crash_now();
	struct crash_result result;
	struct one_case only;

	if (!r)
		crash_give_up("out of memory");
	r->scenario = s;
	r->options = o;
	run_init(r);
	if (!o->fault)
		try_all(r);
	else if (case_parse(o->fault, &only))
		start_case(r, &only);
	else
		printf("fail: no such case '%s'\n", o->fault);
	reap_all(r);
	for (unsigned i = 0; i < r->nr_jobs; i++) {
		crash_part_free(r->jobs[i].first);
		crash_part_free(r->jobs[i].second);
	}
	crash_folder_remove(r->folder);
	result = r->result;
	result.seconds = crash_now() - start;
	free(r);
	if (!o->is_quiet)
		printf("fail: %s: %zu failed calls of %zu, %zu failures (%.1f s)\n", s->name,
		       result.nr_checks, result.nr_ops, result.nr_failures, result.seconds);
	fflush(stdout);
	return result;
}

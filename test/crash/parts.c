/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a scenario: see parts.h. */
#include "test/crash/parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

bool crash_acked(const struct crash_acks *acks, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (; acks; acks = acks->earlier) {
		for (size_t i = 0; i < acks->prefix; i++) {
			const struct crash_op *op = &acks->log->ops[i];

			if (op->kind == CRASH_NOTE && strcmp(op->name, text) == 0)
				return true;
		}
	}
	return false;
}

static int tell(const char *part, int r, const struct err *e)
{
	if (r < 0)
		printf("%s: %s", part, e->msg[0] ? e->msg : strerror(-r));
	return r < 0 ? 1 : 0;
}

int crash_part_setup(void *opaque)
{
	struct crash_part *p = opaque;
	struct err e = { 0 };

	return tell("setup", p->scenario->setup(p->dir, p->scenario->opaque, &e), &e);
}

int crash_part_check(void *opaque)
{
	struct crash_part *p = opaque;
	struct err e = { 0 };

	return tell("check", p->scenario->check(p->dir, p->acks, p->scenario->opaque, &e), &e);
}

static int record_part(struct crash_part *p,
		       int (*part)(const char *dir, const void *opaque, struct err *e))
{
	int before = crash_count_fds();
	struct err e = { 0 };
	int r = record_start(p->log, p->dir, &e);

	if (r < 0)
		return tell("record", r, &e);
	p->error = (struct err){ 0 };
	record_fault(&p->fault);
	p->result = part(p->dir, p->scenario->opaque, &p->error);
	record_fault(NULL);
	p->leaked_fds = crash_count_fds() - before;
	r = record_stop(p->dir);
	if (r < 0)
		return tell("record", r, &e);
	return p->may_fail ? 0 : tell("act", p->result, &p->error);
}

int crash_part_act(void *opaque)
{
	struct crash_part *p = opaque;

	return record_part(p, p->scenario->act);
}

int crash_part_recover(void *opaque)
{
	struct crash_part *p = opaque;

	return record_part(p, p->scenario->recover);
}

struct crash_part *crash_part_new(const struct crash_scenario *s)
{
	struct crash_part *p =
		mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("crash: memory");
		exit(1);
	}
	p->scenario = s;
	p->log = crash_log_new();
	if (!p->log) {
		perror("crash: memory for a log");
		exit(1);
	}
	return p;
}

void crash_part_free(struct crash_part *p)
{
	crash_log_free(p->log);
	munmap(p, sizeof(*p));
}

void crash_set_up(const struct crash_scenario *s, const struct crash_options *o, const char *dir)
{
	struct crash_part part = { .scenario = s, .dir = dir };
	char reason[CHILD_REASON_BYTES];

	if (mkdir(dir, 0755) < 0)
		crash_give_up("cannot make '%s': %s", dir, strerror(errno));
	if (s->setup && crash_child_run(crash_part_setup, &part, o->timeout_s, reason) != 0)
		crash_give_up("%s cannot be set up in '%s': %s", s->name, dir, reason);
}

int crash_copy_folder(const char *from, const char *to, struct crash_log *log, struct err *e)
{
	static const struct crash_choice kept = { .data = DATA_KEPT };
	int r = record_start(log, from, e);
	struct replay *replay;

	if (r < 0)
		return r;
	record_stop(from);
	replay = replay_new(log);
	if (!replay || mkdir(to, 0755) < 0)
		return err_set(e, -ENOMEM, "cannot make '%s'", to);
	replay_state(replay, log->nr_ops, &kept);
	r = replay_make(replay, to, e);
	replay_free(replay);
	return r;
}

double crash_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

void crash_options_init(struct crash_options *o)
{
	*o = (struct crash_options){
		.seed = from_environment("CRASH_SEED", 1),
		.max_states = from_environment("CRASH_STATES", 1000000),
		.seconds = (unsigned)from_environment("CRASH_SECONDS", 10),
		.randoms = (unsigned)from_environment("CRASH_RANDOMS", 20),
		.jobs = (unsigned)from_environment("CRASH_JOBS", 2),
		.timeout_s = (unsigned)from_environment("CRASH_TIMEOUT", 30),
		.program = "crash",
		.max_failures = 50,
	};
}

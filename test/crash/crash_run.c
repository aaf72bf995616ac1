/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of crashes: as they are, with syncs that fail, and with syncs left out: see crash.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "test/crash/states.h"

enum { OP_TEXT_BYTES = 400 };

void crash_print_result(const struct crash_scenario *s, const struct crash_options *o,
			const char *what, const struct crash_result *result)
{
	if (!o->is_quiet)
		printf("crash: %s%s: %zu states, %zu failures (%zu ops, %zu checks, %.1f s)\n",
		       s->name, what, result->nr_states, result->nr_failures, result->nr_ops,
		       result->nr_checks, result->seconds);
	fflush(stdout);
}

struct crash_result crash_run(const struct crash_scenario *s, const struct crash_options *o)
{
	struct crash_part *part = crash_part_new(s);
	struct crash_result result = { .nr_failures = 1 };
	char reason[CHILD_REASON_BYTES];
	char folder[PATH_MAX];
	char dir[PATH_MAX];
	double start = crash_now();

	crash_folder_new(folder);
	snprintf(dir, sizeof(dir), "%.*s/store", PATH_MAX - 16, folder);
	crash_set_up(s, o, dir);
	part->dir = dir;
	if (crash_child_run(crash_part_act, part, o->timeout_s, reason) == 0)
		result = crash_check_states(&(struct crash_work){ .scenario = s,
								  .options = o,
								  .log = part->log,
								  .first = part->log->nr_initial,
								  .dir = dir,
								  .extra = "" });
	else
		printf("crash: %s: FAILED without a crash: %s\n", s->name, reason);
	crash_folder_remove(folder);
	crash_part_free(part);
	result.seconds = crash_now() - start;
	crash_print_result(s, o, "", &result);
	return result;
}

static size_t first_failed_sync(const struct crash_log *log)
{
	size_t i = log->nr_initial;

	while (i < log->nr_ops && log->ops[i].kind != CRASH_SYNC_FAILED)
		i++;
	return i;
}

/* Act in a copy of @folder/store with the @nth sync failing; false: there is none. */
static bool run_failed_sync(const struct crash_scenario *s, const struct crash_options *o,
			    const char *folder, unsigned nth, struct crash_result *total)
{
	struct crash_part *part = crash_part_new(s);
	char reason[CHILD_REASON_BYTES];
	char from[PATH_MAX];
	char dir[PATH_MAX];
	char extra[32];
	struct crash_result result = { .nr_failures = 1 };
	struct err e;
	bool was_hit;

	snprintf(from, sizeof(from), "%.*s/store", PATH_MAX - 16, folder);
	snprintf(dir, sizeof(dir), "%.*s/copy", PATH_MAX - 16, folder);
	snprintf(extra, sizeof(extra), " --failed-sync %u", nth);
	if (crash_copy_folder(from, dir, part->log, &e) < 0)
		crash_give_up("%s", e.msg);
	part->dir = dir;
	part->may_fail = true;
	part->fault = (struct crash_fault){ .calls = CALL_SYNC, .nth = nth, .error = EIO };
	if (crash_child_run(crash_part_act, part, o->timeout_s, reason) != 0)
		printf("crash: %s: FAILED when sync %u did: %s\n", s->name, nth, reason);
	else if (part->fault.hit)
		result = crash_check_states(
			&(struct crash_work){ .scenario = s,
					      .options = o,
					      .log = part->log,
					      .first = first_failed_sync(part->log),
					      .dir = dir,
					      .extra = extra });
	was_hit = part->fault.hit;
	if (was_hit) {
		total->nr_ops += result.nr_ops;
		total->nr_states += result.nr_states;
		total->nr_checks += result.nr_checks;
		total->nr_failures += result.nr_failures;
	}
	crash_folder_remove(dir);
	crash_part_free(part);
	return was_hit;
}

struct crash_result crash_run_failed_syncs(const struct crash_scenario *s,
					   const struct crash_options *o)
{
	struct crash_result total = { 0 };
	struct crash_options each = *o;
	char folder[PATH_MAX];
	char dir[PATH_MAX];
	double start = crash_now();

	crash_folder_new(folder);
	snprintf(dir, sizeof(dir), "%.*s/store", PATH_MAX - 16, folder);
	crash_set_up(s, o, dir);
	if (o->failed_sync)
		run_failed_sync(s, o, folder, o->failed_sync, &total);
	else
		each.seconds = o->seconds / 4 + 1;
	for (unsigned nth = 1; !o->failed_sync && crash_now() < start + o->seconds; nth++) {
		if (!run_failed_sync(s, &each, folder, nth, &total))
			break;
	}
	crash_folder_remove(folder);
	total.seconds = crash_now() - start;
	crash_print_result(s, o, ", a sync fails", &total);
	return total;
}

/* --- syncs that are left out ----------------------------------------------------------------- */

/* Whether a check notices that sync @op of the log is not there. */
static bool is_missed(const struct crash_part *part, const struct crash_options *o, size_t op)
{
	struct crash_options quiet = *o;
	struct crash_op saved = part->log->ops[op];
	struct crash_result result;

	quiet.is_quiet = true;
	quiet.max_failures = 1;
	part->log->ops[op].kind = CRASH_LEFT_OUT;
	result = crash_check_states(&(struct crash_work){ .scenario = part->scenario,
							  .options = &quiet,
							  .log = part->log,
							  .first = op,
							  .dir = part->dir,
							  .extra = "" });
	part->log->ops[op] = saved;
	return result.nr_failures > 0;
}

struct crash_result crash_run_without_syncs(const struct crash_scenario *s,
					    const struct crash_options *o)
{
	struct crash_part *part = crash_part_new(s);
	struct crash_result result = { 0 };
	char reason[CHILD_REASON_BYTES];
	char text[OP_TEXT_BYTES];
	char folder[PATH_MAX];
	char dir[PATH_MAX];
	size_t nr = 0;

	crash_folder_new(folder);
	snprintf(dir, sizeof(dir), "%.*s/store", PATH_MAX - 16, folder);
	crash_set_up(s, o, dir);
	part->dir = dir;
	if (crash_child_run(crash_part_act, part, o->timeout_s, reason) != 0)
		crash_give_up("%s fails without a crash: %s", s->name, reason);
	for (size_t i = part->log->nr_initial; i < part->log->nr_ops; i++) {
		if (part->log->ops[i].kind != CRASH_SYNC)
			continue;
		nr++;
		if (is_missed(part, o, i)) {
			result.nr_states++;
			continue;
		}
		crash_op_text(part->log, i, text, sizeof(text));
		printf("crash: %s: nobody misses %s\n", s->name, text);
	}
	crash_folder_remove(folder);
	crash_part_free(part);
	printf("crash: %s: %zu of %zu syncs are missed when left out\n", s->name, result.nr_states,
	       nr);
	fflush(stdout);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The crash tests themselves: what they must find in a broken store, and what not in a right one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/crash/child.h"
#include "test/crash/lmdb_scenario.h"
#include "test/crash/toy_store.h"

enum {
	STATES_LEAST = 30, /* of the right store, with the options below */
	CALLS_LEAST = 90,
	LMDB_STATES_LEAST = 80,
};

static struct crash_options options(bool is_quiet)
{
	struct crash_options o;

	crash_options_init(&o);
	o.seconds = 20;
	o.timeout_s = is_quiet ? 2 : 20;
	o.is_quiet = is_quiet;
	o.max_failures = is_quiet ? 1 : 50;
	return o;
}

/* The right store is found right, after enough crashes and failures to say so. */
static void right_store_passes(void **state)
{
	static const enum toy_fault fault = TOY_RIGHT;
	struct crash_scenario s = toy_scenario(&fault);
	struct crash_options o = options(false);
	struct crash_result r = crash_run(&s, &o);

	(void)state;
	assert_int_equal(r.nr_failures, 0);
	assert_true(r.nr_states >= STATES_LEAST);
	r = crash_run_failed_syncs(&s, &o);
	assert_int_equal(r.nr_failures, 0);
	assert_true(r.nr_states >= STATES_LEAST / 3);
	r = fail_run(&s, &o);
	assert_int_equal(r.nr_failures, 0);
	assert_true(r.nr_checks >= CALLS_LEAST);
}

enum finder { CRASHES, SYNCS, CALLS };

/* Who must find it. */
static const struct {
	enum toy_fault fault;
	enum finder finder;
} broken[] = {
	{ TOY_NO_SYNC, CRASHES },     { TOY_NO_DIR_SYNC, CRASHES },
	{ TOY_EARLY_NOTE, CRASHES },  { TOY_FOOTER_TRUSTED, CRASHES },
	{ TOY_IN_PLACE, CRASHES },    { TOY_UNLINK_FIRST, CRASHES },
	{ TOY_SYNC_AGAIN, SYNCS },    { TOY_IGNORES_DIR_SYNC, SYNCS },
	{ TOY_IGNORES_WRITE, CALLS }, { TOY_LEAKS, CALLS },
	{ TOY_SHORT_WRITE, CALLS },   { TOY_STUCK, CALLS },
	{ TOY_DIES, CRASHES },	      { TOY_HANGS, CRASHES },
	{ TOY_MAPS, CRASHES },	      { TOY_UNSEEN, CRASHES },
};

static void each_broken_store_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct crash_scenario s = toy_scenario(&broken[i].fault);
		struct crash_options o = options(true);
		struct crash_result r;

		if (broken[i].finder == CRASHES)
			r = crash_run(&s, &o);
		else if (broken[i].finder == SYNCS)
			r = crash_run_failed_syncs(&s, &o);
		else
			r = fail_run(&s, &o);
		printf("broken store '%s': %zu failures found\n", s.name, r.nr_failures);
		assert_true(r.nr_failures > 0);
	}
}

/*
 * LMDB does what it says, in a state of which each is a crash, and the recorder sees all it does;
 * told not to sync, it does not.
 */
static void lmdb_is_as_it_says(void **state)
{
	static const unsigned flags[] = { 0, MDB_NOSYNC };
	struct crash_scenario right = lmdb_scenario(&flags[0]);
	struct crash_scenario wrong = lmdb_scenario(&flags[1]);
	struct crash_options o = options(false);
	struct crash_result r;

	(void)state;
	o.seconds = 5;
	r = crash_run(&right, &o);
	assert_int_equal(r.nr_failures, 0);
	assert_true(r.nr_states >= LMDB_STATES_LEAST);
	r = crash_run_failed_syncs(&right, &o);
	assert_int_equal(r.nr_failures, 0);
	o = options(true);
	r = crash_run(&wrong, &o);
	assert_true(r.nr_failures > 0);
}

/* What a failure prints leads to it again, and to nothing else. */
static void failure_is_repeated(void **state)
{
	static const enum toy_fault fault = TOY_UNLINK_FIRST;
	struct crash_scenario s = toy_scenario(&fault);
	struct crash_options o = options(true);
	struct crash_result first = crash_run(&s, &o);
	char choice[CRASH_CHOICE_BYTES];
	struct crash_result again;

	(void)state;
	assert_int_equal(first.nr_failures, 1);
	crash_choice_text(&first.failed_choice, choice);
	o.choice = choice;
	o.at = first.failed_at;
	again = crash_run(&s, &o);
	assert_int_equal(again.nr_checks, 1);
	assert_int_equal(again.nr_failures, 1);
}

static int run_without_a_folder(void *opaque)
{
	static const enum toy_fault fault = TOY_RIGHT;
	struct crash_scenario s = toy_scenario(&fault);
	struct crash_options o = options(true);

	(void)opaque;
	setenv("TMPDIR", "/nonexistent", 1);
	return (int)crash_run_twice(&s, &o).nr_failures;
}

/* What is wrong with the host is said, too. */
static void no_folder_is_said(void **state)
{
	char reason[CHILD_REASON_BYTES];

	(void)state;
	assert_int_equal(crash_child_run(run_without_a_folder, NULL, 20, reason), 1);
	assert_non_null(strstr(reason, "cannot go on: cannot make a folder '/nonexistent/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_store_passes), cmocka_unit_test(each_broken_store_is_found),
		cmocka_unit_test(lmdb_is_as_it_says), cmocka_unit_test(failure_is_repeated),
		cmocka_unit_test(no_folder_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

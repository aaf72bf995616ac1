/* SPDX-License-Identifier: Apache-2.0 */
/* How often one place may log: floods are cut, counted and told of, and hide nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_limit.h"

struct reports {
	int count;
	enum log_level level;
	char last[LOG_LINE_BYTES];
};

static const struct log_site flooded = { .level = LOG_LEVEL_INFO, .line = 1, .file = "a.c" };
static const struct log_site quiet = { .level = LOG_LEVEL_WARN, .line = 2, .file = "a.c" };
static const struct log_site asked = { .is_unlimited = true, .line = 3, .file = "a.c" };

static void note(void *opaque, const struct log_site *site, const char *line)
{
	struct reports *reports = opaque;

	reports->count++;
	reports->level = site->level;
	snprintf(reports->last, sizeof(reports->last), "%s", line);
}

static uint32_t say(struct log_limit *limit, const struct log_site *site, uint32_t times,
		    uint64_t now_ms, struct reports *reports)
{
	uint32_t allowed = 0;

	for (uint32_t i = 0; i < times; i++)
		allowed += log_limit_allows(limit, site, now_ms, note, reports);
	return allowed;
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct log_limit));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void test_ten_in_five_seconds(void **state)
{
	struct reports reports = { 0 };

	assert_int_equal(say(*state, &flooded, 1000, 7000, &reports), LOG_LIMIT_LINES);
	assert_int_equal(say(*state, &flooded, 1000, 11999, &reports), 0);
	assert_int_equal(reports.count, 0);
	assert_int_equal(say(*state, &flooded, 1, 12000, &reports), 1);
	assert_int_equal(reports.count, 1);
	assert_non_null(strstr(reports.last, "1990 messages were suppressed"));
	assert_int_equal(reports.level, LOG_LEVEL_WARN); /* heard where the flood was */
	assert_int_equal(log_limit_dropped(*state), 1990);
}

static void test_a_flood_hides_nobody_else(void **state)
{
	struct reports reports = { 0 };

	say(*state, &flooded, 100, 1, &reports);
	assert_int_equal(say(*state, &quiet, 5, 1, &reports), 5);
	assert_int_equal(say(*state, &asked, 100, 1, &reports), 100);
}

static void test_the_end_of_a_flood_is_told_by_whoever_speaks_next(void **state)
{
	struct reports reports = { 0 };

	say(*state, &flooded, 11, 1, &reports);
	say(*state, &quiet, 1, 4000, &reports);
	assert_int_equal(reports.count, 0);
	say(*state, &quiet, 1, 5001, &reports);
	assert_int_equal(reports.count, 1);
	assert_non_null(strstr(reports.last, "1 messages"));
	log_limit_flush(*state, note, &reports);
	assert_int_equal(reports.count, 1); /* told once */
}

static void test_flush_tells_what_is_left(void **state)
{
	struct reports reports = { 0 };

	say(*state, &flooded, 12, 1, &reports);
	say(*state, &quiet, 13, 2, &reports);
	log_limit_flush(*state, note, &reports);
	assert_int_equal(reports.count, 2);
}

/* The process may claim any place, at any address: it gets one limit, and none of ours. */
static void test_another_process_has_one_limit(void **state)
{
	static const char name[] = "machine";
	struct reports reports = { 0 };
	uint32_t allowed = 0;

	for (unsigned int i = 0; i < 100000; i++) {
		char file[16];
		const struct log_site site = { .line = i, .file = file, .process = name };

		snprintf(file, sizeof(file), "%u.c", i);
		allowed += log_limit_allows(*state, &site, 1 + i / 1000, note, &reports);
	}
	assert_int_equal(allowed, LOG_LIMIT_PROCESS_LINES);
	assert_int_equal(say(*state, &quiet, 1, 50, &reports), 1);
	log_limit_flush(*state, note, &reports);
	assert_int_equal(reports.count, 1);
}

/* More places than slots: each still speaks, none speaks without end. */
static void test_more_places_than_slots(void **state)
{
	enum { PLACES = LOG_LIMIT_SLOTS * 4 };
	static struct log_site places[PLACES];
	struct reports reports = { 0 };
	uint32_t allowed = 0;

	for (uint32_t i = 0; i < PLACES; i++) {
		places[i] = (struct log_site){ .line = i, .file = "b.c" };
		assert_true(log_limit_allows(*state, &places[i], i, note, &reports));
		allowed += say(*state, &places[i], 100, i, &reports);
	}
	assert_int_equal(allowed, PLACES * (LOG_LIMIT_LINES - 1));
	assert_int_equal(log_limit_dropped(*state), PLACES * (101 - LOG_LIMIT_LINES));
}

static void test_time_may_begin_anywhere(void **state)
{
	struct reports reports = { 0 };

	assert_int_equal(say(*state, &flooded, 20, 0, &reports), LOG_LIMIT_LINES);
	assert_int_equal(say(*state, &quiet, 20, UINT64_MAX - 1, &reports), LOG_LIMIT_LINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ten_in_five_seconds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_flood_hides_nobody_else, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_end_of_a_flood_is_told_by_whoever_speaks_next, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush_tells_what_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_process_has_one_limit, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_more_places_than_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_may_begin_anywhere, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

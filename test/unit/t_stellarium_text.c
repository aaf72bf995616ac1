/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as stellarium prints them: where units change, and what a file may claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "stellarium/text.h"

static void test_sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 10188, "9.9 KiB" },
		{ 10189, "10 KiB" },
		{ 1000 * KIB, "1.0 MiB" },
		{ 999 * KIB, "999 KiB" },
		{ 1023 * KIB, "1.0 MiB" },
		{ 64 * MIB, "64 MiB" },
		{ 16384 * GIB, "16 TiB" },
		{ UINT64_MAX, "16 EiB" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(text_size(rows[i].bytes).text, rows[i].text);
}

static void test_rates(void **state)
{
	(void)state;
	assert_string_equal(text_rate(3 * MIB, 2).text, "1.5 MiB/s");
	assert_string_equal(text_rate(3 * MIB, 0).text, "-");
	assert_string_equal(text_rate(0, 1).text, "0 B/s");
}

static void test_clocks(void **state)
{
	(void)state;
	assert_string_equal(text_clock(0).text, "0:00");
	assert_string_equal(text_clock(59).text, "0:59");
	assert_string_equal(text_clock(3599).text, "59:59");
	assert_string_equal(text_clock(3600).text, "1:00:00");
	assert_string_equal(text_clock(UINT64_MAX).text, "5124095576030431:00:15");
}

static void test_times(void **state)
{
	(void)state;
	assert_string_equal(text_utc(0).text, "1970-01-01T00:00:00Z");
	assert_string_equal(text_utc(1796047500).text, "2026-11-30T14:05:00Z");
	assert_int_equal(setenv("TZ", "XXX-2", 1), 0);
	tzset();
	assert_string_equal(text_time(1796047500).text, "2026-11-30 16:05");
	/* From a root that somebody wrote. */
	assert_string_equal(text_utc(UINT64_MAX / 2).text, "-");
	assert_string_equal(text_time(UINT64_MAX / 2).text, "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

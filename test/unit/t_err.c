/* SPDX-License-Identifier: Apache-2.0 */
/* The error object and the log sink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"

static void test_message_and_code(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, -EINVAL, "%d is no %s", 3, "door"), -EINVAL);
	assert_string_equal(e.msg, "3 is no door");
	assert_int_equal(e.code, -EINVAL);
	assert_int_equal(err_errno(&e, -ENOENT, "cannot open '%s'", "x"), -ENOENT);
	assert_string_equal(e.msg, "cannot open 'x': No such file or directory");
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_errno(NULL, -EIO, "x"), -EIO);
}

static void test_long_messages_are_cut(void **state)
{
	char text[2 * ERR_MSG_BYTES];
	struct err e = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_errno(&e, -EIO, "%s", text);
	assert_int_equal(strlen(e.msg), ERR_MSG_BYTES - 1);
}

struct lines {
	int count;
	char last[LOG_LINE_BYTES];
};

static void keep(void *opaque, const struct log_site *site, const char *line)
{
	struct lines *lines = opaque;

	(void)site;
	lines->count++;
	snprintf(lines->last, sizeof(lines->last), "%s", line);
}

static void test_log_levels(void **state)
{
	struct lines lines = { 0 };

	(void)state;
	log_error("before there is a sink");
	log_set_sink(keep, &lines, LOG_LEVEL_WARN);
	log_error("one");
	log_warn("two %d", 2);
	log_info("three");
	log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
	log_error("four");
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.last, "two 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_and_code),
		cmocka_unit_test(test_long_messages_are_cut),
		cmocka_unit_test(test_log_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

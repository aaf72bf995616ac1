/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel command line: arguments added where the kernel reads them, and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/boot/cmdline.h"
#include "machine/x86/layout.h"
#include "test/unit/boot_image.h"

static int set_up(void **state)
{
	static struct mem mem;
	struct err e;

	*state = &mem;
	return mem_init(&mem, 1 * MIB, &e);
}

static int tear_down(void **state)
{
	mem_release(*state);
	return 0;
}

static void arguments_go_before_those_of_init(void **state)
{
	static const struct {
		const char *before;
		const char *after;
	} cases[] = {
		{ "", "x=1" },
		{ "quiet", "quiet x=1" },
		{ "quiet ", "quiet x=1" },
		{ "quiet -- single", "quiet x=1 -- single" },
		{ "quiet\t--\tsingle", "quiet\tx=1 --\tsingle" },
		{ "-- single", "x=1 -- single" },
		{ "quiet --", "quiet x=1 --" },
		{ "quiet -- a -- b", "quiet x=1 -- a -- b" },
		/* not the word "--" */
		{ "a-- --b --- --=1", "a-- --b --- --=1 x=1" },
		{ "a=\"b -- c\" d", "a=\"b -- c\" d x=1" },
		{ "a\" -- \"b", "a\" -- \"b x=1" },
		{ "\"-- a\" b", "\"-- a\" b x=1" },
		/* the same to Linux, which takes the quotes off */
		{ "a \"--\" b", "a x=1 \"--\" b" },
		{ "a \"--", "a x=1 \"--" },
		/* white space to Linux: the no-break space of Latin-1 */
		{ "a\xa0--\xa0z", "a\xa0x=1 --\xa0z" },
		/* an open quote behind "--" is init's */
		{ "a -- \"b", "a x=1 -- \"b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[64];
		struct err e = { 0 };

		snprintf(buf, sizeof(buf), "%s", cases[i].before);
		assert_int_equal(cmdline_append(buf, sizeof(buf), "x=1", &e), 0);
		assert_string_equal(buf, cases[i].after);
	}
}

static void order_is_kept(void **state)
{
	char buf[64] = "quiet -- single";
	struct err e;

	(void)state;
	assert_int_equal(cmdline_append(buf, sizeof(buf), "a", &e), 0);
	assert_int_equal(cmdline_append(buf, sizeof(buf), "b", &e), 0);
	assert_string_equal(buf, "quiet a b -- single");
}

static void an_open_quote_is_refused(void **state)
{
	char buf[64] = "root=\"/dev/vda quiet -- x";
	struct err e = { 0 };
	int r;

	(void)state;
	r = cmdline_append(buf, sizeof(buf), "a=1", &e);
	test_assert_err(&e, -EINVAL, r, "has a quote that is never closed, so 'a=1' cannot be");
	assert_string_equal(buf, "root=\"/dev/vda quiet -- x");
}

static void a_full_buffer_is_refused(void **state)
{
	char exact[12] = "abc -- d";
	char buf[13] = "abc -- d";
	struct err e = { 0 };
	int r;

	(void)state;
	r = cmdline_append(exact, sizeof(exact), "x=1", &e);
	test_assert_err(&e, -E2BIG, r, "has 8 bytes, so the 3 of 'x=1' cannot be added to it");
	assert_string_equal(exact, "abc -- d");
	assert_int_equal(cmdline_append(buf, sizeof(buf), "x=1", &e), 0);
	assert_string_equal(buf, "abc x=1 -- d");
}

static void is_written_with_its_end(void **state)
{
	const struct mem *mem = *state;
	char *ram = mem_ptr(mem, (struct gpa){ LAYOUT_CMDLINE }, 16);
	struct gpa at;
	struct err e;

	memset(ram, 'x', 16);
	assert_int_equal(cmdline_write(mem, "quiet", 5, &at, &e), 0);
	assert_int_equal(at.v, LAYOUT_CMDLINE);
	assert_memory_equal(ram, "quiet\0xx", 8);
	assert_int_equal(cmdline_write(mem, "", 0, &at, &e), 0);
	assert_memory_equal(ram, "\0uiet\0xx", 8);
}

static void one_longer_than_the_kernel_takes_is_refused(void **state)
{
	struct err e = { 0 };
	struct gpa at;
	int r;

	r = cmdline_write(*state, "quiet", 4, &at, &e);
	test_assert_err(&e, -E2BIG, r,
			"the kernel command line has 5 bytes; this kernel takes at most 4");
}

/* A kernel may claim to take any length; the room for it is limited all the same. */
static void the_room_for_it_is_a_limit_too(void **state)
{
	const struct mem *mem = *state;
	auto_free char *text = calloc(1, LAYOUT_CMDLINE_MAX_BYTES + 1);
	struct err e = { 0 };
	struct gpa at;
	int r;

	assert_non_null(text);
	memset(text, 'a', LAYOUT_CMDLINE_MAX_BYTES);
	r = cmdline_write(mem, text, UINT32_MAX, &at, &e);
	test_assert_err(&e, -E2BIG, r, "has 65536 bytes; this kernel takes at most 65535");
	text[LAYOUT_CMDLINE_MAX_BYTES - 1] = '\0';
	assert_int_equal(cmdline_write(mem, text, UINT32_MAX, &at, &e), 0);
}

static void too_little_ram_is_an_error(void **state)
{
	struct mem mem;
	struct err e = { 0 };
	struct gpa at;
	int r;

	(void)state;
	assert_int_equal(mem_init(&mem, LAYOUT_CMDLINE, &e), 0);
	r = cmdline_write(&mem, "quiet", 2047, &at, &e);
	test_assert_err(&e, -EFAULT, r, "guest memory ends before the command line at 0x20000");
	mem_release(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_go_before_those_of_init),
		cmocka_unit_test(order_is_kept),
		cmocka_unit_test(an_open_quote_is_refused),
		cmocka_unit_test(a_full_buffer_is_refused),
		cmocka_unit_test(is_written_with_its_end),
		cmocka_unit_test(one_longer_than_the_kernel_takes_is_refused),
		cmocka_unit_test(the_room_for_it_is_a_limit_too),
		cmocka_unit_test(too_little_ram_is_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What volt-init reads: the kernel command line, base64url commands and the order of modules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "init/cmdline.h"
#include "init/modules.h"

static struct cmdline line;

static void parse(const char *text)
{
	assert_int_equal(cmdline_parse(&line, text, strlen(text)), 0);
}

static void words_become_keys_and_values(void **state)
{
	(void)state;
	parse("  quiet root=/dev/vda\tconsole=ttyS0,115200=x \n");
	assert_int_equal(line.nr_args, 3);
	assert_string_equal(cmdline_get(&line, "root"), "/dev/vda");
	assert_string_equal(cmdline_get(&line, "console"), "ttyS0,115200=x");
	assert_true(cmdline_has(&line, "quiet"));
	assert_false(cmdline_has(&line, "qui"));
	assert_false(cmdline_has(&line, "quieter"));
	assert_null(cmdline_get(&line, "init"));
}

static void an_empty_line_has_no_words(void **state)
{
	static const char *const lines[] = { "", " ", "\n", " \t\r\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		parse(lines[i]);
		assert_int_equal(line.nr_args, 0);
		assert_int_equal(line.nr_words, 0);
		assert_null(cmdline_get(&line, ""));
	}
}

static void quotes_are_read_as_the_kernel_does(void **state)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
		{ "k=\"a b\"", "a b" },	    { "\"k=a b\"", "a b" }, { "k=\"\"", "" },
		{ "k=\"a b", "a b" },	    { "k=\"", "" },	    { "k=a\" \"b", "a\" \"b" },
		{ "k=\"a\"b", "a\"b" },	    { "k='a b'", "'a" },    { "k=\"a -- b\" x", "a -- b" },
		{ "k=\"a\" x=\"b\"", "a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		parse(cases[i].text);
		assert_string_equal(cmdline_get(&line, "k"), cases[i].value);
	}
}

static void a_missing_value_is_empty(void **state)
{
	(void)state;
	parse("a b= =c \"");
	assert_string_equal(cmdline_get(&line, "a"), "");
	assert_string_equal(cmdline_get(&line, "b"), "");
	assert_true(cmdline_has(&line, "=c"));
	assert_true(cmdline_has(&line, ""));
}

static void the_last_of_a_repeated_key_counts(void **state)
{
	(void)state;
	parse("root=a ro root=b rw root=c");
	assert_string_equal(cmdline_get(&line, "root"), "c");
	assert_true(cmdline_beats(&line, "rw", "ro"));
	assert_false(cmdline_beats(&line, "ro", "rw"));
	parse("ro");
	assert_true(cmdline_beats(&line, "ro", "rw"));
	parse("quiet");
	assert_false(cmdline_beats(&line, "ro", "rw"));
}

static void dash_and_underscore_are_equal_in_keys(void **state)
{
	(void)state;
	parse("volt.host-name=a-b");
	assert_string_equal(cmdline_get(&line, "volt.host_name"), "a-b");
	assert_string_equal(cmdline_get(&line, "volt.host-name"), "a-b");
}

static void words_after_dashes_belong_to_init(void **state)
{
	(void)state;
	parse("root=a -- sh -c \"echo  hi\" k=v x=\"y z\" -- root=b");
	assert_int_equal(line.nr_args, 1);
	assert_int_equal(line.nr_words, 7);
	assert_string_equal(cmdline_word(&line, 0), "sh");
	assert_string_equal(cmdline_word(&line, 2), "echo  hi");
	assert_string_equal(cmdline_word(&line, 3), "k=v");
	assert_string_equal(cmdline_word(&line, 4), "x=y z");
	assert_string_equal(cmdline_word(&line, 5), "--");
	assert_string_equal(cmdline_word(&line, 6), "root=b");
	assert_null(cmdline_word(&line, 7));
	assert_string_equal(cmdline_get(&line, "root"), "a");
	parse("--x=1 --= \"--\"");
	assert_int_equal(line.nr_args, 2);
	assert_int_equal(line.nr_words, 0);
}

static void a_line_that_does_not_fit_is_refused(void **state)
{
	char text[CMDLINE_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? ' ' : 'a';
	assert_int_equal(cmdline_parse(&line, text, CMDLINE_SIZE), -E2BIG);
	assert_int_equal(line.nr_args, 0);
	assert_int_equal(cmdline_parse(&line, text, CMDLINE_SIZE - 1), 0);
	assert_int_equal(line.nr_args, CMDLINE_ARGS_MAX);
	assert_true(cmdline_has(&line, "a"));
}

static void a_nul_ends_the_line(void **state)
{
	(void)state;
	assert_int_equal(cmdline_parse(&line, "a\0b", 3), 0);
	assert_true(cmdline_has(&line, "a"));
	assert_false(cmdline_has(&line, "b"));
}

static void base64url_is_decoded(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },	   { "Zg", "f" },	 { "Zm8", "fo" },
		{ "Zm9v", "foo" }, { "Zg==", "f" },	 { "Zm8=", "fo" },
		{ "Pz8_", "???" }, { "Pj4-", ">>>" },	 { "w6k", "\xc3\xa9" },
		{ "Cg", "\n" },	   { "Zm9vYg", "foob" }, { "__79", "\xff\xfe\xfd" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[16] = "x";
		int r = base64url_decode(cases[i].in, out, sizeof(out));

		assert_int_equal(r, strlen(cases[i].out));
		assert_string_equal(out, cases[i].out);
	}
}

static void bad_base64_is_refused(void **state)
{
	static const char *const cases[] = {
		"Z",	"Zm9vY", "Zm9v=", "Zg=", "Zg===", "=",	  "====",   "Zm+v",   "Zm/v",
		"Zm v", "Z*8",	 "Zh",	  "Zm9", "AA",	  "ZgBv", "Zg==Zg", "Zm9v\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[16];

		assert_int_equal(base64url_decode(cases[i], out, sizeof(out)), -EINVAL);
	}
}

static void decoded_bytes_must_fit(void **state)
{
	char out[4];

	(void)state;
	assert_int_equal(base64url_decode("Zm9v", out, 4), 3);
	assert_int_equal(base64url_decode("Zm9v", out, 3), -E2BIG);
	assert_int_equal(base64url_decode("Zm9vYg", out, 4), -E2BIG);
	assert_int_equal(base64url_decode("Zm8", out, 3), 2);
	assert_int_equal(base64url_decode("", out, 0), -E2BIG);
}

static void the_command_is_found(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *command;
	} cases[] = {
		{ "volt.cmd=\"echo hi; exit 3\"", 1, "echo hi; exit 3" },
		{ "volt.cmd=ls", 1, "ls" },
		{ "volt.cmd64=bHM volt.cmd=id", 1, "ls" },
		{ "volt.cmd64= volt.cmd=id", 1, "id" },
		{ "volt.cmd64 volt.cmd=id", 1, "id" },
		{ "volt.cmd=id volt.cmd=", 0, "" },
		{ "volt.cmd", 0, "" },
		{ "quiet", 0, "" },
		{ "volt.cmd64=b*", -EINVAL, "" },
		{ "volt.cmd=12345678901234567", -E2BIG, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[17] = "";

		parse(cases[i].text);
		assert_int_equal(cmdline_command(&line, buf, sizeof(buf)), cases[i].result);
		if (cases[i].result == 1)
			assert_string_equal(buf, cases[i].command);
	}
}

static void module_parameters_are_collected_in_order(void **state)
{
	char buf[128] = "first=1";

	(void)state;
	parse("virtio_mmio.device=4K@0x1:5 virtio-mmio.device=4K@0x2:6 virtio.x=1 virtio_mmio "
	      "virtio_mmio2.y=1 virtio_mmio.flag virtio_mmio.text=\"a b\" -- virtio_mmio.z=1");
	assert_int_equal(cmdline_module_params(&line, "virtio_mmio", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "first=1 device=4K@0x1:5 device=4K@0x2:6 flag text=\"a b\"");
}

static void module_parameters_must_fit(void **state)
{
	char buf[10] = "a";

	(void)state;
	parse("m.bcd=1 m.e");
	assert_int_equal(cmdline_module_params(&line, "m", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "a bcd=1 e");
	buf[1] = '\0';
	assert_int_equal(cmdline_module_params(&line, "m", buf, sizeof(buf) - 1), -E2BIG);
	assert_string_equal(buf, "a");
}

static void order_lines_are_parsed(void **state)
{
	static const struct {
		const char *line;
		int result;
		const char *file, *params, *name;
	} cases[] = {
		{ "virtio_mmio.ko", 1, "virtio_mmio.ko", "", "virtio_mmio" },
		{ " crc32c-intel.ko \r", 1, "crc32c-intel.ko", "", "crc32c_intel" },
		{ "loop.ko  max_loop=8 a=\"b c\" ", 1, "loop.ko", "max_loop=8 a=\"b c\"", "loop" },
		{ "", 0, NULL, NULL, NULL },
		{ " \t", 0, NULL, NULL, NULL },
		{ "# loop.ko", 0, NULL, NULL, NULL },
		{ "loop", -EINVAL, NULL, NULL, NULL },
		{ ".ko", -EINVAL, NULL, NULL, NULL },
		{ "loop.ko.xz", -EINVAL, NULL, NULL, NULL },
		{ "../loop.ko", -EINVAL, NULL, NULL, NULL },
		{ "kernel/loop.ko", -EINVAL, NULL, NULL, NULL },
		{ "a234567890123456789012345678901234567890123456789012345678901234.ko", -EINVAL,
		  NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct module_line m;
		char text[128];

		snprintf(text, sizeof(text), "%s", cases[i].line);
		assert_int_equal(module_parse_line(text, &m), cases[i].result);
		if (cases[i].result != 1)
			continue;
		assert_string_equal(m.file, cases[i].file);
		assert_string_equal(m.params, cases[i].params);
		assert_string_equal(m.name, cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_become_keys_and_values),
		cmocka_unit_test(an_empty_line_has_no_words),
		cmocka_unit_test(quotes_are_read_as_the_kernel_does),
		cmocka_unit_test(a_missing_value_is_empty),
		cmocka_unit_test(the_last_of_a_repeated_key_counts),
		cmocka_unit_test(dash_and_underscore_are_equal_in_keys),
		cmocka_unit_test(words_after_dashes_belong_to_init),
		cmocka_unit_test(a_line_that_does_not_fit_is_refused),
		cmocka_unit_test(a_nul_ends_the_line),
		cmocka_unit_test(base64url_is_decoded),
		cmocka_unit_test(bad_base64_is_refused),
		cmocka_unit_test(decoded_bytes_must_fit),
		cmocka_unit_test(the_command_is_found),
		cmocka_unit_test(module_parameters_are_collected_in_order),
		cmocka_unit_test(module_parameters_must_fit),
		cmocka_unit_test(order_lines_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

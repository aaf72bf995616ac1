/* SPDX-License-Identifier: Apache-2.0 */
/* Every option, every way to get a command line wrong, and what is said then. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "control/options.h"

enum { WORDS_MAX = 64 };

/* options_parse() wants a main()'s argv, which is not const; it writes to none of it. */
static int parse_argv(struct options *o, struct err *e, size_t nr, const char *const *words)
{
	union {
		const char *const *from;
		char *const *to;
	} argv = { words };

	*e = (struct err){ 0 };
	return options_parse((int)nr, argv.to, o, e);
}

#define PARSE(o, e, ...)                                                                       \
	parse_argv(o, e, sizeof((const char *[]){ "volt-vmm", __VA_ARGS__ }) / sizeof(char *), \
		   (const char *[]){ "volt-vmm", __VA_ARGS__, NULL })

struct bad_line {
	const char *words[8];
	const char *message; /* the whole of it */
};

static const struct bad_line bad_lines[] = {
	{ { NULL }, "--kernel is missing; give --kernel PATH, --help lists all options" },
	{ { "--cpus", "2" }, "--kernel is missing; give --kernel PATH, --help lists all options" },
	{ { "--memroy", "1G" },
	  "unknown option '--memroy'; the nearest is --memory, --help lists all" },
	{ { "--memroy=1G" },
	  "unknown option '--memroy'; the nearest is --memory, --help lists all" },
	{ { "--boot" },
	  "unknown option '--boot'; the nearest is --boot-protocol, --help lists all" },
	{ { "--kernel-image", "k" },
	  "unknown option '--kernel-image'; the nearest is --kernel, --help lists all" },
	{ { "-k", "k" }, "unknown option '-k'; the nearest is --kernel, --help lists all" },
	{ { "--Kernel", "k" },
	  "unknown option '--Kernel'; the nearest is --kernel, --help lists all" },
	{ { "--=" }, "unknown option '--'; the nearest is --kernel, --help lists all" },
	{ { "--kernel", "k", "vmlinux" },
	  "unexpected argument 'vmlinux'; everything is given by options, for example --kernel "
	  "PATH" },
	{ { "--kernel", "k", "" }, "unexpected argument ''; everything is given" },
	{ { "--kernel", "k", "-" }, "unexpected argument '-'; everything is given" },
	{ { "--kernel", "k", "--", "--cpus" },
	  "unexpected argument '--cpus'; everything is given" },
	{ { "--kernel" }, "--kernel needs a value: --kernel PATH" },
	{ { "--kernel", "k", "--drive" }, "--drive needs a value: --drive PATH[,WORD]..." },
	{ { "--kernel", "--cpus", "2" },
	  "--kernel needs a value, but '--cpus' follows; write --kernel=... if it is one" },
	{ { "--kernel", "--cpus=2" }, "--kernel needs a value, but '--cpus=2' follows" },
	{ { "--kernel", "a", "--kernel", "b" }, "--kernel is given more than once; give it once" },
	{ { "--kernel=a", "--kernel=a" }, "--kernel is given more than once; give it once" },
	{ { "--no-acpi", "--no-acpi" }, "--no-acpi is given more than once; give it once" },
	{ { "--no-acpi=yes" }, "--no-acpi takes no value, but 'yes' is given" },
	{ { "--help=" }, "--help takes no value, but '' is given" },
	{ { "--kernel=" }, "--kernel '': the path is empty; give the path of a file" },
	{ { "--initrd", "" }, "--initrd '': the path is empty; give the path of a file" },

	{ { "--sandbox-allow-missing", "landlock,walls" },
	  "--sandbox-allow-missing 'landlock,walls': there is no layer 'walls'; the layers are "
	  "namespaces,root,capabilities,landlock,limits,seccomp" },
	{ { "--sandbox-allow-missing", "landlock," },
	  "--sandbox-allow-missing 'landlock,': a name is missing behind the last comma" },
	{ { "--sandbox-allow-missing", ",landlock" },
	  "--sandbox-allow-missing ',landlock': there is no layer ''" },
	{ { "--sandbox-allow-missing", "Landlock" },
	  "--sandbox-allow-missing 'Landlock': there is no layer 'Landlock'" },
	{ { "--sandbox-allow-missing", "land" },
	  "--sandbox-allow-missing 'land': there is no layer 'land'" },
	{ { "--seccomp-filter", "" }, "--seccomp-filter '': the path is empty" },

	{ { "--memory", "" },
	  "--memory '': not a size; give a number and a unit, for example 128M" },
	{ { "--memory", "lots" }, "--memory 'lots': not a size; give a number and a unit" },
	{ { "--memory", "-1M" }, "--memory '-1M': not a size" },
	{ { "--memory", "+1M" }, "--memory '+1M': not a size" },
	{ { "--memory", " 1M" }, "--memory ' 1M': not a size" },
	{ { "--memory", "1.5G" }, "--memory '1.5G': not a size" },
	{ { "--memory", "1GB " }, "--memory '1GB ': not a size" },
	{ { "--memory", "0x10M" }, "--memory '0x10M': not a size" },
	{ { "--memory", "128" }, "--memory '128': give a unit, for example 128M" },
	{ { "--memory", "512" }, "--memory '512': give a unit, for example 512M" },
	{ { "--memory", "1" }, "--memory '1': give a unit, for example 128M" },
	{ { "--memory", "268435456" }, "--memory '268435456': give a unit, for example 128M" },
	{ { "--memory", "0" }, "--memory '0': too little; at least 16M are needed" },
	{ { "--memory", "0G" }, "--memory '0G': too little; at least 16M are needed" },
	{ { "--memory", "1B" }, "--memory '1B': too little; at least 16M are needed" },
	{ { "--memory", "16383K" }, "--memory '16383K': too little; at least 16M are needed" },
	{ { "--memory", "16777217B" },
	  "--memory '16777217B': not a multiple of 4096 bytes; the next is 16388K" },
	{ { "--memory", "513G" }, "--memory '513G': too much; at most 512G can be given" },
	{ { "--memory", "549755813889B" }, "--memory '549755813889B': too much; at most 512G" },
	{ { "--memory", "16777216T" }, "--memory '16777216T': too much; at most 512G" },
	{ { "--memory", "18446744073709551616" }, "--memory '18446744073709551616': too much" },

	{ { "--cpus", "0" }, "--cpus '0': give a number from 1 to 255" },
	{ { "--cpus", "256" }, "--cpus '256': give a number from 1 to 255" },
	{ { "--cpus", "-1" }, "--cpus '-1': give a number from 1 to 255" },
	{ { "--cpus", "4294967297" }, "--cpus '4294967297': give a number from 1 to 255" },
	{ { "--cpus", "99999999999999999999" }, "give a number from 1 to 255" },
	{ { "--cpus", "two" }, "--cpus 'two': give a number from 1 to 255" },
	{ { "--cpus", "2 " }, "--cpus '2 ': give a number from 1 to 255" },
	{ { "--cpus", "" }, "--cpus '': give a number from 1 to 255" },

	{ { "--console", "" }, "--console '': not one of stdio, none, file:PATH" },
	{ { "--console", "tty" }, "--console 'tty': not one of stdio, none, file:PATH" },
	{ { "--console", "file" }, "--console 'file': not one of stdio, none, file:PATH" },
	{ { "--console", "file:" }, "--console 'file:': the path is empty; give file:PATH" },
	{ { "--boot-protocol", "PVH" }, "--boot-protocol 'PVH': not one of auto, pvh, linux64" },
	{ { "--log-level", "warning" },
	  "--log-level 'warning': not one of error, warn, info, debug" },

	{ { "--cmdline", "a\nb" },
	  "--cmdline 'a?b': control character 0x0a at byte 1; separate words with spaces" },
	{ { "--cmdline-append", "\x1b[2J" },
	  "--cmdline-append '?[2J': control character 0x1b at byte 0" },
	{ { "--cmdline", "tab\t" }, "control character 0x09 at byte 3" },
	{ { "--cmdline", "\x7f" }, "control character 0x7f at byte 0" },

	{ { "--rootfs", "" }, "--rootfs '': the path is empty; give the path of a file" },
	{ { "--drive", ",ro" }, "--drive '': the path is empty; give the path of a file" },
	{ { "--drive", "d," }, "--drive 'd': unknown suboption ''; the nearest is ',ro'" },
	{ { "--drive", "d,,,ro,," }, "--drive 'd,': unknown suboption ''; the nearest is ',ro'" },
	{ { "--drive", "d,r" }, "--drive 'd': unknown suboption 'r'; the nearest is ',ro'" },
	{ { "--drive", "d,RO" }, "--drive 'd': unknown suboption 'RO'; the nearest is ',ro'" },
	{ { "--drive", "d,ro=1" }, "--drive 'd': unknown suboption 'ro=1'; the nearest is ',ro'" },
	{ { "--drive", "d,id:a" },
	  "--drive 'd': unknown suboption 'id:a'; the nearest is ',id=ID'" },
	{ { "--drive", "d,id" },
	  "--drive 'd': unknown suboption 'id'; the nearest is ',id=ID' (a comma in a path is "
	  "written ',,')" },
	{ { "--drive", "d,ro,ro" }, "--drive 'd': ro is given twice; keep one" },
	{ { "--drive", "d,id=a,id=a" }, "--drive 'd': id= is given twice; keep one" },
	{ { "--drive", "d,id=" },
	  "--drive 'd': bad id ''; an id has 1 to 64 letters, digits, '_' or '-'" },
	{ { "--drive", "d,id=a/b" }, "--drive 'd': bad id 'a/b'; an id has 1 to 64 letters" },
	{ { "--drive", "d,id=a b" }, "--drive 'd': bad id 'a b'; an id has 1 to 64 letters" },
	{ { "--drive", "d,id=\xc3\xa4" }, "--drive 'd': bad id '\xc3\xa4'; an id has" },
	{ { "--drive", "d,id=12345678901234567890123456789012345678901234567890123456789012345" },
	  "56789012345'; an id has 1 to 64 letters, digits, '_' or '-'" },
	{ { "--rootfs", "d,id=a" },
	  "--rootfs 'd': unknown suboption 'id=a'; the nearest is ',bw=" },
	{ { "--drive", "d,engine=aio" },
	  "--drive 'd': engine= 'aio': not one of auto, sync, io_uring" },
	{ { "--drive", "d,cache=none" },
	  "--drive 'd': cache= 'none': not one of writeback, unsafe" },
	{ { "--drive", "d,queues=0" }, "--drive 'd': queues='0': give a number from 1 to 8" },
	{ { "--drive", "d,queues=9" }, "--drive 'd': queues='9': give a number from 1 to 8" },
	{ { "--drive", "d,iothread=" }, "--drive 'd': iothread='': a thread's name has 1 to 15" },
	{ { "--rootfs", "d,iothread=1234567890123456" }, "a thread's name has 1 to 15 letters" },
	{ { "--drive", "d,lock=no" }, "--drive 'd': lock= 'no': not one of off, on" },
	{ { "--drive", "d,bw=0" }, "bw='0': give SIZE[:REFILL_MS[:BURST]], each above 0" },
	{ { "--drive", "d,bw=1M:" }, "bw='1M:': give SIZE[:REFILL_MS[:BURST]]" },
	{ { "--drive", "d,bw=1M:5:6:7" }, "bw='1M:5:6:7': give SIZE[:REFILL_MS[:BURST]]" },
	{ { "--drive", "d,ops=1K" }, "ops='1K': give SIZE[:REFILL_MS[:BURST]]" },
	{ { "--id", "" }, "--id '': an id has 1 to 64 letters, digits or hyphens" },
	{ { "--id", "a_b" }, "--id 'a_b': an id has 1 to 64 letters, digits or hyphens" },
	{ { "--id", "../a" }, "--id '../a': an id has 1 to 64 letters" },
	{ { "--id", "12345678901234567890123456789012345678901234567890123456789012345" },
	  "': an id has 1 to 64 letters, digits or hyphens" },
	{ { "--kernel", "k", "--no-api", "--api-sock", "s" },
	  "give --api-sock or --no-api, not both" },
	{ { "--no-api" }, "--kernel is missing; give --kernel PATH" },
	{ { "--config-file" }, "--config-file needs a value: --config-file PATH" },
	{ { "--kernel", "k", "--no-seccomp", "--seccomp-filter", "f" },
	  "give --seccomp-filter or --no-seccomp, not both" },
	{ { "--http-api-max-payload-size", "0" }, "give a number from 1 to 1073741824" },
	{ { "--mmds-size-limit", "99999999999" }, "give a number from 1 to 1073741824" },
	{ { "--start-time-us", "-1" }, "--start-time-us '-1': give a number from 0" },
	{ { "--enable-pci" },
	  "--enable-pci: this version has no PCI bus; leave it out, and devices are on "
	  "virtio-mmio" },
	{ { "--describe-snapshot", "s" }, "--describe-snapshot: this version has no snapshots" },
	{ { "shutdwn" }, "there is no verb 'shutdwn'; the nearest is shutdown, --help lists all" },
	{ { "" }, "there is no verb ''; the nearest is" },
	{ { "run" }, "--kernel is missing; give --kernel PATH" },
	{ { "run", "--kernel", "k", "ps" }, "unexpected argument 'ps'; everything is given" },
	{ { "pause", "a", "b" }, "unexpected argument 'b'; it is: volt-vmm pause [option...] VM" },
	{ { "ps", "a" }, "unexpected argument 'a'" },
	{ { "pause", "--kernel", "k" }, "unknown option '--kernel'; the nearest is --" },
	{ { "--json" }, "unknown option '--json'; the nearest is --" },
	{ { "shutdown", "--timeout", "86401", "a" }, "give a number from 0 to 86400" },
	{ { "config" }, "config needs a verb: get, check or show" },
	{ { "config", "chek" },
	  "config has no verb 'chek'; the nearest is check, 'volt-vmm config --help' lists all" },
	{ { "config", "--json" }, "config has no verb '--json'; the nearest is" },
	{ { "config", "check" }, "config check needs FILE; it is: volt-vmm config check" },
	{ { "cpu", "baseline", "a", "--help=", "b" }, "--help takes no value" },
	{ { "cpu", "check", "T2", "--json", "T2S" }, "unexpected argument 'T2S'; it is:" },
	{ { "--rootfs", "a", "--rootfs", "b" }, "--rootfs is given more than once; give it once" },
	{ { "--drive", "a,id=x", "--drive", "b,id=x" },
	  "--drive 'b': the id 'x' belongs to another drive; give an unused one with ',id='" },
	{ { "--drive", "a,id=drive2", "--drive", "b" },
	  "--drive 'b': the id 'drive2' belongs to another drive" },
	{ { "--rootfs", "a", "--drive", "b,id=rootfs" },
	  "--drive 'b': the id 'rootfs' belongs to another drive" },
	{ { "--drive", "b,id=rootfs", "--rootfs", "a" },
	  "--rootfs 'a': the id 'rootfs' belongs to another drive" },
};

static void test_bad_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_lines); i++) {
		const struct bad_line *bad = &bad_lines[i];
		struct options o;
		struct err e;
		const char *argv[9] = { "volt-vmm" };
		size_t nr = 0;
		int r;

		for (; bad->words[nr]; nr++)
			argv[nr + 1] = bad->words[nr];
		r = parse_argv(&o, &e, nr + 1, argv);

		if (r != -EINVAL || !strstr(e.msg, bad->message))
			fail_msg("line %zu: %d, '%s' instead of '%s'", i, r, e.msg, bad->message);
		assert_int_equal(e.code, -EINVAL);
		assert_null(strchr(e.msg, '\n'));
		assert_int_equal(o.settings.nr_drives, 0);
		options_release(&o);
	}
}

static void test_defaults(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "--kernel", "k"), 0);
	assert_int_equal(o.action, OPTIONS_RUN);
	assert_string_equal(o.settings.kernel_path, "k");
	assert_null(o.settings.initrd_path);
	assert_null(o.settings.cmdline);
	assert_null(o.settings.cmdline_append);
	assert_int_equal(o.settings.memory_bytes, 128 * MIB);
	assert_int_equal(o.settings.cpu_count, 1);
	assert_int_equal(o.settings.nr_drives, 0);
	assert_int_equal(o.settings.console.kind, CONSOLE_STDIO);
	assert_int_equal(o.settings.boot_protocol, BOOT_PROTOCOL_AUTO);
	assert_true(o.settings.has_acpi);
	assert_int_equal(o.log_level, LOG_LEVEL_WARN);
	options_release(&o);
	options_release(&o);
}

static void test_all_options(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "--initrd=i=j", "--kernel=", "--kernel"), -EINVAL);
	assert_int_equal(PARSE(&o, &e, "--kernel", "-k", "--initrd=i=j", "--cmdline", "",
			       "--cmdline-append", "-- sh --kernel", "--memory", "1GiB",
			       "--cpus=255", "--console", "file:a,b:c", "--boot-protocol",
			       "linux64", "--no-acpi", "--log-level=debug", "--"),
			 0);
	assert_string_equal(o.settings.kernel_path, "-k");
	assert_string_equal(o.settings.initrd_path, "i=j");
	assert_string_equal(o.settings.cmdline, "");
	assert_string_equal(o.settings.cmdline_append, "-- sh --kernel");
	assert_int_equal(o.settings.memory_bytes, GIB);
	assert_int_equal(o.settings.cpu_count, 255);
	assert_int_equal(o.settings.console.kind, CONSOLE_FILE);
	assert_string_equal(o.settings.console.path, "a,b:c");
	assert_int_equal(o.settings.boot_protocol, BOOT_PROTOCOL_LINUX64);
	assert_false(o.settings.has_acpi);
	assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
	options_release(&o);
}

/* With '=', a value may look like an option. */
static void test_option_as_value(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "--kernel=--cpus"), 0);
	assert_string_equal(o.settings.kernel_path, "--cpus");
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "--kernel", "--no-such-option"), 0);
	assert_string_equal(o.settings.kernel_path, "--no-such-option");
	options_release(&o);
}

static void test_memory_limits(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "--kernel", "k", "--memory", "16M"), 0);
	assert_int_equal(o.settings.memory_bytes, 16 * MIB);
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "--kernel", "k", "--memory", "512g"), 0);
	assert_int_equal(o.settings.memory_bytes, 512 * GIB);
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "--kernel", "k", "--memory", "16781312B"), 0);
	assert_int_equal(o.settings.memory_bytes, 16 * MIB + 4096);
	options_release(&o);
}

static void test_drives(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "--kernel", "k", "--drive", "a,,b", "--drive=c,id=x-_9,ro",
			       "--rootfs", "r,,,,,ro", "--drive", "d,ro"),
			 0);
	assert_int_equal(o.settings.nr_drives, 4);
	assert_string_equal(o.settings.drives[0].path, "r,,");
	assert_string_equal(o.settings.drives[0].id, "rootfs");
	assert_true(o.settings.drives[0].is_root);
	assert_true(o.settings.drives[0].is_read_only);
	assert_string_equal(o.settings.drives[1].path, "a,b");
	assert_string_equal(o.settings.drives[1].id, "drive1");
	assert_false(o.settings.drives[1].is_root);
	assert_false(o.settings.drives[1].is_read_only);
	assert_string_equal(o.settings.drives[2].path, "c");
	assert_string_equal(o.settings.drives[2].id, "x-_9");
	assert_true(o.settings.drives[2].is_read_only);
	assert_string_equal(o.settings.drives[3].path, "d");
	assert_string_equal(o.settings.drives[3].id, "drive3");
	options_release(&o);
	assert_int_equal(o.settings.nr_drives, 0);
}

static void test_longest_id(void **state)
{
	static const char id[] = "1234567890123456789012345678901234567890123456789012345678901234";
	char value[128];
	struct options o;
	struct err e;

	(void)state;
	snprintf(value, sizeof(value), "d,id=%s", id);
	assert_int_equal(PARSE(&o, &e, "--kernel", "k", "--drive", value), 0);
	assert_string_equal(o.settings.drives[0].id, id);
	options_release(&o);
}

/* Fills argv with @nr drives before and, if asked, a root disk at the end. */
static int parse_many_drives(struct options *o, struct err *e, size_t nr, bool has_root)
{
	const char *argv[2 * WORDS_MAX] = { "volt-vmm", "--kernel", "k" };
	size_t used = 3;

	for (size_t i = 0; i < nr; i++) {
		argv[used++] = "--drive";
		argv[used++] = "d";
	}
	if (has_root)
		argv[used++] = "--rootfs=r";
	return parse_argv(o, e, used, argv);
}

static void test_drive_count(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(parse_many_drives(&o, &e, WIRE_MAX_DRIVES, false), 0);
	assert_int_equal(o.settings.nr_drives, WIRE_MAX_DRIVES);
	options_release(&o);
	assert_int_equal(parse_many_drives(&o, &e, WIRE_MAX_DRIVES - 1, true), 0);
	assert_true(o.settings.drives[0].is_root);
	assert_string_equal(o.settings.drives[15].id, "drive15");
	options_release(&o);
	assert_int_equal(parse_many_drives(&o, &e, WIRE_MAX_DRIVES + 1, false), -EINVAL);
	assert_string_equal(e.msg, "--drive 'd': too many drives; at most 16 fit, the root drive "
				   "included");
	assert_int_equal(parse_many_drives(&o, &e, WIRE_MAX_DRIVES, true), -EINVAL);
	assert_string_equal(e.msg, "--rootfs 'r': too many drives; at most 16 fit, the root drive "
				   "included");
}

static void test_help_and_version_end_parsing(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "--help"), 0);
	assert_int_equal(o.action, OPTIONS_HELP);
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "--drive", "a", "--version", "--no-such-option"), 0);
	assert_int_equal(o.action, OPTIONS_VERSION);
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "--no-such-option", "--help"), -EINVAL);
}

static void test_no_words(void **state)
{
	char *const argv[] = { NULL };
	struct options o;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(options_parse(0, argv, &o, &e), -EINVAL);
	assert_int_equal(options_parse(0, argv, &o, NULL), -EINVAL);
}

/* 100 KiB of escape sequences give one short line, whose end is there. */
static void test_long_values(void **state)
{
	enum { LEN = 100 * 1024 };
	char *word = malloc(LEN + 16);
	struct options o;
	struct err e;

	(void)state;
	assert_non_null(word);
	memset(word, '\x1b', LEN);
	memcpy(word, "--", 2);
	word[LEN] = '\0';
	assert_int_equal(PARSE(&o, &e, word), -EINVAL);
	assert_non_null(strstr(e.msg, "--help lists all"));
	assert_null(strchr(e.msg, '\x1b'));
	assert_int_equal(PARSE(&o, &e, "--memory", word), -EINVAL);
	assert_non_null(strstr(e.msg, "for example 128M"));
	memcpy(word, "path,", 5);
	assert_int_equal(PARSE(&o, &e, "--drive", word), -EINVAL);
	assert_non_null(strstr(e.msg, "the nearest is ',ro' (a comma"));
	memcpy(word, "path,id=", 8);
	assert_int_equal(PARSE(&o, &e, "--drive", word), -EINVAL);
	assert_non_null(strstr(e.msg, "letters, digits, '_' or '-'"));
	free(word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_options),
		cmocka_unit_test(test_option_as_value),
		cmocka_unit_test(test_memory_limits),
		cmocka_unit_test(test_drives),
		cmocka_unit_test(test_longest_id),
		cmocka_unit_test(test_drive_count),
		cmocka_unit_test(test_help_and_version_end_parsing),
		cmocka_unit_test(test_no_words),
		cmocka_unit_test(test_long_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

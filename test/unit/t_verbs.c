/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verbs and their help, what a configuration file and options make together, and what is different
 * under the name firecracker.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "control/exit_status.h"
#include "control/options.h"
#include "control/verb.h"

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

/* At most 24 lines of 80 columns; returns how many. */
static size_t check_screen(const char *text)
{
	size_t lines = 0;

	for (const char *line = text; *line; lines++) {
		size_t len = strcspn(line, "\n");

		assert_int_equal(line[len], '\n');
		if (len > 80)
			fail_msg("too wide: %.*s", (int)len, line);
		line += len + 1;
	}
	assert_true(lines > 5 && lines <= 24);
	return lines;
}

static void print_help(const struct options *o, char *text, size_t size)
{
	FILE *to = fmemopen(text, size, "w");

	assert_non_null(to);
	options_help(o, to);
	fclose(to);
}

/* What --help says of an option, by its rank. */
static void check_in_help(const char *text, const struct option_spec *spec)
{
	char shown[64];

	switch (spec->rank) {
	case OPTION_COMMON:
		snprintf(shown, sizeof(shown), "\n  %s%s%s ", spec->name, spec->arg ? " " : "",
			 spec->arg ? spec->arg : "");
		if (!strstr(text, shown) || !strstr(text, spec->help))
			fail_msg("--help does not show %s", spec->name);
		break;
	case OPTION_ADVANCED:
		snprintf(shown, sizeof(shown), " %s", spec->name);
		assert_non_null(strstr(strstr(text, "\nmore:"), shown));
		break;
	case OPTION_COMPATIBLE:
		assert_null(strstr(text, spec->name));
		break;
	}
}

static void test_help_fits_a_screen(void **state)
{
	const struct verb *table = volt_verbs.rows;
	const size_t nr = volt_verbs.nr;

	(void)state;
	for (size_t i = 0; i < nr; i++) {
		const struct options o = { .verb = &table[i] };
		const struct options firecracker = { .verb = &table[i], .is_firecracker = true };
		char text[8192] = "";
		const struct option_spec *spec;

		print_help(&o, text, sizeof(text));
		check_screen(text);
		assert_non_null(strstr(text, "usage: volt-vmm "));
		assert_non_null(strstr(text, "example:"));
		for (size_t k = 0; i == 0 && (spec = verb_option(&table[i], k)) != NULL; k++)
			check_in_help(text, spec);
		/* Every verb can be found from the first. */
		if (i == 0) {
			for (size_t k = 0; k < nr; k++) {
				char word[32];

				snprintf(word, sizeof(word), " %.*s",
					 (int)strcspn(table[k].name, " "), table[k].name);
				assert_non_null(strstr(strstr(text, "\nverbs:"), word));
			}
			print_help(&firecracker, text, sizeof(text));
			check_screen(text);
		}
	}
}

static void test_help_of_verbs_of_two_words(void **state)
{
	char text[8192] = "";
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "config", "--help"), 0);
	assert_int_equal(o.action, OPTIONS_HELP);
	print_help(&o, text, sizeof(text));
	check_screen(text);
	for (size_t i = 0; i < 3; i++)
		assert_non_null(
			strstr(text, (const char *[]){ "\n  get", "\n  check", "\n  show" }[i]));
	options_release(&o);
}

static void test_verbs(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "run", "--kernel", "k", "--id", "a-1"), 0);
	assert_string_equal(o.verb->name, "run");
	assert_string_equal(o.id, "a-1");
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "shutdown", "--force", "vm", "--timeout=5"), 0);
	assert_string_equal(o.verb->name, "shutdown");
	assert_int_equal(o.nr_operands, 1);
	assert_string_equal(o.operands[0], "vm");
	assert_true(o.is_forced);
	assert_int_equal(o.timeout_s, 5);
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "pause", "--", "-vm"), 0);
	assert_string_equal(o.operands[0], "-vm");
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "cpu", "baseline", "a", "-", "b"), 0);
	assert_string_equal(o.verb->name, "cpu baseline");
	assert_int_equal(o.nr_operands, 3);
	assert_string_equal(o.operands[2], "b");
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "state", "-h"), 0);
	assert_int_equal(o.action, OPTIONS_HELP);
	options_release(&o);
}

static int parse_as(const char *name, struct options *o, struct err *e, size_t nr,
		    const char *const *words)
{
	const char *argv[WORDS_MAX] = { name };

	for (size_t i = 0; i < nr; i++)
		argv[i + 1] = words[i];
	return parse_argv(o, e, nr + 1, argv);
}

#define PARSE_AS(name, o, e, ...)                                                      \
	parse_as(name, o, e, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *), \
		 (const char *[]){ __VA_ARGS__ })

static void test_called_firecracker(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	/* No kernel is needed, there are no verbs, and what follows "--" does not matter. */
	assert_int_equal(PARSE_AS("/usr/bin/firecracker-v1.17.0", &o, &e, "--id", "x", "--api-sock",
				  "s", "--no-api", "--config-file", "/nonexistent"),
			 -ENOENT);
	assert_true(o.is_firecracker);
	assert_int_equal(PARSE_AS("firecracker", &o, &e, "--id", "x", "--", "anything", "--at-all"),
			 0);
	assert_true(o.is_firecracker);
	options_release(&o);
	assert_int_equal(PARSE_AS("firecracker", &o, &e, "ps"), -EINVAL);
	assert_int_equal(PARSE_AS("firecracker", &o, &e, "--no-api"), -EINVAL);
	assert_string_equal(e.msg, "--no-api needs --config-file");
	assert_int_equal(PARSE_AS("firecracker", &o, &e, "--level", "loud"), -EBADMSG);
	assert_int_equal(PARSE_AS("my-firecracker", &o, &e, "--id", "x"), -EINVAL);
	assert_false(o.is_firecracker);
}

static void test_firecracker_flags(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE_AS("firecracker", &o, &e, "--level", "WARNING", "--show-level",
				  "--show-log-origin", "--log-path", "l", "--module", "vmm",
				  "--metrics-path", "m", "--start-time-us", "18446744073709551615",
				  "--start-time-cpu-us", "2", "--parent-cpu-time-us", "3",
				  "--http-api-max-payload-size", "4", "--mmds-size-limit", "5",
				  "--no-seccomp"),
			 0);
	assert_true(o.settings.logger.is_present);
	assert_true(o.settings.logger.has_level);
	assert_int_equal(o.settings.logger.level, LOGGER_WARN);
	assert_true(o.settings.logger.has_level_shown);
	assert_true(o.settings.logger.has_origin_shown);
	assert_string_equal(o.settings.logger.path, "l");
	assert_string_equal(o.settings.logger.module, "vmm");
	assert_string_equal(o.settings.metrics.path, "m");
	assert_true(o.launcher.start_us == UINT64_MAX);
	assert_int_equal(o.launcher.start_cpu_us, 2);
	assert_int_equal(o.launcher.parent_cpu_us, 3);
	assert_int_equal(o.max_body_bytes, 4);
	assert_int_equal(o.max_mmds_bytes, 5);
	options_release(&o);
}

/* A configuration file in @path, which is an mkstemp() template. */
static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Options count more than the file, wherever they stand; disks are added to its own. */
static void test_config_file_and_options(void **state)
{
	char path[] = "/tmp/t_options.XXXXXX";
	struct options o;
	struct err e;

	(void)state;
	write_file(
		path,
		"{\"boot-source\":{\"kernel_image_path\":\"/dev/null\"},\"machine-config\":"
		"{\"vcpu_count\":2,\"mem_size_mib\":256},\"drives\":[{\"drive_id\":\"r\","
		"\"path_on_host\":\"/dev/null\",\"is_root_device\":true,\"is_read_only\":true}]}");
	assert_int_equal(PARSE(&o, &e, "--memory", "1G", "--config-file", path, "--drive", "x"), 0);
	assert_string_equal(o.settings.kernel_path, "/dev/null");
	assert_int_equal(o.settings.cpu_count, 2);
	assert_int_equal(o.settings.memory_bytes, GIB);
	assert_int_equal(o.settings.nr_drives, 2);
	assert_string_equal(o.settings.drives[0].id, "r");
	assert_string_equal(o.settings.drives[1].id, "drive1");
	options_release(&o);
	assert_int_equal(PARSE(&o, &e, "--config-file", path, "--rootfs", "x"), -EINVAL);
	assert_non_null(strstr(e.msg, "root"));
	options_release(&o);
	unlink(path);
}

static void test_bad_config_file(void **state)
{
	char path[] = "/tmp/t_options.XXXXXX";
	char other[] = "/tmp/t_options.XXXXXX";
	struct options o;
	struct err e;

	(void)state;
	write_file(path, "{\"version\":1,\"cpus\":0}");
	assert_int_equal(PARSE(&o, &e, "--config-file", path), -EBADMSG);
	assert_int_equal(e.code, -EBADMSG);
	assert_null(o.verb);
	unlink(path);
	write_file(other, "{");
	assert_int_equal(PARSE(&o, &e, "--config-file", other), -EBADMSG);
	unlink(other);
	assert_int_equal(PARSE(&o, &e, "--config-file", other), -ENOENT);
	assert_non_null(strstr(e.msg, other));
}

static void test_exit_statuses_of_firecracker(void **state)
{
	(void)state;
	assert_int_equal(exit_status_for_firecracker(EXIT_STATUS_OK), 0);
	assert_int_equal(exit_status_for_firecracker(EXIT_STATUS_ERROR), 1);
	assert_int_equal(exit_status_for_firecracker(EXIT_STATUS_USAGE), 152);
	assert_int_equal(exit_status_for_firecracker(EXIT_STATUS_GUEST_CRASHED), 0);
	assert_int_equal(exit_status_for_firecracker(EXIT_STATUS_GUEST_PANICKED), 0);
	assert_int_equal(exit_status_for_firecracker(EXIT_STATUS_MACHINE_DIED), 2);
	assert_int_equal(exit_status_for_firecracker(128 + 1), 156);
	assert_int_equal(exit_status_for_firecracker(128 + 15), 143);
}

static void test_version_second_word(void **state)
{
	const struct options o = { 0 };
	const struct options firecracker = { .is_firecracker = true };
	char text[128] = "";
	char version[64];
	unsigned numbers[3];
	FILE *to = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_non_null(to);
	options_version(&o, to);
	fclose(to);
	assert_int_equal(sscanf(text, "volt-vmm v%63[0-9.]", version), 1);
	assert_int_equal(text[strlen(text) - 1], '\n');
	to = fmemopen(text, sizeof(text), "w");
	assert_non_null(to);
	options_version(&firecracker, to);
	fclose(to);
	assert_int_equal(sscanf(text, "Firecracker v%u.%u.%u\n\nvolt-vmm v%63[0-9.]", &numbers[0],
				&numbers[1], &numbers[2], version),
			 4);
}

static void check_spec(const struct verb *verb, size_t at)
{
	const struct option_spec *spec = verb_option(verb, at);

	assert_memory_equal(spec->name, "--", 2);
	assert_null(strpbrk(spec->name, "= "));
	assert_non_null(spec->set);
	assert_int_equal(spec->kind == OPTION_FLAG, spec->arg == NULL);
	assert_int_equal(spec->kind == OPTION_CHOICE, spec->choices != NULL);
	assert_int_equal(spec->details[strlen(spec->details) - 1], '.');
	assert_true(strlen(spec->name) + (spec->arg ? strlen(spec->arg) + 1 : 0) <= 27 ||
		    spec->rank != OPTION_COMMON);
	for (size_t k = 0; k < at; k++)
		assert_string_not_equal(spec->name, verb_option(verb, k)->name);
}

/* What the parser and the generators take for granted. */
static void test_tables_are_sound(void **state)
{
	const struct verb *table = volt_verbs.rows;
	const size_t nr = volt_verbs.nr;

	(void)state;
	for (size_t v = 0; v < nr; v++) {
		size_t options = 0;

		assert_non_null(table[v].run);
		assert_non_null(table[v].summary);
		assert_int_equal(table[v].details[strlen(table[v].details) - 1], '.');
		assert_int_equal(table[v].operands == NULL, table[v].max_operands == 0);
		assert_int_equal(table[v].operands == NULL, table[v].operand_kind == VERB_NOTHING);
		for (; verb_option(&table[v], options); options++)
			check_spec(&table[v], options);
		assert_true(options <= OPTIONS_MAX);
		for (size_t k = 0; k < v; k++)
			assert_string_not_equal(table[v].name, table[k].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_help_fits_a_screen),
		cmocka_unit_test(test_version_second_word),
		cmocka_unit_test(test_tables_are_sound),
		cmocka_unit_test(test_help_of_verbs_of_two_words),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_called_firecracker),
		cmocka_unit_test(test_firecracker_flags),
		cmocka_unit_test(test_config_file_and_options),
		cmocka_unit_test(test_bad_config_file),
		cmocka_unit_test(test_exit_statuses_of_firecracker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

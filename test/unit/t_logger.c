/* SPDX-License-Identifier: Apache-2.0 */
/* Control's log as its readers see it: forms, levels, targets, and what hostile lines do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/json_text.h"
#include "control/logger.h"
#include "control/machine_words.h"
#include "control/wire.h"

static char folder[] = "/tmp/t_logger.XXXXXX";

struct file {
	char path[64];
	char text[65536];
};

static struct file *new_file(void **state, const char *name)
{
	struct file *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->path, sizeof(f->path), "%s/%s", folder, name);
	unlink(f->path);
	*state = f;
	return f;
}

static int free_file(void **state)
{
	struct file *f = *state;

	if (f)
		unlink(f->path);
	free(f);
	return 0;
}

static const char *read_file(struct file *f)
{
	auto_fd int fd = open(f->path, O_RDONLY | O_NONBLOCK);
	ssize_t n = read(fd, f->text, sizeof(f->text) - 1);

	f->text[n > 0 ? n : 0] = '\0';
	return f->text;
}

/* A log at @path, which keeps the strings of the test. */
static int configure(struct logger_value value, char *path, struct err *e)
{
	value.is_present = true;
	if (!value.has_level)
		value.level = LOGGER_INFO;
	value.has_level = true;
	value.path = path;
	return logger_configure(&value, "vm-7", e);
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("'%s' does not match %s", text, pattern);
	regfree(&re);
}

#define STAMP "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9} "

static void test_firecracker_form(void **state)
{
	struct file *f = new_file(state, "form");

	assert_int_equal(configure((struct logger_value){ 0 }, f->path, NULL), 0);
	log_warn("one %d", 1);
	assert_matches(read_file(f), STAMP "\\[vm-7:main\\] one 1\n$");
}

static void test_level_and_origin(void **state)
{
	struct file *f = new_file(state, "origin");
	const struct logger_value value = { .has_level_shown = true, .has_origin_shown = true };

	assert_int_equal(configure(value, f->path, NULL), 0);
	log_warn("here");
	assert_matches(read_file(f),
		       STAMP "\\[vm-7:main:WARN:test/unit/t_logger\\.c:[0-9]+\\] here\n$");
}

static void test_levels(void **state)
{
	static const struct {
		enum logger_level level;
		const char *heard;
	} cases[] = {
		{ LOGGER_OFF, "" },	{ LOGGER_ERROR, "e" },	  { LOGGER_WARN, "ew" },
		{ LOGGER_INFO, "ewi" }, { LOGGER_DEBUG, "ewid" }, { LOGGER_TRACE, "ewid" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct file *f = new_file(state, "levels");
		const struct logger_value value = { .has_level = true, .level = cases[i].level };
		char heard[8] = "";

		assert_int_equal(configure(value, f->path, NULL), 0);
		log_error(">e");
		log_warn(">w");
		log_info(">i");
		log_debug(">d");
		read_file(f);
		for (const char *at = f->text; (at = strchr(at, '>')); at++)
			strncat(heard, at + 1, 1);
		assert_string_equal(heard, cases[i].heard);
		if (i < sizeof(cases) / sizeof(cases[0]) - 1)
			free_file(state);
	}
}

static void test_module_is_a_prefix_of_the_file(void **state)
{
	struct file *f = new_file(state, "module");
	char here[] = "test/unit/t_log", elsewhere[] = "machine/";

	assert_int_equal(configure((struct logger_value){ .module = elsewhere }, f->path, NULL), 0);
	log_warn("not heard");
	assert_int_equal(configure((struct logger_value){ .module = here }, f->path, NULL), 0);
	log_warn("heard");
	assert_matches(read_file(f), STAMP "[^\n]*\\] heard\n$");
}

static json_t *json_of(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (!json)
		fail_msg("%s: %s", error.text, text);
	return json;
}

static const char *text_of(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	assert_non_null(text);
	return text;
}

static void test_json_form(void **state)
{
	struct file *f = new_file(state, "json");
	const struct logger_value value = { .format = LOGGER_JSON, .has_origin_shown = true };
	json_t *json;

	assert_int_equal(configure(value, f->path, NULL), 0);
	log_error("say \"%s\"\n\x01\\", "hi");
	json = json_of(read_file(f));
	assert_string_equal(text_of(json, "message"), "say \"hi\"??\\");
	assert_string_equal(text_of(json, "level"), "error");
	assert_string_equal(text_of(json, "id"), "vm-7");
	assert_string_equal(text_of(json, "thread"), "main");
	assert_string_equal(text_of(json, "file"), "test/unit/t_logger.c");
	assert_true(json_integer_value(json_object_get(json, "line")) > 0);
	assert_int_equal(text_of(json, "time")[strlen(text_of(json, "time")) - 1], 'Z');
	assert_null(strchr(f->text, '\n')[1] ? f->text : NULL);
	json_decref(json);
}

/* What a taken-over machine sends: all that is not text, and the longest there is. */
static void test_lines_of_machine(void **state)
{
	struct file *f = new_file(state, "machine");
	const struct logger_value value = { .has_level = true,
					    .level = LOGGER_WARN,
					    .format = LOGGER_JSON,
					    .has_origin_shown = true };
	struct vm_event event = { .kind = VM_EVENT_LOG, .level = 99, .line = UINT32_MAX };
	json_t *json;

	memset(event.text, 0x80 | '"', sizeof(event.text)); /* no NUL, no UTF-8 */
	memset(event.file, '"', sizeof(event.file));
	assert_int_equal(configure(value, f->path, NULL), 0);
	machine_sanitize(event.text, sizeof(event.text));
	machine_log_event(&event);
	assert_string_equal(read_file(f), ""); /* level 99 is debug */
	event.level = LOG_LEVEL_ERROR;
	machine_log_event(&event);
	json = json_of(read_file(f));
	assert_string_equal(text_of(json, "thread"), "machine");
	json_decref(json);
}

static void test_machine_cannot_flood_nor_fake_a_line(void **state)
{
	struct file *f = new_file(state, "flood");
	struct vm_event event = { .kind = VM_EVENT_LOG, .level = LOG_LEVEL_ERROR };
	size_t lines = 0;

	assert_int_equal(configure((struct logger_value){ 0 }, f->path, NULL), 0);
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(event.text, sizeof(event.text), "%u\n2026 [vm-7:main] fake \x1b[2J", i);
		snprintf(event.file, sizeof(event.file), "%u.c", i);
		machine_sanitize(event.text, sizeof(event.text));
		machine_log_event(&event);
	}
	log_warn("and ours");
	for (const char *at = read_file(f); (at = strchr(at, '\n')); at++)
		lines++;
	assert_true(lines > 100 && lines <= 203);
	assert_non_null(strstr(f->text, "and ours"));
	assert_null(strchr(f->text, '\x1b'));
	assert_null(strstr(f->text, "\n2026 ["));
}

static void test_one_place_is_limited(void **state)
{
	struct file *f = new_file(state, "limit");
	const uint64_t limited = logger_counts().limited;
	size_t lines = 0;

	logger_flush();
	assert_int_equal(configure((struct logger_value){ 0 }, f->path, NULL), 0);
	for (int i = 0; i < 50; i++)
		log_warn("again");
	assert_int_equal(logger_counts().limited - limited, 40);
	logger_flush();
	for (const char *at = read_file(f); (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 11);
	assert_non_null(strstr(f->text, "40 messages were suppressed"));
}

static void test_a_file_is_added_to(void **state)
{
	struct file *f = new_file(state, "append");
	auto_fd int fd = open(f->path, O_WRONLY | O_CREAT, 0600);

	assert_int_equal(write(fd, "before\n", 7), 7);
	assert_int_equal(configure((struct logger_value){ 0 }, f->path, NULL), 0);
	log_warn("after");
	assert_matches(read_file(f), "^before\n[^\n]*after\n$");
}

/* Opened before its reader; full, it loses whole lines and counts them; read, it goes on. */
static void test_fifo(void **state)
{
	struct file *f = new_file(state, "fifo");
	const uint64_t lost = logger_counts().lost;
	auto_fd int reader = -1;
	ssize_t n;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_int_equal(configure((struct logger_value){ 0 }, f->path, NULL), 0);
	for (int i = 0; i < 2000; i++)
		log_info_always("%0600d", i);
	assert_true(logger_counts().lost - lost > 1800);
	reader = open(f->path, O_RDONLY | O_NONBLOCK);
	while ((n = read(reader, f->text, sizeof(f->text) - 1)) > 0)
		assert_int_equal(f->text[n - 1], '\n');
	log_warn("heard again");
	n = read(reader, f->text, sizeof(f->text) - 1);
	assert_true(n > 0);
	f->text[n] = '\0';
	assert_non_null(strstr(f->text, "heard again"));
}

static void test_inherited_descriptor(void **state)
{
	struct file *f = new_file(state, "unused");
	int fds[2];
	char path[16];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	snprintf(path, sizeof(path), "fd:%d", fds[1]);
	assert_int_equal(configure((struct logger_value){ 0 }, path, NULL), 0);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0); /* others have it too */
	for (int i = 0; i < 300; i++)
		log_info_always("%0600d", i); /* more than it holds */
	n = read(fds[0], f->text, sizeof(f->text));
	assert_true(n > 4096);
	snprintf(path, sizeof(path), "fd:%d", fds[0]);
	assert_int_equal(configure((struct logger_value){ 0 }, path, NULL), -EBADF);
	close(fds[0]);
	close(fds[1]);
}

static void test_inherited_socket_that_nobody_reads(void **state)
{
	int fds[2];
	char path[16];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	snprintf(path, sizeof(path), "fd:%d", fds[1]);
	assert_int_equal(configure((struct logger_value){ 0 }, path, NULL), 0);
	for (int i = 0; i < 3000; i++)
		log_info_always("%0600d", i);
	close(fds[0]);
	log_info_always("nobody is there");
	close(fds[1]);
}

static void test_targets_that_are_refused(void **state)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = {
		{ "/", -EISDIR },     { "/nonexistent/log", -ENOENT },	      { "fd:", -EINVAL },
		{ "fd:-1", -EINVAL }, { "fd:99999999999999999999", -EINVAL }, { "fd:1000", -EBADF },
	};
	struct file *f = new_file(state, "stays");

	assert_int_equal(configure((struct logger_value){ 0 }, f->path, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[32];
		struct err e = { 0 };

		snprintf(path, sizeof(path), "%s", cases[i].path);
		assert_int_equal(configure((struct logger_value){ 0 }, path, &e), cases[i].code);
		assert_non_null(strstr(e.msg, "log"));
	}
	log_warn("still here");
	assert_non_null(strstr(read_file(f), "still here"));
}

static void test_json_text(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "", "" },
		{ "a\"b\\c", "a\\\"b\\\\c" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\x1b[2J\x7f\n", "?[2J??" },
		{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" }, /* overlong */
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate */
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" }, /* cut */
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(json_text(out, sizeof(out), cases[i].in), strlen(cases[i].out));
		assert_string_equal(out, cases[i].out);
	}
	/* Cut at the end of a character or escape, never inside. */
	assert_int_equal(json_text(out, 4, "ab\"\""), 2);
	assert_int_equal(json_text(out, 5, "ab\"\""), 4);
	assert_int_equal(json_text(out, 1, "a"), 0);
}

static int make_folder(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	logger_open(LOG_LEVEL_WARN);
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_firecracker_form, free_file),
		cmocka_unit_test_teardown(test_level_and_origin, free_file),
		cmocka_unit_test_teardown(test_levels, free_file),
		cmocka_unit_test_teardown(test_json_form, free_file),
		cmocka_unit_test_teardown(test_lines_of_machine, free_file),
		cmocka_unit_test_teardown(test_machine_cannot_flood_nor_fake_a_line, free_file),
		cmocka_unit_test_teardown(test_one_place_is_limited, free_file),
		cmocka_unit_test_teardown(test_a_file_is_added_to, free_file),
		cmocka_unit_test_teardown(test_fifo, free_file),
		cmocka_unit_test_teardown(test_inherited_descriptor, free_file),
		cmocka_unit_test(test_inherited_socket_that_nobody_reads),
		cmocka_unit_test_teardown(test_targets_that_are_refused, free_file),
		cmocka_unit_test(test_json_text),
		cmocka_unit_test_teardown(test_module_is_a_prefix_of_the_file,
					  free_file), /* last: it stays */
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line as volt-init reads it, and the first word after "--" as a line of the module
 * order. Whatever the bytes are, results are strings inside their buffers, and a value that was
 * found can be put on a line of its own and found again.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init/cmdline.h"
#include "init/modules.h"

enum { SMALL_BYTES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static bool is_inside(const struct cmdline *c, const char *s)
{
	return s >= c->text && s + strlen(s) < c->text + sizeof(c->text);
}

static void check_words(const struct cmdline *c)
{
	for (size_t i = 0; i < c->nr_args; i++) {
		const struct cmdline_arg *arg = &c->args[i];

		require(is_inside(c, arg->key), "a key is in the text");
		require(!arg->value || is_inside(c, arg->value), "a value is in the text");
		require(cmdline_has(c, arg->key), "a key is found");
	}
	for (size_t i = 0; i < c->nr_words; i++)
		require(is_inside(c, cmdline_word(c, i)), "a word is in the text");
	require(!cmdline_word(c, c->nr_words), "the words end");
}

/* The command, into a buffer that may be too small; and the same command alone on a line. */
static void check_command(const struct cmdline *c)
{
	static struct cmdline again;
	char small[SMALL_BYTES], text[CMDLINE_SIZE], line[CMDLINE_SIZE + 16];
	int r = cmdline_command(c, text, sizeof(text));
	int r_small = cmdline_command(c, small, sizeof(small));

	require(r == 0 || r == 1 || r == -EINVAL, "known result");
	require(r_small == r || r_small == -E2BIG, "only room makes a difference");
	if (r_small == 1)
		require(strcmp(text, small) == 0, "one line, one command");
	if (r != 1 || strchr(text, '"'))
		return;
	snprintf(line, sizeof(line), "volt.cmd=\"%s\"", text);
	if (cmdline_parse(&again, line, strlen(line)) == 0)
		require(strcmp(cmdline_get(&again, "volt.cmd"), text) == 0, "found again");
}

static void check_params(const struct cmdline *c)
{
	char buf[SMALL_BYTES] = "a=1";
	int r = cmdline_module_params(c, "m", buf, sizeof(buf));

	require(r == 0 || r == -E2BIG, "known result of parameters");
	require(strlen(buf) < sizeof(buf) && strncmp(buf, "a=1", 3) == 0, "what was there stays");
	require(r == 0 || !buf[3], "all or nothing");
}

static void check_order_line(const char *word)
{
	struct module_line m;
	char text[CMDLINE_SIZE];

	snprintf(text, sizeof(text), "%s", word);
	if (module_parse_line(text, &m) != 1)
		return;
	require(!strchr(m.file, '/') && m.file[0] != '.', "a module is a plain file name");
	require(strlen(m.name) + strlen(".ko") == strlen(m.file), "its name has no suffix");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cmdline c;
	char *text = malloc(size ? size : 1);

	if (!text)
		return 0;
	/* A copy of the exact size, so that a read past the end is seen. */
	if (size)
		memcpy(text, data, size);
	if (cmdline_parse(&c, text, size) == 0) {
		check_words(&c);
		check_command(&c);
		check_params(&c);
		if (cmdline_word(&c, 0))
			check_order_line(cmdline_word(&c, 0));
	}
	free(text);
	return 0;
}

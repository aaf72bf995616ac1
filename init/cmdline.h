/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmdline: the kernel command line, cut into keys and values.
 *
 * The rules are the kernel's own (lib/cmdline.c, next_arg), so that both read the same line the
 * same way: words end at white space outside double quotes, a value may be quoted as a whole,
 * '-' and '_' are equal in a key, and what follows the word "--" belongs to init. When a key is
 * repeated, the last one counts. Nothing in here touches the system.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* x86 kernels stop at 2048 bytes; twice that leaves room for others. */
#define CMDLINE_SIZE 4096
#define CMDLINE_ARGS_MAX (CMDLINE_SIZE / 2)

struct cmdline_arg {
	const char *key; /* borrowed: points into cmdline.text */
	const char *value; /* likewise; NULL when the word has no '=' */
};

struct cmdline {
	char text[CMDLINE_SIZE]; /* cut in place */
	size_t nr_args; /* words before "--" */
	size_t nr_words; /* words after it; whole in key, value is NULL */
	struct cmdline_arg args[CMDLINE_ARGS_MAX];
};

/* Parses len bytes of text (an embedded NUL ends it). Returns 0, or -E2BIG if it does not fit. */
int cmdline_parse(struct cmdline *c, const char *text, size_t len);

/* The value of the last word with this key: "" if it has none, NULL if the key is absent. */
const char *cmdline_get(const struct cmdline *c, const char *key);

/* Whether the key is there, with or without a value. */
bool cmdline_has(const struct cmdline *c, const char *key);

/* Whether `key` comes later on the line than `rival`; false if it is absent. For ro and rw. */
bool cmdline_beats(const struct cmdline *c, const char *key, const char *rival);

/* The nth word after "--", NULL past the end. */
const char *cmdline_word(const struct cmdline *c, size_t nth);

/*
 * Copies the shell command that the line asks for: volt.cmd64 (base64url), else volt.cmd.
 * Returns 1 if there is one, 0 if not, -EINVAL for bad base64 and -E2BIG if buf is too small.
 */
int cmdline_command(const struct cmdline *c, char *buf, size_t size);

/*
 * Appends every "module.param=value" of the line as " param=value" to the string in buf, in
 * order, the way modprobe does. Returns 0, or -E2BIG if they do not fit (buf is then unchanged).
 */
int cmdline_module_params(const struct cmdline *c, const char *module, char *buf, size_t size);

/*
 * Decodes base64url (RFC 4648, section 5) into a NUL-terminated string; padding may be left out.
 * Returns the length, -EINVAL if it is malformed or holds a NUL, -E2BIG if out is too small.
 */
int base64url_decode(const char *in, char *out, size_t size);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a command line, as const tables that a program parses by and its documentation is made
 * from, so that the two cannot disagree.
 *
 * Options are written `--name value` or `--name=value`. A value that looks like another option is
 * taken for a forgotten value; `--name=--value` says that it is meant. Nothing here prints.
 *
 * struct options is each program's own; a setter gets it as it was given to option_parse().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct options;

/* What the shell can complete. */
enum option_kind {
	OPTION_FLAG, /* takes no value */
	OPTION_TEXT, /* anything: nothing to complete */
	OPTION_PATH, /* the path of a file, or starts with one */
	OPTION_CHOICE, /* one of a few words */
};

/* Who is to see a row in --help, which has to fit a screen; the manual has them all. */
enum option_rank {
	OPTION_COMMON,
	OPTION_ADVANCED, /* --help only names it */
	OPTION_COMPATIBLE, /* for programs that were written for another: not in --help */
};

struct option_spec;

/* Checks and stores a value (NULL for a flag); messages start with the spec's name. */
typedef int option_setter(struct options *o, const struct option_spec *spec, const char *value,
			  struct err *e);

struct option_spec {
	const char *name; /* with its dashes */
	const char *arg; /* placeholder of the value; NULL for a flag */
	const char *help; /* for --help: what is left of 80 columns behind the name, no full stop */
	const char *details; /* for the manual: plain sentences */
	enum option_kind kind;
	enum option_rank rank;
	const char *const *choices; /* for OPTION_CHOICE: NULL at the end */
	bool is_repeatable;
	size_t offset; /* in struct options, for the setters that want one */
	option_setter *set;
};

/* Rows with a heading of the manual. */
struct option_group {
	const char *title; /* NULL: none */
	const struct option_spec *rows;
	size_t nr;
};

enum { OPTIONS_MAX = 96 }; /* of all groups that are parsed together */

/* Which options have been given: one flag for each row of the groups. */
struct option_seen {
	bool rows[OPTIONS_MAX];
};

/* A setter of flags: a bool at the spec's offset. */
option_setter option_set_flag;

/* Row number @i, counted over the groups (NULL at the end); NULL behind the last. */
const struct option_spec *option_at(const struct option_group *const *groups, size_t i);

/* Whether a word is an option. A lone '-' is none but, by custom, standard input. */
bool option_is(const char *word);

/*
 * Takes the option @text, whose value may be the word @next (NULL at the end). Returns how many
 * words it used, 1 or 2, or -errno with @e filled: -EINVAL, or what its setter says.
 */
int option_parse(const struct option_group *const *groups, const char *text, const char *next,
		 struct options *o, struct option_seen *seen, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program can be told to do: `PROGRAM VERB`, of one word or two, as a const table that it
 * parses by and its --help, manual page and shell completion are made from.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "base/option.h"

/* What the shell can complete. */
enum verb_operand {
	VERB_NOTHING,
	VERB_FILE,
	VERB_VM,
	VERB_TEMPLATE, /* a file or a built-in CPU template */
	VERB_LAYER, /* of the sandbox */
	VERB_IMAGE, /* in a store; behind it, a file */
};

struct verb {
	const char *name; /* one word, or two with a space between */
	const char *operands; /* as a synopsis has them; NULL: none */
	enum verb_operand operand_kind;
	int min_operands;
	int max_operands;
	const char *summary; /* for lists of verbs: no full stop */
	const char *details; /* for --help and the manual: plain sentences */
	const char *example; /* lines for --help, without the program's name; may be NULL */
	const struct option_group *const *groups; /* of options: NULL at the end */

	/* Finds what is wrong with the options as a whole: 0 or -EINVAL. May be NULL. */
	int (*check)(const struct options *o, struct err *e);

	/* Does it and returns the exit status; may take what @o owns. */
	int (*run)(struct options *o);
};

/* All verbs of a program. Those of two words with the same first one stand side by side. */
struct verb_list {
	const char *program;
	const struct verb *rows;
	size_t nr;
};

/*
 * The verb at the start of the @nr words @words, and in *@used how many they are. NULL: there is
 * none; *@used is then 1 if the first is the first word of verbs of two words, else 0.
 */
const struct verb *verb_find(const struct verb_list *list, char *const *words, int nr, int *used);

/* Whether the first word of the verb's name is @word. */
bool verb_has_topic(const struct verb *verb, const char *word);

/* How long the first word of row @i is; 0 when the row before begins with the same. */
size_t verb_new_topic(const struct verb_list *list, size_t i);

/* The verb's option number @i, counted over its groups; NULL behind the last. */
const struct option_spec *verb_option(const struct verb *verb, size_t i);

/* Messages for -EINVAL: there is no verb @word. */
int verb_refuse(const struct verb_list *list, const char *word, struct err *e);

/* @topic is the first word of verbs that have two; @word (NULL: none) should be the second. */
int verb_refuse_second(const struct verb_list *list, const char *topic, const char *word,
		       struct err *e);

/* An operand too many. */
int verb_refuse_operand(const struct verb_list *list, const struct verb *verb, const char *text,
			struct err *e);

/* 0, or -EINVAL when @nr operands are too few. */
int verb_check_operands(const struct verb_list *list, const struct verb *verb, int nr,
			struct err *e);

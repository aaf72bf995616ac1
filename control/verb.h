/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program can be told to do: `volt-vmm VERB`, of one word or two. The first verb of the
 * table, run, is also meant when there is none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/options.h"

/* What the shell can complete. */
enum verb_operand {
	VERB_NOTHING,
	VERB_FILE,
	VERB_VM,
	VERB_TEMPLATE, /* a file or a built-in CPU template */
	VERB_LAYER, /* of the sandbox */
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

/* The whole table; run is the first. */
const struct verb *verb_table(size_t *nr);

/*
 * The verb at the start of the @nr words @words, and in *@used how many they are. NULL: there is
 * none; *@used is then 1 if the first is the first word of verbs of two words, else 0.
 */
const struct verb *verb_find(char *const *words, int nr, int *used);

/* Whether the first word of the verb's name is @word. */
bool verb_has_topic(const struct verb *verb, const char *word);

/* The verb's option number @i, counted over its groups; NULL behind the last. */
const struct option_spec *verb_option(const struct verb *verb, size_t i);

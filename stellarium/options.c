/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of the command line, and --help: see options.h. */
#include "stellarium/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/help.h"
#include "base/quote.h"
#include "stellar/abi.h"

/* Before the verb. Those of every verb begin like this, as far as they go: rows keep their numbers. */
static const struct option_group *const first_groups[] = { &option_group_common,
							   &option_group_store, NULL };

static bool has_store(const struct verb *verb)
{
	return verb->groups[1] == &option_group_store;
}

/* Takes the option at argv[i]. Returns how many words it used, or -errno. */
static int take_option(const struct option_group *const *groups, int argc, char *const argv[],
		       int i, struct options *o, struct option_seen *seen, struct err *e)
{
	if (strcmp(argv[i], "-h") == 0) {
		o->action = OPTIONS_HELP;
		return 1;
	}
	return option_parse(groups, argv[i], i + 1 < argc ? argv[i + 1] : NULL, o, seen, e);
}

/* Options before the verb. Returns the number of the word behind them, or -errno. */
static int parse_first(int argc, char *const argv[], struct options *o, struct option_seen *seen,
		       struct err *e)
{
	int i = 1;

	while (i < argc && option_is(argv[i])) {
		int r = take_option(first_groups, argc, argv, i, o, seen, e);

		if (r < 0)
			return r;
		if (o->action != OPTIONS_RUN)
			return argc;
		i += r;
	}
	return i;
}

/* Finds the verb at argv[i]. Returns the number of the word behind it, or -errno. */
static int parse_verb(int argc, char *const argv[], int i, struct options *o, struct err *e)
{
	int used;

	if (i == argc)
		return err_set(e, -EINVAL, "a verb is needed; --help lists all");
	o->verb = verb_find(&stellarium_verbs, argv + i, argc - i, &used);
	if (o->verb)
		return i + used;
	if (used == 0)
		return verb_refuse(&stellarium_verbs, argv[i], e);
	if (argc == i + 1 || (strcmp(argv[i + 1], "--help") != 0 && strcmp(argv[i + 1], "-h") != 0))
		return verb_refuse_second(&stellarium_verbs, argv[i],
					  argc > i + 1 ? argv[i + 1] : NULL, e);
	o->action = OPTIONS_HELP;
	o->topic = argv[i];
	return argc;
}

static int take_operand(const char *word, struct options *o, struct err *e)
{
	if (o->nr_operands >= o->verb->max_operands)
		return verb_refuse_operand(&stellarium_verbs, o->verb, word, e);
	o->operands[o->nr_operands++] = word;
	return 0;
}

/* The words behind the verb. */
static int parse_rest(int argc, char *const argv[], int i, struct options *o,
		      struct option_seen *seen, struct err *e)
{
	bool are_operands = false;

	while (i < argc) {
		int r = 1;

		if (!are_operands && strcmp(argv[i], "--") == 0)
			are_operands = true;
		else if (!are_operands && option_is(argv[i]))
			r = take_option(o->verb->groups, argc, argv, i, o, seen, e);
		else if (take_operand(argv[i], o, e) < 0)
			r = -EINVAL;
		if (r < 0)
			return r;
		if (o->action != OPTIONS_RUN)
			return 0;
		i += r;
	}
	return 0;
}

/* `help`, `help VERB` */
static int find_help(struct options *o, struct err *e)
{
	const char *words[2] = { NULL };
	int used;

	for (int i = 0; i < o->nr_operands; i++)
		words[i] = o->operands[i];
	o->action = OPTIONS_HELP;
	o->verb = NULL;
	if (o->nr_operands == 0)
		return 0;
	for (size_t i = 0; i < stellarium_verbs.nr; i++) {
		const struct verb *verb = &stellarium_verbs.rows[i];
		const char *second = strchr(verb->name, ' ');

		if (!verb_has_topic(verb, words[0]))
			continue;
		used = second ? 2 : 1;
		if (used < o->nr_operands ||
		    (second && words[1] && strcmp(second + 1, words[1]) != 0))
			continue;
		if (used == o->nr_operands)
			o->verb = verb;
		else
			o->topic = words[0];
		return 0;
	}
	return verb_refuse(&stellarium_verbs, words[0], e);
}

/* A store that a verb has no use for was meant for something. */
static int check_store(struct options *o, struct err *e)
{
	if (!has_store(o->verb)) {
		if (o->store_path || o->key.source != KEY_SOURCE_NONE)
			return err_set(e, -EINVAL, "%s uses no store that there is; leave out %s",
				       o->verb->name, o->store_path ? "--store" : o->key.option);
		return 0;
	}
	if (!o->store_path && strcmp(o->verb->name, "init") == 0 && o->nr_operands == 1)
		o->store_path = o->operands[0];
	if (!o->store_path)
		o->store_path = getenv("STELLARIUM_STORE");
	if (!o->store_path || !*o->store_path)
		return err_set(
			e, -EINVAL,
			"which store? Give --store DIR, or set STELLARIUM_STORE to the folder");
	return 0;
}

static int check_whole(struct options *o, struct err *e)
{
	int r;

	if (o->action != OPTIONS_RUN || !o->verb)
		return 0;
	if (!o->verb->run)
		return find_help(o, e);
	r = verb_check_operands(&stellarium_verbs, o->verb, o->nr_operands, e);
	if (r == 0)
		r = check_store(o, e);
	return r == 0 && o->verb->check ? o->verb->check(o, e) : r;
}

int options_parse(int argc, char *const argv[], struct options *out, struct err *e)
{
	struct option_seen seen = { 0 };
	int r;

	*out = (struct options){
		.bytes = UINT64_MAX,
		.live_percent = OPTIONS_LIVE_PERCENT,
		.dictionary_bytes = OPTIONS_DICTIONARY_BYTES,
	};
	out->operands = calloc((size_t)argc + 1, sizeof(*out->operands));
	if (!out->operands)
		return err_set(e, -ENOMEM, "out of memory");
	r = parse_first(argc, argv, out, &seen, e);
	if (r >= 0 && out->action == OPTIONS_RUN)
		r = parse_verb(argc, argv, r, out, e);
	if (r >= 0 && out->verb)
		r = parse_rest(argc, argv, r, out, &seen, e);
	if (r >= 0)
		r = check_whole(out, e);
	if (r < 0)
		options_release(out);
	return r < 0 ? r : 0;
}

void options_release(struct options *o)
{
	free(o->operands);
	*o = (struct options){ 0 };
}

static void help_program(FILE *to)
{
	fprintf(to, "usage: stellarium [--store DIR] VERB [option...] [operand...]\n"
		    "A store of images: every distinct piece once, every byte read verified.\n\n");
	for (size_t i = 0; i < stellarium_verbs.nr; i++)
		fprintf(to, "  %-16s %s\n", stellarium_verbs.rows[i].name,
			stellarium_verbs.rows[i].summary);
	fprintf(to, "\nSTELLARIUM_STORE can name the store; all verbs have --json and --help.\n"
		    "example: stellarium init /srv/images\n"
		    "         stellarium --store /srv/images import debian.img\n");
}

void options_help(const struct options *o, FILE *to)
{
	if (o->verb)
		help_put_verb(to, &stellarium_verbs, o->verb, NULL);
	else if (o->topic)
		help_put_topic(to, &stellarium_verbs, o->topic);
	else
		help_program(to);
}

void options_version(FILE *to)
{
	fprintf(to, "stellarium v%s, store format %d\n", VOLT_VERSION, STORE_VERSION);
}

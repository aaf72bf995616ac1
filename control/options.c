/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of the whole command line: see options.h. */
#include "control/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/quote.h"
#include "control/json/config_file.h"
#include "control/verb.h"

/* Everything is an option of run, whose usage has better words. */
static int refuse_argument(const struct verb *verb, const char *text, struct err *e)
{
	if (!verb->operands)
		return err_set(e, -EINVAL,
			       "unexpected argument %s; everything is given by options, for "
			       "example --kernel PATH",
			       quote(text).text);
	return verb_refuse_operand(&volt_verbs, verb, text, e);
}

/* Operands stay where they are, so they stand side by side. */
static int take_operand(char *const *word, struct options *o, struct err *e)
{
	if (o->nr_operands == 0)
		o->operands = word;
	if (o->nr_operands >= o->verb->max_operands || word != o->operands + o->nr_operands)
		return refuse_argument(o->verb, *word, e);
	o->nr_operands++;
	return 0;
}

/* Takes the words behind the verb. */
static int parse_words(int argc, char *const argv[], int first, struct options *o, struct err *e)
{
	struct option_seen seen = { 0 };
	int i = first;

	if (argc == first + 1 && strcmp(argv[first], "-h") == 0) {
		o->action = OPTIONS_HELP;
		return 0;
	}
	while (i < argc && strcmp(argv[i], "--") != 0) {
		int r = 1;

		if (option_is(argv[i]))
			r = option_parse(o->verb->groups, argv[i],
					 i + 1 < argc ? argv[i + 1] : NULL, o, &seen, e);
		else if (take_operand(&argv[i], o, e) < 0)
			r = -EINVAL;
		if (r < 0)
			return r;
		if (o->action != OPTIONS_RUN)
			return 0;
		i += r;
	}
	/* Firecracker does not look at what is behind "--". */
	for (i++; i < argc && !o->is_firecracker; i++) {
		if (take_operand(&argv[i], o, e) < 0)
			return -EINVAL;
	}
	return 0;
}

static int check_whole(const struct options *o, struct err *e)
{
	int r;

	if (o->action != OPTIONS_RUN || !o->verb)
		return 0;
	r = verb_check_operands(&volt_verbs, o->verb, o->nr_operands, e);
	return r == 0 && o->verb->check ? o->verb->check(o, e) : r;
}

/* Finds the verb; *@first is where the words behind it are. */
static int parse_verb(int argc, char *const argv[], struct options *o, int *first, struct err *e)
{
	int used;

	*first = 1;
	o->verb = &volt_verbs.rows[0];
	if (argc < 2 || o->is_firecracker || argv[1][0] == '-')
		return 0;
	o->verb = verb_find(&volt_verbs, argv + 1, argc - 1, &used);
	*first += used;
	if (o->verb)
		return 0;
	if (used == 0)
		return verb_refuse(&volt_verbs, argv[1], e);
	if (argc != 3 || (strcmp(argv[2], "--help") != 0 && strcmp(argv[2], "-h") != 0))
		return verb_refuse_second(&volt_verbs, argv[1], argc > 2 ? argv[2] : NULL, e);
	o->action = OPTIONS_HELP;
	o->topic = argv[1];
	return 0;
}

/* Everything but what belongs to the first words. */
static void set_defaults(struct options *o)
{
	settings_init(&o->settings);
	o->log_level = LOG_LEVEL_WARN;
	o->max_body_bytes = OPTIONS_BODY_BYTES;
	o->timeout_s = OPTIONS_TIMEOUT_S;
}

/*
 * The words again, over what the configuration file says: they have been good once, so what is
 * wrong now is wrong together with the file.
 */
static int parse_over_file(int argc, char *const argv[], int first, struct options *o,
			   struct err *e)
{
	const char *path = o->config_path;
	struct options fresh = { .verb = o->verb, .is_firecracker = o->is_firecracker };
	int r;

	options_release(o);
	*o = fresh;
	set_defaults(o);
	r = config_file_load(path, &o->settings, e);
	if (r == -EINVAL && e)
		e->code = -EBADMSG;
	if (r == -EINVAL)
		return -EBADMSG;
	return r < 0 ? r : parse_words(argc, argv, first, o, e);
}

/* The part of a path behind its last '/'. */
static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int options_parse(int argc, char *const argv[], struct options *out, struct err *e)
{
	static const char firecracker[] = "firecracker";
	bool is_firecracker =
		argc > 0 && strncmp(last_part(argv[0]), firecracker, sizeof(firecracker) - 1) == 0;
	int first, r;

	*out = (struct options){ .is_firecracker = is_firecracker };
	set_defaults(out);
	r = parse_verb(argc, argv, out, &first, e);
	if (r == 0 && out->verb)
		r = parse_words(argc, argv, first, out, e);
	if (r == 0 && out->action == OPTIONS_RUN && out->config_path)
		r = parse_over_file(argc, argv, first, out, e);
	if (r == 0)
		r = check_whole(out, e);
	if (r < 0) {
		options_release(out);
		out->is_firecracker = is_firecracker;
	}
	return r;
}

void options_release(struct options *o)
{
	settings_release(&o->settings);
	for (size_t i = 0; i < o->nr_allowed; i++)
		free(o->allowed[i].path);
	*o = (struct options){ 0 };
}

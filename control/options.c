/* SPDX-License-Identifier: Apache-2.0 */
/* The parser that walks the tables of verbs and options: see options.h. */
#include "control/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/quote.h"
#include "base/suggest.h"
#include "control/json/config_file.h"
#include "control/verb.h"

/* One option as it stands on the command line. */
struct word {
	const char *text;
	size_t name_len; /* up to a '=' */
	const char *value; /* behind the '='; NULL without one */
};

/* Which options have been given: one flag for each row of the verb's tables. */
struct seen {
	bool rows[OPTIONS_MAX];
};

static struct word cut_word(const char *text)
{
	size_t len = strcspn(text, "=");

	return (struct word){ text, len, text[len] == '=' ? text + len + 1 : NULL };
}

/* NULL when the verb has no such option; *@at is its number. */
static const struct option_spec *find_spec(const struct verb *verb, const struct word *w,
					   size_t *at)
{
	const struct option_spec *spec;

	for (*at = 0; (spec = verb_option(verb, *at)) != NULL; (*at)++) {
		if (strlen(spec->name) == w->name_len &&
		    memcmp(spec->name, w->text, w->name_len) == 0)
			return spec;
	}
	return NULL;
}

static int refuse_unknown(const struct verb *verb, const struct word *w, struct err *e)
{
	/* Dashes tell nothing about what was meant. */
	size_t dashes = strspn(w->text, "-");
	const struct option_spec *spec;
	const char *nearest = NULL;

	if (dashes > w->name_len)
		dashes = w->name_len;
	for (size_t i = 0; (spec = verb_option(verb, i)) != NULL; i++)
		nearest = suggest_nearer(w->text + dashes, w->name_len - dashes, nearest,
					 spec->name + 2);
	return err_set(e, -EINVAL, "unknown option %s; the nearest is --%s, --help lists all",
		       quote_part(w->text, w->name_len).text, nearest);
}

static int refuse_argument(const struct verb *verb, const char *text, struct err *e)
{
	if (!verb->operands)
		return err_set(e, -EINVAL,
			       "unexpected argument %s; everything is given by options, for "
			       "example --kernel PATH",
			       quote(text).text);
	return err_set(e, -EINVAL, "unexpected argument %s; it is: volt-vmm %s [option...] %s",
		       quote(text).text, verb->name, verb->operands);
}

/* The value of an option that takes one: its own, or the @next word (NULL at the end). */
static int find_value(const struct verb *verb, const struct option_spec *spec, struct word *w,
		      const char *next, struct err *e)
{
	struct word other;
	size_t at;

	if (w->value)
		return 0;
	if (!next)
		return err_set(e, -EINVAL, "%s needs a value: %s %s", spec->name, spec->name,
			       spec->arg);
	other = cut_word(next);
	if (find_spec(verb, &other, &at))
		return err_set(e, -EINVAL,
			       "%s needs a value, but %s follows; write %s=... if it is one",
			       spec->name, quote(next).text, spec->name);
	w->value = next;
	return 0;
}

/* Takes the option @text, whose value may be @next. Returns how many words it used, or -errno. */
static int parse_option(const char *text, const char *next, struct options *o, struct seen *seen,
			struct err *e)
{
	struct word w = cut_word(text);
	size_t at;
	const struct option_spec *spec = find_spec(o->verb, &w, &at);
	bool is_joined = w.value != NULL;
	int r = 0;

	if (!spec)
		return refuse_unknown(o->verb, &w, e);
	if (seen->rows[at] && !spec->is_repeatable)
		return err_set(e, -EINVAL, "%s is given more than once; give it once", spec->name);
	seen->rows[at] = true;
	if (spec->kind != OPTION_FLAG)
		r = find_value(o->verb, spec, &w, next, e);
	else if (is_joined)
		r = err_set(e, -EINVAL, "%s takes no value, but %s is given", spec->name,
			    quote(w.value).text);
	if (r == 0)
		r = spec->set(o, spec, w.value, e);
	if (r < 0)
		return r;
	return spec->kind == OPTION_FLAG || is_joined ? 1 : 2;
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

/* A lone '-' is no option but, by custom, standard input. */
static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* Takes the words behind the verb. */
static int parse_words(int argc, char *const argv[], int first, struct options *o, struct err *e)
{
	struct seen seen = { 0 };
	int i = first;

	if (argc == first + 1 && strcmp(argv[first], "-h") == 0) {
		o->action = OPTIONS_HELP;
		return 0;
	}
	while (i < argc && strcmp(argv[i], "--") != 0) {
		int r = 1;

		if (is_option(argv[i]))
			r = parse_option(argv[i], i + 1 < argc ? argv[i + 1] : NULL, o, &seen, e);
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
	if (o->action != OPTIONS_RUN || !o->verb)
		return 0;
	if (o->nr_operands < o->verb->min_operands)
		return err_set(e, -EINVAL, "%s needs %s; it is: volt-vmm %s [option...] %s",
			       o->verb->name, o->verb->operands, o->verb->name, o->verb->operands);
	return o->verb->check ? o->verb->check(o, e) : 0;
}

/* "dump, baseline or check" */
static void list_second_words(const char *topic, char *text, size_t size)
{
	size_t nr, used = 0, left = 0;
	const struct verb *table = verb_table(&nr);

	for (size_t i = 0; i < nr; i++)
		left += verb_has_topic(&table[i], topic);
	for (size_t i = 0; i < nr && used < size; i++) {
		if (!verb_has_topic(&table[i], topic))
			continue;
		left--;
		used += (size_t)snprintf(text + used, size - used, "%s%s",
					 strchr(table[i].name, ' ') + 1,
					 left > 1    ? ", "
					 : left == 1 ? " or "
						     : "");
	}
}

/* @topic is the first word of verbs that have two; @word (NULL: none) should be the second. */
static int refuse_second_word(const char *topic, const char *word, struct err *e)
{
	const char *nearest = NULL;
	char list[128] = "";
	size_t nr;
	const struct verb *table = verb_table(&nr);

	list_second_words(topic, list, sizeof(list));
	if (!word)
		return err_set(e, -EINVAL, "%s needs a verb: %s", topic, list);
	for (size_t i = 0; i < nr; i++) {
		if (verb_has_topic(&table[i], topic))
			nearest = suggest_nearer(word, strlen(word), nearest,
						 strchr(table[i].name, ' ') + 1);
	}
	return err_set(e, -EINVAL,
		       "%s has no verb %s; the nearest is %s, 'volt-vmm %s --help' "
		       "lists all",
		       topic, quote(word).text, nearest, topic);
}

static int refuse_verb(const char *word, struct err *e)
{
	const char *nearest = NULL;
	size_t nr;
	const struct verb *table = verb_table(&nr);

	for (size_t i = 0; i < nr; i++)
		nearest = suggest_nearer(word, strlen(word), nearest, table[i].name);
	return err_set(e, -EINVAL, "there is no verb %s; the nearest is %s, --help lists all",
		       quote(word).text, nearest);
}

/* Finds the verb; *@first is where the words behind it are. */
static int parse_verb(int argc, char *const argv[], struct options *o, int *first, struct err *e)
{
	size_t nr;
	int used;

	*first = 1;
	o->verb = verb_table(&nr);
	if (argc < 2 || o->is_firecracker || argv[1][0] == '-')
		return 0;
	o->verb = verb_find(argv + 1, argc - 1, &used);
	*first += used;
	if (o->verb)
		return 0;
	if (used == 0)
		return refuse_verb(argv[1], e);
	if (argc != 3 || (strcmp(argv[2], "--help") != 0 && strcmp(argv[2], "-h") != 0))
		return refuse_second_word(argv[1], argc > 2 ? argv[2] : NULL, e);
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

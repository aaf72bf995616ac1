/* SPDX-License-Identifier: Apache-2.0 */
/* The parser that walks the tables of options: see option.h. */
#include "base/option.h"

#include <errno.h>
#include <string.h>

#include "base/quote.h"
#include "base/suggest.h"

/* One option as it stands on the command line. */
struct word {
	const char *text;
	size_t name_len; /* up to a '=' */
	const char *value; /* behind the '='; NULL without one */
};

static struct word cut_word(const char *text)
{
	size_t len = strcspn(text, "=");

	return (struct word){ text, len, text[len] == '=' ? text + len + 1 : NULL };
}

const struct option_spec *option_at(const struct option_group *const *groups, size_t i)
{
	for (size_t g = 0; groups[g]; g++) {
		if (i < groups[g]->nr)
			return &groups[g]->rows[i];
		i -= groups[g]->nr;
	}
	return NULL;
}

int option_set_flag(struct options *o, const struct option_spec *spec, const char *value,
		    struct err *e)
{
	bool *flag = (bool *)((char *)o + spec->offset);

	(void)value;
	(void)e;
	*flag = true;
	return 0;
}

bool option_is(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* NULL when there is no such option; *@at is its number. */
static const struct option_spec *find_spec(const struct option_group *const *groups,
					   const struct word *w, size_t *at)
{
	const struct option_spec *spec;

	for (*at = 0; (spec = option_at(groups, *at)) != NULL; (*at)++) {
		if (strlen(spec->name) == w->name_len &&
		    memcmp(spec->name, w->text, w->name_len) == 0)
			return spec;
	}
	return NULL;
}

static int refuse_unknown(const struct option_group *const *groups, const struct word *w,
			  struct err *e)
{
	/* Dashes tell nothing about what was meant. */
	size_t dashes = strspn(w->text, "-");
	const struct option_spec *spec;
	const char *nearest = NULL;

	if (dashes > w->name_len)
		dashes = w->name_len;
	for (size_t i = 0; (spec = option_at(groups, i)) != NULL; i++)
		nearest = suggest_nearer(w->text + dashes, w->name_len - dashes, nearest,
					 spec->name + 2);
	return err_set(e, -EINVAL, "unknown option %s; the nearest is --%s, --help lists all",
		       quote_part(w->text, w->name_len).text, nearest);
}

/* The value of an option that takes one: its own, or the @next word (NULL at the end). */
static int find_value(const struct option_group *const *groups, const struct option_spec *spec,
		      struct word *w, const char *next, struct err *e)
{
	struct word other;
	size_t at;

	if (w->value)
		return 0;
	if (!next)
		return err_set(e, -EINVAL, "%s needs a value: %s %s", spec->name, spec->name,
			       spec->arg);
	other = cut_word(next);
	if (find_spec(groups, &other, &at))
		return err_set(e, -EINVAL,
			       "%s needs a value, but %s follows; write %s=... if it is one",
			       spec->name, quote(next).text, spec->name);
	w->value = next;
	return 0;
}

int option_parse(const struct option_group *const *groups, const char *text, const char *next,
		 struct options *o, struct option_seen *seen, struct err *e)
{
	struct word w = cut_word(text);
	size_t at;
	const struct option_spec *spec = find_spec(groups, &w, &at);
	bool is_joined = w.value != NULL;
	int r = 0;

	if (!spec)
		return refuse_unknown(groups, &w, e);
	if (seen->rows[at] && !spec->is_repeatable)
		return err_set(e, -EINVAL, "%s is given more than once; give it once", spec->name);
	seen->rows[at] = true;
	if (spec->kind != OPTION_FLAG)
		r = find_value(groups, spec, &w, next, e);
	else if (is_joined)
		r = err_set(e, -EINVAL, "%s takes no value, but %s is given", spec->name,
			    quote(w.value).text);
	if (r == 0)
		r = spec->set(o, spec, w.value, e);
	if (r < 0)
		return r;
	return spec->kind == OPTION_FLAG || is_joined ? 1 : 2;
}

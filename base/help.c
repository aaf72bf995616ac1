/* SPDX-License-Identifier: Apache-2.0 */
/* What --help prints: see help.h. */
#include "base/help.h"

#include <string.h>

enum {
	COLUMNS = 79,
	NAME_COLUMNS = 27,
};

int help_put_word(FILE *to, int column, int indent, const char *word, size_t len)
{
	if (column > indent && column + 1 + (int)len > COLUMNS) {
		fprintf(to, "\n%*s", indent, "");
		column = indent;
	} else if (column > indent) {
		column += fprintf(to, " ");
	}
	return column + fprintf(to, "%.*s", (int)len, word);
}

void help_put_text(FILE *to, const char *text)
{
	int column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		column = help_put_word(to, column, 0, text, len);
		text += len + strspn(text + len, " ");
	}
	fputc('\n', to);
}

void help_put_option(FILE *to, const struct option_spec *spec)
{
	char name[NAME_COLUMNS + 1];

	snprintf(name, sizeof(name), "%s%s%s", spec->name, spec->arg ? " " : "",
		 spec->arg ? spec->arg : "");
	fprintf(to, "  %-*s %s\n", NAME_COLUMNS, name, spec->help);
}

void help_put_verbs(FILE *to, const struct verb_list *list)
{
	enum { INDENT = 6 };
	int column = fprintf(to, "verbs:") + 1;

	fputc(' ', to);
	for (size_t i = 0; i < list->nr; i++) {
		const size_t len = verb_new_topic(list, i);

		if (len > 0)
			column = help_put_word(to, i == 0 ? INDENT : column, INDENT,
					       list->rows[i].name, len);
	}
	fprintf(to, " [--help]\n");
}

static void put_usage(FILE *to, const struct verb_list *list, const struct verb *verb,
		      const char *before)
{
	fprintf(to, "%s %s %s", before, list->program, verb->name);
	/* --help alone needs no mention. */
	if (verb_option(verb, 1))
		fprintf(to, " [option...]");
	fprintf(to, "%s%s\n", verb->operands ? " " : "", verb->operands ? verb->operands : "");
}

void help_put_verb(FILE *to, const struct verb_list *list, const struct verb *verb,
		   const char *others)
{
	bool has_others = false;

	put_usage(to, list, verb, "usage:");
	help_put_text(to, verb->details);
	fputc('\n', to);
	for (size_t g = 0; verb->groups[g]; g++) {
		if (others && verb->groups[g]->title) {
			has_others = true;
			continue;
		}
		for (size_t i = 0; i < verb->groups[g]->nr; i++)
			help_put_option(to, &verb->groups[g]->rows[i]);
	}
	if (has_others)
		fprintf(to, "%s\n", others);
	if (verb->example)
		fprintf(to, "\nexample:\n  %s %s\n", list->program, verb->example);
}

void help_put_topic(FILE *to, const struct verb_list *list, const char *topic)
{
	const char *before = "usage:";

	for (size_t i = 0; i < list->nr; i++) {
		if (!verb_has_topic(&list->rows[i], topic))
			continue;
		put_usage(to, list, &list->rows[i], before);
		before = "      ";
	}
	fputc('\n', to);
	for (size_t i = 0; i < list->nr; i++) {
		if (verb_has_topic(&list->rows[i], topic))
			fprintf(to, "  %-10s %s\n", strchr(list->rows[i].name, ' ') + 1,
				list->rows[i].summary);
	}
	fprintf(to, "\nexamples:\n");
	for (size_t i = 0; i < list->nr; i++) {
		if (verb_has_topic(&list->rows[i], topic) && list->rows[i].example)
			fprintf(to, "  %s %s\n", list->program, list->rows[i].example);
	}
}

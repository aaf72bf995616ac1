/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of manual pages: see mdoc.h. */
#include "tools/mdoc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

void mdoc_put_text(const char *text)
{
	enum { FILL_COLUMNS = 76 };
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");
		bool ends_sentence = strchr(".?!:", text[len - 1]) && text[len];

		if (column > 0 && column + len > FILL_COLUMNS) {
			putchar('\n');
			column = 0;
		}
		if (column > 0)
			putchar(' ');
		else if (*text == '.' || *text == '\'')
			printf("\\&");
		for (size_t i = 0; i < len; i++) {
			if (text[i] == '\\')
				printf("\\e");
			else
				putchar(text[i]);
		}
		column = ends_sentence ? 0 : column + len + 1;
		if (ends_sentence)
			putchar('\n');
		text += len + strspn(text + len, " ");
	}
	if (column > 0)
		putchar('\n');
}

/* The name behind its first dash, as .Fl wants it. */
static const char *flag_name(const struct option_spec *spec)
{
	return spec->name + 1;
}

void mdoc_put_option(const struct option_spec *spec)
{
	printf(".Op Fl %s%s%s%s\n", flag_name(spec), spec->arg ? " Ar " : "",
	       spec->arg ? spec->arg : "", spec->is_repeatable ? " ..." : "");
}

void mdoc_put_rows(const struct option_group *group)
{
	for (size_t i = 0; i < group->nr; i++) {
		const struct option_spec *spec = &group->rows[i];

		printf(".It Fl %s%s%s\n", flag_name(spec), spec->arg ? " Ar " : "",
		       spec->arg ? spec->arg : "");
		mdoc_put_text(spec->details);
	}
}

static bool is_help(const struct option_group *group)
{
	return group->nr == 1 && strcmp(group->rows[0].name, "--help") == 0;
}

void mdoc_put_verb(const struct verb *verb, const char *others)
{
	bool has_others = false;

	printf(".It Cm %s", verb->name);
	for (size_t g = 0; verb->groups[g]; g++) {
		const struct option_group *group = verb->groups[g];

		has_others |= group->title != NULL;
		for (size_t i = 0; !group->title && i < group->nr; i++)
			printf(" Oo Fl %s%s%s Oc", flag_name(&group->rows[i]),
			       group->rows[i].arg ? " Ar " : "",
			       group->rows[i].arg ? group->rows[i].arg : "");
	}
	printf("%s%s\n", verb->operands ? " Ar " : "", verb->operands ? verb->operands : "");
	mdoc_put_text(verb->details);
	if (has_others && others)
		mdoc_put_text(others);
	for (size_t g = 0; verb->groups[g]; g++) {
		if (verb->groups[g]->title || is_help(verb->groups[g]))
			continue;
		printf(".Bl -tag -width Ds\n");
		mdoc_put_rows(verb->groups[g]);
		printf(".El\n");
	}
}

void mdoc_put_status(const char *status, const char *meaning)
{
	printf(".It %s\n", status);
	mdoc_put_text(meaning);
}

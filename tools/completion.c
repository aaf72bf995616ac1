/* SPDX-License-Identifier: Apache-2.0 */
/* bash completion from tables of verbs and options: see completion.h. */
#include "tools/completion.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* The options of one kind, of all verbs, each once, as the pattern of a case, "--a|--b)". */
static void put_case(const struct option_spec *const *all, size_t nr, enum option_kind kind)
{
	const char *separator = "\t";

	for (size_t i = 0; i < nr; i++) {
		if (all[i]->kind != kind)
			continue;
		printf("%s%s", separator, all[i]->name);
		separator = "|";
	}
	printf(")\n");
}

static void put_choices(const struct option_spec *spec)
{
	printf("\t%s)\n\t\twords=\"", spec->name);
	for (size_t i = 0; spec->choices[i]; i++)
		printf("%s%s", i > 0 ? " " : "", spec->choices[i]);
	printf("\" ;;\n");
}

static bool is_listed(const struct option_spec *const *all, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(all[i]->name, name) == 0)
			return true;
	}
	return false;
}

/* Every option of any verb once. Returns how many. */
static size_t gather_options(const struct verb_list *list, const struct option_spec **all,
			     size_t max)
{
	const struct option_spec *spec;
	size_t nr = 0;

	for (size_t v = 0; v < list->nr; v++) {
		for (size_t i = 0; (spec = verb_option(&list->rows[v], i)) != NULL; i++) {
			if (nr < max && !is_listed(all, nr, spec->name))
				all[nr++] = spec;
		}
	}
	return nr;
}

/* The first words of all verbs, each once. */
static void put_first_words(const struct verb_list *list, char separator)
{
	for (size_t i = 0; i < list->nr; i++) {
		const int len = (int)verb_new_topic(list, i);

		if (len > 0 && i > 0)
			putchar(separator);
		printf("%.*s", len, list->rows[i].name);
	}
}

/* The second words of those verbs whose first is that of row @first, a space behind each. */
static void put_second_words(const struct verb_list *list, size_t first)
{
	for (size_t i = first; i < list->nr && (i == first || verb_new_topic(list, i) == 0); i++)
		printf("%s ", strchr(list->rows[i].name, ' ') + 1);
}

/* What can stand behind a verb: its options and, where there are any to know, its operands. */
static void put_verb_case(const struct completion *c, const struct verb *verb)
{
	const struct option_spec *spec;
	const bool has_names = verb->operand_kind == VERB_VM || verb->operand_kind == VERB_IMAGE;

	printf("\t\"%s\")\n\t\twords=\"", verb->name);
	for (size_t i = 0; (spec = verb_option(verb, i)) != NULL; i++)
		printf("%s%s", i > 0 ? " " : "", spec->name);
	if (c->put_operands)
		c->put_operands(verb);
	printf("\"\n");
	if (has_names)
		printf("\t\t[[ $cur == -* ]] || words+=\" $(%s)\"\n", c->list_names);
	if (verb->operand_kind == VERB_VM || verb->operand_kind == VERB_LAYER ||
	    verb->operand_kind == VERB_NOTHING)
		printf("\t\tcompopt +o default\n");
	printf("\t\t;;\n");
}

/* Sets verb, and at, where its first word is. */
static void put_find_verb(const struct completion *c)
{
	const struct verb_list *list = c->list;

	printf("\tlocal verb=%s at\n"
	       "\tfor ((at = 1; at < %s; at++)); do\n\t\tcase ${COMP_WORDS[at]} in\n\t\t",
	       c->first_verb ? c->first_verb : "",
	       c->first_verb ? "COMP_CWORD && at < 2" : "COMP_CWORD");
	put_first_words(list, '|');
	printf(")\n\t\t\tverb=${COMP_WORDS[at]}\n\t\t\tbreak ;;\n\t\tesac\n\tdone\n"
	       "\tcase $verb in\n");
	for (size_t i = 0; i < list->nr; i++) {
		const int len = (int)verb_new_topic(list, i);

		if (len == 0 || !strchr(list->rows[i].name, ' '))
			continue;
		printf("\t%.*s)\n\t\tif [[ $COMP_CWORD -eq $((at + 1)) ]]; then\n\t\t\twords=\"",
		       len, list->rows[i].name);
		put_second_words(list, i);
		printf("--help\"\n\t\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
		       "\t\t\treturn\n\t\tfi\n\t\tverb+=\" ${COMP_WORDS[at+1]}\" ;;\n");
	}
	printf("\tesac\n");
}

static void put_words(const struct completion *c)
{
	printf("\t:)\n\t\treturn ;; # a path behind \"file:\"\n\t*)\n\tcase $verb in\n");
	for (size_t i = 0; i < c->list->nr; i++)
		put_verb_case(c, &c->list->rows[i]);
	if (!c->first_verb) {
		printf("\t\"\")\n\t\twords=\"--help --version ");
		put_first_words(c->list, ' ');
		printf("\" ;;\n\tesac ;;\n");
		return;
	}
	printf("\tesac\n\t[[ $COMP_CWORD -eq 1 ]] && words+=\" ");
	put_first_words(c->list, ' ');
	printf("\" ;;\n");
}

struct name {
	char text[64];
};

/* "_volt_vmm" */
static struct name function_name(const char *program)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "_%s", program);
	for (char *c = name.text; *c; c++) {
		if (*c == '-')
			*c = '_';
	}
	return name;
}

/*
 * Readline splits `--name=value` at the '=' (COMP_WORDBREAKS). No match in the function means that
 * file names are completed (-o default).
 */
void completion_write(const struct completion *c)
{
	const struct option_spec *all[2 * OPTIONS_MAX];
	const size_t nr = gather_options(c->list, all, ARRAY_LEN(all));
	const char *program = c->list->program;
	const struct name function = function_name(program);

	printf("# SPDX-License-Identifier: Apache-2.0\n"
	       "# bash completion for %s; written by tools/%s.\n"
	       "%s()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} words\n"
	       "\tif [[ $cur == = ]]; then\n\t\tcur=\n"
	       "\telif [[ $option == = ]]; then\n\t\toption=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n"
	       "\tCOMPREPLY=()\n",
	       program, c->generator, function.text);
	put_find_verb(c);
	printf("\tcase $option in\n");
	put_case(all, nr, OPTION_PATH);
	printf("\t\treturn ;;\n");
	put_case(all, nr, OPTION_TEXT);
	printf("\t\tcompopt +o default\n\t\treturn ;;\n");
	for (size_t i = 0; i < nr; i++) {
		if (all[i]->kind == OPTION_CHOICE)
			put_choices(all[i]);
	}
	put_words(c);
	printf("\tesac\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "\tif [[ ${COMPREPLY-} == *: ]]; then\n\t\tcompopt -o nospace\n\tfi\n"
	       "}\n"
	       "complete -o default -F %s %s\n",
	       function.text, program);
}

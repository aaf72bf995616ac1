/* SPDX-License-Identifier: Apache-2.0 */
/* What --help and --version print: see options.h. */
#include "control/options.h"

#include <string.h>

#include "base/firecracker_version.h"
#include "control/verb.h"

enum {
	COLUMNS = 79,
	NAME_COLUMNS = 27,
};

/* Puts the word behind @column, or on a new line that begins with @indent spaces. */
static int put_word(FILE *to, int column, int indent, const char *word, size_t len)
{
	if (column > indent && column + 1 + (int)len > COLUMNS) {
		fprintf(to, "\n%*s", indent, "");
		column = indent;
	} else if (column > indent) {
		column += fprintf(to, " ");
	}
	return column + fprintf(to, "%.*s", (int)len, word);
}

static void put_text(FILE *to, const char *text)
{
	int column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		column = put_word(to, column, 0, text, len);
		text += len + strspn(text + len, " ");
	}
	fputc('\n', to);
}

static void put_option(FILE *to, const struct option_spec *spec)
{
	char name[NAME_COLUMNS + 1];

	snprintf(name, sizeof(name), "%s%s%s", spec->name, spec->arg ? " " : "",
		 spec->arg ? spec->arg : "");
	fprintf(to, "  %-*s %s\n", NAME_COLUMNS, name, spec->help);
}

static const char *program_name(const struct options *o)
{
	return o->is_firecracker ? "firecracker" : "volt-vmm";
}

/* The words that verbs start with. */
static void put_verbs(FILE *to)
{
	enum { INDENT = 6 };
	size_t nr;
	const struct verb *table = verb_table(&nr);
	int column = fprintf(to, "verbs:") + 1;

	fputc(' ', to);
	for (size_t i = 0; i < nr; i++) {
		const size_t len = strcspn(table[i].name, " ");

		if (i > 0 && strncmp(table[i - 1].name, table[i].name, len) == 0 &&
		    table[i - 1].name[len] == table[i].name[len])
			continue;
		column = put_word(to, i == 0 ? INDENT : column, INDENT, table[i].name, len);
	}
	fprintf(to, " [--help]\n");
}

static void help_run(const struct options *o, FILE *to)
{
	enum { INDENT = 6 };
	const struct verb *verb = o->verb;
	const struct option_spec *spec;
	int column = INDENT;

	fprintf(to, "usage: %s --kernel PATH [option...]\n", program_name(o));
	put_text(to, verb->details);
	for (size_t i = 0; (spec = verb_option(verb, i)) != NULL; i++) {
		if (spec->rank == OPTION_COMMON)
			put_option(to, spec);
	}
	fprintf(to, "more: ");
	for (size_t i = 0; (spec = verb_option(verb, i)) != NULL; i++) {
		if (spec->rank == OPTION_ADVANCED)
			column = put_word(to, column, INDENT, spec->name, strlen(spec->name));
	}
	put_word(to, column, INDENT, "(in volt-vmm(1))", strlen("(in volt-vmm(1))"));
	fputc('\n', to);
	if (!o->is_firecracker)
		put_verbs(to);
	fprintf(to, "example: %s %s\n", program_name(o), verb->example);
}

static void put_usage(FILE *to, const struct verb *verb, const char *before)
{
	fprintf(to, "%s volt-vmm %s", before, verb->name);
	/* --help alone needs no mention. */
	if (verb_option(verb, 1))
		fprintf(to, " [option...]");
	fprintf(to, "%s%s\n", verb->operands ? " " : "", verb->operands ? verb->operands : "");
}

static void help_verb(const struct verb *verb, FILE *to)
{
	bool has_more = false;

	put_usage(to, verb, "usage:");
	put_text(to, verb->details);
	fputc('\n', to);
	for (size_t g = 0; verb->groups[g]; g++) {
		if (verb->groups[g]->title) {
			has_more = true;
			continue;
		}
		for (size_t i = 0; i < verb->groups[g]->nr; i++)
			put_option(to, &verb->groups[g]->rows[i]);
	}
	if (has_more)
		fprintf(to, "and the options of volt-vmm run\n");
	if (verb->example)
		fprintf(to, "\nexample:\n  volt-vmm %s\n", verb->example);
}

static void help_topic(const char *topic, FILE *to)
{
	size_t nr;
	const struct verb *table = verb_table(&nr);
	const char *before = "usage:";

	for (size_t i = 0; i < nr; i++) {
		if (!verb_has_topic(&table[i], topic))
			continue;
		put_usage(to, &table[i], before);
		before = "      ";
	}
	fputc('\n', to);
	for (size_t i = 0; i < nr; i++) {
		if (verb_has_topic(&table[i], topic))
			fprintf(to, "  %-10s %s\n", strchr(table[i].name, ' ') + 1,
				table[i].summary);
	}
	fprintf(to, "\nexamples:\n");
	for (size_t i = 0; i < nr; i++) {
		if (verb_has_topic(&table[i], topic) && table[i].example)
			fprintf(to, "  volt-vmm %s\n", table[i].example);
	}
}

void options_help(const struct options *o, FILE *to)
{
	size_t nr;

	if (!o->verb)
		help_topic(o->topic, to);
	else if (o->verb == verb_table(&nr))
		help_run(o, to);
	else
		help_verb(o->verb, to);
}

void options_version(const struct options *o, FILE *to)
{
	if (o->is_firecracker)
		fprintf(to, "Firecracker v%s\n\n", FIRECRACKER_VERSION);
	fprintf(to, "volt-vmm v%s\n", VOLT_VERSION);
}

void options_snapshot_version(FILE *to)
{
	fprintf(to, "v%s\n", FIRECRACKER_SNAPSHOT_VERSION);
}

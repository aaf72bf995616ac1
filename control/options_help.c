/* SPDX-License-Identifier: Apache-2.0 */
/* What --help and --version print: see options.h. */
#include "control/options.h"

#include <string.h>

#include "base/firecracker_version.h"
#include "base/help.h"
#include "control/verb.h"

static const char *program_name(const struct options *o)
{
	return o->is_firecracker ? "firecracker" : "volt-vmm";
}

static void help_run(const struct options *o, FILE *to)
{
	enum { INDENT = 6 };
	const struct verb *verb = o->verb;
	const struct option_spec *spec;
	int column = INDENT;

	fprintf(to, "usage: %s --kernel PATH [option...]\n", program_name(o));
	help_put_text(to, verb->details);
	for (size_t i = 0; (spec = verb_option(verb, i)) != NULL; i++) {
		if (spec->rank == OPTION_COMMON)
			help_put_option(to, spec);
	}
	fprintf(to, "more: ");
	for (size_t i = 0; (spec = verb_option(verb, i)) != NULL; i++) {
		if (spec->rank == OPTION_ADVANCED)
			column = help_put_word(to, column, INDENT, spec->name, strlen(spec->name));
	}
	help_put_word(to, column, INDENT, "(in volt-vmm(1))", strlen("(in volt-vmm(1))"));
	fputc('\n', to);
	if (!o->is_firecracker)
		help_put_verbs(to, &volt_verbs);
	fprintf(to, "example: %s %s\n", program_name(o), verb->example);
}

void options_help(const struct options *o, FILE *to)
{
	if (!o->verb)
		help_put_topic(to, &volt_verbs, o->topic);
	else if (o->verb == &volt_verbs.rows[0])
		help_run(o, to);
	else
		help_put_verb(to, &volt_verbs, o->verb, "and the options of volt-vmm run");
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

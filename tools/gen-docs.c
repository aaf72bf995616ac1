/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen-docs man|completion: writes the manual page (mdoc(7)) or the bash completion of volt-vmm to
 * standard output, from the tables of verbs and options that the program itself parses by. Runs at build time.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/cpu_template.h"
#include "control/exit_status.h"
#include "control/options.h"
#include "control/values.h"
#include "control/verb.h"
#include "tools/mdoc.h"

/* When the page last changed its meaning: a build must not depend on the day it runs. */
static const char page_date[] = "November 21, 2026";

static const char description[] =
	"runs one Linux virtual machine on KVM, from a kernel and disk images, and ends with it. "
	"The guest's serial port is connected to standard input and output. On a terminal, which "
	"is then in raw mode, Ctrl-A x ends the virtual machine, Ctrl-A p pauses and resumes it, "
	"and Ctrl-A Ctrl-A sends one Ctrl-A. SIGUSR1 pauses it and SIGUSR2 resumes it. SIGINT, "
	"SIGTERM, SIGHUP and SIGQUIT end it at once.";

static const char separation[] =
	"The guest runs in a process of its own, which holds the files it was given as open "
	"descriptors and opens none itself. All files are opened and checked before the guest "
	"starts.";

/* The name behind its first dash, as .Fl wants it. */
static const char *flag_name(const struct option_spec *spec)
{
	return spec->name + 1;
}

static void put_one_option(const struct option_spec *spec)
{
	printf(".Op Fl %s%s%s%s\n", flag_name(spec), spec->arg ? " Ar " : "",
	       spec->arg ? spec->arg : "", spec->is_repeatable ? " ..." : "");
}

/* Options for programs that were written for Firecracker are left out: they are many. */
static void put_synopsis(const struct verb *run)
{
	const struct option_spec *spec;

	printf(".Sh SYNOPSIS\n.Nm\n.Op Cm run\n");
	for (size_t i = 0; (spec = verb_option(run, i)) != NULL; i++) {
		if (spec->rank != OPTION_COMPATIBLE)
			put_one_option(spec);
	}
	printf(".Nm\n.Ar verb\n.Op Ar option ...\n.Op Ar operand ...\n");
}

static void put_rows(const struct option_group *group)
{
	for (size_t i = 0; i < group->nr; i++) {
		const struct option_spec *spec = &group->rows[i];

		printf(".It Fl %s%s%s\n", flag_name(spec), spec->arg ? " Ar " : "",
		       spec->arg ? spec->arg : "");
		mdoc_put_text(spec->details);
	}
}

static void put_options(const struct verb *run)
{
	printf(".Sh OPTIONS\n");
	mdoc_put_text("A value is the next word, or follows the name and an equals sign. "
		      "Except where noted, an option can be given once.");
	for (size_t g = 0; run->groups[g]; g++) {
		const struct option_group *group = run->groups[g];

		/* The rest belongs to the program. */
		if (group->title)
			printf("%s.Ss %s\n.Bl -tag -width Ds\n", g > 0 ? ".El\n" : "",
			       group->title);
		put_rows(group);
	}
	printf(".El\n");
}

static void put_verb(const struct verb *verb)
{
	bool has_more = false;

	printf(".It Cm %s", verb->name);
	for (size_t g = 0; verb->groups[g]; g++) {
		const struct option_group *group = verb->groups[g];

		has_more |= group->title != NULL;
		for (size_t i = 0; !group->title && i < group->nr; i++)
			printf(" Oo Fl %s%s%s Oc", flag_name(&group->rows[i]),
			       group->rows[i].arg ? " Ar " : "",
			       group->rows[i].arg ? group->rows[i].arg : "");
	}
	printf("%s%s\n", verb->operands ? " Ar " : "", verb->operands ? verb->operands : "");
	mdoc_put_text(verb->details);
	if (has_more)
		mdoc_put_text("All options of a run may be given too.");
	for (size_t g = 0; verb->groups[g]; g++) {
		const struct option_group *group = verb->groups[g];

		if (group->title || group == &option_group_help)
			continue;
		printf(".Bl -tag -width Ds\n");
		put_rows(group);
		printf(".El\n");
	}
}

static void put_verbs(void)
{
	size_t nr;
	const struct verb *table = verb_table(&nr);

	printf(".Sh VERBS\n");
	mdoc_put_text(
		"Without a verb, run is meant. VM is the name of a running virtual machine, as ps "
		"lists it; --api-sock names one by its socket instead. All verbs have --help.");
	printf(".Bl -tag -width Ds\n");
	for (size_t i = 1; i < nr; i++)
		put_verb(&table[i]);
	printf(".El\n");
}

static void put_environment(void)
{
	printf(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev NOTIFY_SOCKET\n");
	mdoc_put_text(
		"Where a service manager is told that the virtual machine runs: see sd_notify(3).");
	printf(".It Ev XDG_RUNTIME_DIR\n");
	mdoc_put_text("See below.");
	printf(".El\n");
}

static void put_files(void)
{
	printf(".Sh FILES\n.Bl -tag -width Ds\n.It Pa /dev/kvm\n");
	mdoc_put_text(
		"Must be there for reading and writing; on many systems that takes membership in "
		"the group kvm.");
	printf(".It Pa $XDG_RUNTIME_DIR/volt-vmm\n");
	mdoc_put_text(
		"What ps lists, and API sockets. In place of XDG_RUNTIME_DIR, when it is not set, "
		"/run/user/UID is used; without that, the folder is /tmp/volt-vmm-UID. It is this "
		"user's alone.");
	printf(".El\n");
}

static void put_status(const char *status, const char *meaning)
{
	printf(".It %s\n", status);
	mdoc_put_text(meaning);
}

static void put_exit_statuses(void)
{
	char text[16];

	printf(".Sh EXIT STATUS\n.Bl -tag -width Ds\n");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_OK);
	put_status(text, "The guest powered off or rebooted, or the user stopped it.");
	put_status("N", "The guest wrote the byte N to its exit port (I/O port 0x501).");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_ERROR);
	put_status(text, "The virtual machine could not be started, or the host failed it.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_USAGE);
	put_status(text, "The command line, or a file of the configuration, is wrong.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_GUEST_CRASHED);
	put_status(text, "The guest crashed: a triple fault, or a state that KVM cannot run.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_MACHINE_DIED);
	put_status(text, "The process that runs the guest died.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_GUEST_PANICKED);
	put_status(text, "The guest's kernel panicked, and then rebooted, powered off or crashed.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_FORBIDDEN_CALL);
	put_status(text, "The process that runs the guest tried a system call that its filter "
			 "forbids, and was ended.");
	snprintf(text, sizeof(text), "%d+N", EXIT_STATUS_SIGNAL);
	put_status(text, "Signal N ended the run.");
	printf(".El\n.Pp\n");
	mdoc_put_text(
		"Under a name that starts with firecracker, the program takes no verbs, listens at "
		"/run/firecracker.socket unless told otherwise, leaves the socket behind, is not "
		"listed by ps, and has Firecracker's exit statuses: 152 for a wrong configuration, "
		"153 for a wrong command line, 0 for a triple fault or a panic, 2 when the process "
		"that runs "
		"the guest died, and 156 for SIGHUP.");
}

static void put_examples(void)
{
	printf(".Sh EXAMPLES\n");
	mdoc_put_text("Boot a disk image to its login prompt:");
	printf(".Pp\n.Dl volt-vmm --kernel vmlinuz --initrd initrd.img --rootfs disk.ext4\n.Pp\n");
	mdoc_put_text(
		"The same with two processors, more memory and a second disk, which is protected:");
	printf(".Bd -literal -offset indent\n"
	       "volt-vmm --kernel vmlinuz --initrd initrd.img --rootfs disk.ext4 \\e\n"
	       "        --cpus 2 --memory 1G --drive data.img,ro,id=data\n"
	       ".Ed\n.Pp\n");
	mdoc_put_text("Without input, with the serial port in a file:");
	printf(".Pp\n.Dl volt-vmm --kernel vmlinux --initrd initrd.img --console file:boot.log\n");
}

static void write_man(void)
{
	size_t nr;
	const struct verb *run = verb_table(&nr);

	printf(".\\\" SPDX-License-Identifier: Apache-2.0\n"
	       ".\\\" Written by tools/gen-docs.\n"
	       ".Dd %s\n.Dt VOLT-VMM 1\n.Os\n"
	       ".Sh NAME\n.Nm volt-vmm\n.Nd run a microVM\n",
	       page_date);
	put_synopsis(run);
	printf(".Sh DESCRIPTION\n.Nm\n");
	mdoc_put_text(description);
	printf(".Pp\n");
	mdoc_put_text(separation);
	put_verbs();
	put_options(run);
	put_environment();
	put_files();
	put_exit_statuses();
	put_examples();
}

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
static size_t gather_options(const struct option_spec **all, size_t max)
{
	const struct option_spec *spec;
	size_t nr_verbs, nr = 0;
	const struct verb *table = verb_table(&nr_verbs);

	for (size_t v = 0; v < nr_verbs; v++) {
		for (size_t i = 0; (spec = verb_option(&table[v], i)) != NULL; i++) {
			if (nr < max && !is_listed(all, nr, spec->name))
				all[nr++] = spec;
		}
	}
	return nr;
}

/* "word" once for each first word, or the second words of @topic. */
static void put_verb_words(const char *topic)
{
	size_t nr;
	const struct verb *table = verb_table(&nr);
	const char *separator = "";

	for (size_t i = 0; i < nr; i++) {
		const char *second = strchr(table[i].name, ' ');
		const int len = (int)strcspn(table[i].name, " ");

		if (topic ? !second || !verb_has_topic(&table[i], topic)
			  : i > 0 && strncmp(table[i - 1].name, table[i].name, (size_t)len) == 0 &&
				    table[i - 1].name[len] == table[i].name[len])
			continue;
		if (topic)
			printf("%s%s", separator, second + 1);
		else
			printf("%s%.*s", separator, len, table[i].name);
		separator = " ";
	}
}

/* The names of the sandbox's layers, a space before each. */
static void put_layers(void)
{
	char names[VALUE_LAYERS_BYTES];
	char *rest = value_layers_print(UINT32_MAX, names), *name;

	while ((name = strsep(&rest, ",")) != NULL)
		printf(" %s", name);
}

/* What can stand behind a verb: its options and, where there are any to know, its operands. */
static void put_verb_case(const struct verb *verb)
{
	const struct option_spec *spec;

	printf("\t\"%s\")\n\t\twords=\"", verb->name);
	for (size_t i = 0; (spec = verb_option(verb, i)) != NULL; i++)
		printf("%s%s", i > 0 ? " " : "", spec->name);
	for (size_t i = 0; verb->operand_kind == VERB_TEMPLATE && cpu_template_names[i]; i++)
		printf(" %s", cpu_template_names[i]);
	if (verb->operand_kind == VERB_LAYER)
		put_layers();
	printf("\"\n");
	if (verb->operand_kind == VERB_VM)
		printf("\t\t[[ $cur == -* ]] || words+=\" $(volt-vmm ps 2>/dev/null | sed '1d;s/ "
		       ".*//')\"\n");
	if (verb->operand_kind == VERB_VM || verb->operand_kind == VERB_LAYER ||
	    verb->operand_kind == VERB_NOTHING)
		printf("\t\tcompopt +o default\n");
	printf("\t\t;;\n");
}

/* The verb that the words so far have, "run" when there is none yet. */
static void put_find_verb(void)
{
	size_t nr;
	const struct verb *table = verb_table(&nr);

	printf("\tlocal verb=run first=${COMP_WORDS[1]}\n"
	       "\t[[ $COMP_CWORD -gt 1 && $first == [a-z]* ]] && verb=$first\n"
	       "\tcase $verb in\n");
	for (size_t i = 0; i < nr; i++) {
		const char *second = strchr(table[i].name, ' ');
		const int len = (int)strcspn(table[i].name, " ");

		if (!second ||
		    (i > 0 && strncmp(table[i - 1].name, table[i].name, (size_t)len + 1) == 0))
			continue;
		printf("\t%.*s)\n\t\tif [[ $COMP_CWORD -eq 2 ]]; then\n\t\t\twords=\"", len,
		       table[i].name);
		char topic[32];

		snprintf(topic, sizeof(topic), "%.*s", len, table[i].name);
		put_verb_words(topic);
		printf(" --help\"\n\t\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
		       "\t\t\treturn\n\t\tfi\n\t\tverb+=\" ${COMP_WORDS[2]}\" ;;\n");
	}
	printf("\tesac\n");
}

/*
 * Readline splits `--name=value` at the '=' (COMP_WORDBREAKS). No match in the function means that
 * file names are completed (-o default).
 */
static void write_completion(void)
{
	const struct option_spec *all[2 * OPTIONS_MAX];
	const size_t nr = gather_options(all, ARRAY_LEN(all));
	size_t nr_verbs;
	const struct verb *table = verb_table(&nr_verbs);

	printf("# SPDX-License-Identifier: Apache-2.0\n"
	       "# bash completion for volt-vmm; written by tools/gen-docs.\n"
	       "_volt_vmm()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} words\n"
	       "\tif [[ $cur == = ]]; then\n\t\tcur=\n"
	       "\telif [[ $option == = ]]; then\n\t\toption=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n"
	       "\tCOMPREPLY=()\n");
	put_find_verb();
	printf("\tcase $option in\n");
	put_case(all, nr, OPTION_PATH);
	printf("\t\treturn ;;\n");
	put_case(all, nr, OPTION_TEXT);
	printf("\t\tcompopt +o default\n\t\treturn ;;\n");
	for (size_t i = 0; i < nr; i++) {
		if (all[i]->kind == OPTION_CHOICE)
			put_choices(all[i]);
	}
	printf("\t:)\n\t\treturn ;; # a path behind \"file:\"\n\t*)\n\tcase $verb in\n");
	for (size_t i = 0; i < nr_verbs; i++)
		put_verb_case(&table[i]);
	printf("\tesac\n\t[[ $COMP_CWORD -eq 1 ]] && words+=\" ");
	put_verb_words(NULL);
	printf("\" ;;\n\tesac\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "\tif [[ ${COMPREPLY-} == *: ]]; then\n\t\tcompopt -o nospace\n\tfi\n"
	       "}\n"
	       "complete -o default -F _volt_vmm volt-vmm\n");
}

int main(int argc, char *argv[])
{
	if (argc == 2 && strcmp(argv[1], "man") == 0) {
		write_man();
	} else if (argc == 2 && strcmp(argv[1], "completion") == 0) {
		write_completion();
	} else {
		fprintf(stderr, "usage: gen-docs man|completion\n");
		return EXIT_FAILURE;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

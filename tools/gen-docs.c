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
#include "tools/completion.h"
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

/* Options for programs that were written for Firecracker are left out: they are many. */
static void put_synopsis(const struct verb *run)
{
	const struct option_spec *spec;

	printf(".Sh SYNOPSIS\n.Nm\n.Op Cm run\n");
	for (size_t i = 0; (spec = verb_option(run, i)) != NULL; i++) {
		if (spec->rank != OPTION_COMPATIBLE)
			mdoc_put_option(spec);
	}
	printf(".Nm\n.Ar verb\n.Op Ar option ...\n.Op Ar operand ...\n");
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
		mdoc_put_rows(group);
	}
	printf(".El\n");
}

static void put_verbs(void)
{
	printf(".Sh VERBS\n");
	mdoc_put_text(
		"Without a verb, run is meant. VM is the name of a running virtual machine, as ps "
		"lists it; --api-sock names one by its socket instead. All verbs have --help.");
	printf(".Bl -tag -width Ds\n");
	for (size_t i = 1; i < volt_verbs.nr; i++)
		mdoc_put_verb(&volt_verbs.rows[i], "All options of a run may be given too.");
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

static void put_exit_statuses(void)
{
	char text[16];

	printf(".Sh EXIT STATUS\n.Bl -tag -width Ds\n");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_OK);
	mdoc_put_status(text, "The guest powered off or rebooted, or the user stopped it.");
	mdoc_put_status("N", "The guest wrote the byte N to its exit port (I/O port 0x501).");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_ERROR);
	mdoc_put_status(text, "The virtual machine could not be started, or the host failed it.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_USAGE);
	mdoc_put_status(text, "The command line, or a file of the configuration, is wrong.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_GUEST_CRASHED);
	mdoc_put_status(text, "The guest crashed: a triple fault, or a state that KVM cannot run.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_MACHINE_DIED);
	mdoc_put_status(text, "The process that runs the guest died.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_GUEST_PANICKED);
	mdoc_put_status(text,
			"The guest's kernel panicked, and then rebooted, powered off or crashed.");
	snprintf(text, sizeof(text), "%d", EXIT_STATUS_FORBIDDEN_CALL);
	mdoc_put_status(text, "The process that runs the guest tried a system call that its filter "
			      "forbids, and was ended.");
	snprintf(text, sizeof(text), "%d+N", EXIT_STATUS_SIGNAL);
	mdoc_put_status(text, "Signal N ended the run.");
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
	const struct verb *run = &volt_verbs.rows[0];

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

/* The names of the sandbox's layers, a space before each. */
static void put_layers(void)
{
	char names[VALUE_LAYERS_BYTES];
	char *rest = value_layers_print(UINT32_MAX, names), *name;

	while ((name = strsep(&rest, ",")) != NULL)
		printf(" %s", name);
}

static void put_operand_words(const struct verb *verb)
{
	for (size_t i = 0; verb->operand_kind == VERB_TEMPLATE && cpu_template_names[i]; i++)
		printf(" %s", cpu_template_names[i]);
	if (verb->operand_kind == VERB_LAYER)
		put_layers();
}

int main(int argc, char *argv[])
{
	if (argc == 2 && strcmp(argv[1], "man") == 0) {
		write_man();
	} else if (argc == 2 && strcmp(argv[1], "completion") == 0) {
		completion_write(&(const struct completion){
			.list = &volt_verbs,
			.generator = "gen-docs",
			.first_verb = "run",
			.list_names = "volt-vmm ps 2>/dev/null | sed '1d;s/ .*//'",
			.put_operands = put_operand_words,
		});
	} else {
		fprintf(stderr, "usage: gen-docs man|completion\n");
		return EXIT_FAILURE;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen-stellarium-docs man|completion: writes the manual page (mdoc(7)) or the bash completion of
 * stellarium to standard output, from the tables of verbs and options that the program itself parses
 * by. Runs at build time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "stellarium/exit_status.h"
#include "stellarium/options.h"
#include "tools/completion.h"
#include "tools/mdoc.h"

/* When the page last changed its meaning: a build must not depend on the day it runs. */
static const char page_date[] = "November 30, 2026";

static void put_description(void)
{
	printf(".Sh DESCRIPTION\n.Nm\n");
	mdoc_put_text(
		"keeps images of machines, disks and memory, in a store: a folder in which every "
		"distinct piece of data is once, whichever images have it. Pieces are named by "
		"their BLAKE3 hash and every byte that is read is verified.");
	printf(".Pp\n");
	mdoc_put_text(
		"Many processes may use a store at once. An image is in the store as a whole or "
		"not at all, whatever happens to the process or the machine. What a running "
		"process uses is not taken from it.");
	printf(".Pp\n");
	mdoc_put_text(
		"The name of an image has 1 to 200 letters, digits and any of ._-+@:/ and begins "
		"with a letter or a digit. Wherever an image is read, id: with the 64 digits of "
		"its id is a name too.");
	printf(".Pp\n");
	mdoc_put_text(
		"SIGINT, SIGTERM, SIGHUP and SIGQUIT end a command at the next place where that "
		"leaves nothing behind. A second one ends it at once.");
}

static void put_verbs(void)
{
	printf(".Sh VERBS\n");
	mdoc_put_text(
		"Options and operands may be mixed; -- ends the options. The options of all verbs "
		"and those of the store, below, may also be before the verb.");
	printf(".Bl -tag -width Ds\n");
	for (size_t i = 0; i < stellarium_verbs.nr; i++)
		mdoc_put_verb(&stellarium_verbs.rows[i], NULL);
	printf(".El\n");
}

static void put_options(void)
{
	static const struct option_group *const groups[] = { &option_group_common,
							     &option_group_store };

	printf(".Sh OPTIONS\n");
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		printf(".Ss %s\n.Bl -tag -width Ds\n", groups[i]->title);
		mdoc_put_rows(groups[i]);
		printf(".El\n");
	}
	mdoc_put_text(
		"All but --store are for an encrypted store. Without one of them, the passphrase "
		"is asked for on the terminal; what is typed is not shown.");
}

static void put_environment(void)
{
	printf(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev STELLARIUM_STORE\n");
	mdoc_put_text("The folder of the store, without --store.");
	printf(".It Ev TMPDIR\n");
	mdoc_put_text("Where bench makes its store, without --folder.");
	printf(".El\n");
}

static void put_status(int status, const char *plus, const char *meaning)
{
	char text[16];

	snprintf(text, sizeof(text), "%d%s", status, plus);
	mdoc_put_status(text, meaning);
}

static void put_exit_statuses(void)
{
	printf(".Sh EXIT STATUS\n.Bl -tag -width Ds\n");
	put_status(EXIT_STATUS_OK, "", "It was done.");
	put_status(EXIT_STATUS_ERROR, "",
		   "It could not be done, or not all of it; a line on standard error says why.");
	put_status(EXIT_STATUS_USAGE, "", "The command line is wrong. Nothing was done.");
	put_status(EXIT_STATUS_FOUND, "",
		   "It was done, and there is something: problems that remain (fsck), or a "
		   "difference (diff).");
	put_status(EXIT_STATUS_SIGNAL, "+N",
		   "Signal N stopped it: 130 for SIGINT, 143 for SIGTERM.");
	printf(".El\n");
}

static void put_examples(void)
{
	printf(".Sh EXAMPLES\n");
	mdoc_put_text("Make a store, put an image in and get it back:");
	printf(".Bd -literal -offset indent\n"
	       "export STELLARIUM_STORE=/srv/images\n"
	       "stellarium init\n"
	       "stellarium import --name debian-12 disk.img\n"
	       "stellarium export debian-12 copy.img\n"
	       ".Ed\n.Pp\n");
	mdoc_put_text("Keep what a pipe brings, and look at its begin:");
	printf(".Bd -literal -offset indent\n"
	       "xz -dc disk.img.xz | stellarium import --name debian-11 -\n"
	       "stellarium cat debian-11 --bytes 512 | xxd\n"
	       ".Ed\n.Pp\n");
	mdoc_put_text("An encrypted store, whose key is in a file:");
	printf(".Bd -literal -offset indent\n"
	       "head -c 32 /dev/urandom > key.bin\n"
	       "stellarium --store /srv/secret --key-file key.bin init --encrypt\n"
	       ".Ed\n"
	       ".Sh SEE ALSO\n.Xr volt-vmm 1\n");
}

static void write_man(void)
{
	printf(".\\\" SPDX-License-Identifier: Apache-2.0\n"
	       ".\\\" Written by tools/gen-stellarium-docs.\n"
	       ".Dd %s\n.Dt STELLARIUM 1\n.Os\n"
	       ".Sh NAME\n.Nm stellarium\n.Nd keep images of machines in a store\n"
	       ".Sh SYNOPSIS\n.Nm\n.Op Fl -store Ar DIR\n.Ar verb\n.Op Ar option ...\n"
	       ".Op Ar operand ...\n",
	       page_date);
	put_description();
	put_verbs();
	put_options();
	put_environment();
	put_exit_statuses();
	put_examples();
}

static void put_operands(const struct verb *verb)
{
	if (strcmp(verb->name, "help") != 0)
		return;
	for (size_t i = 0; i < stellarium_verbs.nr; i++) {
		const int len = (int)verb_new_topic(&stellarium_verbs, i);

		if (len > 0)
			printf(" %.*s", len, stellarium_verbs.rows[i].name);
	}
}

static void write_completion(void)
{
	/* In a session without a terminal: nothing may ask for a passphrase here. */
	completion_write(&(const struct completion){
		.list = &stellarium_verbs,
		.generator = "gen-stellarium-docs",
		.list_names = "setsid -w stellarium ls 2>/dev/null | sed '1d;s/ .*//'",
		.put_operands = put_operands,
	});
}

int main(int argc, char *argv[])
{
	if (argc == 2 && strcmp(argv[1], "man") == 0) {
		write_man();
	} else if (argc == 2 && strcmp(argv[1], "completion") == 0) {
		write_completion();
	} else {
		fprintf(stderr, "usage: gen-stellarium-docs man|completion\n");
		return EXIT_FAILURE;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

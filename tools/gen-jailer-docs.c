/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen-jailer-docs man|completion: writes the manual page (mdoc(7)) or the bash completion of jailer to
 * standard output, from the table of options that it parses by. Runs at build time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jailer/options.h"
#include "tools/mdoc.h"

/* When the page last changed its meaning: a build must not depend on the day it runs. */
static const char page_date[] = "November 29, 2026";

/* The name behind its first dash, as .Fl wants it. */
static const char *flag_name(const struct jailer_option *option)
{
	return option->name + 1;
}

static void put_flag(const struct jailer_option *option)
{
	printf("Fl %s%s%s%s\n", flag_name(option), option->arg ? " Ar " : "",
	       option->arg ? option->arg : "", option->is_repeatable ? " ..." : "");
}

static void put_synopsis(void)
{
	printf(".Sh SYNOPSIS\n.Nm\n");
	for (size_t i = 0; i < jailer_option_count; i++) {
		printf(jailer_option_table[i].is_required ? "." : ".Op ");
		put_flag(&jailer_option_table[i]);
	}
	printf(".Op Fl - Ar argument ...\n"
	       ".Nm\n.Fl -cleanup\n.Fl -id Ar ID\n.Fl -exec-file Ar PATH\n"
	       ".Op Fl -chroot-base-dir Ar PATH\n.Op Fl -parent-cgroup Ar PATH\n");
}

static void put_description(void)
{
	printf(".Sh DESCRIPTION\n.Nm\n");
	mdoc_put_text(
		"runs a virtual machine monitor in a folder of its own, as a user of its own. Its "
		"command line, its folders and its steps are those of Firecracker's program of the "
		"same name; what is behind -- is for the monitor, which also gets --id and the "
		"times that its metrics tell.");
	printf(".Pp\n");
	mdoc_put_text(
		"The folder is <base>/<program>/<id>/root. Disks, kernels and a configuration file "
		"may be put there before; their paths are those that the program sees. The "
		"program is copied into it, and finds /dev/kvm, /dev/net/tun, /dev/urandom, "
		"/dev/userfaultfd where the host has it, and /run, where its API's socket is made. "
		"<program>.pid holds its process id.");
	printf(".Pp\n");
	mdoc_put_text("No environment variable and no open file of the caller reaches the program. "
		      "No symbolic link below the base folder is followed, and a file that is in "
		      "the way and has another name elsewhere is refused. When a step fails, "
		      "what the steps before it have made is removed. An id is used once: "
		      "--cleanup makes it free.");
	printf(".Pp\n");
	mdoc_put_text("Without root, a user namespace takes its place: --uid and --gid are then "
		      "the caller's own, the base folder must be the caller's, the host's devices "
		      "appear in the jail with the host's permissions, and cgroups are those that "
		      "were delegated to the caller.");
}

static void put_options(void)
{
	printf(".Sh OPTIONS\n.Bl -tag -width Ds\n");
	for (size_t i = 0; i < jailer_option_count; i++) {
		printf(".It ");
		put_flag(&jailer_option_table[i]);
		mdoc_put_text(jailer_option_table[i].details);
	}
	printf(".El\n");
}

static void put_rest(void)
{
	printf(".Sh EXIT STATUS\n");
	mdoc_put_text("1 after a failure, which one line on standard error tells. Otherwise the "
		      "jailer becomes the program, whose status it is; with --daemonize or "
		      "--new-pid-ns, 0 when the program has been started.");
	printf(".Sh EXAMPLES\n");
	mdoc_put_text("A virtual machine whose kernel and configuration are in its jail:");
	printf(".Bd -literal -offset indent\n"
	       "mkdir -p /srv/jailer/firecracker/vm1/root\n"
	       "cp vmlinux vm.json /srv/jailer/firecracker/vm1/root\n"
	       "jailer --id vm1 --exec-file /usr/bin/firecracker --uid 123 --gid 100 \\e\n"
	       "        --cgroup-version 2 --cgroup memory.max=268435456 --daemonize \\e\n"
	       "        -- --config-file /vm.json\n"
	       "jailer --cleanup --id vm1 --exec-file /usr/bin/firecracker\n"
	       ".Ed\n"
	       ".Sh SEE ALSO\n.Xr volt-vmm 1 ,\n.Xr cgroups 7\n");
}

static void write_man(void)
{
	printf(".\\\" SPDX-License-Identifier: Apache-2.0\n"
	       ".\\\" Written by tools/gen-jailer-docs.\n"
	       ".Dd %s\n.Dt JAILER 1\n.Os\n"
	       ".Sh NAME\n.Nm jailer\n.Nd run a virtual machine monitor in a jail\n",
	       page_date);
	put_synopsis();
	put_description();
	put_options();
	put_rest();
}

/* "a|b)" of the options that @is_one is true for. */
static void put_case(int (*is_one)(const struct jailer_option *))
{
	const char *separator = "\t";

	for (size_t i = 0; i < jailer_option_count; i++) {
		if (!is_one(&jailer_option_table[i]))
			continue;
		printf("%s%s", separator, jailer_option_table[i].name);
		separator = "|";
	}
	printf(")\n");
}

static int is_path(const struct jailer_option *option)
{
	return option->is_path;
}

static int is_text(const struct jailer_option *option)
{
	return option->arg && !option->is_path && !option->choices;
}

/* No match in the function means that file names are completed (-o default). */
static void write_completion(void)
{
	printf("# SPDX-License-Identifier: Apache-2.0\n"
	       "# bash completion for jailer; written by tools/gen-jailer-docs.\n"
	       "_jailer()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} words\n"
	       "\tCOMPREPLY=()\n\tcase $option in\n");
	put_case(is_path);
	printf("\t\treturn ;;\n");
	put_case(is_text);
	printf("\t\tcompopt +o default\n\t\treturn ;;\n");
	for (size_t i = 0; i < jailer_option_count; i++) {
		const struct jailer_option *option = &jailer_option_table[i];

		if (!option->choices)
			continue;
		printf("\t%s)\n\t\twords=\"", option->name);
		for (size_t c = 0; option->choices[c]; c++)
			printf("%s%s", c > 0 ? " " : "", option->choices[c]);
		printf("\" ;;\n");
	}
	printf("\t*)\n\t\twords=\"");
	for (size_t i = 0; i < jailer_option_count; i++)
		printf("%s%s", i > 0 ? " " : "", jailer_option_table[i].name);
	printf("\" ;;\n\tesac\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "\tif [[ ${COMPREPLY-} == *= ]]; then\n\t\tcompopt -o nospace\n\tfi\n"
	       "}\n"
	       "complete -o default -F _jailer jailer\n");
}

int main(int argc, char *argv[])
{
	if (argc == 2 && strcmp(argv[1], "man") == 0) {
		write_man();
	} else if (argc == 2 && strcmp(argv[1], "completion") == 0) {
		write_completion();
	} else {
		fprintf(stderr, "usage: gen-jailer-docs man|completion\n");
		return EXIT_FAILURE;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function for GNU make, $(exec-run PROGRAM,COMMAND): make becomes "PROGRAM --cmd COMMAND" (or
 * PROGRAM alone when COMMAND is empty), so that `make run` ends with the guest's status. A failing
 * recipe would make it 2 whatever the status was. GNU make manual, "Loading Dynamic Objects".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gnumake.h>

int make_exec_gmk_setup(const gmk_floc *floc);

/* make wants to see this; the Apache License 2.0 is compatible with its own, version 3. */
int plugin_is_GPL_compatible;

static char *exec_run(const char *name, unsigned int argc, char *argv[])
{
	char option[] = "--cmd";
	char *const with_command[] = { argv[0], option, argv[1], NULL };
	char *const without[] = { argv[0], NULL };

	(void)argc;
	fflush(NULL);
	execv(argv[0], argv[1][0] ? with_command : without);
	fprintf(stderr, "%s: cannot run '%s': %s\n", name, argv[0], strerror(errno));
	return NULL; /* the recipe behind us takes over */
}

int make_exec_gmk_setup(const gmk_floc *floc)
{
	(void)floc;
	gmk_add_function("exec-run", exec_run, 2, 2, GMK_FUNC_DEFAULT);
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that make and check CPU templates: see cmd.h. */
#include "control/cmd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/quote.h"
#include "control/cpu_baseline.h"
#include "control/cpu_check.h"
#include "control/cpu_host.h"
#include "control/cpu_template.h"
#include "control/exit_status.h"
#include "control/options.h"

/* Two templates at a time, of 24 KiB each: static, touched only when a verb runs. */
static struct cpu_template first, second;

/* The same for a file: what was written only counts when all of it has arrived. */
static int finish_file(FILE *to, const char *path)
{
	bool is_bad = ferror(to) != 0;
	struct err e = { 0 };

	if (fclose(to) == 0 && !is_bad)
		return EXIT_STATUS_OK;
	err_errno(&e, errno ? -errno : -EIO, "cannot write %s", quote(path).text);
	return cmd_fail(&e);
}

int cmd_cpu_dump(struct options *o)
{
	const char *path = o->nr_operands > 0 ? o->operands[0] : NULL;
	struct err e = { 0 };
	FILE *to = stdout;

	if (cpu_host_describe(NULL, &first, &e) < 0)
		return cmd_fail(&e);
	if (path)
		to = fopen(path, "we");
	if (!to) {
		err_errno(&e, -errno, "cannot write %s", quote(path).text);
		return cmd_fail(&e);
	}
	cpu_template_print(&first, to);
	return path ? finish_file(to, path) : cmd_finish(EXIT_STATUS_OK);
}

int cmd_cpu_baseline(struct options *o)
{
	struct err e = { 0 };

	if (cpu_template_load(o->operands[0], &first, &e) < 0)
		return cmd_fail(&e);
	for (int i = 1; i < o->nr_operands; i++) {
		if (cpu_template_load(o->operands[i], &second, &e) < 0 ||
		    cpu_baseline_add(&first, &second, o->operands[i], &e) < 0)
			return cmd_fail(&e);
	}
	cpu_template_print(&first, stdout);
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_cpu_check(struct options *o)
{
	struct err e = { 0 };
	unsigned nr_missing;

	if (cpu_template_load(o->operands[0], &first, &e) < 0 ||
	    cpu_host_describe(&first, &second, &e) < 0)
		return cmd_fail(&e);
	nr_missing = cpu_check(&first, &second, o->is_json, stdout);
	return cmd_finish(nr_missing > 0 ? EXIT_STATUS_ERROR : EXIT_STATUS_OK);
}

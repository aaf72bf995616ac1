/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU templates: whatever the file, an error with a message or a template within its bounds, which
 * reads the same when it is written and read again, and is its own common denominator's upper
 * bound.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cpu_baseline.h"
#include "control/cpu_check.h"
#include "control/cpu_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static char *print(const struct cpu_template *t, size_t *size)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, size);

	require(to, "set-up");
	cpu_template_print(t, to);
	fclose(to);
	return text;
}

static void check_itself(const struct cpu_template *t)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	require(to, "set-up");
	cpu_check(t, t, true, to);
	fclose(to);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cpu_template t, again;
	struct err e = { 0 };
	size_t first_size, second_size;
	char *first, *second;
	int r = cpu_template_parse("fuzz", (const char *)data, size, &t, &e);

	require(r == 0 || (r == -EBADMSG && e.msg[0] != '\0'), "known result");
	if (r < 0)
		return 0;
	require(t.nr_cpuid <= WIRE_MAX_CPUID && t.nr_msrs <= WIRE_MAX_MSRS &&
			t.nr_capabilities <= WIRE_MAX_CAPABILITIES,
		"bounds");
	first = print(&t, &first_size);
	require(cpu_template_parse("again", first, first_size, &again, &e) == 0, "reads again");
	require(memcmp(&t, &again, sizeof(t)) == 0, "reads the same");
	check_itself(&t);
	require(cpu_baseline_add(&again, &t, "again", &e) == 0, "has a baseline");
	second = print(&again, &second_size);
	require(cpu_template_parse("baseline", second, second_size, &again, &e) == 0,
		"a baseline is a template");
	free(first);
	free(second);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a bash completion to standard output from a program's tables of verbs and options. */
#pragma once

#include "base/verb.h"

struct completion {
	const struct verb_list *list;
	const char *generator; /* this program, for a comment */
	const char *first_verb; /* what is meant without a verb; NULL: options may be before it */
	const char *list_names; /* a command that prints the names of VMs or images, a line each */

	/* Prints the words that operands of a verb can be, a space before each. May be NULL. */
	void (*put_operands)(const struct verb *verb);
};

void completion_write(const struct completion *c);

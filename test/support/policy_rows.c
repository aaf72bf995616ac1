/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the table of system calls (jail/policy.h) for tests, one row a line, with tabs between:
 * number, name, kinds of threads, errno, checks as argument:mask:value, reason.
 */
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>

#include "jail/policy.h"

int main(void)
{
	size_t nr;
	const struct jail_syscall *rows = jail_policy(&nr);

	for (size_t i = 0; i < nr; i++) {
		printf("%d\t%s\t", seccomp_syscall_resolve_name(rows[i].name), rows[i].name);
		for (int t = 0; t < JAIL_THREADS; t++) {
			if (rows[i].threads & 1u << t)
				printf("%s ", jail_thread_name((enum jail_thread)t));
		}
		printf("\t%d\t", rows[i].error);
		for (size_t c = 0; c < JAIL_CHECKS_MAX && rows[i].checks[c].mask != 0; c++)
			printf("%" PRIu32 ":%#" PRIx64 ":%#" PRIx64 " ", rows[i].checks[c].argument,
			       rows[i].checks[c].mask, rows[i].checks[c].value);
		printf("\t%s\n", rows[i].reason);
	}
	return 0;
}

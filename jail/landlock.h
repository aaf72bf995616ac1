/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock (landlock(7)): what a process that is nobody in particular can still forbid itself.
 *
 *	drops	every path that no rule names, and executing, making devices and renaming across
 *		folders (but for JAIL_ACCESS_MOVE); TCP; abstract sockets and signals of processes outside
 *	must still work	open descriptors; threads of this process signalling each other
 *
 * What is forbidden depends on the kernel's version of Landlock (its ABI); jail_landlock_missing()
 * says what the others would add. Once applied it holds for this thread and for those that it
 * starts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum jail_access {
	JAIL_ACCESS_READ, /* files and folders below the path */
	JAIL_ACCESS_WRITE, /* also create, remove and rename there */
	JAIL_ACCESS_MOVE, /* also across folders below it (ABI 1 forbids that), also links */
};

enum { JAIL_LANDLOCK_BEST_ABI = 6 }; /* the first with all that we ask for */

struct jail_path_rule {
	const char *path; /* borrowed: a folder or a file */
	enum jail_access access;
};

struct jail_landlock_plan {
	const struct jail_path_rule *rules; /* borrowed; paths that do not exist are left out */
	uint32_t nr_rules;
	bool is_scoped; /* also no signals to, and no abstract sockets of, processes outside */
};

/* The ABI of this kernel: 1 or more; 0 when it has no Landlock or does not use it. */
int jail_landlock_abi(void);

/* What version @abi lacks, as text for people; NULL when nothing. */
const char *jail_landlock_missing(int abi);

/* Applies the plan. Needs no_new_privs. 0 or -errno with @e filled; -ENOSYS: no Landlock here. */
int jail_landlock(const struct jail_landlock_plan *plan, struct err *e);

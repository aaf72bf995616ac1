/* SPDX-License-Identifier: Apache-2.0 */
/* What root.c, root_name.c and root_list.c share. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "stellar/root.h"

#define ROOT_TEMPORARY "+tmp."

enum {
	ROOT_SLASHES_MAX = 25,
	ROOT_FILE_NAME_BYTES = ROOT_NAME_MAX + 2 * ROOT_SLASHES_MAX + 1, /* with the NUL */
};

/* The file's name of the valid name @name. */
void root_file_name(const char *name, char file[static ROOT_FILE_NAME_BYTES]);

/* The valid name that has this file, or -EINVAL. */
int root_name_of_file(const char *file, char name[static ROOT_NAME_MAX + 1]);

/*
 * Locks the directory by a descriptor of its own; closing that unlocks it. @operation is of flock(2).
 * Returns the descriptor or -errno with @e filled.
 */
int root_lock(int roots_fd, int operation, struct err *e);

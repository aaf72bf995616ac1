/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program to run: opened and looked at before a jail is made for it, copied into the jail.
 */
#pragma once

#include <limits.h>

#include "base/err.h"

struct program {
	int fd; /* owned; -1: none */
	unsigned int mode; /* permission bits */
	char loader[PATH_MAX]; /* that must be in the jail; "": linked statically */
};

/* 0 or -errno with @e filled: it must be a regular, executable ELF file for this processor. */
int program_open(struct program *p, const char *path, struct err *e);

/*
 * Copies it into the folder @to, which must be ours alone, as @name. A file that is there is replaced,
 * but not a link. 0 or -errno with @e filled.
 */
int program_copy(const struct program *p, int to, const char *name, struct err *e);

/* Finds what would keep it from being executed in the jail @root. 0 or -errno with @e filled. */
int program_check_place(const struct program *p, int root, struct err *e);

void program_close(struct program *p);

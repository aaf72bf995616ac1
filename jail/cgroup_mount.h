/* SPDX-License-Identifier: Apache-2.0 */
/* Where hierarchies of cgroups are mounted, from the text of /proc/self/mountinfo (proc(5)). */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

enum {
	CGROUP_V1 = 1,
	CGROUP_V2 = 2,
};

struct cgroup_mount {
	int version;
	char path[PATH_MAX];
	char options[256]; /* of version 1: "rw,cpu,cpuacct" */
};

/*
 * Reads on to the next such mount. 1: it is in @out; 0: there is none up to the end; -errno: the text
 * cannot be read. Lines that make no sense are passed over.
 */
int cgroup_mount_next(FILE *mountinfo, struct cgroup_mount *out);

/* Whether @list, "rw,cpu,cpuacct", has the word @word of @len bytes in it. */
bool cgroup_list_has(const char *list, char separator, const char *word, size_t len);

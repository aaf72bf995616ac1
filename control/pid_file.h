/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that says which process we are. It is written beside its place first, so that a bad path
 * is known before anything runs, and appears whole.
 */
#pragma once

#include "base/err.h"

struct pid_file {
	const char *path; /* borrowed: outlives the file; NULL: none */
	char *draft; /* owned: the file's name before it is published */
	int fd; /* owned: no other file has its number while it is open; 0: none */
};

/*
 * Writes the process id to a draft in the folder of @path (NULL: does nothing). Refuses to replace
 * what is no regular file. 0 or -errno with @e.
 */
int pid_file_open(struct pid_file *f, const char *path, struct err *e);

/* Lets it appear. 0 or -errno with @e. */
int pid_file_publish(struct pid_file *f, struct err *e);

/* Removes it, if it still is ours. Accepts a zeroed object, and may be called twice. */
void pid_file_close(struct pid_file *f);

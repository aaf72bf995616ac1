/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes of the files that the kernel puts in a cgroup's folder. */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* The start of the file's text, at most @size - 1 bytes. Returns the length or -errno. */
int cgroup_file_read(int folder, const char *file, char *text, size_t size);

/* Writes @value and a newline at once, as the kernel wants it. 0 or -errno with @e filled. */
int cgroup_file_write(int folder, const char *file, const char *value, struct err *e);

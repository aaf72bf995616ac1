/* SPDX-License-Identifier: Apache-2.0 */
/* file: reads small text files, those of /proc and /sys for the most part, in one piece. */
#pragma once

#include <stddef.h>

/*
 * Reads a whole file into buf and ends it with a NUL. Returns its length, -E2BIG if it does not
 * fit, or -errno; buf holds a string in every case.
 */
int file_read(const char *path, char *buf, size_t size);

/* Likewise, without the white space at the end: for files of one line. */
int file_read_line(const char *path, char *buf, size_t size);

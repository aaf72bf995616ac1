/* SPDX-License-Identifier: Apache-2.0 */
/* Which known word somebody may have meant: for messages about unknown options and keys. */
#pragma once

#include <stddef.h>

/*
 * Of two names, the one that is more like @word (@len bytes): one that starts with it, else the one
 * with fewer edits (Levenshtein distance). @best may be NULL; ties go to @best. Folding this over a
 * table finds the nearest name. Only the first 64 bytes are compared. Returns @best or @name.
 */
const char *suggest_nearer(const char *word, size_t len, const char *best, const char *name);

/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest known word: see suggest.h. */
#include "base/suggest.h"

#include <string.h>

enum { COMPARED_MAX = 64 };

static size_t min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Wagner and Fischer's table, one row at a time: row[j] turns a[0..i] into b[0..j]. */
static size_t edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[COMPARED_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t replace = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = min_of(replace, min_of(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_len];
}

/* 0 for a name that starts with the word: an abbreviation is the likeliest mistake. */
static size_t distance(const char *word, size_t len, const char *name)
{
	if (strncmp(word, name, len) == 0)
		return 0;
	return edits(word, len, name, strnlen(name, COMPARED_MAX));
}

const char *suggest_nearer(const char *word, size_t len, const char *best, const char *name)
{
	len = min_of(len, COMPARED_MAX);
	if (!best)
		return name;
	return distance(word, len, name) < distance(word, len, best) ? name : best;
}

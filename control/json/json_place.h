/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are in the text of a JSON document: a walk over text that has been parsed, by the
 * places of members and items, so that names need not be compared (a key may be written with
 * escapes). Thread: any.
 */
#pragma once

#include <stddef.h>

#include "control/json/json.h"

/* Bytes [start, end) of the text. */
struct json_span {
	size_t start;
	size_t end;
};

/*
 * Finds a value and, if it is a member, its key (with its quotes; an empty span if not). One that is
 * not there is where the one is that has not got it.
 */
struct json_span json_find(const struct json_node *node, struct json_span *key);

/* The next byte at or behind @at that is no white space, or the length. */
size_t json_skip_space(const struct json_doc *doc, size_t at);

/* Counted from 1: the line of byte @offset, and from 0 the bytes before it in that line. */
void json_line_column(const struct json_doc *doc, size_t offset, size_t *line, size_t *column);

/* Whether the text is nested at most JSON_DOC_MAX_DEPTH deep; else *@at is where it is not. */
bool json_is_shallow(const struct json_doc *doc, size_t *at);

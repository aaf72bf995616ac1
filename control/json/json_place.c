/* SPDX-License-Identifier: Apache-2.0 */
/* Places in the text of a JSON document: see json_place.h. */
#include "control/json/json_place.h"

#include <string.h>

size_t json_skip_space(const struct json_doc *doc, size_t at)
{
	while (at < doc->len && memchr(" \t\r\n", doc->text[at], 4))
		at++;
	return at;
}

/* @at is at the opening quote; returns the byte behind the closing one. */
static size_t skip_string(const struct json_doc *doc, size_t at)
{
	for (at++; at < doc->len && doc->text[at] != '"'; at++)
		at += doc->text[at] == '\\';
	return at < doc->len ? at + 1 : doc->len;
}

static size_t skip_scalar(const struct json_doc *doc, size_t at)
{
	while (at < doc->len && !memchr(" \t\r\n,:]}", doc->text[at], 8))
		at++;
	return at;
}

/* Brackets are balanced: the text has been parsed. */
static size_t skip_value(const struct json_doc *doc, size_t at)
{
	size_t depth = 0;

	if (at >= doc->len)
		return doc->len;
	if (!memchr("{[\"", doc->text[at], 3))
		return skip_scalar(doc, at);
	do {
		const char ch = doc->text[at];

		if (ch == '"') {
			at = skip_string(doc, at);
			continue;
		}
		depth += ch == '{' || ch == '[';
		depth -= ch == '}' || ch == ']';
		at++;
	} while (depth > 0 && at < doc->len);
	return at;
}

/* @at is at a bracket; returns the start of member or item number @nr, and the span of its key. */
static size_t enter(const struct json_doc *doc, size_t at, size_t nr, struct json_span *key)
{
	const bool is_object = at < doc->len && doc->text[at] == '{';

	*key = (struct json_span){ 0 };
	for (size_t i = 0;; i++) {
		at = json_skip_space(doc, at + 1); /* behind the bracket or a comma */
		if (is_object) {
			key->start = at;
			key->end = skip_string(doc, at);
			at = json_skip_space(doc, key->end);
			at = json_skip_space(doc, at + 1); /* behind the colon */
		}
		if (i == nr || at >= doc->len)
			return at;
		at = json_skip_space(doc, skip_value(doc, at));
	}
}

struct json_span json_find(const struct json_node *node, struct json_span *key)
{
	const struct json_node *way[JSON_DOC_MAX_DEPTH + 1];
	const struct json_doc *doc = node->doc;
	size_t at = json_skip_space(doc, 0);
	size_t nr = 0;

	*key = (struct json_span){ 0 };
	while (!node->value && node->parent)
		node = node->parent;
	for (; node->parent && nr < JSON_DOC_MAX_DEPTH; node = node->parent)
		way[nr++] = node;
	while (nr > 0)
		at = enter(doc, at, way[--nr]->at, key);
	return (struct json_span){ at, skip_value(doc, at) };
}

void json_line_column(const struct json_doc *doc, size_t offset, size_t *line, size_t *column)
{
	*line = 1;
	*column = 0;
	for (size_t i = 0; i < offset && i < doc->len; i++) {
		++*column;
		if (doc->text[i] == '\n') {
			++*line;
			*column = 0;
		}
	}
}

bool json_is_shallow(const struct json_doc *doc, size_t *at)
{
	size_t depth = 0;

	for (*at = 0; *at < doc->len; ++*at) {
		const char ch = doc->text[*at];

		if (ch == '"') {
			*at = skip_string(doc, *at) - 1;
			continue;
		}
		if ((ch == '{' || ch == '[') && ++depth > JSON_DOC_MAX_DEPTH)
			return false;
		if ((ch == '}' || ch == ']') && depth > 0)
			depth--;
	}
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents of others, read by tables into plain structs, with errors that say where.
 *
 *	struct json_doc doc;
 *	r = json_doc_parse(&doc, text, len, e);		-EBADMSG: no JSON
 *	struct json_node root = json_doc_root(&doc);
 *	r = json_read(&root, &shape, &body, &given, e);	-EBADMSG: not of this shape
 *	...						strings of `body` live as long as doc
 *	json_doc_release(&doc);
 *
 * Messages are worded like those of serde_json, which clients of Firecracker's API read, and end
 * with the place: "missing field `vcpu_count` at line 1 column 21". Jansson knows places for syntax
 * errors only, so the place of a key or value is found by a second walk over the text, when there
 * is an error to report. A column counts the bytes of the line up to the end of what is wrong.
 *
 * Strict: one value and nothing behind it, no key twice, no NUL in strings, depth and size bounded.
 * A number is judged by its text: integers up to 2^64-1 are exact, and 1.0 is no integer.
 *
 * Trap: if some integer of the document does not fit 63 bits, all integers of the tree
 * (json_node.value) are reals. json_read() does not mind.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

enum {
	JSON_DOC_MAX_BYTES = 16 << 20,
	JSON_DOC_MAX_DEPTH = 127, /* as serde_json */
	JSON_SHAPE_MAX_FIELDS = 64,
};

struct json_doc {
	const char *text; /* borrowed: outlives the document */
	size_t len;
	json_t *root; /* owned */
};

/* Parses @len bytes of @text. 0, -EBADMSG with @e filled, or -ENOMEM; *@doc is empty then. */
int json_doc_parse(struct json_doc *doc, const char *text, size_t len, struct err *e);

/* Accepts a zeroed object, and may be called twice. */
void json_doc_release(struct json_doc *doc);

/* A value and its way up to the root: a link of a chain on the stack. */
struct json_node {
	const struct json_doc *doc; /* borrowed */
	const struct json_node *parent; /* borrowed; NULL for the root */
	size_t at; /* place among the parent's members or items */
	json_t *value; /* borrowed from the document */
};

struct json_node json_doc_root(const struct json_doc *doc);

/* The member @key of an object; `value` is NULL when there is none. */
struct json_node json_member(const struct json_node *object, const char *key);

/* The item @at of an array that has it. */
struct json_node json_item(const struct json_node *array, size_t at);

/* Not there, or null. */
bool json_is_absent(const struct json_node *node);

enum json_kind {
	JSON_FIELD_BOOL, /* bool */
	JSON_FIELD_U8, /* uint8_t, and so on */
	JSON_FIELD_U16,
	JSON_FIELD_U32,
	JSON_FIELD_U64,
	JSON_FIELD_USIZE, /* uint64_t; for messages that say usize */
	JSON_FIELD_TEXT, /* const char *, borrowed from the document */
	JSON_FIELD_WORD, /* uint32_t: which of .words */
	JSON_FIELD_CUSTOM, /* whatever .read makes of it */
	JSON_FIELD_IGNORED,
};

struct json_field {
	const char *name;
	enum json_kind kind;
	bool is_required; /* all others may be absent or null */
	size_t offset; /* of what is filled; absent fields are left as they are */
	const char *const *words; /* for JSON_FIELD_WORD: NULL at the end */

	/* For JSON_FIELD_CUSTOM: reads @node into *@out, which is at .offset. */
	int (*read)(const struct json_node *node, void *out, struct err *e);
};

struct json_shape {
	const char *name; /* for "expected struct NAME" */
	const struct json_field *fields;
	size_t nr; /* at most JSON_SHAPE_MAX_FIELDS */
	bool allows_unknown;
	bool has_suggestions; /* unknown fields: name the nearest instead of all, for people */
};

/*
 * Reads an object into the struct @out, members in the order of the text. *@given (NULL: not
 * wanted) gets bit i for each fields[i] that is there and not null. 0, or -EBADMSG with @e filled
 * and *@out partly so (or what a .read returned).
 */
int json_read(const struct json_node *node, const struct json_shape *shape, void *out,
	      uint64_t *given, struct err *e);

/* One value of a kind, as above; @words for JSON_FIELD_WORD. */
int json_read_value(const struct json_node *node, enum json_kind kind, const char *const *words,
		    void *out, struct err *e);

/* How many items an array has: 0 to @max, or -EBADMSG. */
int json_read_list(const struct json_node *node, size_t max, struct err *e);

/* The text of a value, as it stands in the document. */
const char *json_source(const struct json_node *node, size_t *len);

/* A string; null for NULL. What is no UTF-8 (a path may be anything) becomes '?'. */
json_t *json_text_new(const char *text);

/* Fills @e with the message and the place of @node's end. Returns -EBADMSG. */
int json_refuse(const struct json_node *node, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "invalid type: map, expected @expected at ...". Returns -EBADMSG. */
int json_refuse_type(const struct json_node *node, const char *expected, struct err *e);

/* Adds the place of @node's end to the message in @e. Returns @code. */
int json_blame(const struct json_node *node, int code, struct err *e);

/* "unknown field `@key`, expected ..." for a member that @shape has not got. */
int json_refuse_field(const struct json_node *member, const char *key,
		      const struct json_shape *shape, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing JSON, and messages that say where: see json.h. */
#include "control/json/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/quote.h"
#include "base/suggest.h"
#include "control/json/json_place.h"

enum { NAME_BYTES = 64 };

/* Foreign text between quotes of ours: on one line, of bounded length. */
struct name {
	char text[QUOTE_BYTES];
};

static struct name name_of(const char *text)
{
	struct quoted q = quote(text);
	struct name n = { .text = "" };

	memcpy(n.text, q.text + 1, strlen(q.text) - 2);
	return n;
}

static int refuse_at(const struct json_doc *doc, size_t offset, struct err *e, const char *message)
{
	size_t line, column;

	json_line_column(doc, offset, &line, &column);
	return err_set(e, -EBADMSG, "%s at line %zu column %zu", message, line, column);
}

/* The key that jansson met a second time ends where it stopped. Quotes inside of it are escaped. */
static int refuse_duplicate(const struct json_doc *doc, size_t end, struct err *e)
{
	char message[QUOTE_BYTES + NAME_BYTES];
	size_t start = end > 0 ? end - 1 : 0;
	struct quoted key;

	while (start > 1 && (doc->text[start - 1] != '"' || doc->text[start - 2] == '\\'))
		start--;
	key = quote_part(doc->text + start, end > start ? end - 1 - start : 0);
	snprintf(message, sizeof(message), "duplicate field `%.*s`", (int)strlen(key.text) - 2,
		 key.text + 1);
	return refuse_at(doc, end, e, message);
}

static int refuse_syntax(const struct json_doc *doc, const json_error_t *why, struct err *e)
{
	const size_t at = why->position > 0 ? (size_t)why->position : 0;

	switch (json_error_code(why)) {
	case json_error_out_of_memory:
		return err_set(e, -ENOMEM, "out of memory");
	case json_error_duplicate_key:
		return refuse_duplicate(doc, min_u64(at, doc->len), e);
	case json_error_premature_end_of_input:
		return refuse_at(doc, doc->len, e, "EOF while parsing a value");
	case json_error_end_of_input_expected:
		return refuse_at(doc, at, e, "trailing characters");
	case json_error_numeric_overflow:
		return refuse_at(doc, at, e, "number out of range");
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return refuse_at(doc, at, e, "a string holds the character \\u0000");
	default:
		return refuse_at(doc, at, e, name_of(why->text).text);
	}
}

int json_doc_parse(struct json_doc *doc, const char *text, size_t len, struct err *e)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	const struct json_doc source = { .text = text, .len = len };
	json_error_t why;
	json_t *root;
	size_t at;

	*doc = (struct json_doc){ 0 };
	if (len > JSON_DOC_MAX_BYTES)
		return err_set(e, -EBADMSG, "%zu bytes of JSON; at most %d are read", len,
			       JSON_DOC_MAX_BYTES);
	if (!json_is_shallow(&source, &at))
		return refuse_at(&source, at + 1, e, "recursion limit exceeded");
	root = json_loadb(text, len, flags, &why);
	if (!root && json_error_code(&why) == json_error_numeric_overflow)
		root = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, &why);
	if (!root)
		return refuse_syntax(&source, &why, e);
	*doc = (struct json_doc){ .text = text, .len = len, .root = root };
	return 0;
}

void json_doc_release(struct json_doc *doc)
{
	json_decref(doc->root);
	*doc = (struct json_doc){ 0 };
}

struct json_node json_doc_root(const struct json_doc *doc)
{
	return (struct json_node){ .doc = doc, .value = doc->root };
}

struct json_node json_member(const struct json_node *object, const char *key)
{
	struct json_node node = { .doc = object->doc, .parent = object };
	const char *name;
	json_t *value;

	json_object_foreach(object->value, name, value)
	{
		if (strcmp(name, key) == 0) {
			node.value = value;
			break;
		}
		node.at++;
	}
	return node;
}

struct json_node json_item(const struct json_node *array, size_t at)
{
	return (struct json_node){
		.doc = array->doc,
		.parent = array,
		.at = at,
		.value = json_array_get(array->value, at),
	};
}

bool json_is_absent(const struct json_node *node)
{
	return !node->value || json_is_null(node->value);
}

const char *json_source(const struct json_node *node, size_t *len)
{
	struct json_span key;
	const struct json_span span = json_find(node, &key);

	*len = span.end - span.start;
	return node->doc->text + span.start;
}

json_t *json_text_new(const char *text)
{
	json_t *json = text ? json_string(text) : json_null();
	auto_free char *copy = NULL;

	if (json || !text)
		return json;
	copy = strdup(text);
	for (char *s = copy; s && *s; s++) {
		if ((unsigned char)*s >= 0x80)
			*s = '?';
	}
	return copy ? json_string(copy) : NULL;
}

int json_refuse(const struct json_node *node, struct err *e, const char *fmt, ...)
{
	char message[ERR_MSG_BYTES];
	struct json_span key;
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	return refuse_at(node->doc, json_find(node, &key).end, e, message);
}

int json_blame(const struct json_node *node, int code, struct err *e)
{
	const struct err why = e ? *e : (struct err){ 0 };
	struct json_span key;

	refuse_at(node->doc, json_find(node, &key).end, e, why.msg);
	if (e)
		e->code = code;
	return code;
}

int json_refuse_type(const struct json_node *node, const char *expected, struct err *e)
{
	char message[QUOTE_BYTES + 2 * NAME_BYTES];
	struct json_span key;
	const struct json_span span = json_find(node, &key);
	const bool is_container = json_is_object(node->value) || json_is_array(node->value);
	const struct quoted text = quote_part(node->doc->text + span.start, span.end - span.start);
	const int len = (int)strlen(text.text) - 2;
	const char *kind = "null";

	switch (json_is_absent(node) ? JSON_NULL : json_typeof(node->value)) {
	case JSON_OBJECT:
		kind = "map";
		break;
	case JSON_ARRAY:
		kind = "sequence";
		break;
	case JSON_STRING:
		snprintf(message, sizeof(message), "invalid type: string \"%s\", expected %s",
			 name_of(json_string_value(node->value)).text, expected);
		return refuse_at(node->doc, span.end, e, message);
	case JSON_INTEGER:
		kind = "integer";
		break;
	case JSON_REAL:
		kind = "floating point";
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		kind = "boolean";
		break;
	case JSON_NULL:
		break;
	}
	if (is_container || json_is_absent(node))
		snprintf(message, sizeof(message), "invalid type: %s, expected %s", kind, expected);
	else
		snprintf(message, sizeof(message), "invalid type: %s `%.*s`, expected %s", kind,
			 len, text.text + 1, expected);
	return refuse_at(node->doc, is_container ? span.start : span.end, e, message);
}

/* "`a`", "`a` or `b`", "one of `a`, `b`, `c`": as serde. */
static void list_names(const struct json_shape *shape, char *to, size_t size)
{
	size_t used = (size_t)snprintf(to, size, "%s", shape->nr > 2 ? "one of " : "");

	for (size_t i = 0; i < shape->nr && used < size; i++) {
		const char *between = i == 0 ? "" : shape->nr == 2 ? " or " : ", ";

		used += (size_t)snprintf(to + used, size - used, "%s`%s`", between,
					 shape->fields[i].name);
	}
}

int json_refuse_field(const struct json_node *member, const char *key,
		      const struct json_shape *shape, struct err *e)
{
	char message[ERR_MSG_BYTES];
	char names[ERR_MSG_BYTES - QUOTE_BYTES - NAME_BYTES] = "";
	const char *nearest = NULL;
	struct json_span span;

	json_find(member, &span);
	for (size_t i = 0; i < shape->nr; i++)
		nearest = suggest_nearer(key, strlen(key), nearest, shape->fields[i].name);
	list_names(shape, names, sizeof(names));
	if (shape->has_suggestions)
		snprintf(message, sizeof(message), "unknown field `%s`, the nearest is `%s`",
			 name_of(key).text, nearest ? nearest : "");
	else
		snprintf(message, sizeof(message), "unknown field `%s`, expected %s",
			 name_of(key).text, names);
	return refuse_at(member->doc, json_skip_space(member->doc, span.end), e, message);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON into structs by tables: see json.h. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "base/quote.h"
#include "control/json/json.h"

enum { INTEGER_MAX_DIGITS = 20 }; /* of 2^64 - 1 */

struct integer_kind {
	const char *name;
	uint64_t max;
	size_t bytes;
};

static const struct integer_kind integer_kinds[] = {
	[JSON_FIELD_U8] = { "u8", UINT8_MAX, 1 },
	[JSON_FIELD_U16] = { "u16", UINT16_MAX, 2 },
	[JSON_FIELD_U32] = { "u32", UINT32_MAX, 4 },
	[JSON_FIELD_U64] = { "u64", UINT64_MAX, 8 },
	[JSON_FIELD_USIZE] = { "usize", UINT64_MAX, 8 },
};

static void store(void *out, uint64_t number, size_t bytes)
{
	const uint8_t u8 = (uint8_t)number;
	const uint16_t u16 = (uint16_t)number;
	const uint32_t u32 = (uint32_t)number;

	switch (bytes) {
	case 1:
		memcpy(out, &u8, sizeof(u8));
		break;
	case 2:
		memcpy(out, &u16, sizeof(u16));
		break;
	case 4:
		memcpy(out, &u32, sizeof(u32));
		break;
	default:
		memcpy(out, &number, sizeof(number));
		break;
	}
}

/* Whether the value's text is that of an integer; if it has no sign and fits, *@number is it. */
static bool read_digits(const struct json_node *node, bool *is_good, uint64_t *number)
{
	char digits[INTEGER_MAX_DIGITS + 1] = "";
	size_t len;
	const char *text = json_source(node, &len);
	const size_t sign = len > 0 && text[0] == '-';

	for (size_t i = sign; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	*is_good = false;
	if (sign == 0 && len <= INTEGER_MAX_DIGITS) {
		memcpy(digits, text, len);
		*is_good = parse_u64(digits, number) == 0;
	}
	return true;
}

static int read_integer(const struct json_node *node, enum json_kind kind, void *out, struct err *e)
{
	const struct integer_kind *k = &integer_kinds[kind];
	uint64_t number = 0;
	bool is_good = true;

	if (json_is_integer(node->value)) {
		const json_int_t value = json_integer_value(node->value);

		is_good = value >= 0;
		number = (uint64_t)value;
	} else if (!json_is_real(node->value) || !read_digits(node, &is_good, &number)) {
		return json_refuse_type(node, k->name, e);
	}
	if (!is_good || number > k->max) {
		size_t len;
		const char *text = json_source(node, &len);
		const struct quoted shown = quote_part(text, len);

		return json_refuse(node, e, "invalid value: integer `%.*s`, expected %s",
				   (int)strlen(shown.text) - 2, shown.text + 1, k->name);
	}
	store(out, number, k->bytes);
	return 0;
}

static int refuse_word(const struct json_node *node, const char *const *words, struct err *e)
{
	const struct quoted shown = quote(json_string_value(node->value));
	char list[256] = "";
	size_t used = 0;
	size_t nr = 0;

	while (words[nr])
		nr++;
	for (size_t i = 0; i < nr && used < sizeof(list); i++) {
		const char *between = i > 0 ? (nr == 2 ? " or " : ", ") : nr > 2 ? "one of " : "";

		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s`%s`", between,
					 words[i]);
	}
	return json_refuse(node, e, "unknown variant `%.*s`, expected %s",
			   (int)strlen(shown.text) - 2, shown.text + 1, list);
}

static int read_word(const struct json_node *node, const char *const *words, void *out,
		     struct err *e)
{
	if (!json_is_string(node->value))
		return json_refuse_type(node, "a string", e);
	for (uint32_t i = 0; words[i]; i++) {
		if (strcmp(json_string_value(node->value), words[i]) == 0) {
			memcpy(out, &i, sizeof(i));
			return 0;
		}
	}
	return refuse_word(node, words, e);
}

int json_read_value(const struct json_node *node, enum json_kind kind, const char *const *words,
		    void *out, struct err *e)
{
	switch (kind) {
	case JSON_FIELD_BOOL:
		if (!json_is_boolean(node->value))
			return json_refuse_type(node, "a boolean", e);
		*(bool *)out = json_is_true(node->value);
		return 0;
	case JSON_FIELD_U8:
	case JSON_FIELD_U16:
	case JSON_FIELD_U32:
	case JSON_FIELD_U64:
	case JSON_FIELD_USIZE:
		return read_integer(node, kind, out, e);
	case JSON_FIELD_TEXT:
		if (!json_is_string(node->value))
			return json_refuse_type(node, "a string", e);
		*(const char **)out = json_string_value(node->value);
		return 0;
	case JSON_FIELD_WORD:
		return read_word(node, words, out, e);
	case JSON_FIELD_CUSTOM:
	case JSON_FIELD_IGNORED:
		break;
	}
	return 0;
}

static int read_field(const struct json_node *node, const struct json_field *field, void *out,
		      struct err *e)
{
	void *target = (char *)out + field->offset;

	if (field->kind == JSON_FIELD_CUSTOM)
		return field->read(node, target, e);
	return json_read_value(node, field->kind, field->words, target, e);
}

static size_t find_field(const struct json_shape *shape, const char *name)
{
	size_t i = 0;

	while (i < shape->nr && strcmp(shape->fields[i].name, name) != 0)
		i++;
	return i;
}

int json_read(const struct json_node *node, const struct json_shape *shape, void *out,
	      uint64_t *given, struct err *e)
{
	struct json_node member = { .doc = node->doc, .parent = node };
	char expected[64];
	uint64_t seen = 0;
	const char *name;
	json_t *value;
	int r = 0;

	assert(shape->nr <= JSON_SHAPE_MAX_FIELDS);
	snprintf(expected, sizeof(expected), "struct %s", shape->name);
	if (!json_is_object(node->value))
		return json_refuse_type(node, expected, e);
	json_object_foreach(node->value, name, value)
	{
		const size_t i = find_field(shape, name);

		member.value = value;
		if (i == shape->nr) {
			if (!shape->allows_unknown)
				return json_refuse_field(&member, name, shape, e);
		} else if (shape->fields[i].is_required || !json_is_null(value)) {
			seen |= UINT64_C(1) << i;
			r = read_field(&member, &shape->fields[i], out, e);
		}
		if (r < 0)
			return r;
		member.at++;
	}
	for (size_t i = 0; i < shape->nr; i++) {
		if (shape->fields[i].is_required && !(seen & UINT64_C(1) << i))
			return json_refuse(node, e, "missing field `%s`", shape->fields[i].name);
	}
	if (given)
		*given = seen;
	return 0;
}

int json_read_list(const struct json_node *node, size_t max, struct err *e)
{
	const size_t nr = json_array_size(node->value);

	if (!json_is_array(node->value))
		return json_refuse_type(node, "a sequence", e);
	if (nr > max)
		return json_refuse(node, e, "invalid length %zu, expected at most %zu items", nr,
				   max);
	return (int)nr;
}

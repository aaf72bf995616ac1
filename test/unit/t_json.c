/* SPDX-License-Identifier: Apache-2.0 */
/* JSON by tables: what is read, what is refused, in which words, and where that is said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/json/json.h"

struct inner {
	uint64_t size;
	const char *name;
};

struct body {
	uint8_t count;
	uint16_t port;
	uint32_t cid;
	uint64_t size;
	const char *path;
	uint32_t kind;
	bool is_on;
	struct inner inner;
};

static int read_inner(const struct json_node *node, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{ "size", JSON_FIELD_U64, true, offsetof(struct inner, size), NULL, NULL },
		{ "name", JSON_FIELD_TEXT, false, offsetof(struct inner, name), NULL, NULL },
	};
	static const struct json_shape shape = { "Inner", fields, ARRAY_LEN(fields), true, false };

	return json_read(node, &shape, out, NULL, e);
}

static const char *const kinds[] = { "File", "Uffd", NULL };

enum { COUNT, PORT, CID, SIZE, PATH, KIND, ON, INNER, OLD };

static const struct json_field fields[] = {
	[COUNT] = { "count", JSON_FIELD_U8, true, offsetof(struct body, count), NULL, NULL },
	[PORT] = { "port", JSON_FIELD_U16, false, offsetof(struct body, port), NULL, NULL },
	[CID] = { "cid", JSON_FIELD_U32, false, offsetof(struct body, cid), NULL, NULL },
	[SIZE] = { "size", JSON_FIELD_U64, false, offsetof(struct body, size), NULL, NULL },
	[PATH] = { "path", JSON_FIELD_TEXT, false, offsetof(struct body, path), NULL, NULL },
	[KIND] = { "kind", JSON_FIELD_WORD, false, offsetof(struct body, kind), kinds, NULL },
	[ON] = { "on", JSON_FIELD_BOOL, false, offsetof(struct body, is_on), NULL, NULL },
	[INNER] = { "inner", JSON_FIELD_CUSTOM, false, offsetof(struct body, inner), NULL,
		    read_inner },
	[OLD] = { "old", JSON_FIELD_IGNORED, false, 0, NULL, NULL },
};

static const struct json_shape strict = { "Body", fields, ARRAY_LEN(fields), false, false };
static const struct json_shape helpful = { "Body", fields, ARRAY_LEN(fields), false, true };

static int read_text(const char *text, size_t len, const struct json_shape *shape, struct body *b,
		     uint64_t *given, struct err *e)
{
	/* Exactly as long as it is, so that a sanitizer sees a read behind its end. */
	char *copy = malloc(len > 0 ? len : 1);
	struct json_doc doc;
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	r = json_doc_parse(&doc, copy, len, e);
	if (r == 0) {
		const struct json_node root = json_doc_root(&doc);

		r = json_read(&root, shape, b, given, e);
		b->path = r == 0 && b->path ? strdup(b->path) : NULL; /* outlives the document */
	}
	json_doc_release(&doc);
	json_doc_release(&doc);
	free(copy);
	return r;
}

static void assert_refused(const struct json_shape *shape, const char *text, const char *message)
{
	struct body b = { 0 };
	struct err e = { 0 };

	assert_int_equal(read_text(text, strlen(text), shape, &b, NULL, &e), -EBADMSG);
	assert_string_equal(e.msg, message);
}

struct refusal {
	const char *text;
	const char *message;
};

static void test_values(void **state)
{
	static const char text[] =
		"{\"count\":255,\"port\":65535,\"cid\":4294967295,\"size\":9223372036854775807,"
		"\"path\":\"a\\n\\u00e9\",\"kind\":\"Uffd\",\"on\":true,\"old\":[{}],"
		"\"inner\":{\"size\":1,\"more\":null}}";
	struct body b = { 0 };
	struct err e = { 0 };
	uint64_t given = 0;

	(void)state;
	assert_int_equal(read_text(text, sizeof(text) - 1, &strict, &b, &given, &e), 0);
	assert_int_equal(b.count, 255);
	assert_int_equal(b.port, 65535);
	assert_int_equal(b.cid, UINT32_MAX);
	assert_int_equal(b.size, INT64_MAX);
	assert_string_equal(b.path, "a\n\xc3\xa9");
	assert_int_equal(b.kind, 1);
	assert_true(b.is_on);
	assert_int_equal(b.inner.size, 1);
	assert_int_equal(given, (1 << ARRAY_LEN(fields)) - 1);
	free((void *)(uintptr_t)b.path);
}

static void test_null_is_absent(void **state)
{
	static const char text[] =
		" { \"count\" : 1 , \"port\" : null, \"path\":null,\"inner\":null,"
		"\"kind\":null,\"on\":null } \r\n\t";
	struct body b = { .port = 7, .kind = 9, .is_on = true };
	struct err e = { 0 };
	uint64_t given = 0;

	(void)state;
	assert_int_equal(read_text(text, sizeof(text) - 1, &strict, &b, &given, &e), 0);
	assert_int_equal(given, 1 << COUNT);
	assert_int_equal(b.port, 7);
	assert_int_equal(b.kind, 9);
	assert_true(b.is_on);
	assert_null(b.path);
}

/* 63 bits are what jansson holds; its reals are not exact. */
static void test_large_integers(void **state)
{
	static const char text[] = "{\"size\":18446744073709551615,\"count\":3,"
				   "\"inner\":{\"size\":9223372036854775808}}";
	struct body b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(read_text(text, sizeof(text) - 1, &strict, &b, NULL, &e), 0);
	assert_true(b.size == UINT64_MAX);
	assert_true(b.inner.size == UINT64_C(1) << 63);
	assert_int_equal(b.count, 3);
}

static void test_refused_values(void **state)
{
	static const struct refusal cases[] = {
		{ "{\"size\": 1234567}", "missing field `count` at line 1 column 17" },
		{ "{}", "missing field `count` at line 1 column 2" },
		{ "{\"count\": \"1\"}",
		  "invalid type: string \"1\", expected u8 at line 1 column 13" },
		{ "{\"count\": 300}",
		  "invalid value: integer `300`, expected u8 at line 1 column 13" },
		{ "{\"count\": 256}",
		  "invalid value: integer `256`, expected u8 at line 1 column 13" },
		{ "{\"count\":-1}",
		  "invalid value: integer `-1`, expected u8 at line 1 column 11" },
		{ "{\"count\":1.0}",
		  "invalid type: floating point `1.0`, expected u8 at line 1 column 12" },
		{ "{\"count\":1e0}",
		  "invalid type: floating point `1e0`, expected u8 at line 1 column 12" },
		{ "{\"count\":null}", "invalid type: null, expected u8 at line 1 column 13" },
		{ "{\"count\":true}",
		  "invalid type: boolean `true`, expected u8 at line 1 column 13" },
		{ "{\"count\":[1]}", "invalid type: sequence, expected u8 at line 1 column 9" },
		{ "{\"count\":{}}", "invalid type: map, expected u8 at line 1 column 9" },
		{ "{\"port\":65536}",
		  "invalid value: integer `65536`, expected u16 at line 1 column 13" },
		{ "{\"cid\":4294967296}",
		  "invalid value: integer `4294967296`, expected u32 at line 1 column 17" },
		{ "{\"size\":18446744073709551616}",
		  "invalid value: integer `18446744073709551616`, expected u64 at line 1 column "
		  "28" },
		{ "{\"size\":-9223372036854775809}",
		  "invalid value: integer `-9223372036854775809`, expected u64 at line 1 column "
		  "28" },
		{ "{\"path\":5}",
		  "invalid type: integer `5`, expected a string at line 1 column 9" },
		{ "{\"on\":0}",
		  "invalid type: integer `0`, expected a boolean at line 1 column 7" },
		{ "{\"on\":\"true\"}",
		  "invalid type: string \"true\", expected a boolean at line 1 column 12" },
		{ "{\"kind\":\"foo\"}",
		  "unknown variant `foo`, expected `File` or `Uffd` at line 1 column 13" },
		{ "{\"kind\":1}",
		  "invalid type: integer `1`, expected a string at line 1 column 9" },
		{ "{\"inner\":{}}", "missing field `size` at line 1 column 11" },
		{ "{\"inner\":{\"size\":\"\"}}",
		  "invalid type: string \"\", expected u64 at line 1 column 19" },
		{ "{\"inner\":1}",
		  "invalid type: integer `1`, expected struct Inner at line 1 column 10" },
		{ "[]", "invalid type: sequence, expected struct Body at line 1 column 0" },
		{ "\"x\"", "invalid type: string \"x\", expected struct Body at line 1 column 3" },
		{ "null", "invalid type: null, expected struct Body at line 1 column 4" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_refused(&strict, cases[i].text, cases[i].message);
}

static void test_unknown_fields(void **state)
{
#define ALL "`count`, `port`, `cid`, `size`, `path`, `kind`, `on`, `inner`, `old`"
	(void)state;
	assert_refused(&strict, "{\"x\": 1}",
		       "unknown field `x`, expected one of " ALL " at line 1 column 4");
	assert_refused(&strict, "{\"count\":1,\n\t\"Count\"  : 1}",
		       "unknown field `Count`, expected one of " ALL " at line 2 column 10");
	assert_refused(&helpful, "{\"prot\":1}",
		       "unknown field `prot`, the nearest is `port` at line 1 column 7");
	assert_refused(&helpful, "{\"\":1}",
		       "unknown field ``, the nearest is `count` at line 1 column 3");
	assert_refused(&helpful, "{\"\\u001b[31m\":1}",
		       "unknown field `?[31m`, the nearest is `count` at line 1 column 13");
}

/* The place is found in the text, whatever is written before it. */
static void test_places(void **state)
{
	static const struct refusal cases[] = {
		{ "{\n\n \"path\": \"}]{[\\\\\\\"\",\n \"port\": -3 }",
		  "invalid value: integer `-3`, expected u16 at line 4 column 11" },
		{ "{\"old\":[[],{\"a\":\"b\\\"]\"},1,\"}\"],\"on\":3}",
		  "invalid type: integer `3`, expected a boolean at line 1 column 37" },
		{ "{\"p\\u006frt\":\"\\u0022\"}",
		  "invalid type: string \"\"\", expected u16 at line 1 column 21" },
		{ "{\"inner\":{\"x\":[],\"y\":{\"size\":2},\"size\":-2},\"count\":1}",
		  "invalid value: integer `-2`, expected u64 at line 1 column 41" },
		{ "\r\n{\"on\":\tfalse\t,\r\n\"cid\":\r\n-1}",
		  "invalid value: integer `-1`, expected u32 at line 4 column 2" },
		{ "{\"path\":\"\xc3\xa9\",\"cid\":-1}",
		  "invalid value: integer `-1`, expected u32 at line 1 column 21" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_refused(&strict, cases[i].text, cases[i].message);
}

static void test_refused_syntax(void **state)
{
	static const struct refusal cases[] = {
		{ "", "EOF while parsing a value at line 1 column 0" },
		{ " \n ", "EOF while parsing a value at line 2 column 1" },
		{ "{", "EOF while parsing a value at line 1 column 1" },
		{ "{\"path\":\"a", "EOF while parsing a value at line 1 column 10" },
		{ "{}x", "trailing characters at line 1 column 3" },
		{ "{\"count\":1}\n{}", "trailing characters at line 2 column 1" },
		{ "{\"count\":1,\"count\":1}", "duplicate field `count` at line 1 column 18" },
		{ "{\"count\":1,\"c\\u006funt\" :1}",
		  "duplicate field `c\\u006funt` at line 1 column 23" },
		{ "{\"a\\\"b\":1,\"a\\\"b\":2}", "duplicate field `a\\\"b` at line 1 column 16" },
		{ "{\"size\":1e999}", "number out of range at line 1 column 13" },
		{ "{\"path\":\"\\u0000\"}",
		  "a string holds the character \\u0000 at line 1 column 16" },
		{ "{\"count\":1,}", "string or '}' expected near '}' at line 1 column 12" },
		{ "{'count':1}", "string or '}' expected near ''' at line 1 column 2" },
		{ "{\"count\":01}", "invalid token near '0' at line 1 column 10" },
		{ "{\"count\":+1}", "invalid token near '+' at line 1 column 10" },
		{ "{\"count\":1 /* one */}", "'}' expected near '/' at line 1 column 12" },
		{ "{\"m\\u56\xd0\x96y\":1}", "invalid escape near '\"m\\u56?' at line 1 column 8" },
		{ "{\"count\":NaN}", "invalid token near 'NaN' at line 1 column 12" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_refused(&strict, cases[i].text, cases[i].message);
}

/* No parser that recurses gets to see what is nested too deep, nor an overlong text. */
static void test_bounds(void **state)
{
	char deep[300];
	struct body b = { 0 };
	struct err e = { 0 };
	struct json_doc doc;
	char *large;

	(void)state;
	memset(deep, '[', sizeof(deep));
	assert_int_equal(json_doc_parse(&doc, deep, sizeof(deep), &e), -EBADMSG);
	assert_string_equal(e.msg, "recursion limit exceeded at line 1 column 128");
	memset(deep + JSON_DOC_MAX_DEPTH, ']', JSON_DOC_MAX_DEPTH);
	assert_int_equal(json_doc_parse(&doc, deep, (size_t)2 * JSON_DOC_MAX_DEPTH, &e), 0);
	json_doc_release(&doc);
	/* Brackets in strings are not nested. */
	memset(deep, '[', sizeof(deep));
	deep[0] = deep[sizeof(deep) - 1] = '"';
	assert_int_equal(json_doc_parse(&doc, deep, sizeof(deep), &e), 0);
	json_doc_release(&doc);
	large = malloc((size_t)JSON_DOC_MAX_BYTES + 1);
	assert_non_null(large);
	memset(large, ' ', (size_t)JSON_DOC_MAX_BYTES + 1);
	assert_int_equal(read_text(large, (size_t)JSON_DOC_MAX_BYTES + 1, &strict, &b, NULL, &e),
			 -EBADMSG);
	assert_non_null(strstr(e.msg, "at most 16777216"));
	free(large);
}

/* A message has room for its place, however long what it quotes. */
static void test_long_texts(void **state)
{
	static char text[50100];
	struct body b = { 0 };
	struct err e = { 0 };
	int len;

	(void)state;
	memset(text, 'k', sizeof(text));
	memcpy(text, "{\"", 2);
	memcpy(text + 50002, "\":1}", 5);
	assert_int_equal(read_text(text, 50006, &strict, &b, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "kkk...kkk"));
	assert_non_null(strstr(e.msg, " at line 1 column 50003"));
	len = snprintf(text, sizeof(text), "{\"count\":%0300d}", 9);
	memset(text + 9, '9', 300);
	assert_int_equal(read_text(text, (size_t)len, &strict, &b, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "invalid value: integer `999"));
	assert_non_null(strstr(e.msg, "999`, expected u8 at line 1 column 309"));
}

/* A required value that is not there at all is refused like null. */
static void test_absent_node(void **state)
{
	struct err e = { 0 };
	struct json_doc doc;
	struct json_node root, member;
	uint8_t out;

	(void)state;
	assert_int_equal(json_doc_parse(&doc, "{\"a\":1}", 7, &e), 0);
	root = json_doc_root(&doc);
	member = json_member(&root, "b");
	assert_true(json_is_absent(&member));
	assert_int_equal(json_read_value(&member, JSON_FIELD_U8, NULL, &out, &e), -EBADMSG);
	assert_string_equal(e.msg, "invalid type: null, expected u8 at line 1 column 7");
	assert_int_equal(json_read(&member, &strict, &out, NULL, &e), -EBADMSG);
	json_doc_release(&doc);
}

static void test_text_of_any_bytes(void **state)
{
	json_t *json = json_text_new("a\xff\xc3\xa9");

	(void)state;
	assert_string_equal(json_string_value(json), "a???");
	json_decref(json);
	assert_true(json_is_null(json_text_new(NULL)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_null_is_absent),
		cmocka_unit_test(test_large_integers),
		cmocka_unit_test(test_refused_values),
		cmocka_unit_test(test_unknown_fields),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_refused_syntax),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_absent_node),
		cmocka_unit_test(test_text_of_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

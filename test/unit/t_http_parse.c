/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP requests as bytes: what is a request, what is refused, wherever the bytes are cut. */
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
#include "control/api/http_parse.h"
#include "control/api/http_target.h"

enum { LIMIT = 100 };

static const char *const methods[] = { "GET", "PUT", NULL };
static char reason[ERR_MSG_BYTES];

/* Parses in pieces of @piece bytes. The text of the error, "" for a whole request, NULL for less. */
static const char *parse(const char *data, size_t len, size_t piece, struct http_message *message)
{
	enum http_parse_result result = HTTP_PARSE_MORE;
	struct http_parser p;
	const char *text = NULL;
	size_t at = 0;

	*message = (struct http_message){ 0 };
	http_parser_init(&p, methods, LIMIT);
	while (at < len && result != HTTP_PARSE_DONE && result != HTTP_PARSE_ERROR) {
		/* What a reader beyond the piece would read is not there. */
		size_t nr = min_u64(piece, len - at), used;
		char *copy = malloc(nr);

		memcpy(copy, data + at, nr);
		result = http_parser_feed(&p, copy, nr, &used);
		free(copy);
		assert_true(used <= nr && (result != HTTP_PARSE_MORE || used == nr));
		at += used;
	}
	if (result == HTTP_PARSE_DONE) {
		http_parser_take(&p, message);
		text = "";
	} else if (result == HTTP_PARSE_ERROR) {
		memcpy(reason, p.error.msg, sizeof(reason));
		text = reason;
	}
	http_parser_release(&p);
	return text;
}

/* Every cut gives the same error, which starts with @expected. */
static void assert_refused_bytes(const char *data, size_t len, const char *expected)
{
	struct http_message message;

	for (size_t piece = 1; piece <= len; piece++) {
		const char *text = parse(data, len, piece, &message);

		assert_non_null(text);
		if (strncmp(text, expected, strlen(expected)) != 0)
			fail_msg("'%.40s' in pieces of %zu: '%s', not '%s'", data, piece, text,
				 expected);
		for (; *text; text++)
			assert_true(*text >= ' ' && *text <= '~' && *text != '"' && *text != '\\');
	}
}

static void assert_refused(const char *text, const char *expected)
{
	assert_refused_bytes(text, strlen(text), expected);
}

static struct http_message accept_pieces(const char *text, size_t piece)
{
	struct http_message message;
	const char *error = parse(text, strlen(text), piece, &message);

	if (!error || *error)
		fail_msg("'%s' in pieces of %zu: %s", text, piece, error ? error : "incomplete");
	return message;
}

static void test_a_request_comes_out_whatever_the_cuts(void **state)
{
	static const char text[] = "\r\nPUT /a%20b/c?d=%20 HTTP/1.1\r\nHost:x\r\n"
				   "Content-Length:  3 \r\nX-Empty:\r\n\r\n{ }";

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct http_message m = accept_pieces(text, piece);

		assert_string_equal(m.method, "PUT");
		assert_string_equal(m.path, "/a b/c");
		assert_string_equal(m.query, "d=%20");
		assert_string_equal(http_message_field(&m, "hOST"), "x");
		assert_string_equal(http_message_field(&m, "x-empty"), "");
		assert_null(http_message_field(&m, "x"));
		assert_int_equal(m.body_len, 3);
		assert_string_equal(m.body, "{ }");
		assert_false(m.is_last);
		http_message_release(&m);
	}
}

static void test_chunks_become_one_body(void **state)
{
	static const char text[] = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "1\r\na\r\n00000002 ;q=\"x\"\r\nbc\r\n0\r\nA: b\r\nC: d\r\n\r\n";

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct http_message m = accept_pieces(text, piece);

		assert_string_equal(m.body, "abc");
		assert_null(http_message_field(&m, "A"));
		http_message_release(&m);
	}
}

static void test_lines_have_one_form(void **state)
{
	static const char nul[] = "GET /\0x HTTP/1.1\r\n\r\n";
	static const char nul_field[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n";

	(void)state;
	assert_refused("GET / HTTP/1.1\n\n", "Invalid request. A line does not end");
	assert_refused("GET / HTTP/1.1\r\nA: b\n\r\n", "Invalid request. A line does not end");
	assert_refused("GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", "Invalid request. A line has a NUL");
	assert_refused_bytes(nul, sizeof(nul) - 1, "Invalid request. A line has a NUL");
	assert_refused_bytes(nul_field, sizeof(nul_field) - 1, "Invalid request. A line has a NUL");
	assert_refused("\r\n\r\n\r\n\r\n\r\n", "Invalid request.");
}

static void test_request_lines_have_three_words(void **state)
{
	(void)state;
	assert_refused("GET\r\n", "Invalid request.");
	assert_refused("GET /\r\n", "Invalid request.");
	assert_refused("GET  / HTTP/1.1\r\n", "Invalid URI: Empty URI not allowed.");
	assert_refused("GET /  HTTP/1.1\r\n", "Invalid HTTP Version: Unsupported HTTP version.");
	assert_refused(" GET / HTTP/1.1\r\n", "Invalid HTTP Method: Unsupported HTTP method.");
	assert_refused("get / HTTP/1.1\r\n", "Invalid HTTP Method: Unsupported HTTP method.");
	assert_refused("POST / HTTP/1.1\r\n", "Invalid HTTP Method: Unsupported HTTP method.");
	assert_refused("GET / HTTP/2.0\r\n", "Invalid HTTP Version: Unsupported HTTP version.");
	assert_refused("GET / HTTP/1.1 \r\n", "Invalid HTTP Version: Unsupported HTTP version.");
	assert_refused("GET / http/1.1\r\n", "Invalid HTTP Version: Unsupported HTTP version.");
	assert_refused("\x16\x03\x01\x02\r\n", "Invalid request."); /* TLS */
}

static void test_fields_have_a_name_and_a_colon(void **state)
{
	(void)state;
	assert_refused("GET / HTTP/1.1\r\nA b\r\n\r\n",
		       "Invalid header. Reason: Header is incorrectly formatted. Key: A b");
	assert_refused("GET / HTTP/1.1\r\n: b\r\n\r\n", "Invalid header. Reason: Header is incor");
	assert_refused("GET / HTTP/1.1\r\nA : b\r\n\r\n", "Invalid header. Reason: Header is inc");
	assert_refused("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "Invalid header. Reason: Header i");
	assert_refused("GET / HTTP/1.1\r\n A: b\r\n\r\n", "Invalid header. Reason: Header is inc");
	assert_refused("GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
		       "Invalid header. Reason: Header contains invalid characters. Key: A");
	assert_refused("GET / HTTP/1.1\r\n\"\\\xff: b\r\n\r\n", "Invalid header. Reason: Header");
}

static void test_a_body_has_one_length(void **state)
{
	static const char *const lengths[] = { "-1",  "+1",   "0x1",   "1 1",
					       "1,1", "",     "1e1",   "alpha",
					       "1.0", "\xb2", "\"1\"", "18446744073709551616" };
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		snprintf(text, sizeof(text), "PUT / HTTP/1.1\r\nContent-Length: %s\r\n\r\n",
			 lengths[i]);
		assert_refused(
			text, "Invalid header. Reason: Invalid value. Key:Content-Length; Value: ");
	}
	assert_refused("PUT / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\na",
		       "Invalid header. Reason: Invalid value. Key:content-length; Value: 1");
	assert_refused("PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		       "Invalid header. Reason: Content-Length and Transfer-Encoding exclude");
	assert_refused(
		"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"Invalid header. Reason: Unsupported value. Key:Transfer-Encoding; Value: g");
	assert_refused(
		"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"Invalid header. Reason: Unsupported value. Key:Transfer-Encoding; Value: c");
	assert_refused(
		"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"Invalid header. Reason: Unsupported value. Key:Transfer-Encoding; Value: c");
}

static void test_a_body_has_a_limit(void **state)
{
	struct http_message m;
	char text[256];

	(void)state;
	assert_refused("PUT / HTTP/1.1\r\nContent-Length: 101\r\n\r\n",
		       "Request payload with size 101 is larger than the limit of 100 allowed by "
		       "server.");
	assert_refused("PUT / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n",
		       "Request payload with size 18446744073709551615 is larger");
	assert_refused("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
		       "Request payload with size 4294967295 is larger");
	assert_refused("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n64\r\n",
		       "Request payload with size 101 is larger");
	snprintf(text, sizeof(text), "PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\n%0100d", 0);
	m = accept_pieces(text, sizeof(text));
	assert_int_equal(m.body_len, 100);
	http_message_release(&m);
}

static size_t limit_by_path(void *opaque, const char *path)
{
	assert_ptr_equal(opaque, limit_by_path);
	return strcmp(path, "/small") == 0 ? 10 : SIZE_MAX;
}

/* It is known with the head, and of each message anew. */
static void test_a_limit_by_path(void **state)
{
	static const char small[] = "PUT /small HTTP/1.1\r\nContent-Length: 11\r\n\r\n";
	static const char large[] = "PUT /large HTTP/1.1\r\nContent-Length: 11\r\n\r\n";
	static const char huge[] = "PUT /large HTTP/1.1\r\nContent-Length: 101\r\n\r\n";
	struct http_parser p;
	size_t used;

	(void)state;
	http_parser_init(&p, methods, LIMIT);
	http_parser_set_limit(&p, limit_by_path, (void *)limit_by_path);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(http_parser_feed(&p, small, strlen(small), &used),
				 HTTP_PARSE_ERROR);
		assert_true(p.is_resumable);
		assert_non_null(strstr(p.error.msg, "size 11 is larger than the limit of 10 "));
		assert_int_equal(http_parser_feed(&p, "12345678901", 11, &used), HTTP_PARSE_MORE);
		assert_int_equal(http_parser_feed(&p, large, strlen(large), &used),
				 HTTP_PARSE_HEAD);
		assert_int_equal(http_parser_feed(&p, "12345678901", 11, &used), HTTP_PARSE_DONE);
		struct http_message m;

		http_parser_take(&p, &m);
		http_message_release(&m);
	}
	assert_int_equal(http_parser_feed(&p, huge, strlen(huge), &used), HTTP_PARSE_ERROR);
	assert_non_null(strstr(p.error.msg, "size 101 is larger than the limit of 100 "));
	http_parser_release(&p);
}

static void test_what_cannot_be_taken_unencoded(void **state)
{
	(void)state;
	assert_refused("GET / HTTP/1.1\r\nAccept-Encoding: identity;q=0\r\n\r\n",
		       "Invalid header. Reason: Invalid value. Key:Accept-Encoding; Value: ident");
	assert_refused("GET / HTTP/1.1\r\naccept-encoding: gzip, *;q=0\r\n\r\n",
		       "Invalid header. Reason: Invalid value. Key:accept-encoding; Value: gzip");
}

static void test_chunks_have_one_form(void **state)
{
	static const char *const bodies[] = {
		"\r\n",	       "x\r\n",		"-1\r\n",	  "0x1\r\n",	 "1 1\r\n",
		" 1\r\n",      "000000001\r\n", "1\r\nab\r\n",	  "1\r\na\n",	 "1\n",
		"1\r\na1\r\n", "0\r\nA b\r\n",	"0\r\n A: b\r\n", "0\r\nA: b\n", "1\r\n\r\n\r\n",
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		snprintf(text, sizeof(text),
			 "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%s", bodies[i]);
		assert_refused(text, "Invalid ");
	}
}

/* @head, then @nr times @line, then @tail. */
static const char *parse_many(const char *head, const char *line, size_t nr, const char *tail)
{
	const size_t room = strlen(head) + nr * strlen(line) + strlen(tail) + 1;
	char *text = malloc(room), *end = stpcpy(text, head);
	struct http_message message;
	const char *result;

	for (size_t i = 0; i < nr; i++)
		end = stpcpy(end, line);
	stpcpy(end, tail);
	result = parse(text, strlen(text), 1000, &message);
	http_message_release(&message);
	free(text);
	return result;
}

static void test_everything_has_a_limit(void **state)
{
	static const char start[] = "PUT / HTTP/1.1\r\n";
	static const char chunked[] = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const char too_long[] = "Invalid request. A line or the whole head is too long.";
	char line[1027];

	(void)state;
	memset(line, 'a', sizeof(line));
	memcpy(line, "A:", 2);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	assert_string_equal(parse_many(start, "A: b\r\n", 64, "\r\n"), "");
	assert_string_equal(parse_many(start, "A: b\r\n", 65, "\r\n"),
			    "Invalid request. Too many header fields.");
	assert_string_equal(parse_many("GET /", "a", 8000, " HTTP/1.1\r\n\r\n"), "");
	assert_string_equal(parse_many("GET /", "a", 9000, " HTTP/1.1\r\n\r\n"), too_long);
	assert_string_equal(parse_many("PUT / HTTP/1.1\r\nA: ", "a", 9000, "\r\n\r\n"), too_long);
	assert_string_equal(parse_many("", "a", 9000, ""), too_long);
	assert_string_equal(parse_many(start, line, 30, "\r\n"), "");
	assert_string_equal(parse_many(start, line, 33, "\r\n"), too_long);
	assert_string_equal(parse_many(chunked, "1\r\na\r\n", 100, "0\r\n\r\n"), "");
	assert_string_equal(parse_many(chunked, "1;", 200, "\r\n"), too_long);
	assert_string_equal(parse_many("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
				       "A: b\r\n", 65, "\r\n"),
			    "Invalid request. Too many trailer fields.");
}

static void test_targets_are_paths(void **state)
{
	static const struct {
		const char *target, *path, *query;
	} good[] = {
		{ "/", "/", "" },
		{ "/a//b/", "/a//b/", "" },
		{ "/a?", "/a", "" },
		{ "/a?b?c", "/a", "b?c" },
		{ "/%41%7e%C3%a9", "/A~\xc3\xa9", "" },
		{ "/\xc3\xa9", "/\xc3\xa9", "" },
		{ "/%2525", "/%25", "" },
		{ "/..%2e", "/...", "" },
		{ "http://h", "/", "" },
		{ "http://h?q", "/", "q" },
		{ "HTTP://h:1/x?y", "/x", "y" },
	};
	static const char *const bad[] = {
		"",	      "*",    "a",	   "h:80",    "https://h/",    "http://",
		"http:///",   "/%",   "/%4",	   "/%4g",    "/%00",	       "/%2f",
		"/%2F",	      "/%0a", "/%7F",	   "/#a",     "/a\tb",	       "/\x7f",
		"/\xff",      "/%ff", "/\xc0\xaf", "/%c0%af", "/%ed%a0%80",    "/%f4%90%80%80",
		"/%e0%80%af", "/%C3", "/\xc3%a9",  "/?\xff",  "/%f0%80%80%af", "/?a#b",
	};
	const char *path, *query, *why;
	char target[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(target, sizeof(target), "%s", good[i].target);
		assert_int_equal(http_target_parse(target, &path, &query, &why), 0);
		assert_string_equal(path, good[i].path);
		assert_string_equal(query, good[i].query);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(target, sizeof(target), "%s", bad[i]);
		if (http_target_parse(target, &path, &query, &why) != -EBADMSG)
			fail_msg("'%s' is accepted", bad[i]);
		assert_memory_equal(why, "Invalid URI: ", 13);
	}
}

static void test_query_parameters_are_found_and_decoded(void **state)
{
	char value[8];

	(void)state;
	assert_int_equal(http_query_get("a=1&b=%262&bc&b=3", "b", value, sizeof(value)), 2);
	assert_string_equal(value, "&2");
	assert_int_equal(http_query_get("a=1&b=2&bc", "bc", value, sizeof(value)), 0);
	assert_string_equal(value, "");
	assert_int_equal(http_query_get("ab=1&&", "a", value, sizeof(value)), -ENOENT);
	assert_int_equal(http_query_get("", "a", value, sizeof(value)), -ENOENT);
	assert_int_equal(http_query_get("a=1234567", "a", value, sizeof(value)), 7);
	assert_int_equal(http_query_get("a=12345678", "a", value, sizeof(value)), -ENAMETOOLONG);
	assert_int_equal(http_query_get("a=%0", "a", value, sizeof(value)), -EBADMSG);
	assert_int_equal(http_query_get("a=%4&1", "a", value, sizeof(value)), -EBADMSG);
	assert_int_equal(http_query_get("a=%00", "a", value, sizeof(value)), -EBADMSG);
	assert_int_equal(http_query_get("a=%ff", "a", value, sizeof(value)), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_comes_out_whatever_the_cuts),
		cmocka_unit_test(test_chunks_become_one_body),
		cmocka_unit_test(test_lines_have_one_form),
		cmocka_unit_test(test_request_lines_have_three_words),
		cmocka_unit_test(test_fields_have_a_name_and_a_colon),
		cmocka_unit_test(test_a_body_has_one_length),
		cmocka_unit_test(test_a_body_has_a_limit),
		cmocka_unit_test(test_a_limit_by_path),
		cmocka_unit_test(test_what_cannot_be_taken_unencoded),
		cmocka_unit_test(test_chunks_have_one_form),
		cmocka_unit_test(test_everything_has_a_limit),
		cmocka_unit_test(test_targets_are_paths),
		cmocka_unit_test(test_query_parameters_are_found_and_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

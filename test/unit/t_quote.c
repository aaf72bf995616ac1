/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign text in messages: quoted on one line, and the nearest known word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/quote.h"
#include "base/suggest.h"

static void test_quote(void **state)
{
	char text[400];
	struct quoted q;

	(void)state;
	assert_string_equal(quote("").text, "''");
	assert_string_equal(quote("a\tb\x7f\r\n").text, "'a?b?"
							"?"
							"?'");
	assert_string_equal(quote_part("abc", 2).text, "'ab'");
	assert_string_equal(quote("\xc3\xa4").text, "'\xc3\xa4'");
	memset(text, 'x', sizeof(text));
	text[QUOTE_BYTES - 3] = '\0';
	assert_int_equal(strlen(quote(text).text), QUOTE_BYTES - 1);
	assert_null(strstr(quote(text).text, "..."));
	text[QUOTE_BYTES - 3] = 'x';
	text[QUOTE_BYTES - 2] = '\0';
	assert_int_equal(strlen(quote(text).text), QUOTE_BYTES - 1);
	assert_non_null(strstr(quote(text).text, "..."));
	/* "ä" at an odd place, so that both cuts fall into a character. */
	for (size_t shift = 0; shift < 2; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 1 < sizeof(text); i += 2)
			memcpy(text + i, "\xc3\xa4", 2);
		q = quote_part(text, 300 + shift);
		assert_memory_equal(strstr(q.text, "...") - 1, "\xa4...\xc3", 5);
	}
	/* Not UTF-8 at all. */
	memset(text, '\x80', sizeof(text));
	assert_string_equal(quote_part(text, sizeof(text)).text, "'...'");
}

/* What JSON could not carry; RFC 3629 has the limits. */
static void test_not_utf8(void **state)
{
	static const char *const good[] = {
		"\xc2\x80",	"\xdf\xbf",	    "\xe0\xa0\x80",	"\xed\x9f\xbf",
		"\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
	};
	static const char *const bad[] = {
		"\x80",
		"\xc1\xbf",
		"\xc3",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xf0\x9f\x98",
	};
	char expected[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(expected, sizeof(expected), "'%s'", good[i]);
		assert_string_equal(quote(good[i]).text, expected);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(expected, sizeof(expected), "'%.*s'", (int)strlen(bad[i]), "????");
		assert_string_equal(quote(bad[i]).text, expected);
	}
	assert_string_equal(quote("a\xff\xc3(\xc3\xa4").text, "'a\?\?(\xc3\xa4'");
}

static void test_suggest(void **state)
{
	char word[300];

	(void)state;
	assert_string_equal(suggest_nearer("abd", 3, "abcdef", "abd"), "abd");
	assert_string_equal(suggest_nearer("", 0, "one", "two"), "one");
	assert_string_equal(suggest_nearer("tw", 2, "w", "twenty-two"), "twenty-two");
	assert_string_equal(suggest_nearer("kitten", 6, "mitten", "sitting"), "mitten");
	memset(word, 'z', sizeof(word));
	assert_string_equal(suggest_nearer(word, sizeof(word), "one", "zzz"), "zzz");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_suggest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

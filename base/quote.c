/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign text in messages: see quote.h. */
#include "base/quote.h"

#include <stdbool.h>
#include <string.h>

static const char cut_mark[] = "...";

enum {
	SHOWN_MAX = QUOTE_BYTES - 3, /* two quotes and the NUL */
	HEAD_MAX = 50,
	TAIL_MAX = SHOWN_MAX - HEAD_MAX - (int)sizeof(cut_mark) + 1,
};

/* The second and later bytes of a UTF-8 character (RFC 3629, section 3). */
static bool is_continuation(char ch)
{
	return ((unsigned char)ch & 0xc0) == 0x80;
}

/* Bytes of the character that @text begins with (RFC 3629, section 4); 0 when it is none. */
static size_t character_bytes(const char *text, size_t len)
{
	const unsigned char first = (unsigned char)text[0];
	const unsigned char second = len > 1 ? (unsigned char)text[1] : 0;
	size_t bytes;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (bytes > len)
		return 0;
	for (size_t i = 1; i < bytes; i++) {
		if (!is_continuation(text[i]))
			return 0;
	}
	/* Too long a form of a smaller one, half of a UTF-16 pair, beyond the last. */
	if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
	    (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
		return 0;
	return bytes;
}

static char *put(char *to, const char *from, size_t len)
{
	while (len > 0) {
		const size_t bytes = character_bytes(from, len);
		const size_t step = bytes > 0 ? bytes : 1;

		if (bytes == 0 || (unsigned char)*from < 0x20 || *from == 0x7f)
			*to = '?';
		else
			memcpy(to, from, bytes);
		to += step;
		from += step;
		len -= step;
	}
	return to;
}

struct quoted quote_part(const char *text, size_t len)
{
	struct quoted q = { .text = "" };
	char *to = q.text;

	*to++ = '\'';
	if (len <= SHOWN_MAX) {
		to = put(to, text, len);
	} else {
		size_t head = HEAD_MAX;
		size_t tail = len - TAIL_MAX;

		while (head > 0 && is_continuation(text[head]))
			head--;
		while (tail < len && is_continuation(text[tail]))
			tail++;
		to = put(to, text, head);
		to = put(to, cut_mark, sizeof(cut_mark) - 1);
		to = put(to, text + tail, len - tail);
	}
	*to++ = '\'';
	*to = '\0';
	return q;
}

struct quoted quote(const char *text)
{
	return quote_part(text, strlen(text));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Text inside of JSON strings: see json_text.h. */
#include "control/json_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/*
 * Length of the UTF-8 character at @s, 0 when there is none (Unicode 15, table 3-7: no overlong
 * form, no surrogate, nothing above U+10FFFF). Reads no further than the first NUL.
 */
static size_t utf8_len(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4 || !is_continuation(s[1]))
		return 0;
	if (s[0] < 0xe0)
		return 2;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ||
	    !is_continuation(s[2]))
		return 0;
	if (s[0] < 0xf0)
		return 3;
	return is_continuation(s[3]) ? 4 : 0;
}

size_t json_text(char *out, size_t size, const char *text)
{
	size_t at = 0;

	while (*text) {
		const unsigned char c = (unsigned char)*text;
		const size_t taken = utf8_len((const unsigned char *)text);
		char escaped[] = { '\\', (char)c };
		const char *piece = text;
		size_t len = taken;

		if (taken == 0) {
			piece = replacement;
			len = strlen(replacement);
		} else if (c == '"' || c == '\\') {
			piece = escaped;
			len = sizeof(escaped);
		} else if (c < 0x20 || c == 0x7f) {
			piece = "?";
		}
		if (len >= size - at)
			break;
		memcpy(out + at, piece, len);
		at += len;
		text += taken > 0 ? taken : 1;
	}
	out[at] = '\0';
	return at;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets: see http_target.h. */
#include "control/api/http_target.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char scheme[] = "http://";

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of @in, decoded. Returns how many characters it took, or 0 when badly encoded. */
static size_t decode_byte(const char *in, size_t len, unsigned char *byte)
{
	int high, low;

	if (in[0] != '%') {
		*byte = (unsigned char)in[0];
		return 1;
	}
	if (len < 3)
		return 0;
	high = hex_digit(in[1]);
	low = hex_digit(in[2]);
	if (high < 0 || low < 0)
		return 0;
	*byte = (unsigned char)(high << 4 | low);
	return 3;
}

/*
 * How many bytes the UTF-8 character at @s has, or 0 when it is none: no overlong forms, no
 * surrogates, nothing above U+10FFFF (RFC 3629, 4). Stops at a NUL by itself.
 */
static size_t utf8_character(const unsigned char *s)
{
	size_t nr;
	unsigned low = 0x80, high = 0xbf; /* of the second byte */

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	nr = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	if (s[0] == 0xed)
		high = 0x9f;
	if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < nr; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return nr;
}

static bool is_utf8(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t nr = utf8_character(s);

		if (nr == 0)
			return false;
		s += nr;
	}
	return true;
}

static bool has_controls(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text <= ' ' || *text == 0x7f || *text == '#')
			return true;
	}
	return false;
}

/* Decodes @path in place; it only gets shorter. */
static int decode_path(char *path)
{
	const char *end = path + strlen(path);
	char *out = path;

	while (path < end) {
		unsigned char byte;
		size_t used = decode_byte(path, (size_t)(end - path), &byte);

		if (used == 0 || byte < ' ' || byte == 0x7f || (used > 1 && byte == '/'))
			return -EBADMSG;
		*out++ = (char)byte;
		path += used;
	}
	*out = '\0';
	return 0;
}

int http_target_parse(char *target, const char **path, const char **query, const char **why)
{
	char *mark;

	*path = "/";
	*query = "";
	*why = "Invalid URI: Empty URI not allowed.";
	if (!*target)
		return -EBADMSG;
	*why = "Invalid URI: Cannot parse URI as UTF-8.";
	if (!is_utf8(target))
		return -EBADMSG;
	*why = "Invalid URI: It has a character that is not allowed there.";
	if (has_controls(target))
		return -EBADMSG;
	*why = "Invalid URI: Neither a path nor http://host/path.";
	if (strncasecmp(target, scheme, strlen(scheme)) == 0) {
		char *host = target + strlen(scheme);

		target = host + strcspn(host, "/?");
		if (target == host)
			return -EBADMSG;
	} else if (*target != '/') {
		return -EBADMSG;
	}
	mark = strchr(target, '?');
	if (mark) {
		*mark = '\0';
		*query = mark + 1;
	}
	*why = "Invalid URI: The path is not properly encoded.";
	if (decode_path(target) < 0 || !is_utf8(target))
		return -EBADMSG;
	if (*target)
		*path = target;
	return 0;
}

static ssize_t decode_value(const char *in, size_t len, char *value, size_t size)
{
	size_t out = 0;

	while (len > 0) {
		unsigned char byte;
		size_t used = decode_byte(in, len, &byte);

		if (used == 0 || byte < ' ' || byte == 0x7f)
			return -EBADMSG;
		if (out + 1 >= size)
			return -ENAMETOOLONG;
		value[out++] = (char)byte;
		in += used;
		len -= used;
	}
	if (out >= size)
		return -ENAMETOOLONG;
	value[out] = '\0';
	return is_utf8(value) ? (ssize_t)out : -EBADMSG;
}

ssize_t http_query_get(const char *query, const char *name, char *value, size_t size)
{
	const size_t name_len = strlen(name);

	while (*query) {
		const size_t len = strcspn(query, "&");

		if (len >= name_len && strncmp(query, name, name_len) == 0) {
			if (len == name_len)
				return decode_value("", 0, value, size);
			if (query[name_len] == '=')
				return decode_value(query + name_len + 1, len - name_len - 1, value,
						    size);
		}
		query += len;
		if (*query == '&')
			query++;
	}
	return -ENOENT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields: see http_field.h. */
#include "control/api/http_field.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

enum { SHOWN_BYTES = 48 };

/* RFC 9110, 5.6.2 */
static const char token[] = "!#$%&'*+-.^_`|~0123456789"
			    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* Foreign text for an answer: short, and nothing in it that JSON would have to escape. */
struct shown {
	char text[SHOWN_BYTES];
};

static struct shown show(const char *text)
{
	struct shown s;

	snprintf(s.text, sizeof(s.text), "%s", text);
	for (char *c = s.text; *c; c++) {
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '?';
	}
	return s;
}

static int bad_value(const struct http_field *field, const char *what, struct err *e)
{
	return err_set(e, -EBADMSG, "Invalid header. Reason: %s value. Key:%s; Value: %s", what,
		       show(field->name).text, show(field->value).text);
}

int http_field_parse(char *line, struct http_field *field, struct err *e)
{
	const size_t name_len = strspn(line, token);
	char *value, *end;

	if (name_len == 0 || line[name_len] != ':')
		return err_set(e, -EBADMSG,
			       "Invalid header. Reason: Header is incorrectly formatted. Key: %s",
			       show(line).text);
	line[name_len] = '\0';
	value = line + name_len + 1;
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	for (const char *c = value; *c; c++) {
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return err_set(e, -EBADMSG,
				       "Invalid header. Reason: Header contains invalid characters."
				       " Key: %s",
				       show(line).text);
	}
	*field = (struct http_field){ .name = line, .value = value };
	return 0;
}

/* Whether the comma-separated @list has @word in it, in any case. */
static bool list_has(const char *list, const char *word)
{
	const size_t len = strlen(word);

	while (*list) {
		const char *item = list + strspn(list, ", \t");
		const size_t item_len = strcspn(item, ", \t");

		if (item_len == len && strncasecmp(item, word, len) == 0)
			return true;
		list = item + item_len;
	}
	return false;
}

struct seen {
	bool has_length, has_coding, has_close, has_keep_alive;
};

static int take_field(const struct http_field *field, unsigned minor_version,
		      struct http_framing *framing, struct seen *seen, struct err *e)
{
	if (strcasecmp(field->name, "Content-Length") == 0) {
		if (seen->has_length || parse_u64(field->value, &framing->length) < 0)
			return bad_value(field, "Invalid", e);
		seen->has_length = true;
	} else if (strcasecmp(field->name, "Transfer-Encoding") == 0) {
		if (seen->has_coding || minor_version == 0 ||
		    strcasecmp(field->value, "chunked") != 0)
			return bad_value(field, "Unsupported", e);
		seen->has_coding = true;
	} else if (strcasecmp(field->name, "Connection") == 0) {
		seen->has_close |= list_has(field->value, "close");
		seen->has_keep_alive |= list_has(field->value, "keep-alive");
	} else if (strcasecmp(field->name, "Accept-Encoding") == 0) {
		/* Answers are not encoded: who does not take them so gets none, as in Firecracker. */
		if (list_has(field->value, "identity;q=0") ||
		    (list_has(field->value, "*;q=0") && !strcasestr(field->value, "identity")))
			return bad_value(field, "Invalid", e);
	} else if (strcasecmp(field->name, "Expect") == 0) {
		/* From HTTP/1.0 it means nothing; other expectations may be ignored. */
		framing->expects_continue |= minor_version > 0 &&
					     strcasecmp(field->value, "100-continue") == 0;
	}
	return 0;
}

int http_framing_parse(const struct http_field *fields, size_t nr_fields, unsigned minor_version,
		       struct http_framing *framing, struct err *e)
{
	struct seen seen = { 0 };

	*framing = (struct http_framing){ 0 };
	for (size_t i = 0; i < nr_fields; i++) {
		int r = take_field(&fields[i], minor_version, framing, &seen, e);

		if (r < 0)
			return r;
	}
	if (seen.has_length && seen.has_coding)
		return err_set(
			e, -EBADMSG,
			"Invalid header. Reason: Content-Length and Transfer-Encoding exclude"
			" each other.");
	framing->is_chunked = seen.has_coding;
	framing->is_last = seen.has_close || (minor_version == 0 && !seen.has_keep_alive);
	return 0;
}

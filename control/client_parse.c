/* SPDX-License-Identifier: Apache-2.0 */
/* Takes an HTTP answer apart (RFC 9112, 4 to 6): see client_parse() in client.h. */
#include "control/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	MAX_HEAD_BYTES = 16384,
	MAX_BODY_BYTES = 16 << 20,
};

/* What the head says. */
struct head {
	int status;
	size_t body_len;
	bool has_length;
};

/* "HTTP/1.1 204 No Content", of which the last part is free. */
static int parse_status(const char *line, size_t len, struct head *head)
{
	static const char version[] = "HTTP/1.";
	const size_t at = sizeof(version) - 1 + 2; /* behind a digit and a space */

	if (len < at + 3 || memcmp(line, version, sizeof(version) - 1) != 0 ||
	    !isdigit((unsigned char)line[at - 2]) || line[at - 1] != ' ' ||
	    (len > at + 3 && line[at + 3] != ' '))
		return -EPROTO;
	for (size_t i = at; i < at + 3; i++) {
		if (!isdigit((unsigned char)line[i]))
			return -EPROTO;
		head->status = head->status * 10 + (line[i] - '0');
	}
	return head->status >= 100 && head->status <= 599 ? 0 : -EPROTO;
}

static int parse_length(const char *value, size_t len, struct head *head)
{
	size_t length = 0;

	if (len == 0 || head->has_length)
		return -EPROTO;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)value[i]))
			return -EPROTO;
		length = length * 10 + (size_t)(value[i] - '0');
		if (length > MAX_BODY_BYTES)
			return -EPROTO;
	}
	head->has_length = true;
	head->body_len = length;
	return 0;
}

static bool is_name(const char *line, size_t name_len, const char *name)
{
	return strlen(name) == name_len && strncasecmp(line, name, name_len) == 0;
}

static int parse_field(const char *line, size_t len, struct head *head)
{
	const char *colon = memchr(line, ':', len);
	const char *value, *end = line + len;

	if (!colon || colon == line)
		return -EPROTO;
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t');)
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (is_name(line, (size_t)(colon - line), "Content-Length"))
		return parse_length(value, (size_t)(end - value), head);
	/* Used for streams, which no verb asks for. */
	if (is_name(line, (size_t)(colon - line), "Transfer-Encoding"))
		return -EPROTO;
	return 0;
}

/* Lines up to the empty one, which ends @len bytes. */
static int parse_head(const char *data, size_t len, struct head *head)
{
	size_t at = 0;

	while (at < len) {
		const char *line = data + at;
		const char *end = memmem(line, len - at, "\r\n", 2);
		size_t line_len;
		int r = 0;

		if (!end)
			return -EPROTO;
		line_len = (size_t)(end - line);
		if (at == 0)
			r = parse_status(line, line_len, head);
		else if (line_len > 0)
			r = parse_field(line, line_len, head);
		if (r < 0)
			return r;
		at += line_len + 2;
	}
	return 0;
}

int client_parse(const char *data, size_t len, struct client_answer *answer)
{
	static const char start[] = "HTTP/1.";
	const size_t known = len < sizeof(start) - 1 ? len : sizeof(start) - 1;
	const char *end = memmem(data, len, "\r\n\r\n", 4);
	struct head head = { 0 };
	size_t head_len;
	char *body;
	int r;

	if (memcmp(data, start, known) != 0 || (!end && len > MAX_HEAD_BYTES))
		return -EPROTO;
	if (!end)
		return 0;
	head_len = (size_t)(end - data) + 4;
	r = parse_head(data, head_len, &head);
	if (r < 0)
		return r;
	if (len - head_len < head.body_len)
		return 0;
	/* Answers to others' questions are not ours. */
	if (len - head_len > head.body_len)
		return -EPROTO;
	body = malloc(head.body_len + 1);
	if (!body)
		return -ENOMEM;
	memcpy(body, data + head_len, head.body_len);
	body[head.body_len] = '\0';
	*answer = (struct client_answer){ head.status, body, head.body_len };
	return 1;
}

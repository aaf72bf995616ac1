/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 requests out of a stream of bytes: see http_parse.h. */
#include "control/api/http_parse.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "control/api/http_field.h"
#include "control/api/http_target.h"

enum { BODY_ROOM_FIRST = 4096 };

#define INVALID_REQUEST "Invalid request."

void http_parser_init(struct http_parser *p, const char *const *methods, size_t max_body_bytes)
{
	*p = (struct http_parser){
		.methods = methods,
		.max_body_bytes = max_body_bytes,
		.most_body_bytes = max_body_bytes,
	};
}

void http_parser_set_limit(struct http_parser *p, http_body_limit *limit, void *opaque)
{
	p->limit = limit;
	p->limit_opaque = opaque;
}

static enum http_parse_result fail(struct http_parser *p)
{
	p->phase = HTTP_PHASE_FAILED;
	return HTTP_PARSE_ERROR;
}

static enum http_parse_result fail_with(struct http_parser *p, const char *text)
{
	err_set(&p->error, -EBADMSG, "%s", text);
	return fail(p);
}

/* Lines of a chunked body lie behind the head, one at a time, in room of their own. */
static bool head_reserve(struct http_parser *p)
{
	if (!p->message.head)
		p->message.head = malloc(HTTP_HEAD_BYTES + HTTP_LINE_BYTES);
	return p->message.head != NULL;
}

static size_t line_limit(const struct http_parser *p)
{
	switch (p->phase) {
	case HTTP_PHASE_CHUNK_SIZE:
	case HTTP_PHASE_CHUNK_END:
		return HTTP_CHUNK_LINE_BYTES;
	case HTTP_PHASE_TRAILER:
		return HTTP_LINE_BYTES;
	default:
		return min_u64(HTTP_LINE_BYTES, HTTP_HEAD_BYTES - p->head_len);
	}
}

/*
 * Collects one line. With HTTP_PARSE_DONE *@line is it, without its CR LF and NUL-terminated; it
 * may hold no NUL, no other CR. The caller decides whether it stays (head_len).
 */
static enum http_parse_result take_line(struct http_parser *p, const char *data, size_t len,
					size_t *used, char **line)
{
	const char *end = memchr(data, '\n', len);
	size_t nr = end ? (size_t)(end - data) + 1 : len;
	char *start;

	*used = 0;
	if (!head_reserve(p))
		return fail_with(p, "Out of memory.");
	if (nr > line_limit(p) - p->line_len)
		return fail_with(p, "Invalid request. A line or the whole head is too long.");
	start = p->message.head + p->head_len;
	memcpy(start + p->line_len, data, nr);
	p->line_len += nr;
	*used = nr;
	if (!end)
		return HTTP_PARSE_MORE;
	nr = p->line_len;
	p->line_len = 0;
	if (nr < 2 || start[nr - 2] != '\r')
		return fail_with(p, "Invalid request. A line does not end with CR LF.");
	start[nr - 2] = '\0';
	if (strlen(start) != nr - 2 || strchr(start, '\r'))
		return fail_with(p, "Invalid request. A line has a NUL or CR in it.");
	*line = start;
	return HTTP_PARSE_DONE;
}

/* The line that take_line() gave stays where it is. */
static void keep_line(struct http_parser *p, size_t text_len)
{
	p->head_len += text_len + strlen("\r\n");
}

static bool is_method(const struct http_parser *p, const char *text)
{
	for (const char *const *method = p->methods; *method; method++) {
		if (strcmp(*method, text) == 0)
			return true;
	}
	return false;
}

/* "PUT /actions HTTP/1.1": RFC 9112, 3. */
static enum http_parse_result parse_request_line(struct http_parser *p, char *line)
{
	struct http_message *m = &p->message;
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	const char *why;

	if (!*line && ++p->nr_empty_lines <= HTTP_EMPTY_LINES)
		return HTTP_PARSE_MORE;
	if (!version)
		return fail_with(p, INVALID_REQUEST);
	keep_line(p, strlen(line));
	*target++ = '\0';
	*version++ = '\0';
	m->method = line;
	if (!is_method(p, m->method))
		return fail_with(p, "Invalid HTTP Method: Unsupported HTTP method.");
	if (http_target_parse(target, &m->path, &m->query, &why) < 0)
		return fail_with(p, why);
	if (strcmp(version, "HTTP/1.1") == 0)
		m->minor_version = 1;
	else if (strcmp(version, "HTTP/1.0") != 0)
		return fail_with(p, "Invalid HTTP Version: Unsupported HTTP version.");
	p->phase = HTTP_PHASE_FIELDS;
	return HTTP_PARSE_MORE;
}

/* Refuses a body of known length that is too long, in a way that it can be skipped. */
static enum http_parse_result refuse_length(struct http_parser *p, uint64_t length)
{
	err_set(&p->error, -EFBIG,
		"Request payload with size %" PRIu64
		" is larger than the limit of %zu allowed by server.",
		length, p->max_body_bytes);
	/* A client that waits for our word may never send the body: where it ends is unknown. */
	p->is_resumable = length <= HTTP_SKIP_BYTES && !p->message.expects_continue;
	p->phase = p->is_resumable ? HTTP_PHASE_SKIP : HTTP_PHASE_FAILED;
	p->remaining = length;
	return HTTP_PARSE_ERROR;
}

static enum http_parse_result finish_head(struct http_parser *p)
{
	struct http_message *m = &p->message;
	struct http_framing framing;

	if (http_framing_parse(m->fields, m->nr_fields, m->minor_version, &framing, &p->error) < 0)
		return fail(p);
	m->is_last = framing.is_last;
	m->expects_continue = framing.expects_continue;
	if (p->limit)
		p->max_body_bytes = min_u64(p->limit(p->limit_opaque, m->path), p->most_body_bytes);
	if (framing.length > p->max_body_bytes)
		return refuse_length(p, framing.length);
	p->remaining = framing.length;
	p->phase = HTTP_PHASE_BODY;
	if (framing.is_chunked)
		p->phase = HTTP_PHASE_CHUNK_SIZE;
	else if (framing.length == 0)
		p->phase = HTTP_PHASE_DONE;
	return p->phase == HTTP_PHASE_DONE ? HTTP_PARSE_DONE : HTTP_PARSE_HEAD;
}

static enum http_parse_result parse_field(struct http_parser *p, char *line)
{
	struct http_message *m = &p->message;
	size_t len = strlen(line);

	if (len == 0)
		return finish_head(p);
	if (m->nr_fields == HTTP_MAX_FIELDS)
		return fail_with(p, "Invalid request. Too many header fields.");
	if (http_field_parse(line, &m->fields[m->nr_fields], &p->error) < 0)
		return fail(p);
	m->nr_fields++;
	keep_line(p, len);
	return HTTP_PARSE_MORE;
}

/* RFC 9112, 7.1: hexadecimal digits, then perhaps extensions, which mean nothing to us. */
static enum http_parse_result parse_chunk_size(struct http_parser *p, const char *line)
{
	const size_t digits = strspn(line, "0123456789abcdefABCDEF");
	const char *rest = line + digits + strspn(line + digits, " \t");

	if (digits == 0 || digits > 8 || (*rest && *rest != ';'))
		return fail_with(p, "Invalid request. A chunk has no valid size.");
	p->remaining = strtoul(line, NULL, 16);
	if (p->remaining > p->max_body_bytes - p->message.body_len) {
		err_set(&p->error, -EFBIG,
			"Request payload with size %" PRIu64
			" is larger than the limit of %zu allowed by server.",
			p->message.body_len + p->remaining, p->max_body_bytes);
		return fail(p);
	}
	p->phase = p->remaining ? HTTP_PHASE_CHUNK_DATA : HTTP_PHASE_TRAILER;
	return HTTP_PARSE_MORE;
}

/* RFC 9112, 7.1.2: as strict as header fields, and dropped. */
static enum http_parse_result parse_trailer(struct http_parser *p, char *line)
{
	struct http_field field;

	if (!*line) {
		p->phase = HTTP_PHASE_DONE;
		return HTTP_PARSE_DONE;
	}
	if (++p->nr_trailer_fields > HTTP_MAX_FIELDS)
		return fail_with(p, "Invalid request. Too many trailer fields.");
	if (http_field_parse(line, &field, &p->error) < 0)
		return fail(p);
	return HTTP_PARSE_MORE;
}

static enum http_parse_result parse_line(struct http_parser *p, char *line)
{
	switch (p->phase) {
	case HTTP_PHASE_REQUEST_LINE:
		return parse_request_line(p, line);
	case HTTP_PHASE_FIELDS:
		return parse_field(p, line);
	case HTTP_PHASE_CHUNK_SIZE:
		return parse_chunk_size(p, line);
	case HTTP_PHASE_CHUNK_END:
		if (*line)
			return fail_with(p, "Invalid request. A chunk is longer than its size.");
		p->phase = HTTP_PHASE_CHUNK_SIZE;
		return HTTP_PARSE_MORE;
	case HTTP_PHASE_TRAILER:
		return parse_trailer(p, line);
	case HTTP_PHASE_BODY:
	case HTTP_PHASE_CHUNK_DATA:
	case HTTP_PHASE_DONE:
	case HTTP_PHASE_SKIP:
	case HTTP_PHASE_FAILED:
		break;
	}
	return fail_with(p, INVALID_REQUEST);
}

/* Room for @nr more bytes and a NUL; the body is below its limit, so nothing overflows. */
static bool body_reserve(struct http_parser *p, size_t nr)
{
	struct http_message *m = &p->message;
	size_t room = p->body_room ? p->body_room : BODY_ROOM_FIRST;
	char *body;

	if (m->body && nr < p->body_room - m->body_len)
		return true;
	while (room <= m->body_len + nr)
		room *= 2;
	body = realloc(m->body, room);
	if (!body)
		return false;
	m->body = body;
	p->body_room = room;
	return true;
}

static enum http_parse_result take_body(struct http_parser *p, const char *data, size_t len,
					size_t *used)
{
	struct http_message *m = &p->message;
	const size_t nr = min_u64(len, p->remaining);

	*used = 0;
	if (!body_reserve(p, nr))
		return fail_with(p, "Out of memory.");
	memcpy(m->body + m->body_len, data, nr);
	m->body_len += nr;
	m->body[m->body_len] = '\0';
	p->remaining -= nr;
	*used = nr;
	if (p->remaining > 0)
		return HTTP_PARSE_MORE;
	if (p->phase == HTTP_PHASE_CHUNK_DATA) {
		p->phase = HTTP_PHASE_CHUNK_END;
		return HTTP_PARSE_MORE;
	}
	p->phase = HTTP_PHASE_DONE;
	return HTTP_PARSE_DONE;
}

/* Ready for the next message; the last one is gone. */
static void begin(struct http_parser *p)
{
	http_body_limit *limit = p->limit;
	void *opaque = p->limit_opaque;

	http_parser_init(p, p->methods, p->most_body_bytes);
	http_parser_set_limit(p, limit, opaque);
}

static void reset(struct http_parser *p)
{
	http_message_release(&p->message);
	begin(p);
}

static enum http_parse_result skip_body(struct http_parser *p, size_t len, size_t *used)
{
	*used = min_u64(len, p->remaining);
	p->remaining -= *used;
	if (p->remaining == 0)
		reset(p);
	return HTTP_PARSE_MORE;
}

static enum http_parse_result step(struct http_parser *p, const char *data, size_t len,
				   size_t *used)
{
	enum http_parse_result result;
	char *line;

	*used = 0;
	switch (p->phase) {
	case HTTP_PHASE_BODY:
	case HTTP_PHASE_CHUNK_DATA:
		return take_body(p, data, len, used);
	case HTTP_PHASE_SKIP:
		return skip_body(p, len, used);
	case HTTP_PHASE_DONE:
		return HTTP_PARSE_DONE;
	case HTTP_PHASE_FAILED:
		return HTTP_PARSE_ERROR;
	case HTTP_PHASE_REQUEST_LINE:
	case HTTP_PHASE_FIELDS:
	case HTTP_PHASE_CHUNK_SIZE:
	case HTTP_PHASE_CHUNK_END:
	case HTTP_PHASE_TRAILER:
		break;
	}
	result = take_line(p, data, len, used, &line);
	return result == HTTP_PARSE_DONE ? parse_line(p, line) : result;
}

enum http_parse_result http_parser_feed(struct http_parser *p, const char *data, size_t len,
					size_t *used)
{
	*used = 0;
	while (*used < len) {
		size_t nr;
		enum http_parse_result result = step(p, data + *used, len - *used, &nr);

		*used += nr;
		if (result != HTTP_PARSE_MORE)
			return result;
	}
	return HTTP_PARSE_MORE;
}

bool http_parser_is_amid(const struct http_parser *p)
{
	return p->phase != HTTP_PHASE_REQUEST_LINE || p->line_len > 0;
}

void http_parser_take(struct http_parser *p, struct http_message *message)
{
	assert(p->phase == HTTP_PHASE_DONE);
	*message = p->message;
	begin(p);
}

void http_parser_release(struct http_parser *p)
{
	http_message_release(&p->message);
}

const char *http_message_field(const struct http_message *message, const char *name)
{
	for (size_t i = 0; i < message->nr_fields; i++) {
		if (strcasecmp(message->fields[i].name, name) == 0)
			return message->fields[i].value;
	}
	return NULL;
}

void http_message_release(struct http_message *message)
{
	free(message->head);
	free(message->body);
	*message = (struct http_message){ 0 };
}

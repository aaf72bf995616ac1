/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1 requests out of a stream of bytes (RFC 9112), cut anywhere. No I/O; the caller feeds what
 * it has and gets one message at a time.
 *
 * Strict, because two readers that disagree on where a message ends is how requests are smuggled:
 * lines end with CR LF and nothing less, no folded fields, no space before the colon, one
 * Content-Length of digits only, never together with Transfer-Encoding, and `chunked` is the only
 * coding. Unknown fields are ignored. All of it is bounded: a line, the number of fields, the head
 * as a whole, the body.
 *
 * An error is final but for one: a body above the limit, whose length is known, is skipped when it
 * is fed further, and the next message follows (is_resumable).
 *
 * Texts start as Firecracker's do where it has the same error. They hold no character that would
 * need an escape in JSON. Thread: any, one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "control/api/http_field.h"

enum {
	HTTP_LINE_BYTES = 8192, /* one line, its CR LF included */
	HTTP_HEAD_BYTES = 32768, /* all lines of a head */
	HTTP_MAX_FIELDS = 64,
	HTTP_CHUNK_LINE_BYTES = 256, /* a chunk's size and extensions */
	HTTP_EMPTY_LINES = 4, /* before a request line: RFC 9112, 2.2 */
};

/* Bodies above the limit are skipped up to this length; above it, the connection has to end. */
#define HTTP_SKIP_BYTES (UINT64_C(64) << 20)

/* Texts are NUL-terminated and live in @head. */
struct http_message {
	char *head; /* owned */
	const char *method;
	const char *path; /* see http_target.h */
	const char *query;
	unsigned minor_version; /* of HTTP/1 */
	bool is_last; /* the client wants no further answer on this connection */
	bool expects_continue;
	struct http_field fields[HTTP_MAX_FIELDS];
	size_t nr_fields;
	char *body; /* owned: @body_len bytes and a NUL; NULL when there are none */
	size_t body_len;
};

enum http_parse_result {
	HTTP_PARSE_MORE, /* all bytes are used; the message is not complete */
	HTTP_PARSE_HEAD, /* the head is complete, a body follows: time for "100 Continue" */
	HTTP_PARSE_DONE, /* take the message */
	HTTP_PARSE_ERROR, /* see @error */
};

enum http_parse_phase {
	HTTP_PHASE_REQUEST_LINE,
	HTTP_PHASE_FIELDS,
	HTTP_PHASE_BODY,
	HTTP_PHASE_CHUNK_SIZE,
	HTTP_PHASE_CHUNK_DATA,
	HTTP_PHASE_CHUNK_END,
	HTTP_PHASE_TRAILER,
	HTTP_PHASE_DONE,
	HTTP_PHASE_SKIP,
	HTTP_PHASE_FAILED,
};

/* The most bytes that the body of a request to @path may have. */
typedef size_t http_body_limit(void *opaque, const char *path);

struct http_parser {
	const char *const *methods; /* borrowed: constants; NULL ends it */
	size_t max_body_bytes; /* of this message */
	size_t most_body_bytes; /* of any */
	http_body_limit *limit; /* may be NULL, like the next */
	void *limit_opaque; /* borrowed */
	enum http_parse_phase phase;
	struct http_message message;
	size_t head_len; /* complete lines in message.head */
	size_t line_len; /* the line that is being read, behind them */
	unsigned nr_empty_lines;
	unsigned nr_trailer_fields;
	uint64_t remaining; /* bytes of the body, or of the chunk */
	size_t body_room;
	struct err error;
	bool is_resumable;
};

/* @methods are those to be let through, compared byte for byte: neither HEAD nor CONNECT. */
void http_parser_init(struct http_parser *p, const char *const *methods, size_t max_body_bytes);

/* Limits that differ by path, below the one of init. */
void http_parser_set_limit(struct http_parser *p, http_body_limit *limit, void *opaque);

/*
 * Reads on in @data and says in *@used how many of its bytes went in: all of them with
 * HTTP_PARSE_MORE. After HTTP_PARSE_DONE take the message before feeding more.
 */
enum http_parse_result http_parser_feed(struct http_parser *p, const char *data, size_t len,
					size_t *used);

/* Whether a message has begun and is not complete. */
bool http_parser_is_amid(const struct http_parser *p);

/* Moves the message out, to be released by the caller, and makes ready for the next. */
void http_parser_take(struct http_parser *p, struct http_message *message);

void http_parser_release(struct http_parser *p);

/* The first value of a field, its name in any case, or NULL. */
const char *http_message_field(const struct http_message *message, const char *name);

/* Accepts a zeroed object. */
void http_message_release(struct http_message *message);

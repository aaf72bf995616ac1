/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server on a Unix socket, as the code behind it sees it: requests come in by a
 * callback, answers go out when they are known.
 *
 *	void handler(void *opaque, struct http_request *req)
 *	{
 *		if (strcmp(http_request_path(req), "/") == 0)
 *			http_reply(req, &(struct http_response){ .status = 200, .body = "{}" });
 *		else
 *			remember(req);		(and answer it later)
 *	}
 *
 * A request belongs to the handler from the call until http_reply() or http_stream_start(); it
 * stays valid however long that takes, even if its client or the server is gone by then. The answer
 * is dropped then. Every request has to be answered, once. Those behind it on the same connection
 * wait, so answers keep their order; other connections do not.
 *
 * Nothing here calls back from inside a call: the next request, or the end of a stream, comes from
 * the loop. Everything is bounded (struct http_limits); a client that sends slowly or reads nothing
 * loses its connection and holds up nobody. SIGPIPE must be ignored.
 *
 * Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "control/api/peer.h"

struct event_base;
struct http_request;
struct http_server;
struct http_stream;

struct http_response {
	int status; /* 200 to 599; 204 goes out without a body */
	const char *content_type; /* NULL: application/json */
	const char *body; /* copied; may be NULL */
	size_t body_len; /* 0: up to the NUL of @body */
	const char *server; /* the Server field; NULL: that of the options */
	const char *fields; /* NULL, or more fields: lines with CR LF each, no foreign text */
	bool is_deprecated; /* adds "Deprecation: true" */
	bool is_last; /* the connection ends after it */
};

/* A request that was answered, or refused before it became one. */
struct http_finished {
	const struct http_request *request; /* NULL when refused; valid during the call */
	const char *route; /* see http_request_set_route(); NULL when refused */
	int status;
	uint64_t micros; /* from the last byte of the request to the answer, or stream's start */
};

struct http_limits {
	unsigned max_connections; /* one more is answered with 503 */
	unsigned max_streams; /* of those; keep some connections for requests */
	size_t max_body_bytes; /* of a request */
	size_t max_stream_bytes; /* a stream whose client leaves more unread is ended */
	unsigned request_ms; /* from the first byte of a request to its last */
	unsigned stall_ms; /* how long a client may read nothing of an answer */
	unsigned idle_ms; /* idle for so long may be closed if the table is full, only then */
};

struct http_options {
	struct http_limits limits;
	const char *server; /* borrowed: a constant; the Server field */
	const char *const *methods; /* borrowed: a constant; see http_parser_init() */
	void (*handler)(void *opaque, struct http_request *req);
	void (*finished)(void *opaque, const struct http_finished *finished); /* may be NULL */

	/*
	 * Says in *@response how to refuse a request to @path whose body of @len bytes is too long;
	 * its text goes to @text, of @size bytes. NULL: like all that is no request.
	 */
	void (*refuse_body)(void *opaque, const char *path, uint64_t len,
			    struct http_response *response, char *text, size_t size);
	/* The most bytes of a body, by path, below that of `limits`. NULL: no other limit. */
	size_t (*body_limit)(void *opaque, const char *path);
	void *opaque;
};

/* Limits, methods and names as Firecracker has them, handlers unset. */
struct http_options http_options_default(void);

/*
 * Serves the listening, non-blocking Unix socket @listen_fd (borrowed: closed by the caller after
 * the server). *@out is the caller's. 0 or -errno with @e.
 */
int http_server_new(struct http_server **out, struct event_base *base, int listen_fd,
		    const struct http_options *options, struct err *e);

/*
 * Ends all connections, after one attempt to write what was answered; streams see on_close.
 * Unanswered requests stay valid until they are replied to. Not from a callback. Accepts NULL.
 */
void http_server_free(struct http_server *server);

/* Texts live as long as the request. See http_target.h for what a path can be. */
const char *http_request_method(const struct http_request *req);
const char *http_request_path(const struct http_request *req);
const char *http_request_query(const struct http_request *req);

/* The first value of a header field, its name in any case, or NULL. */
const char *http_request_field(const struct http_request *req, const char *name);

/* The body, with a NUL behind it (there may be others in it); *@len may be 0. */
const char *http_request_body(const struct http_request *req, size_t *len);

struct peer http_request_peer(const struct http_request *req);

/* Whether there still is somebody who would read the answer. */
bool http_request_has_client(const struct http_request *req);

/* What metrics call this kind of request. Borrowed: a constant. */
void http_request_set_route(struct http_request *req, const char *route);

/* Answers @req and ends its life. */
void http_reply(struct http_request *req, const struct http_response *response);

/*
 * Answers @req with status 200 and a body that has no end yet, and ends its life. Returns NULL,
 * with @req still to be answered, when there are too many streams, no memory, or no client.
 *
 * @on_close is called once, from the loop, when the client goes or is dropped; the stream is
 * invalid after that. @content_type is "text/event-stream" for server-sent events.
 */
struct http_stream *http_stream_start(struct http_request *req, const char *content_type,
				      void (*on_close)(void *opaque), void *opaque);

/*
 * Adds to the body. 0, or -EPIPE when the stream is being ended, -ENOBUFS when that is the
 * consequence of this call: its client does not keep up. @on_close follows in both cases.
 */
int http_stream_send(struct http_stream *stream, const void *data, size_t len);

/* Ends the body and the stream, without @on_close. */
void http_stream_end(struct http_stream *stream);

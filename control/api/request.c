/* SPDX-License-Identifier: Apache-2.0 */
/* Requests while they are with their handler, and their answers: see http.h. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "control/api/conn.h"

enum {
	NO_CONTENT = 204,
	REFUSED_BODY_BYTES = ERR_MSG_BYTES + 96,
};

uint64_t http_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int http_request_start(struct http_conn *c, struct http_message *message)
{
	struct http_server *server = c->server;
	struct http_request *req = NULL;

	/* Requests whose clients have left count too: a client cannot pile them up. */
	if (server->nr_requests >= 2 * server->options.limits.max_connections) {
		http_message_release(message);
		return -EBUSY;
	}
	req = calloc(1, sizeof(*req));
	if (!req) {
		http_message_release(message);
		return -ENOMEM;
	}
	req->server = server;
	req->conn = c;
	req->message = *message;
	req->peer = c->peer;
	req->start_us = http_now_us();
	LIST_INSERT_HEAD(&server->requests, req, link);
	server->nr_requests++;
	c->request = req;
	c->state = HTTP_CONN_BUSY;
	server->options.handler(server->options.opaque, req);
	return 0;
}

static void finish(struct http_request *req, int status)
{
	struct http_server *server = req->server;
	const struct http_finished finished = {
		.request = req,
		.route = req->route,
		.status = status,
		.micros = http_now_us() - req->start_us,
	};

	if (server) {
		LIST_REMOVE(req, link);
		server->nr_requests--;
		if (server->options.finished)
			server->options.finished(server->options.opaque, &finished);
	}
	http_message_release(&req->message);
	free(req);
}

/* False without memory. */
static bool write_response(struct evbuffer *out, const char *server, const struct http_response *r)
{
	const size_t len = r->body && r->body_len == 0 ? strlen(r->body) : r->body_len;

	/* The status line ends with the space that a reason would follow: RFC 9112, 4. */
	if (evbuffer_add_printf(out, "HTTP/1.1 %d \r\nServer: %s\r\nConnection: %s\r\n%s%s",
				r->status, r->server ? r->server : server,
				r->is_last ? "close" : "keep-alive", r->fields ? r->fields : "",
				r->is_deprecated ? "Deprecation: true\r\n" : "") < 0)
		return false;
	if (r->status < 200 || r->status == NO_CONTENT)
		return evbuffer_add(out, "\r\n", 2) == 0;
	if (evbuffer_add_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
				r->content_type ? r->content_type : "application/json", len) < 0)
		return false;
	return len == 0 || evbuffer_add(out, r->body, len) == 0;
}

void http_response_write(struct http_conn *c, const struct http_response *response)
{
	if (!write_response(bufferevent_get_output(c->bev), c->server->options.server, response))
		c->state = HTTP_CONN_DOOMED;
}

void http_refuse(struct http_conn *c, int status, const char *text, bool is_last)
{
	const struct http_options *options = &c->server->options;
	const struct http_finished finished = { .status = status };
	char body[REFUSED_BODY_BYTES];

	/* The line break is Firecracker's, and is compared byte for byte by its tests. */
	snprintf(body, sizeof(body),
		 "{ \"error\": \"%s\nAll previous unanswered requests will be dropped.\" }", text);
	http_response_write(
		c, &(struct http_response){ .status = status, .body = body, .is_last = is_last });
	if (options->finished)
		options->finished(options->opaque, &finished);
}

void http_reply(struct http_request *req, const struct http_response *response)
{
	struct http_conn *c = req->conn;

	assert(response->status >= 200 && response->status <= 599);
	if (c) {
		struct http_response r = *response;

		r.is_last |= req->message.is_last;
		c->request = NULL;
		c->state = r.is_last ? HTTP_CONN_CLOSING : HTTP_CONN_READING;
		c->waiting_since_us = http_now_us();
		http_response_write(c, &r);
		http_conn_wake(c);
	}
	finish(req, response->status);
}

struct http_stream *http_stream_start(struct http_request *req, const char *content_type,
				      void (*on_close)(void *opaque), void *opaque)
{
	struct http_conn *c = req->conn;
	struct http_stream *stream;

	if (!c || c->server->nr_streams >= c->server->options.limits.max_streams)
		return NULL;
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	*stream = (struct http_stream){
		.conn = c,
		.is_chunked = req->message.minor_version > 0,
		.on_close = on_close,
		.opaque = opaque,
	};
	if (evbuffer_add_printf(bufferevent_get_output(c->bev),
				"HTTP/1.1 200 \r\nServer: %s\r\nConnection: close\r\n"
				"Content-Type: %s\r\nCache-Control: no-cache\r\n%s\r\n",
				c->server->options.server, content_type,
				stream->is_chunked ? "Transfer-Encoding: chunked\r\n" : "") < 0) {
		free(stream);
		return NULL;
	}
	c->request = NULL;
	c->stream = stream;
	c->state = HTTP_CONN_STREAM;
	c->server->nr_streams++;
	http_conn_wake(c);
	finish(req, 200);
	return stream;
}

/* Frames @data as a chunk (RFC 9112, 7.1) where the client can read that. */
static int stream_write(struct http_stream *stream, const void *data, size_t len)
{
	struct evbuffer *out = bufferevent_get_output(stream->conn->bev);

	if (stream->is_chunked && evbuffer_add_printf(out, "%zx\r\n", len) < 0)
		return -ENOMEM;
	if (evbuffer_add(out, data, len) < 0)
		return -ENOMEM;
	if (stream->is_chunked && evbuffer_add(out, "\r\n", 2) < 0)
		return -ENOMEM;
	return 0;
}

int http_stream_send(struct http_stream *stream, const void *data, size_t len)
{
	struct http_conn *c = stream->conn;
	size_t limit, unread;

	if (!c || c->state != HTTP_CONN_STREAM)
		return -EPIPE;
	if (len == 0) /* an empty chunk would end the body */
		return 0;
	limit = c->server->options.limits.max_stream_bytes;
	unread = evbuffer_get_length(bufferevent_get_output(c->bev));
	if (unread > limit || len > limit - unread || stream_write(stream, data, len) < 0) {
		c->state = HTTP_CONN_DOOMED;
		http_conn_wake(c);
		return -ENOBUFS;
	}
	return 0;
}

void http_stream_end(struct http_stream *stream)
{
	struct http_conn *c = stream->conn;

	if (!c) /* from on_close: it ends anyway */
		return;
	if (c->state == HTTP_CONN_STREAM) {
		if (stream->is_chunked)
			evbuffer_add(bufferevent_get_output(c->bev), "0\r\n\r\n", 5);
		c->state = HTTP_CONN_CLOSING;
		c->waiting_since_us = http_now_us();
	}
	c->stream = NULL;
	c->server->nr_streams--;
	http_conn_wake(c);
	free(stream);
}

const char *http_request_method(const struct http_request *req)
{
	return req->message.method;
}

const char *http_request_path(const struct http_request *req)
{
	return req->message.path;
}

const char *http_request_query(const struct http_request *req)
{
	return req->message.query;
}

const char *http_request_field(const struct http_request *req, const char *name)
{
	return http_message_field(&req->message, name);
}

const char *http_request_body(const struct http_request *req, size_t *len)
{
	*len = req->message.body_len;
	return req->message.body ? req->message.body : "";
}

struct peer http_request_peer(const struct http_request *req)
{
	return req->peer;
}

bool http_request_has_client(const struct http_request *req)
{
	return req->conn != NULL;
}

void http_request_set_route(struct http_request *req, const char *route)
{
	req->route = route;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the HTTP server share: the server's table, its connections, their requests.
 *
 * A connection is freed by callbacks of its own and by the table, never below http_reply() and
 * http_stream_*(): those change its state and leave the rest to its next turn (http_conn_wake()).
 * So handlers may reply from anywhere, and conn_run() may look at its connection after calling one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "control/api/http.h"
#include "control/api/http_parse.h"
#include "control/api/peer.h"

struct bufferevent;
struct event;

enum http_conn_state {
	HTTP_CONN_READING, /* a request, or waits for one */
	HTTP_CONN_BUSY, /* a request is with its handler */
	HTTP_CONN_STREAM, /* an answer without an end */
	HTTP_CONN_CLOSING, /* no more requests; writes what is left */
	HTTP_CONN_LINGER, /* all is written; drops input until the client has seen it */
	HTTP_CONN_DOOMED, /* to be freed at its next turn */
};

struct http_conn {
	LIST_ENTRY(http_conn) link;
	struct http_server *server; /* borrowed: frees us first */
	struct bufferevent *bev; /* owned, and its descriptor */
	struct event *turn; /* owned: runs us from the loop */
	struct event *deadline; /* owned: of the request that is coming in, or of lingering */
	enum http_conn_state state;
	bool has_input_end;
	struct http_parser parser;
	struct http_request *request; /* borrowed: the handler's; set while BUSY */
	struct http_stream *stream; /* owned; set while STREAM */
	struct peer peer;
	uint64_t waiting_since_us; /* when we began to wait for the client */
};

struct http_request {
	LIST_ENTRY(http_request) link;
	struct http_server *server; /* borrowed; NULL when it is gone */
	struct http_conn *conn; /* borrowed; NULL when it is gone */
	struct http_message message;
	struct peer peer;
	const char *route; /* borrowed: a constant */
	uint64_t start_us;
};

struct http_stream {
	struct http_conn *conn; /* borrowed; NULL while on_close runs */
	bool is_chunked;
	void (*on_close)(void *opaque);
	void *opaque;
};

struct http_server {
	struct http_options options;
	struct event_base *base; /* borrowed: outlives us */
	int listen_fd; /* borrowed */
	struct event *listener; /* owned */
	struct event *listen_again; /* owned: after we ran out of descriptors */
	bool is_starved; /* of descriptors; said once */
	LIST_HEAD(conn_list, http_conn) conns;
	LIST_HEAD(request_list, http_request)
	requests; /* not answered yet, with and without a client */
	unsigned nr_conns, nr_requests, nr_streams;
};

/* Microseconds of the monotonic clock. */
uint64_t http_now_us(void);

/* Takes over the connected, non-blocking @fd, also on failure. 0 or -ENOMEM. */
int http_conn_new(struct http_server *server, int fd);

/* Tells the stream's owner; a request that is with its handler loses its client. */
void http_conn_free(struct http_conn *c);

/* Goes on with it from the loop. */
void http_conn_wake(struct http_conn *c);

/* How long it may have kept its place for nothing; 0 when it is working. */
uint64_t http_conn_idle_us(const struct http_conn *c, uint64_t now_us);

/* Passes @message, which it takes over, to the handler. 0 or -errno (-ENOMEM, -EBUSY). */
int http_request_start(struct http_conn *c, struct http_message *message);

/* Writes an answer's head and body. */
void http_response_write(struct http_conn *c, const struct http_response *response);

/* Answers what did not become a request: @text is a sentence without quotes. */
void http_refuse(struct http_conn *c, int status, const char *text, bool is_last);

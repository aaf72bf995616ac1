/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server on a nameless socket with a handler that answers in every way there is, and
 * clients that speak bytes. One thread: the loop runs only in http_rig_turn().
 *
 *	/ok 200, /none 204, /echo the body, /where method, path and query, /big 1 MiB,
 *	/deprecated, /close (is_last), /more (a field of its own), /later (when told), /stream
 */
#pragma once

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "control/api/http.h"

enum { RIG_LATER = 64, RIG_STREAMS = 16, RIG_BIG_BYTES = 1 << 20 };

struct http_rig_stream {
	struct http_stream *stream; /* NULL when closed */
	unsigned nr_closes;
};

struct http_rig {
	struct event_base *base;
	struct http_server *server;
	int listen_fd;
	struct sockaddr_un address;
	socklen_t address_len;
	struct http_request *later[RIG_LATER];
	size_t nr_later;
	struct http_rig_stream streams[RIG_STREAMS];
	size_t nr_streams;
	unsigned nr_requests, nr_finished, last_status;
	const char *last_route;
	struct peer last_peer;
	char reply[RIG_BIG_BYTES + 65536]; /* of http_rig_recv() */
};

/* @limits NULL: the defaults. Aborts on failure, as do all of these. */
void http_rig_open(struct http_rig *rig, const struct http_limits *limits);

/* Frees the server, then answers what is left. */
void http_rig_close(struct http_rig *rig);

/* Runs the loop until nothing more is to be done at once. */
void http_rig_turn(struct http_rig *rig);

/* Runs it for some time. */
void http_rig_run_ms(struct http_rig *rig, unsigned ms);

/* A non-blocking client. */
int http_rig_connect(struct http_rig *rig);

/* Sends all it can and turns; returns how many bytes were taken. Stops at an error. */
size_t http_rig_send(struct http_rig *rig, int fd, const char *data, size_t len);

/* All that has come, NUL-terminated, in rig->reply; " (end)" is added at the end of the stream. */
const char *http_rig_recv(struct http_rig *rig, int fd);

/* The two above, for a text. */
const char *http_rig_ask(struct http_rig *rig, int fd, const char *text);

/* Answers the oldest of /later with 204. */
void http_rig_answer(struct http_rig *rig);

/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server and its clients for tests: see http_rig.h. */
#include "test/unit/http_rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

enum { TURNS_QUIET = 4, TURNS_MAX = 100000 };

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void reply_text(struct http_request *req, const char *text)
{
	http_reply(req, &(struct http_response){
				.status = 200, .content_type = "text/plain", .body = text });
}

static void on_stream_close(void *opaque)
{
	struct http_rig_stream *s = opaque;

	s->nr_closes++;
	REQUIRE(http_stream_send(s->stream, "x", 1) == -EPIPE);
	http_stream_end(s->stream);
	s->stream = NULL;
}

static void start_stream(struct http_rig *rig, struct http_request *req)
{
	struct http_rig_stream *s = &rig->streams[rig->nr_streams % RIG_STREAMS];

	if (!s->stream)
		s->stream = http_stream_start(req, "text/event-stream", on_stream_close, s);
	else
		s = NULL;
	if (s && s->stream)
		rig->nr_streams++;
	else
		http_reply(req, &(struct http_response){ .status = 503 });
}

static void reply_where(struct http_request *req)
{
	char text[32768];

	snprintf(text, sizeof(text), "%s %s %s", http_request_method(req), http_request_path(req),
		 http_request_query(req));
	reply_text(req, text);
}

static void reply_big(struct http_request *req)
{
	char *body = malloc(RIG_BIG_BYTES);

	REQUIRE(body);
	memset(body, 'b', RIG_BIG_BYTES);
	http_reply(req, &(struct http_response){
				.status = 200, .body = body, .body_len = RIG_BIG_BYTES });
	free(body);
}

static void handle(void *opaque, struct http_request *req)
{
	struct http_rig *rig = opaque;
	const char *path = http_request_path(req);
	size_t len;
	const char *body = http_request_body(req, &len);

	REQUIRE(body[len] == '\0' && path[0] == '/');
	rig->nr_requests++;
	rig->last_peer = http_request_peer(req);
	http_request_set_route(req, "route");
	if (strcmp(path, "/none") == 0)
		http_reply(req, &(struct http_response){ .status = 204, .body = "not sent" });
	else if (strcmp(path, "/echo") == 0)
		http_reply(req,
			   &(struct http_response){ .status = 200, .body = body, .body_len = len });
	else if (strcmp(path, "/big") == 0)
		reply_big(req);
	else if (strcmp(path, "/where") == 0)
		reply_where(req);
	else if (strcmp(path, "/deprecated") == 0)
		http_reply(req, &(struct http_response){ .status = 204, .is_deprecated = true });
	else if (strcmp(path, "/close") == 0)
		http_reply(req, &(struct http_response){ .status = 204, .is_last = true });
	else if (strcmp(path, "/more") == 0)
		http_reply(req, &(struct http_response){ .status = 405,
							 .server = "volt",
							 .fields = "Allow: GET\r\n" });
	else if (strcmp(path, "/later") == 0 && rig->nr_later < RIG_LATER)
		rig->later[rig->nr_later++] = req;
	else if (strcmp(path, "/stream") == 0)
		start_stream(rig, req);
	else
		reply_text(req, "{}");
}

static void note_finished(void *opaque, const struct http_finished *finished)
{
	struct http_rig *rig = opaque;

	REQUIRE(!finished->request || *http_request_method(finished->request));
	REQUIRE(!finished->request == !finished->route);
	rig->nr_finished++;
	rig->last_status = (unsigned)finished->status;
	rig->last_route = finished->route;
}

void http_rig_open(struct http_rig *rig, const struct http_limits *limits)
{
	struct http_options options = http_options_default();
	const struct sockaddr_un any = { .sun_family = AF_UNIX };

	memset(rig, 0, sizeof(*rig));
	signal(SIGPIPE, SIG_IGN);
	if (limits)
		options.limits = *limits;
	options.handler = handle;
	options.finished = note_finished;
	options.opaque = rig;
	rig->base = event_base_new();
	rig->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rig->address_len = sizeof(rig->address);
	/* unix(7), "Autobind feature" */
	REQUIRE(rig->base &&
		bind(rig->listen_fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) == 0);
	REQUIRE(getsockname(rig->listen_fd, (struct sockaddr *)&rig->address, &rig->address_len) ==
		0);
	REQUIRE(listen(rig->listen_fd, 2048) == 0);
	REQUIRE(http_server_new(&rig->server, rig->base, rig->listen_fd, &options, NULL) == 0);
}

void http_rig_close(struct http_rig *rig)
{
	http_server_free(rig->server);
	rig->server = NULL;
	while (rig->nr_later > 0)
		http_rig_answer(rig);
	event_base_free(rig->base);
	close(rig->listen_fd);
}

void http_rig_turn(struct http_rig *rig)
{
	for (int i = 0; i < TURNS_QUIET; i++)
		REQUIRE(event_base_loop(rig->base, EVLOOP_NONBLOCK) >= 0);
}

void http_rig_run_ms(struct http_rig *rig, unsigned ms)
{
	const struct timeval time = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	event_base_loopexit(rig->base, &time);
	event_base_dispatch(rig->base);
}

int http_rig_connect(struct http_rig *rig)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	REQUIRE(fd >= 0 &&
		connect(fd, (const struct sockaddr *)&rig->address, rig->address_len) == 0);
	return fd;
}

size_t http_rig_send(struct http_rig *rig, int fd, const char *data, size_t len)
{
	size_t sent = 0;

	for (int i = 0; i < TURNS_MAX && sent < len; i++) {
		ssize_t n = send(fd, data + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
		http_rig_turn(rig);
		if (n < 0 && send(fd, data + sent, 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	}
	http_rig_turn(rig);
	return sent;
}

const char *http_rig_recv(struct http_rig *rig, int fd)
{
	size_t len = 0;
	int quiet = 0;

	while (quiet < TURNS_QUIET && len < sizeof(rig->reply) - 16) {
		ssize_t n = recv(fd, rig->reply + len, sizeof(rig->reply) - 16 - len, MSG_DONTWAIT);

		quiet = n > 0 ? 0 : quiet + 1;
		len += n > 0 ? (size_t)n : 0;
		if (n == 0) {
			memcpy(rig->reply + len, " (end)", 6);
			len += 6;
			break;
		}
		if (n < 0 && errno == ECONNRESET) {
			memcpy(rig->reply + len, " (reset)", 8);
			len += 8;
			break;
		}
		http_rig_turn(rig);
	}
	rig->reply[len] = '\0';
	return rig->reply;
}

const char *http_rig_ask(struct http_rig *rig, int fd, const char *text)
{
	http_rig_send(rig, fd, text, strlen(text));
	return http_rig_recv(rig, fd);
}

void http_rig_answer(struct http_rig *rig)
{
	REQUIRE(rig->nr_later > 0);
	http_reply(rig->later[0], &(struct http_response){ .status = 204 });
	rig->nr_later--;
	for (size_t i = 0; i < rig->nr_later; i++)
		rig->later[i] = rig->later[i + 1];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's life: reads requests, hands them on, ends. See conn.h. */
#include "control/api/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/cleanup.h"

enum {
	INPUT_BYTES = 16384, /* no more is read while so much waits for its turn */
	OUTPUT_PAUSE_BYTES = 65536, /* unread answers: no further request is begun */
	REQUESTS_PER_TURN = 16,
	LINGER_MS = 1000,
	HALF_CLOSED_MS = 1000,
	REFUSED_BODY_BYTES = 1024,
};

static size_t unread_output(const struct http_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void set_deadline(struct http_conn *c, unsigned ms)
{
	const struct timeval time = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	evtimer_add(c->deadline, &time);
}

void http_conn_wake(struct http_conn *c)
{
	/* A timer, not event_active(): the loop looks at all descriptors before it is due. */
	const struct timeval now = { 0 };

	evtimer_add(c->turn, &now);
}

/* A client that has closed both directions will read no answer. */
static bool is_client_gone(const struct http_conn *c)
{
	struct pollfd p = { .fd = bufferevent_getfd(c->bev) };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void refuse(struct http_conn *c, int status, const char *text, bool is_last)
{
	if (is_last)
		c->state = HTTP_CONN_CLOSING;
	http_refuse(c, status, text, is_last);
}

static void refuse_body(struct http_conn *c)
{
	const struct http_options *options = &c->server->options;
	const struct http_parser *p = &c->parser;
	struct http_response r = { .status = 400, .is_last = !p->is_resumable };
	char text[REFUSED_BODY_BYTES] = "";

	r.body = text;
	options->refuse_body(options->opaque, p->message.path, p->message.body_len + p->remaining,
			     &r, text, sizeof(text));
	if (r.is_last)
		c->state = HTTP_CONN_CLOSING;
	http_response_write(c, &r);
	if (options->finished)
		options->finished(options->opaque, &(struct http_finished){ .status = r.status });
}

static void refuse_message(struct http_conn *c)
{
	if (c->parser.error.code == -EFBIG && c->server->options.refuse_body)
		refuse_body(c);
	else
		refuse(c, 400, c->parser.error.msg, !c->parser.is_resumable);
}

static void start_request(struct http_conn *c)
{
	struct http_message message;
	int r;

	evtimer_del(c->deadline);
	http_parser_take(&c->parser, &message);
	r = http_request_start(c, &message);
	if (r == -EBUSY)
		refuse(c, 503, "Too many requests without an answer.", true);
	else if (r < 0)
		c->state = HTTP_CONN_DOOMED;
}

/* "Go on" is worth saying only to a client that waits for it: RFC 9110, 10.1.1. */
static void answer_expectation(struct http_conn *c)
{
	if (c->parser.message.expects_continue &&
	    evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
		http_response_write(c, &(struct http_response){ .status = 100 });
}

/* Feeds the parser what is there, up to the end of one message. False when nothing was there. */
static bool read_on(struct http_conn *c)
{
	struct evbuffer *input = bufferevent_get_input(c->bev);
	const size_t len = evbuffer_get_contiguous_space(input);
	const char *data = (const char *)evbuffer_pullup(input, (ev_ssize_t)len);
	enum http_parse_result result;
	size_t used;

	if (len == 0 || !data)
		return false;
	result = http_parser_feed(&c->parser, data, len, &used);
	evbuffer_drain(input, used);
	switch (result) {
	case HTTP_PARSE_MORE:
		break;
	case HTTP_PARSE_HEAD:
		answer_expectation(c);
		break;
	case HTTP_PARSE_DONE:
		start_request(c);
		break;
	case HTTP_PARSE_ERROR:
		refuse_message(c);
		break;
	}
	return true;
}

/*
 * A request has to be complete within its time, from its first byte on. A stream whose client has
 * ended its own side is looked at from time to time: nothing tells when it goes for good.
 */
static void keep_time(struct http_conn *c)
{
	unsigned ms = 0;

	if (c->state == HTTP_CONN_LINGER)
		return;
	if (c->state == HTTP_CONN_READING && http_parser_is_amid(&c->parser))
		ms = c->server->options.limits.request_ms;
	else if (c->state == HTTP_CONN_STREAM && c->has_input_end)
		ms = HALF_CLOSED_MS;
	if (ms == 0)
		evtimer_del(c->deadline);
	else if (!evtimer_pending(c->deadline, NULL))
		set_deadline(c, ms);
}

/* All is written: what the client still sends would reset the connection before it has read it. */
static void linger(struct http_conn *c)
{
	if (c->has_input_end || shutdown(bufferevent_getfd(c->bev), SHUT_WR) < 0) {
		c->state = HTTP_CONN_DOOMED;
		return;
	}
	c->state = HTTP_CONN_LINGER;
	set_deadline(c, LINGER_MS);
}

static void drop_input(struct http_conn *c)
{
	struct evbuffer *input = bufferevent_get_input(c->bev);

	evbuffer_drain(input, evbuffer_get_length(input));
}

/*
 * Reading ahead stops when enough is there. Not by bufferevent's high watermark: while the input
 * stays at it, libevent calls on_read() again and again.
 */
static void keep_input_bounded(struct http_conn *c)
{
	const bool is_reading = bufferevent_get_enabled(c->bev) & EV_READ;
	const bool is_full = evbuffer_get_length(bufferevent_get_input(c->bev)) >= INPUT_BYTES;

	if (is_reading && is_full)
		bufferevent_disable(c->bev, EV_READ);
	else if (!is_reading && !is_full && !c->has_input_end)
		bufferevent_enable(c->bev, EV_READ);
}

/* Goes on as far as possible. Frees @c if that is its end, so it comes last wherever it is used. */
static void run(struct http_conn *c)
{
	bool is_more = true;

	for (int i = 0; i < REQUESTS_PER_TURN && is_more; i++)
		is_more = c->state == HTTP_CONN_READING && unread_output(c) <= OUTPUT_PAUSE_BYTES &&
			  read_on(c);
	if (is_more)
		http_conn_wake(c);
	else if (c->state == HTTP_CONN_READING && c->has_input_end &&
		 evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
		c->state = HTTP_CONN_CLOSING;
	keep_time(c);
	if (c->state >= HTTP_CONN_STREAM)
		drop_input(c);
	keep_input_bounded(c);
	if (c->state == HTTP_CONN_CLOSING && unread_output(c) == 0)
		linger(c);
	if (c->state == HTTP_CONN_DOOMED)
		http_conn_free(c);
}

static void on_turn(evutil_socket_t fd, short what, void *opaque)
{
	(void)fd;
	(void)what;
	run(opaque);
}

static void on_read(struct bufferevent *bev, void *opaque)
{
	struct http_conn *c = opaque;

	(void)bev;
	if (c->state == HTTP_CONN_LINGER)
		drop_input(c);
	else
		run(c);
}

static void on_write(struct bufferevent *bev, void *opaque)
{
	(void)bev;
	run(opaque);
}

static void on_event(struct bufferevent *bev, short what, void *opaque)
{
	struct http_conn *c = opaque;

	(void)bev;
	c->has_input_end = true;
	/* A client may end its own side and still read answers (nc -N). */
	if (!(what & BEV_EVENT_EOF) || c->state == HTTP_CONN_LINGER || is_client_gone(c))
		c->state = HTTP_CONN_DOOMED;
	run(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *opaque)
{
	struct http_conn *c = opaque;

	(void)fd;
	(void)what;
	if (c->state == HTTP_CONN_READING && c->parser.phase != HTTP_PHASE_SKIP)
		refuse(c, 408, "The request did not arrive in time.", true);
	else if (c->state != HTTP_CONN_STREAM || is_client_gone(c))
		c->state = HTTP_CONN_DOOMED;
	run(c);
}

int http_conn_new(struct http_server *server, int fd)
{
	auto_fd int owned_fd = fd;
	const struct http_options *options = &server->options;
	const struct timeval stall = { .tv_sec = options->limits.stall_ms / 1000,
				       .tv_usec = (options->limits.stall_ms % 1000) * 1000 };
	struct http_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	LIST_INSERT_HEAD(&server->conns, c, link);
	server->nr_conns++;
	c->server = server;
	c->peer = peer_of(fd);
	c->waiting_since_us = http_now_us();
	http_parser_init(&c->parser, options->methods, options->limits.max_body_bytes);
	http_parser_set_limit(&c->parser, options->body_limit, options->opaque);
	c->turn = evtimer_new(server->base, on_turn, c);
	c->deadline = evtimer_new(server->base, on_deadline, c);
	c->bev = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev)
		take_fd(&owned_fd);
	if (!c->turn || !c->deadline || !c->bev ||
	    bufferevent_set_timeouts(c->bev, NULL, &stall) < 0) {
		http_conn_free(c);
		return -ENOMEM;
	}
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return 0;
}

void http_conn_free(struct http_conn *c)
{
	struct http_stream *stream = c->stream;

	LIST_REMOVE(c, link);
	c->server->nr_conns--;
	if (c->request)
		c->request->conn = NULL;
	if (stream) {
		c->server->nr_streams--;
		stream->conn = NULL;
	}
	if (c->bev)
		bufferevent_free(c->bev);
	if (c->turn)
		event_free(c->turn);
	if (c->deadline)
		event_free(c->deadline);
	http_parser_release(&c->parser);
	free(c);
	if (stream) {
		stream->on_close(stream->opaque);
		free(stream);
	}
}

uint64_t http_conn_idle_us(const struct http_conn *c, uint64_t now_us)
{
	switch (c->state) {
	case HTTP_CONN_LINGER:
	case HTTP_CONN_DOOMED:
		return UINT64_MAX;
	case HTTP_CONN_READING:
	case HTTP_CONN_CLOSING:
		return now_us - c->waiting_since_us;
	case HTTP_CONN_BUSY:
	case HTTP_CONN_STREAM:
		break;
	}
	return 0;
}

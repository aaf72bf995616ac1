/* SPDX-License-Identifier: Apache-2.0 */
/* The listening side of the HTTP server, and its table of connections: see http.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/api/conn.h"

enum { ACCEPTS_PER_TURN = 16 };

static const struct timeval listen_again_delay = { .tv_usec = 100000 };

/* Firecracker's answer to one connection too many, byte for byte: without the trailing space. */
static const char full_table[] = "HTTP/1.1 503\r\n"
				 "Server: Firecracker API\r\n"
				 "Connection: close\r\n"
				 "Content-Length: 40\r\n"
				 "\r\n"
				 "{ \"error\": \"Too many open connections\" }";

struct http_options http_options_default(void)
{
	static const char *const methods[] = { "GET", "PUT", "PATCH", "DELETE", NULL };

	return (struct http_options){
		.limits = {
			.max_connections = 10,
			.max_streams = 5,
			.max_body_bytes = 51200,
			.max_stream_bytes = 262144,
			.request_ms = 30000,
			.stall_ms = 30000,
			.idle_ms = 30000,
		},
		.server = "Firecracker API",
		.methods = methods,
	};
}

/* Ends the connection that has been idle longest, if any has been for long enough. */
static bool make_room(struct http_server *server)
{
	const uint64_t now_us = http_now_us();
	uint64_t longest_us = (uint64_t)server->options.limits.idle_ms * 1000;
	struct http_conn *idlest = NULL;

	for (struct http_conn *c = LIST_FIRST(&server->conns); c; c = LIST_NEXT(c, link)) {
		uint64_t idle_us = http_conn_idle_us(c, now_us);

		if (idle_us >= longest_us && idle_us > 0) {
			longest_us = idle_us;
			idlest = c;
		}
	}
	if (!idlest)
		return false;
	http_conn_free(idlest);
	return true;
}

/* What the client has sent is read, or closing would reset the connection under the answer. */
static void refuse_connection(int fd)
{
	char dropped[4096];

	for (int i = 0; i < 4 && recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT) > 0; i++)
		;
	if (send(fd, full_table, strlen(full_table), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a connection too many left before it was told");
	close(fd);
}

static void on_listen_again(evutil_socket_t fd, short what, void *opaque)
{
	struct http_server *server = opaque;

	(void)fd;
	(void)what;
	event_add(server->listener, NULL);
}

static void on_connection(evutil_socket_t listen_fd, short what, void *opaque)
{
	struct http_server *server = opaque;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
			return;
		if (fd < 0) {
			/* No descriptors: the socket stays readable, so look away for a while. */
			if (!server->is_starved)
				log_warn("the API cannot take a connection: %s", strerror(errno));
			server->is_starved = true;
			event_del(server->listener);
			evtimer_add(server->listen_again, &listen_again_delay);
			return;
		}
		server->is_starved = false;
		if (server->nr_conns >= server->options.limits.max_connections &&
		    !make_room(server))
			refuse_connection(fd);
		else if (http_conn_new(server, fd) < 0)
			log_warn("the API has no memory for a connection");
	}
}

int http_server_new(struct http_server **out, struct event_base *base, int listen_fd,
		    const struct http_options *options, struct err *e)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (!server)
		return err_errno(e, -ENOMEM, "cannot make the API server");
	server->options = *options;
	server->base = base;
	server->listen_fd = listen_fd;
	LIST_INIT(&server->conns);
	LIST_INIT(&server->requests);
	server->listener = event_new(base, listen_fd, EV_READ | EV_PERSIST, on_connection, server);
	server->listen_again = evtimer_new(base, on_listen_again, server);
	if (!server->listener || !server->listen_again || event_add(server->listener, NULL) < 0) {
		http_server_free(server);
		return err_errno(e, -ENOMEM, "cannot make the API server");
	}
	*out = server;
	return 0;
}

void http_server_free(struct http_server *server)
{
	struct http_conn *c;
	struct http_request *req;

	if (!server)
		return;
	while ((c = LIST_FIRST(&server->conns)) != NULL) {
		struct evbuffer *out = bufferevent_get_output(c->bev);

		/* A bufferevent keeps the front of its output for itself. */
		evbuffer_unfreeze(out, 1);
		evbuffer_write(out, bufferevent_getfd(c->bev));
		http_conn_free(c);
	}
	while ((req = LIST_FIRST(&server->requests)) != NULL) {
		LIST_REMOVE(req, link);
		req->server = NULL;
	}
	if (server->listener)
		event_free(server->listener);
	if (server->listen_again)
		event_free(server->listen_again);
	free(server);
}

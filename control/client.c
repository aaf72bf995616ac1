/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the API of a running virtual machine: see client.h. */
#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/quote.h"

enum {
	READ_BYTES = 65536,
	RECHECK_MS = 100,
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0 when something has happened on @fd, -ETIMEDOUT or another -errno. */
static int wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	for (;;) {
		const int64_t left_ms = deadline_ms - now_ms();
		int r = poll(&poll_fd, 1, left_ms < 0 ? 0 : (int)left_ms);

		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* A connection has to wait when the listener's queue is full; it does so under SO_SNDTIMEO. */
static int connect_to(const char *path, unsigned timeout_ms)
{
	const struct timeval timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000,
	};
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);

	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, len + 1);
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return take_fd(&fd);
}

int client_open(struct client *c, const char *path, struct err *e)
{
	c->path = path;
	c->fd = connect_to(path, c->timeout_ms);
	switch (c->fd) {
	case -ENOENT:
		return err_set(e, c->fd, "there is no API socket %s: no virtual machine runs there",
			       quote(path).text);
	case -ECONNREFUSED:
		return err_set(e, c->fd,
			       "nobody listens at %s: its virtual machine has ended; remove it",
			       quote(path).text);
	case -ETIMEDOUT:
		return err_set(e, c->fd, "the virtual machine at %s does not answer",
			       quote(path).text);
	default:
		return c->fd >= 0 ? 0
				  : err_errno(e, c->fd, "cannot connect to %s", quote(path).text);
	}
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_request(struct client *c, const char *method, const char *target, const char *body)
{
	auto_free char *text = NULL;
	int len;

	if (body)
		len = asprintf(&text,
			       "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
			       "application/json\r\nContent-Length: %zu\r\n\r\n%s",
			       method, target, strlen(body), body);
	else
		len = asprintf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, target);
	if (len < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return send_all(c->fd, text, (size_t)len);
}

/* Reads until the answer is whole. */
static int receive(struct client *c, struct client_answer *answer)
{
	const int64_t deadline_ms = now_ms() + c->timeout_ms;
	auto_free char *data = NULL;
	size_t len = 0;

	for (;;) {
		char *more = realloc(data, len + READ_BYTES);
		ssize_t n;
		int r;

		if (!more)
			return -ENOMEM;
		data = more;
		r = wait_for(c->fd, POLLIN, deadline_ms);
		if (r < 0)
			return r;
		n = recv(c->fd, data + len, READ_BYTES, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n == 0 || errno == ECONNRESET ? -EPIPE : -errno;
		len += (size_t)n;
		r = client_parse(data, len, answer);
		if (r != 0)
			return r < 0 ? r : 0;
	}
}

int client_call(struct client *c, const char *method, const char *target, const char *body,
		struct client_answer *answer, struct err *e)
{
	int r = send_request(c, method, target, body);

	*answer = (struct client_answer){ 0 };
	if (r == 0 || r == -EPIPE)
		r = receive(c, answer);
	switch (r) {
	case 0:
		return 0;
	case -ETIMEDOUT:
		return err_set(e, r, "the virtual machine at %s does not answer",
			       quote(c->path).text);
	case -EPIPE:
		return err_set(e, r, "the virtual machine at %s has ended", quote(c->path).text);
	case -EPROTO:
		return err_set(e, r, "what listens at %s is no volt-vmm: it does not speak HTTP",
			       quote(c->path).text);
	default:
		return err_errno(e, r, "cannot talk to the virtual machine at %s",
				 quote(c->path).text);
	}
}

int client_refusal(const struct client *c, const struct client_answer *answer, struct err *e)
{
	json_t *json = json_loadb(answer->body ? answer->body : "", answer->len, 0, NULL);
	const char *detail = json_string_value(json_object_get(json, "detail"));
	int r;

	if (!detail)
		detail = json_string_value(json_object_get(json, "title"));
	/* Without the API of ours, Firecracker's answers; without either, whatever it is. */
	if (detail)
		r = err_set(e, -EREMOTEIO, "the virtual machine refuses: %s", quote(detail).text);
	else
		r = err_set(e, -EPROTO,
			    "what listens at %s does not have this version of the API: status %d",
			    quote(c->path).text, answer->status);
	json_decref(json);
	return r;
}

int client_wait_end(struct client *c, unsigned timeout_s)
{
	const int64_t deadline_ms = now_ms() + (int64_t)timeout_s * 1000;
	char rest[512];

	for (;;) {
		int r = wait_for(c->fd, POLLIN, deadline_ms);
		ssize_t n;

		if (r < 0)
			return r;
		n = recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT);
		if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
			continue;
		/* It may only have closed this connection. */
		client_close(c);
		c->fd = connect_to(c->path, c->timeout_ms);
		if (c->fd < 0)
			return 0;
		poll(NULL, 0, RECHECK_MS);
	}
}

void client_answer_release(struct client_answer *answer)
{
	free(answer->body);
	*answer = (struct client_answer){ 0 };
}

void client_close(struct client *c)
{
	cleanup_fd(&c->fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Standard input and output as the guest's console: see console.h. */
#include "control/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"

enum {
	INPUT_BYTES = 4096,
	OUTPUT_BYTES = 16384,
	/* A pipe that polls writable takes this much without blocking (pipe(7), PIPE_BUF). */
	WRITE_BYTES = 4096,
	ESCAPE = 0x01, /* Ctrl-A */
};

struct console {
	int out_fd; /* standard output, or (owned) its terminal opened anew without blocking */
	int socket; /* owned, non-blocking; -1 once machine has closed its end */
	struct event *socket_read; /* owned: machine has output */
	struct event *socket_write; /* owned: machine takes input */
	struct event *stdin_read; /* owned */
	struct event *stdout_write; /* owned */
	struct console_callbacks callbacks;
	bool is_terminal;
	bool has_escape; /* Ctrl-A was typed, the next key says what to do */
	bool is_stdout_gone;
	char output[OUTPUT_BYTES];
	size_t output_start;
	size_t output_len;
	char input[INPUT_BYTES];
	size_t input_len;
};

/* --- guest to user ------------------------------------------------------------------------- */

static void output_done(struct console *c)
{
	c->output_start = 0;
	c->output_len = 0;
	if (c->socket >= 0)
		event_add(c->socket_read, NULL);
	else
		c->callbacks.drained(c->callbacks.opaque);
}

static void on_socket_read(evutil_socket_t fd, short what, void *opaque)
{
	struct console *c = opaque;
	ssize_t n = read(fd, c->output, sizeof(c->output));

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	event_del(c->socket_read);
	if (n <= 0) {
		event_del(c->socket_write);
		close(c->socket);
		c->socket = -1;
		output_done(c);
		return;
	}
	c->output_len = (size_t)n;
	if (c->is_stdout_gone)
		output_done(c);
	else
		event_add(c->stdout_write, NULL);
}

static void on_stdout_write(evutil_socket_t fd, short what, void *opaque)
{
	struct console *c = opaque;
	size_t len = c->output_len < WRITE_BYTES ? c->output_len : WRITE_BYTES;
	ssize_t n = write(fd, c->output + c->output_start, len);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		log_warn("standard output is gone (%s); the guest's output is dropped from here on",
			 strerror(errno));
		c->is_stdout_gone = true;
		n = (ssize_t)c->output_len;
	}
	c->output_start += (size_t)n;
	c->output_len -= (size_t)n;
	if (c->output_len > 0)
		return;
	event_del(c->stdout_write);
	output_done(c);
}

/* --- user to guest ------------------------------------------------------------------------- */

static void push_input(struct console *c, char byte)
{
	if (c->input_len < sizeof(c->input))
		c->input[c->input_len++] = byte;
}

static void show_help(void)
{
	static const char text[] =
		"\r\nCtrl-A x  quit\r\nCtrl-A p  pause or resume\r\nCtrl-A a  send Ctrl-A\r\n"
		"Ctrl-A h  this help\r\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
}

/* true when the user wants to quit. */
static bool take_key(struct console *c, char byte)
{
	if (!c->is_terminal) {
		push_input(c, byte);
		return false;
	}
	if (!c->has_escape) {
		c->has_escape = byte == ESCAPE;
		if (!c->has_escape)
			push_input(c, byte);
		return false;
	}
	c->has_escape = false;
	switch (byte) {
	case 'x':
	case 'X':
		return true;
	case 'p':
	case 'P':
		c->callbacks.pause(c->callbacks.opaque);
		return false;
	case 'h':
	case '?':
		show_help();
		return false;
	case 'a':
	case ESCAPE:
		push_input(c, ESCAPE);
		return false;
	default:
		push_input(c, ESCAPE);
		push_input(c, byte);
		return false;
	}
}

static void on_socket_write(evutil_socket_t fd, short what, void *opaque)
{
	struct console *c = opaque;
	ssize_t n = send(fd, c->input, c->input_len, MSG_NOSIGNAL);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) /* machine is ending; its output side says when it has ended */
		n = (ssize_t)c->input_len;
	c->input_len -= (size_t)n;
	memmove(c->input, c->input + n, c->input_len);
	if (c->input_len == 0)
		event_del(c->socket_write);
	event_add(c->stdin_read, NULL);
}

static void on_stdin_read(evutil_socket_t fd, short what, void *opaque)
{
	struct console *c = opaque;
	char keys[256];
	size_t room = sizeof(c->input) - c->input_len;
	ssize_t n;

	(void)what;
	if (c->is_terminal || room > sizeof(keys))
		room = sizeof(keys);
	n = read(fd, keys, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* no more input; the guest goes on */
		event_del(c->stdin_read);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (take_key(c, keys[i])) {
			c->callbacks.quit(c->callbacks.opaque);
			return;
		}
	}
	if (c->input_len > 0 && c->socket >= 0)
		event_add(c->socket_write, NULL);
	if (c->input_len == sizeof(c->input) && !c->is_terminal)
		event_del(c->stdin_read);
}

/* --- life ---------------------------------------------------------------------------------- */

/*
 * A terminal polls writable while it has room for a byte, so that a large write may block, and us with
 * it. O_NONBLOCK on the descriptor we were given would reach everyone who shares it.
 */
static int open_output(void)
{
	int fd = -1;

	if (isatty(STDOUT_FILENO))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDOUT_FILENO : fd;
}

static int make_events(struct console *c, struct event_base *base)
{
	const short read_kind = EV_READ | EV_PERSIST;
	const short write_kind = EV_WRITE | EV_PERSIST;

	c->socket_read = event_new(base, c->socket, read_kind, on_socket_read, c);
	c->socket_write = event_new(base, c->socket, write_kind, on_socket_write, c);
	c->stdin_read = event_new(base, STDIN_FILENO, read_kind, on_stdin_read, c);
	c->stdout_write = event_new(base, c->out_fd, write_kind, on_stdout_write, c);
	if (!c->socket_read || !c->socket_write || !c->stdin_read || !c->stdout_write)
		return -ENOMEM;
	if (event_add(c->socket_read, NULL) < 0 || event_add(c->stdin_read, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int console_new(struct console **out, struct event_base *base, bool is_terminal,
		const struct console_callbacks *callbacks, int *machine_fd, struct err *e)
{
	struct console *c = calloc(1, sizeof(*c));
	int sockets[2];

	if (!c)
		return err_errno(e, -ENOMEM, "cannot make the console");
	c->socket = -1;
	c->out_fd = open_output();
	c->callbacks = *callbacks;
	c->is_terminal = is_terminal;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0) {
		int r = err_errno(e, -errno, "cannot make the console's socket pair");

		console_free(c);
		return r;
	}
	c->socket = sockets[0];
	*machine_fd = sockets[1];
	if (make_events(c, base) < 0) {
		close(sockets[1]);
		*machine_fd = -1;
		console_free(c);
		return err_errno(e, -ENOMEM, "cannot watch the console");
	}
	*out = c;
	return 0;
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void console_free(struct console *c)
{
	if (!c)
		return;
	free_event(c->socket_read);
	free_event(c->socket_write);
	free_event(c->stdin_read);
	free_event(c->stdout_write);
	if (c->socket >= 0)
		close(c->socket);
	if (c->out_fd != STDOUT_FILENO)
		close(c->out_fd);
	free(c);
}

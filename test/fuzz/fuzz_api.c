/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The APIs as a whole, from the bytes of their clients to the settings and back: HTTP, routes, JSON,
 * both forms, answers. The first byte says whether the VM has yet to be started (even) or runs (odd,
 * with a machine that does what it is told, or fails). The rest is played by up to three clients;
 * bytes that no request has to contain steer:
 *
 *	fa run the loop	  fb close   fc next client	fd machine fails the next command
 *	fe end our side	  ff run the loop and read
 *
 * Each answer is whole and each JSON in it is JSON, and in the end GET /vm/config works.
 *
 * Requests name files, so this runs where none can be harmed: in a mount name space with a file
 * system that cannot be written to and an empty /dev. Where that is not allowed it is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <jansson.h>

#include "base/bytes.h"
#include "base/log.h"
#include "control/api/api.h"
#include "control/instance.h"
#include "control/metrics.h"
#include "control/session_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 3, FIRST_COMMAND = 0xfa, TURNS = 12, ANSWER_BYTES = 1 << 22, SKIPPED = 77 };

struct fuzz {
	struct event_base *base;
	struct instance instance;
	struct api *api;
	struct sockaddr_un address;
	socklen_t address_len;
	int clients[CLIENTS]; /* -1: not connected */
	char *answers[CLIENTS]; /* what each has read, of ANSWER_BYTES */
	size_t lens[CLIENTS];
	int machine_fd; /* machine's end of the socket; -1 without one */
	bool is_next_refused;
};

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* --- a place without files ------------------------------------------------------------------ */

/* What libFuzzer writes is below this folder (tools/fuzz), which stays as it is. */
static bool keep_output(void)
{
	static const char output[] = "build-fuzz";

	return access(output, F_OK) < 0 || mount(output, output, NULL, MS_BIND, NULL) == 0;
}

static bool hide_files(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && keep_output() &&
	       mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0 &&
	       mount("none", "/dev", "tmpfs", MS_RDONLY, "size=64k") == 0;
}

__attribute__((constructor)) static void isolate(void)
{
	signal(SIGPIPE, SIG_IGN); /* as main() does */
	if (hide_files())
		return;
	perror("skipped: no name space of its own");
	exit(SKIPPED);
}

/* --- answers --------------------------------------------------------------------------------- */

static const char *field_of(const char *head, const char *end, const char *name)
{
	const char *at = memmem(head, (size_t)(end - head), name, strlen(name));

	return at ? at + strlen(name) : NULL;
}

/* One answer at @text; the end of it, or NULL when it is not whole, or has none. */
static const char *check_answer(const char *text, const char *end)
{
	const char *body = memmem(text, (size_t)(end - text), "\r\n\r\n", 4);
	const char *length, *type;
	size_t len;
	json_t *json;

	if (!body)
		return NULL;
	body += 4;
	require(strncmp(text, "HTTP/1.1 ", 9) == 0 && text[9] >= '1' && text[9] <= '5',
		"an answer begins with its status");
	if (field_of(text, body, "Transfer-Encoding: chunked"))
		return NULL;
	length = field_of(text, body, "Content-Length: ");
	len = length ? strtoul(length, NULL, 10) : 0;
	if (len > (size_t)(end - body))
		return NULL;
	type = field_of(text, body, "Content-Type: application/");
	if (type && (strncmp(type, "json", 4) == 0 || strncmp(type, "problem", 7) == 0) &&
	    !memmem(body, len, "\"error\"", 7)) {
		json = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
		require(json != NULL, "JSON is JSON");
		json_decref(json);
	}
	return body + len;
}

static void check_answers(const struct fuzz *f, size_t client)
{
	const char *text = f->answers[client];
	const char *end = text + f->lens[client];

	while (text && text < end)
		text = check_answer(text, end);
}

/* --- both sides ------------------------------------------------------------------------------ */

static void on_quit(void *opaque)
{
	(void)opaque;
}

static void on_state(void *opaque, enum session_state state)
{
	const struct fuzz *f = opaque;

	(void)state;
	api_state_changed(f->api);
}

static void run_machine(struct fuzz *f)
{
	struct vm_cmd cmd;

	while (f->machine_fd >= 0 && recv(f->machine_fd, &cmd, sizeof(cmd), MSG_DONTWAIT) > 0) {
		const bool is_stop = cmd.kind == VM_CMD_STOP;
		const struct vm_event event = {
			.kind = is_stop ? VM_EVENT_ENDED : VM_EVENT_DONE,
			.reason = VM_END_STOPPED,
			.id = cmd.id,
			.code = f->is_next_refused ? -EIO : 0,
			.text = "as it was told",
		};

		f->is_next_refused = false;
		send(f->machine_fd, &event, sizeof(event), MSG_NOSIGNAL);
		session_on_wire(f->instance.session->machine.wire_fd, EV_READ, f->instance.session);
		if (!is_stop)
			continue;
		close(f->machine_fd);
		f->machine_fd = -1;
		session_on_wire(f->instance.session->machine.wire_fd, EV_READ, f->instance.session);
	}
}

static void turn(struct fuzz *f)
{
	for (int i = 0; i < TURNS; i++) {
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		run_machine(f);
	}
}

static void read_answers(struct fuzz *f, size_t client)
{
	ssize_t n;

	while (f->clients[client] >= 0) {
		n = recv(f->clients[client], f->answers[client] + f->lens[client],
			 ANSWER_BYTES - f->lens[client], MSG_DONTWAIT);
		if (n <= 0)
			return;
		f->lens[client] += (size_t)n;
	}
}

static void close_client(struct fuzz *f, size_t client)
{
	if (f->clients[client] < 0)
		return;
	read_answers(f, client);
	close(f->clients[client]);
	f->clients[client] = -1;
	check_answers(f, client);
	f->lens[client] = 0;
}

static void connect_client(struct fuzz *f, size_t client)
{
	f->clients[client] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(connect(f->clients[client], (const struct sockaddr *)&f->address, f->address_len) ==
			0,
		"clients connect");
	turn(f);
}

static void start_machine(struct fuzz *f)
{
	struct session *s = f->instance.session;
	struct settings *settings = &f->instance.settings;
	struct drive_value drive = { .path = strdup("disk") };
	int sockets[2];

	snprintf(drive.id, sizeof(drive.id), "d");
	require(settings_put_drive(settings, &drive) == 0, "a drive");
	settings->kernel_path = strdup("kernel");
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) == 0,
		"a machine");
	s->machine.wire_fd = sockets[0];
	s->is_wire_open = true;
	s->state = SESSION_RUNNING;
	f->machine_fd = sockets[1];
}

static void begin(struct fuzz *f, bool is_running)
{
	const struct session_callbacks callbacks = { .on_state = on_state, .opaque = f };
	struct api_options options = { .on_quit = on_quit };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char where[32];
	struct err e;

	/* A name that the kernel chooses, without a file. */
	f->address.sun_family = AF_UNIX;
	f->address_len = sizeof(f->address);
	require(bind(fd, (const struct sockaddr *)&f->address, sizeof(sa_family_t)) == 0 &&
			listen(fd, CLIENTS) == 0 &&
			getsockname(fd, (struct sockaddr *)&f->address, &f->address_len) == 0,
		"a socket");
	snprintf(where, sizeof(where), "fd:%d", fd);
	options.socket_path = where;
	f->base = event_base_new();
	f->machine_fd = -1;
	snprintf(f->instance.id, sizeof(f->instance.id), "fuzz");
	settings_init(&f->instance.settings);
	f->instance.mmds.max_bytes = 1000;
	require(session_new(&f->instance.session, f->base, &callbacks, &e) == 0 &&
			metrics_new(&f->instance.metrics, f->base, "fuzz", 1, &e) == 0,
		"an instance");
	if (is_running)
		start_machine(f);
	require(api_new(&f->api, f->base, &f->instance, &options, &e) == 0, "an API");
	for (size_t i = 0; i < CLIENTS; i++) {
		static char rooms[CLIENTS][ANSWER_BYTES];

		f->clients[i] = -1;
		f->answers[i] = rooms[i];
	}
}

/* --- the play -------------------------------------------------------------------------------- */

/* Returns the client that is next. */
static size_t play_command(struct fuzz *f, uint8_t command, size_t client)
{
	switch (command) {
	case 0xfa:
		turn(f);
		break;
	case 0xfb:
		close_client(f, client);
		break;
	case 0xfc:
		return (client + 1) % CLIENTS;
	case 0xfd:
		f->is_next_refused = true;
		break;
	case 0xfe:
		if (f->clients[client] >= 0)
			shutdown(f->clients[client], SHUT_WR);
		break;
	default:
		turn(f);
		read_answers(f, client);
		break;
	}
	return client;
}

static void play(struct fuzz *f, const uint8_t *data, size_t size)
{
	size_t client = 0;

	while (size > 0) {
		size_t len = 0;

		if (*data >= FIRST_COMMAND) {
			client = play_command(f, *data++, client);
			size--;
			continue;
		}
		while (len < size && data[len] < FIRST_COMMAND)
			len++;
		if (f->clients[client] < 0)
			connect_client(f, client);
		send(f->clients[client], data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		data += len;
		size -= len;
	}
	turn(f);
}

static void check_config(struct fuzz *f)
{
	static const char request[] = "GET /vm/config HTTP/1.1\r\n\r\n";

	connect_client(f, 0);
	require(send(f->clients[0], request, strlen(request), MSG_NOSIGNAL) > 0, "it listens");
	turn(f);
	read_answers(f, 0);
	require(f->lens[0] > 13 && strncmp(f->answers[0], "HTTP/1.1 200 ", 13) == 0,
		"the configuration can be shown");
	close_client(f, 0);
}

static void end(struct fuzz *f)
{
	for (size_t i = 0; i < CLIENTS; i++)
		close_client(f, i);
	turn(f);
	check_config(f);
	session_free(f->instance.session);
	f->instance.session = NULL;
	api_free(f->api);
	instance_release(&f->instance);
	event_base_free(f->base);
	if (f->machine_fd >= 0)
		close(f->machine_fd);
}

static void drop_line(void *opaque, const struct log_site *site, const char *line)
{
	(void)opaque;
	(void)site;
	(void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { 0 };

	if (size == 0 || size > 65536)
		return 0;
	log_set_sink(drop_line, NULL, LOG_LEVEL_DEBUG);
	begin(&f, data[0] & 1);
	play(&f, data + 1, size - 1);
	end(&f);
	return 0;
}

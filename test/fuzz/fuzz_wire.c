/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine process that its guest has taken over may send to control. The input is played as
 * messages; the first byte of each says how it is made of those that follow:
 *
 *	0 an event: its fields, 4 bytes each, and the first bytes of its texts
 *	1 bytes, whatever they are: the next two say how many		2 the VM runs
 *	3 control asks for a pause, a resume or keys			4 machine goes away
 *
 * Whoever control calls back gets what it was promised, each command has one answer, and nothing is
 * left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "control/logger.h"
#include "control/session_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	DRIVES = 3,
	TEXT_BYTES = 16,
	MESSAGES_MAX = 200,
	FIELDS = offsetof(struct vm_event, file) / sizeof(uint32_t),
};

static const char *const drive_ids[DRIVES] = { "root", "data", "log" };

struct fuzz {
	struct event_base *base;
	struct session *session;
	int machine_fd; /* machine's end */
	uint32_t nr_open; /* commands that have no answer yet */
	uint32_t nr_started;
	uint32_t nr_panics;
};

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void check_text(const char *text)
{
	require(memchr(text, '\0', WIRE_TEXT_BYTES) != NULL, "texts end");
	for (; *text; text++)
		require((unsigned char)*text >= ' ' && *text != 0x7f, "no control characters");
}

static void on_fault(void *opaque, const struct session_fault *fault)
{
	bool is_known = false;

	(void)opaque;
	for (size_t i = 0; i < DRIVES; i++)
		is_known |= strcmp(fault->drive, drive_ids[i]) == 0;
	require(is_known, "faults are of drives that there are");
	require(fault->kind == DEVICE_FAULT_NEEDS_RESET || fault->kind == DEVICE_FAULT_IO_ERROR,
		"faults are known");
	check_text(fault->text);
}

static void on_panic(void *opaque)
{
	struct fuzz *f = opaque;

	require(++f->nr_panics == 1, "one panic");
	require(session_panic(f->session) != 0, "a panic says what it is");
}

static void on_done(void *opaque, int code, const char *text, uint32_t micros)
{
	struct fuzz *f = opaque;

	(void)code;
	(void)micros;
	require(f->nr_open > 0, "each command has one answer");
	f->nr_open--;
	check_text(text);
}

static void on_started(void *opaque, int code, const char *text, uint32_t micros)
{
	struct fuzz *f = opaque;

	(void)code;
	(void)micros;
	require(++f->nr_started == 1, "a start has one answer");
	check_text(text);
}

/* A session that waits for its machine to run, as session_start() leaves it. */
static void begin(struct fuzz *f)
{
	const struct session_callbacks callbacks = {
		.on_fault = on_fault,
		.on_panic = on_panic,
		.opaque = f,
	};
	struct err e;
	int sockets[2];

	f->base = event_base_new();
	require(f->base && session_new(&f->session, f->base, &callbacks, &e) == 0, "a session");
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) == 0,
		"sockets");
	f->session->machine.wire_fd = sockets[0];
	f->machine_fd = sockets[1];
	f->session->is_wire_open = true;
	f->session->state = SESSION_STARTING;
	f->session->started = on_started;
	f->session->started_opaque = f;
	f->session->nr_drives = DRIVES;
	for (size_t i = 0; i < DRIVES; i++)
		snprintf(f->session->drive_ids[i], sizeof(f->session->drive_ids[i]), "%s",
			 drive_ids[i]);
}

/* Control reads one message; commands on their way to machine are thrown away. */
static void deliver(struct fuzz *f, const void *message, size_t len)
{
	char command[sizeof(struct vm_cmd)];

	if (!f->session->is_wire_open)
		return;
	require(send(f->machine_fd, message, len, MSG_NOSIGNAL) == (ssize_t)len, "sent");
	session_on_wire(f->session->machine.wire_fd, EV_READ, f->session);
	while (recv(f->machine_fd, command, sizeof(command), 0) > 0)
		;
}

static size_t take(const uint8_t **data, size_t *size, void *to, size_t len)
{
	const size_t taken = min_u64(len, *size);

	memcpy(to, *data, taken);
	*data += taken;
	*size -= taken;
	return taken;
}

static void play_event(struct fuzz *f, const uint8_t **data, size_t *size)
{
	struct vm_event event;
	uint32_t fields[FIELDS] = { 0 };

	memset(&event, 'x', sizeof(event)); /* texts without an end */
	take(data, size, fields, sizeof(fields));
	memcpy(&event, fields, sizeof(fields));
	take(data, size, event.file, TEXT_BYTES);
	take(data, size, event.text, TEXT_BYTES);
	deliver(f, &event, sizeof(event));
}

static void play_bytes(struct fuzz *f, const uint8_t **data, size_t *size)
{
	uint8_t bytes[2 * sizeof(struct vm_event)] = { 0 };
	uint16_t len = 0;

	take(data, size, &len, sizeof(len));
	len %= sizeof(bytes);
	take(data, size, bytes, len);
	deliver(f, bytes, max_u64(len, 1));
}

static void ask(struct fuzz *f, const uint8_t **data, size_t *size)
{
	static void (*const commands[])(struct session *, session_done *, void *) = {
		session_pause,
		session_resume,
		session_ctrl_alt_del,
	};
	uint8_t which = 0;

	take(data, size, &which, sizeof(which));
	f->nr_open++;
	commands[which % ARRAY_LEN(commands)](f->session, on_done, f);
}

static void play(struct fuzz *f, const uint8_t *data, size_t size)
{
	const struct vm_event running = { .kind = VM_EVENT_RUNNING };

	for (int i = 0; size > 0 && i < MESSAGES_MAX; i++) {
		uint8_t what;

		take(&data, &size, &what, 1);
		switch (what) {
		case 0:
			play_event(f, &data, &size);
			break;
		case 1:
			play_bytes(f, &data, &size);
			break;
		case 2:
			deliver(f, &running, sizeof(running));
			break;
		case 3:
			ask(f, &data, &size);
			break;
		default:
			return;
		}
	}
}

static void end(struct fuzz *f)
{
	close(f->machine_fd);
	if (f->session->is_wire_open)
		session_on_wire(f->session->machine.wire_fd, EV_READ, f->session);
	require(!f->session->is_wire_open && f->nr_open == 0 && f->nr_started == 1,
		"the end answers all that is open");
	require(session_state(f->session) == SESSION_ENDED ||
			session_state(f->session) == SESSION_NONE,
		"the end is seen");
	check_text(session_end(f->session).text);
	session_finish(f->session);
	session_free(f->session);
	event_base_free(f->base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_quiet;
	struct fuzz f = { 0 };

	/* The lines are made, and thrown away. */
	if (!is_quiet) {
		const struct logger_value null = { .is_present = true,
						   .path = (char[]){ "/dev/null" } };
		struct err e;

		require(logger_configure(&null, "fuzz", &e) == 0, "a log");
		is_quiet = true;
	}
	begin(&f);
	play(&f, data, size);
	end(&f);
	return 0;
}

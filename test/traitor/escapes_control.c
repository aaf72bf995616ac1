/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What machine may do to control with what it must keep: its socket and the page of counters.
 * Layers of the sandbox do not forbid these; control has to stand them.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdmsg.h"
#include "control/wire.h"
#include "jail/policy.h"
#include "test/traitor/traitor.h"

enum { GIVEN_UP_MS = 300, KINDS = 9, SIZES_MAX = 8 };

/* By what the filter leaves: sendto() without an address. */
static long say(const void *bytes, size_t len)
{
	return outcome(syscall(SYS_sendto, WIRE_SOCKET_FD, bytes, len, 0, NULL, 0));
}

/*
 * A pipe's writing end as if it were the listener of a filter. When control does not take it, it is
 * gone with the message, and the pipe ends.
 */
static long try_descriptor(void)
{
	const struct vm_event event = { .kind = VM_EVENT_GUARDED };
	struct pollfd end = { .events = POLLIN };
	int fds[2], r;

	if (syscall(SYS_pipe2, fds, 0) < 0)
		return -errno;
	r = fdmsg_send(WIRE_SOCKET_FD, &event, sizeof(event), &fds[1], 1);
	if (r < 0)
		return r;
	close(fds[1]);
	end.fd = fds[0];
	return poll(&end, 1, GIVEN_UP_MS) == 1 ? -ECONNREFUSED : 0;
}

static long try_sizes(void)
{
	static const size_t sizes[SIZES_MAX] = {
		1,    2,     4,	    sizeof(struct vm_event) - 1, sizeof(struct vm_event) + 1,
		4096, 65536, 100000
	};
	static char bytes[100000];

	memset(bytes, VM_EVENT_LOG, sizeof(bytes));
	for (int i = 0; i < SIZES_MAX; i++) {
		const long r = say(bytes, sizes[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Every kind of event, and some that are none, with fields that make no sense. */
static long try_events(void)
{
	struct vm_event event;

	memset(&event, 0xff, sizeof(event));
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		long r;

		event.kind = kind;
		if (kind == VM_EVENT_ENDED)
			continue; /* control believes this one: it ends the machine */
		r = say(&event, sizeof(event));
		if (r < 0)
			return r;
	}
	return 0;
}

static long try_end(void)
{
	struct vm_event event;

	memset(&event, 0xff, sizeof(event));
	event.kind = VM_EVENT_ENDED;
	return say(&event, sizeof(event));
}

/* An empty message looks like the end of the conversation. */
static long try_empty(void)
{
	return say("", 0);
}

static long try_scribble(void)
{
	unsigned char *at = (unsigned char *)loot.metrics;

	for (size_t i = 0; i < sizeof(*loot.metrics); i++)
		at[i] = (unsigned char)(i * 151 + 255);
	return 0;
}

const struct escape control_escapes[] = {
	{ "descriptor-with-a-forged-message", try_descriptor, NULL },
	{ "messages-of-wrong-sizes", try_sizes, NULL },
	{ "forged-events", try_events, NULL },
	{ "forged-end", try_end, NULL },
	{ "empty-message", try_empty, NULL },
	{ "scribbled-counters", try_scribble, NULL },
	{ 0 },
};

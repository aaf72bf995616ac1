/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries bytes between the user's standard input and output and the guest's serial port. Machine
 * never sees the terminal, only one end of a socket pair.
 *
 * On a terminal Ctrl-A is an escape: `Ctrl-A x` quits, `Ctrl-A p` pauses and resumes, `Ctrl-A
 * Ctrl-A` (or `Ctrl-A a`) sends a Ctrl-A, `Ctrl-A h` helps. Both directions have one bounded
 * buffer: output waits for a slow reader (and the guest's serial port with it), input from a pipe
 * waits for the guest, and input typed at a terminal beyond the buffer is dropped, so that the
 * escape always works.
 *
 * Loop thread only.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct event_base;
struct console;

struct console_callbacks {
	void (*quit)(void *opaque); /* Ctrl-A x */
	void (*pause)(void *opaque); /* Ctrl-A p: the other of paused and running */
	void (*drained)(void *opaque); /* machine has closed its end and all output is written */
	void *opaque;
};

/*
 * Makes the socket pair; *@machine_fd is machine's end, which the caller owns. @is_terminal says
 * whether standard input is one. Starts moving bytes at once. 0 or -errno with @e filled.
 */
int console_new(struct console **out, struct event_base *base, bool is_terminal,
		const struct console_callbacks *callbacks, int *machine_fd, struct err *e);

/* Accepts NULL. Leaves standard input and output open. */
void console_free(struct console *console);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a session share, and nobody else: session.c has its life from start to end,
 * session_machine.c what goes over the socket to machine meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <event2/util.h>

#include "control/open_commands.h"
#include "control/session.h"
#include "control/spawn.h"
#include "control/terminal.h"
#include "control/wire.h"

struct console;
struct event;
struct event_base;
struct guardian;
struct jail_report;

struct session {
	struct event_base *base; /* borrowed */
	struct session_callbacks callbacks;
	enum session_state state;
	struct machine_process machine;
	struct console *console; /* owned; NULL without one */
	struct terminal terminal;
	struct event *wire_event; /* owned, like the next two */
	struct event *stderr_event;
	struct event *stop_timer;
	bool is_console_open; /* its output is not all written yet */
	bool is_wire_open;
	bool has_end; /* machine said how it ended */
	struct vm_event end;
	struct session_sandbox sandbox;
	struct guardian *guardian; /* owned */
	bool has_fault; /* machine tried a forbidden system call */
	bool is_stopping; /* we asked machine to end */
	int wait_status; /* of machine, once it was waited for */
	struct open_commands commands;
	char drive_ids[WIRE_MAX_DRIVES][WIRE_ID_BYTES]; /* as in machine_config */
	uint32_t nr_drives;
	uint8_t panic; /* PANIC_ bits; 0: none */
	time_t fault_second; /* of the last fault that was passed on */
	uint32_t faults_in_second;
	session_done *started; /* for the start that is under way */
	void *started_opaque;
};

void session_set_state(struct session *s, enum session_state state);

/* Machine has gone, or is to be gone now. */
void session_end_machine(struct session *s);

/* The socket to machine is readable. An event_callback_fn. */
void session_on_wire(evutil_socket_t fd, short what, void *opaque);

/* A thread of machine stands still in a call that its filter forbids. For guardian_new(). */
void session_on_forbidden(void *opaque, const struct jail_report *report);

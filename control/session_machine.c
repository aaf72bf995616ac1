/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes over the socket to machine while there is one: commands to it, and what it says, which
 * may be anything, since a guest may have taken it over. See session.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fdmsg.h"
#include "base/log.h"
#include "control/guardian.h"
#include "control/machine_words.h"
#include "control/session_impl.h"
#include "jail/landlock.h"
#include "jail/layer.h"

/* Machine has a limit of its own for each device, and may have lost it with all else. */
enum { FAULTS_PER_S = 64 };

/* --- commands ------------------------------------------------------------------------------ */

/* Takes @fd, which may be -1. */
static void request(struct session *s, struct vm_cmd *cmd, int fd, session_done *done, void *opaque)
{
	auto_fd int owned_fd = fd;

	if (s->state == SESSION_RUNNING || s->state == SESSION_PAUSED)
		open_commands_send(&s->commands, s->machine.wire_fd, cmd, fd, done, opaque);
	else if (done)
		done(opaque, -ENOTCONN, "no virtual machine runs", 0);
}

void session_pause(struct session *s, session_done *done, void *opaque)
{
	struct vm_cmd cmd = { .kind = VM_CMD_PAUSE };

	request(s, &cmd, -1, done, opaque);
}

void session_resume(struct session *s, session_done *done, void *opaque)
{
	struct vm_cmd cmd = { .kind = VM_CMD_RESUME };

	request(s, &cmd, -1, done, opaque);
}

void session_ctrl_alt_del(struct session *s, session_done *done, void *opaque)
{
	struct vm_cmd cmd = { .kind = VM_CMD_CTRL_ALT_DEL };

	request(s, &cmd, -1, done, opaque);
}

void session_replace_drive(struct session *s, uint32_t drive, int fd, session_done *done,
			   void *opaque)
{
	struct vm_cmd cmd = { .kind = VM_CMD_REPLACE_DRIVE, .drive = drive };

	request(s, &cmd, fd, done, opaque);
}

void session_limit_drive(struct session *s, uint32_t drive, const struct rate_limiter_config *limit,
			 bool has_bandwidth, bool has_ops, session_done *done, void *opaque)
{
	struct vm_cmd cmd = {
		.kind = VM_CMD_LIMIT_DRIVE,
		.drive = drive,
		.has_bandwidth = has_bandwidth,
		.has_ops = has_ops,
		.limit = *limit,
	};

	request(s, &cmd, -1, done, opaque);
}

/* --- what machine says --------------------------------------------------------------------- */

static void take_answer(struct session *s, const struct vm_event *event)
{
	struct open_command command;

	if (!open_commands_take(&s->commands, event->id, &command)) {
		log_warn("the machine process answered command %u, which is not open", event->id);
		return;
	}
	if (event->code == 0 && command.kind == VM_CMD_PAUSE) {
		log_info_always("paused (after %u us)", event->micros);
		session_set_state(s, SESSION_PAUSED);
	} else if (event->code == 0 && command.kind == VM_CMD_RESUME) {
		log_info_always("running (after %u us)", event->micros);
		session_set_state(s, SESSION_RUNNING);
	}
	if (command.done)
		command.done(command.opaque, event->code, event->text, event->micros);
}

static void take_running(struct session *s, const struct vm_event *event)
{
	session_done *done = s->started;

	if (s->state != SESSION_STARTING) {
		log_warn("the machine process says a second time that it runs");
		return;
	}
	log_info("running (after %u us)", event->micros);
	s->started = NULL;
	session_set_state(s, SESSION_RUNNING);
	if (done)
		done(s->started_opaque, 0, "", event->micros);
}

/* How much of the sandbox there is, before the guest runs. */
static void take_layers(struct session *s, const struct vm_event *event)
{
	const char *missing = jail_landlock_missing((int)event->landlock_abi);
	char names[128];

	s->sandbox.is_known = true;
	s->sandbox.layers = event->layers & JAIL_ALL_LAYERS;
	s->sandbox.landlock_abi = event->landlock_abi;
	memcpy(s->sandbox.why, event->text, sizeof(s->sandbox.why));
	if (!jail_is_built())
		log_info("the sandbox is off: this program was built with a sanitizer");
	else if (event->layers != JAIL_ALL_LAYERS)
		log_warn("the sandbox lacks %s (%s)",
			 jail_layer_list(JAIL_ALL_LAYERS & ~event->layers, names, sizeof(names)),
			 event->text);
	if ((event->layers & 1u << JAIL_LANDLOCK) && missing)
		log_warn("this kernel's Landlock (version %u) lacks %s; the other layers of the "
			 "sandbox forbid these",
			 event->landlock_abi, missing);
}

static bool fault_is_too_many(struct session *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != s->fault_second)
		s->faults_in_second = 0;
	s->fault_second = now.tv_sec;
	return ++s->faults_in_second > FAULTS_PER_S;
}

/* Machine has logged it. */
static void take_fault(struct session *s, const struct vm_event *event)
{
	const bool is_known = event->fault == DEVICE_FAULT_NEEDS_RESET ||
			      event->fault == DEVICE_FAULT_IO_ERROR;

	if (event->drive >= s->nr_drives || !is_known) {
		log_warn("the machine process reports fault %u of drive %u, which is not there",
			 event->fault, event->drive);
		return;
	}
	if (fault_is_too_many(s) || !s->callbacks.on_fault)
		return;
	s->callbacks.on_fault(s->callbacks.opaque,
			      &(struct session_fault){ .drive = s->drive_ids[event->drive],
						       .kind = (enum device_fault)event->fault,
						       .text = event->text });
}

static void take_panic(struct session *s, const struct vm_event *event)
{
	const uint8_t what = event->status & (PANIC_PANICKED | PANIC_CRASH_LOADED);

	if (what == 0 || s->panic != 0) {
		log_warn("the machine process reports a panic that is none");
		return;
	}
	s->panic = what;
	log_warn("the guest's kernel panicked%s",
		 what & PANIC_CRASH_LOADED ? ", and its crash kernel takes over" : "");
	if (s->callbacks.on_panic)
		s->callbacks.on_panic(s->callbacks.opaque);
}

static void take_event(struct session *s, struct vm_event *event)
{
	machine_sanitize(event->text, sizeof(event->text));
	switch (event->kind) {
	case VM_EVENT_LOG:
		machine_log_event(event);
		break;
	case VM_EVENT_CONFINED:
		if (s->state == SESSION_STARTING)
			take_layers(s, event);
		break;
	case VM_EVENT_GUARDED:
		break; /* its descriptors count */
	case VM_EVENT_RUNNING:
		take_running(s, event);
		break;
	case VM_EVENT_DONE:
		take_answer(s, event);
		break;
	case VM_EVENT_FAULT:
		take_fault(s, event);
		break;
	case VM_EVENT_PANIC:
		take_panic(s, event);
		break;
	case VM_EVENT_ENDED:
		s->has_end = true;
		s->end = *event;
		break;
	default:
		log_warn("the machine process sent an unknown event %u", event->kind);
		break;
	}
}

/* A thread of machine stands still in a call that its filter forbids: somebody is in control of it. */
void session_on_forbidden(void *opaque, const struct jail_report *report)
{
	struct session *s = opaque;

	log_error(
		"thread %d of the machine process called %s(%#llx, %#llx, %#llx), which its filter "
		"forbids; the machine process is ended",
		report->pid, report->name, (unsigned long long)report->arguments[0],
		(unsigned long long)report->arguments[1], (unsigned long long)report->arguments[2]);
	s->has_fault = true;
	if (s->sandbox.nr_forbidden++ == 0)
		memcpy(s->sandbox.forbidden, report->name, sizeof(s->sandbox.forbidden));
	if (s->machine.pid > 0) /* 0 would be our own process group */
		kill(s->machine.pid, SIGKILL);
}

/*
 * One message; descriptors with it are taken before the guest runs, when it is our own code that
 * sends them, and never after.
 */
static ssize_t receive(struct session *s, int wire_fd, struct vm_event *event)
{
	int fds[FDMSG_MAX_FDS];
	size_t nr_fds = 0;
	ssize_t n;

	if (s->state != SESSION_STARTING) {
		n = recv(wire_fd, event, sizeof(*event), MSG_DONTWAIT | MSG_TRUNC);
		return n < 0 ? -errno : n;
	}
	n = fdmsg_recv(wire_fd, event, sizeof(*event), fds, FDMSG_MAX_FDS, &nr_fds);
	for (size_t i = 0; i < nr_fds; i++)
		guardian_add(s->guardian, fds[i]);
	return n;
}

void session_on_wire(evutil_socket_t fd, short what, void *opaque)
{
	struct session *s = opaque;
	struct vm_event event;
	const ssize_t n = receive(s, fd, &event);

	(void)what;
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n == (ssize_t)sizeof(event)) {
		take_event(s, &event);
		return;
	}
	if (n > 0) {
		log_warn("the machine process sent a message of %zd bytes, not %zu", n,
			 sizeof(event));
		return;
	}
	s->is_wire_open = false;
	session_end_machine(s);
}

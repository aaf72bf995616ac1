/* SPDX-License-Identifier: Apache-2.0 */
/* What control asks of a running VM: see command.h. */
#include "machine/command.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <event2/event.h>

#include "base/cleanup.h"
#include "base/fdmsg.h"
#include "base/log.h"
#include "machine/metrics.h"
#include "machine/vm.h"

enum { MICROS_PER_S = 1000000, NANOS_PER_MICRO = 1000 };

/* A command whose answer is still due. */
struct pending {
	atomic_bool is_used; /* set by the loop, cleared by who answers */
	uint32_t id;
	struct timespec asked_at;
};

struct commands {
	struct event *event; /* owned */
	struct vm *vm; /* borrowed; NULL before commands_start() */
	void (*on_stop)(void *opaque);
	void *opaque;
	struct machine_metrics *metrics; /* borrowed: outlives us */
	struct timespec made_at;
	struct pending pause; /* the last VM_CMD_PAUSE */
	struct pending replaces[WIRE_MAX_DRIVES]; /* by drive */
};

void command_send(const struct vm_event *event, int flags)
{
	ssize_t n;

	do {
		n = send(WIRE_SOCKET_FD, event, sizeof(*event), MSG_NOSIGNAL | flags);
	} while (n < 0 && errno == EINTR);
}

void command_send_panic(void *opaque, uint8_t what)
{
	const struct vm_event event = { .kind = VM_EVENT_PANIC, .status = what };

	(void)opaque;
	command_send(&event, MSG_DONTWAIT);
}

void command_send_fault(void *opaque, uint32_t drive, enum device_fault fault, const char *why)
{
	struct vm_event event = { .kind = VM_EVENT_FAULT, .drive = drive, .fault = fault };

	(void)opaque;
	strncpy(event.text, why, sizeof(event.text) - 1);
	command_send(&event, MSG_DONTWAIT);
}

static uint32_t micros_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((now.tv_sec - then->tv_sec) * MICROS_PER_S +
			  (now.tv_nsec - then->tv_nsec) / NANOS_PER_MICRO);
}

static void note(struct pending *p, uint32_t id)
{
	p->id = id;
	clock_gettime(CLOCK_MONOTONIC, &p->asked_at);
	p->is_used = true;
}

static void answer(const struct pending *p, int code, const char *text)
{
	struct vm_event event = {
		.kind = VM_EVENT_DONE,
		.id = p->id,
		.code = code,
		.micros = micros_since(&p->asked_at),
	};

	strncpy(event.text, text, sizeof(event.text) - 1);
	command_send(&event, 0);
}

/* Answers @p if its answer is due. */
static void settle(struct pending *p, int code, const char *text)
{
	if (p->is_used)
		answer(p, code, text);
	p->is_used = false;
}

void commands_on_paused(struct commands *c)
{
	metric_add(&c->metrics->pauses, 1);
	settle(&c->pause, 0, "");
}

static void pause_vm(struct commands *c, uint32_t id)
{
	settle(&c->pause, -EALREADY, "another pause has taken its place");
	note(&c->pause, id);
	vm_pause(c->vm);
}

static void resume_vm(struct commands *c, uint32_t id)
{
	struct pending p;

	note(&p, id);
	vm_resume(c->vm);
	metric_add(&c->metrics->resumes, 1);
	settle(&c->pause, -ECANCELED, "resumed before it was paused");
	answer(&p, 0, "");
}

/* On the drive's thread, which may not be the loop's: the slot is its own until it is settled. */
static void on_replaced(void *opaque, int code, const char *text)
{
	settle(opaque, code, text);
}

/* Takes @fd. */
static void replace_drive(struct commands *c, const struct vm_cmd *cmd, int fd)
{
	struct pending now, *p = NULL;
	struct err e = { 0 };
	int r;

	note(&now, cmd->id);
	if (cmd->drive < WIRE_MAX_DRIVES)
		p = &c->replaces[cmd->drive];
	if (!p || p->is_used) {
		cleanup_fd(&fd);
		answer(&now, p ? -EBUSY : -ENODEV,
		       p ? "another change of this drive is under way" : "no such drive");
		return;
	}
	note(p, cmd->id);
	r = vm_replace_drive(c->vm, cmd->drive, fd, on_replaced, p, &e);
	if (r < 0)
		settle(p, r, e.msg);
}

static void run(struct commands *c, const struct vm_cmd *cmd, int fd)
{
	struct err e = { 0 };
	struct pending p;
	int r;

	note(&p, cmd->id);
	switch (cmd->kind) {
	case VM_CMD_PAUSE:
		pause_vm(c, cmd->id);
		return;
	case VM_CMD_RESUME:
		resume_vm(c, cmd->id);
		return;
	case VM_CMD_REPLACE_DRIVE:
		replace_drive(c, cmd, take_fd(&fd));
		return;
	case VM_CMD_LIMIT_DRIVE:
		r = vm_limit_drive(c->vm, cmd->drive, &cmd->limit, cmd->has_bandwidth, cmd->has_ops,
				   &e);
		break;
	case VM_CMD_CTRL_ALT_DEL:
		r = vm_ctrl_alt_del(c->vm, &e);
		break;
	default:
		r = err_set(&e, -EINVAL, "machine does not know command %u", cmd->kind);
		break;
	}
	answer(&p, r, r < 0 ? e.msg : "");
}

static void on_readable(evutil_socket_t sock, short what, void *opaque)
{
	struct commands *c = opaque;
	struct vm_cmd cmd;
	auto_fd int fd = -1;
	size_t nr_fds = 0;
	const ssize_t n = fdmsg_recv(sock, &cmd, sizeof(cmd), &fd, 1, &nr_fds);

	(void)what;
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (nr_fds == 0)
		fd = -1;
	if (n != (ssize_t)sizeof(cmd) || cmd.kind == VM_CMD_STOP || !c->vm) /* or control is gone */
		c->on_stop(c->opaque);
	else
		run(c, &cmd, take_fd(&fd));
}

int commands_new(struct commands **out, struct event_base *base, struct machine_metrics *metrics,
		 void (*on_stop)(void *opaque), void *opaque, struct err *e)
{
	struct commands *c = calloc(1, sizeof(*c));

	if (!c)
		return err_errno(e, -ENOMEM, "cannot watch the control socket");
	clock_gettime(CLOCK_MONOTONIC, &c->made_at);
	log_debug("configuration received at %lld.%06ld s", (long long)c->made_at.tv_sec,
		  c->made_at.tv_nsec / NANOS_PER_MICRO);
	c->metrics = metrics;
	c->on_stop = on_stop;
	c->opaque = opaque;
	c->event = event_new(base, WIRE_SOCKET_FD, EV_READ | EV_PERSIST, on_readable, c);
	if (!c->event || event_add(c->event, NULL) < 0) {
		commands_free(c);
		return err_errno(e, -ENOMEM, "cannot watch the control socket");
	}
	*out = c;
	return 0;
}

void commands_start(struct commands *c, struct vm *vm)
{
	const struct vm_event event = {
		.kind = VM_EVENT_RUNNING,
		.micros = micros_since(&c->made_at),
	};

	c->vm = vm;
	command_send(&event, 0);
}

void commands_free(struct commands *c)
{
	if (!c)
		return;
	if (c->event)
		event_free(c->event);
	free(c);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One VM's life as control sees it: see session.h. */
#include "control/session.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdmsg.h"
#include "base/log.h"
#include "control/config.h"
#include "control/console.h"
#include "control/exit_status.h"
#include "control/guardian.h"
#include "control/machine_words.h"
#include "control/session_impl.h"
#include "control/spawn.h"
#include "control/stdlog.h"
#include "control/terminal.h"

/* How long machine may take to end after it was told to, before it is killed. */
static const struct timeval stop_timeout = { .tv_sec = 5 };

void session_set_state(struct session *s, enum session_state state)
{
	if (s->state == state)
		return;
	s->state = state;
	if (s->callbacks.on_state)
		s->callbacks.on_state(s->callbacks.opaque, state);
}

/* Over: machine has closed its sockets and its last output is written. */
static void check_over(struct session *s)
{
	if (s->state == SESSION_ENDED && !s->is_console_open && s->callbacks.on_over)
		s->callbacks.on_over(s->callbacks.opaque);
}

static void on_console_quit(void *opaque)
{
	struct session *s = opaque;

	if (s->callbacks.on_quit)
		s->callbacks.on_quit(s->callbacks.opaque);
}

static void on_console_pause(void *opaque)
{
	struct session *s = opaque;

	if (s->state == SESSION_PAUSED)
		session_resume(s, NULL, NULL);
	else
		session_pause(s, NULL, NULL);
}

static void on_console_drained(void *opaque)
{
	struct session *s = opaque;

	s->is_console_open = false;
	check_over(s);
}

static void on_stderr(evutil_socket_t fd, short what, void *opaque)
{
	struct session *s = opaque;

	(void)what;
	if (!machine_log_stderr(fd))
		event_del(s->stderr_event);
}

/* --- the end ------------------------------------------------------------------------------- */

static void free_event(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

static void restore_terminal(struct session *s)
{
	terminal_close(&s->terminal);
	stdlog_set_raw(false);
}

/* Whatever is left of machine: waits a moment for its end, or kills it. */
static void reap(struct session *s)
{
	if (s->machine.pid > 0 && !s->is_wire_open)
		s->wait_status = machine_process_wait(&s->machine);
	free_event(&s->wire_event);
	free_event(&s->stderr_event);
	if (s->machine.stderr_fd >= 0)
		machine_log_last_words(s->machine.stderr_fd);
	machine_process_kill(&s->machine);
	s->is_wire_open = false;
}

/* The start has failed: back to the state before it. */
static void undo_start(struct session *s, int code, const char *text)
{
	session_done *done = s->started;

	reap(s);
	console_free(s->console);
	s->console = NULL;
	s->is_console_open = false;
	restore_terminal(s);
	s->started = NULL;
	event_del(s->stop_timer);
	s->is_stopping = false;
	session_set_state(s, SESSION_NONE);
	if (done)
		done(s->started_opaque, code, text, 0);
}

/* Machine has gone, or is to be gone now. */
void session_end_machine(struct session *s)
{
	char text[WIRE_TEXT_BYTES] = "the machine process ended without saying why";

	if (s->state == SESSION_STARTING && !s->is_stopping) {
		if (s->has_end)
			snprintf(text, sizeof(text), "%s", s->end.text);
		undo_start(s, s->has_end ? -EIO : -EOWNERDEAD, text);
		return;
	}
	reap(s);
	open_commands_fail(&s->commands, -ESHUTDOWN, "the virtual machine has ended");
	session_set_state(s, SESSION_ENDED);
	check_over(s);
}

/* Waits neither for machine nor for the reader of the console any more. */
static void abandon(struct session *s)
{
	s->is_console_open = false;
	if (s->state == SESSION_ENDED)
		check_over(s);
	else
		session_end_machine(s);
}

static void on_stop_timer(evutil_socket_t fd, short what, void *opaque)
{
	struct session *s = opaque;

	(void)fd;
	(void)what;
	if (s->state != SESSION_ENDED)
		log_warn("the machine process does not end; killing it");
	abandon(s);
}

void session_stop(struct session *s)
{
	const struct vm_cmd cmd = { .kind = VM_CMD_STOP };

	if (s->state == SESSION_NONE)
		return;
	if (s->state == SESSION_ENDED || s->is_stopping) {
		abandon(s); /* asked twice, or only output is left */
		return;
	}
	s->is_stopping = true;
	event_add(s->stop_timer, &stop_timeout);
	fdmsg_try_send(s->machine.wire_fd, &cmd, sizeof(cmd), NULL, 0);
}

/* --- the start ----------------------------------------------------------------------------- */

static int watch(struct session *s, struct err *e)
{
	s->wire_event =
		event_new(s->base, s->machine.wire_fd, EV_READ | EV_PERSIST, session_on_wire, s);
	s->stderr_event =
		event_new(s->base, s->machine.stderr_fd, EV_READ | EV_PERSIST, on_stderr, s);
	if (!s->wire_event || !s->stderr_event || event_add(s->wire_event, NULL) < 0 ||
	    event_add(s->stderr_event, NULL) < 0)
		return err_errno(e, -ENOMEM, "cannot watch the machine process");
	return 0;
}

/* The console's end for machine joins the descriptors of @launch. */
static int start_console(struct session *s, struct launch *launch, struct err *e)
{
	const struct console_callbacks callbacks = {
		.quit = on_console_quit,
		.pause = on_console_pause,
		.drained = on_console_drained,
		.opaque = s,
	};
	int r = terminal_open(&s->terminal, STDIN_FILENO, e);
	if (r < 0)
		return r;
	stdlog_set_raw(s->terminal.is_raw);
	auto_fd int machine_fd = -1;
	r = console_new(&s->console, s->base, s->terminal.is_raw, &callbacks, &machine_fd, e);
	if (r < 0)
		return r;
	s->is_console_open = true;
	return launch_add_console(launch, take_fd(&machine_fd), e);
}

static void note_drives(struct session *s, const struct machine_config *config)
{
	s->nr_drives = (uint32_t)min_u64(config->drive_count, WIRE_MAX_DRIVES);
	for (uint32_t i = 0; i < s->nr_drives; i++)
		snprintf(s->drive_ids[i], sizeof(s->drive_ids[i]), "%s", config->drives[i].id);
}

static int send_config(struct session *s, struct launch *launch, struct err *e)
{
	const size_t used =
		offsetof(struct machine_config, cmdline) + strlen(launch->config.cmdline) + 1;
	int r;

	launch->config.log_level = log_max_level();
	r = fdmsg_send(s->machine.wire_fd, &launch->config, used, launch->fds, launch->nr_fds);
	if (r == 0 && launch->config.has_cpu_template)
		r = fdmsg_send(s->machine.wire_fd, &launch->cpu_template,
			       sizeof(launch->cpu_template), NULL, 0);
	if (r < 0)
		return err_errno(e, r, "cannot hand the configuration to the machine process");
	launch_release(launch); /* its descriptors are machine's now */
	return 0;
}

static int start(struct session *s, struct launch *launch, struct err *e)
{
	int r = s->machine.pid > 0 ? 0 : machine_process_spawn(&s->machine, e);

	if (r < 0)
		return r;
	s->is_wire_open = true;
	r = watch(s, e);
	if (r == 0 && launch->console == CONSOLE_STDIO)
		r = start_console(s, launch, e);
	return r < 0 ? r : send_config(s, launch, e);
}

void session_adopt(struct session *s, struct machine_process *process)
{
	if (s->state != SESSION_NONE || s->machine.pid > 0)
		return;
	s->machine = *process;
	*process = (struct machine_process){ .wire_fd = -1, .stderr_fd = -1 };
}

int session_start(struct session *s, struct launch *launch, session_done *done, void *opaque,
		  struct err *e)
{
	int r;

	if (s->state != SESSION_NONE)
		return err_set(e, -EALREADY, "the virtual machine has been started already");
	s->has_end = false;
	s->panic = 0;
	s->sandbox = (struct session_sandbox){ 0 };
	note_drives(s, &launch->config);
	session_set_state(s, SESSION_STARTING);
	r = start(s, launch, e);
	if (r < 0) {
		undo_start(s, r, e->msg);
		return r;
	}
	s->started = done;
	s->started_opaque = opaque;
	return 0;
}

int session_new(struct session **out, struct event_base *base,
		const struct session_callbacks *callbacks, struct err *e)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->base = base;
	s->callbacks = *callbacks;
	s->machine = (struct machine_process){ .wire_fd = -1, .stderr_fd = -1 };
	s->terminal.fd = -1;
	s->stop_timer = evtimer_new(base, on_stop_timer, s);
	if (!s->stop_timer || guardian_new(&s->guardian, base, session_on_forbidden, s, e) < 0) {
		session_free(s);
		return err_set(e, -ENOMEM, "out of memory");
	}
	*out = s;
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	s->callbacks = (struct session_callbacks){ 0 };
	free_event(&s->stop_timer);
	guardian_free(s->guardian);
	if (s->is_wire_open || s->state == SESSION_NONE)
		machine_process_kill(&s->machine);
	reap(s);
	open_commands_fail(&s->commands, -ESHUTDOWN, "the virtual machine has ended");
	console_free(s->console);
	restore_terminal(s);
	free(s);
}

const struct session_sandbox *session_sandbox(const struct session *s)
{
	return &s->sandbox;
}

enum session_state session_state(const struct session *s)
{
	return s->state;
}

uint8_t session_panic(const struct session *s)
{
	return s->panic;
}

int session_machine_pid(const struct session *s)
{
	return s->machine.pid;
}

void session_suspend(struct session *s)
{
	terminal_suspend(&s->terminal);
}

void session_continue(struct session *s)
{
	terminal_resume(&s->terminal);
}

struct session_end session_end(const struct session *s)
{
	if (!s->has_end)
		return (struct session_end){ .text = "" };
	return (struct session_end){
		.reason = (enum vm_end_reason)s->end.reason,
		.status = (uint8_t)s->end.status,
		.text = s->end.text,
	};
}

/* Says how machine ended, from its last message or, when there was none, from its wait status. */
static int report_end(struct session *s)
{
	const int wait_status = s->wait_status;

	if (s->has_fault)
		return EXIT_STATUS_FORBIDDEN_CALL;
	if (!s->has_end && s->is_stopping)
		return EXIT_STATUS_OK;
	if (!s->has_end) {
		if (WIFSIGNALED(wait_status))
			log_error("the machine process was ended by signal %d (%s)",
				  WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
		else
			log_error("the machine process ended unexpectedly with status %d",
				  WEXITSTATUS(wait_status));
		return EXIT_STATUS_MACHINE_DIED;
	}
	switch (s->end.reason) {
	case VM_END_POWER_OFF:
		log_info("the guest powered off");
		return EXIT_STATUS_OK;
	case VM_END_REBOOT:
		log_info("the guest rebooted");
		return EXIT_STATUS_OK;
	case VM_END_STOPPED:
		log_info("stopped");
		return EXIT_STATUS_OK;
	case VM_END_EXIT_PORT:
		log_info("the guest exits with status %u", s->end.status & 0xff);
		return (int)(s->end.status & 0xff);
	case VM_END_PANIC:
		log_error("the guest panicked; %s", s->end.text);
		return EXIT_STATUS_GUEST_PANICKED;
	case VM_END_CRASH:
		log_error("the guest crashed: %s", s->end.text);
		return EXIT_STATUS_GUEST_CRASHED;
	default:
		log_error("%s", s->end.text);
		return EXIT_STATUS_ERROR;
	}
}

int session_finish(struct session *s)
{
	restore_terminal(s);
	if (s->state != SESSION_ENDED)
		return EXIT_STATUS_OK;
	return report_end(s);
}

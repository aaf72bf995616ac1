/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine process: receive the configuration, build the VM, give up what is not needed, run.
 *
 * It starts with its end of the socket pair as descriptor WIRE_SOCKET_FD and nothing else: no
 * terminal, no environment. It opens no file. When control goes away, it ends.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/fdmsg.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "control/wire.h"
#include "jail/limits.h"
#include "machine/command.h"
#include "machine/confine.h"
#include "machine/guard.h"
#include "machine/metrics.h"
#include "machine/vm.h"
#include "machine/x86/template.h"

enum {
	FLUSH_TIMEOUT_MS = 2000,
	MS_PER_S = 1000,
	NS_PER_MS = 1000000,
	OWN_THREADS = 8, /* this one, the usher, one that KVM starts, and some to spare */
	THREADS_PER_DRIVE = 10, /* of the kernel, for its ring (machine/backend/block_uring.c) */
	EARLY_LAYERS = JAIL_ALL_LAYERS & ~(1 << JAIL_SECCOMP),
};

struct machine {
	struct event_base *base; /* owned */
	struct commands *commands; /* owned */
	struct vm *vm; /* owned */
	struct guard *guard; /* owned */
	struct confinement confinement;
	struct machine_metrics *metrics; /* owned */
	uint64_t started_us; /* CLOCK_MONOTONIC */
	int fds[FDMSG_MAX_FDS]; /* owned; those the VM took are -1 */
	size_t nr_fds;
	struct vm_end end; /* set before the loop ends */
	struct log_limit log_limit;
};

/* Never waits: a guest that makes us log must not be able to stall us. Thread: any. */
static void send_line(void *opaque, const struct log_site *site, const char *line)
{
	struct vm_event event = { .kind = VM_EVENT_LOG, .level = site->level, .line = site->line };

	(void)opaque;
	strncpy(event.file, log_site_file(site), sizeof(event.file) - 1);
	strncpy(event.text, line, sizeof(event.text) - 1);
	command_send(&event, MSG_DONTWAIT);
}

static void log_to_control(void *opaque, const struct log_site *site, const char *line)
{
	struct log_limit *limit = opaque;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (log_limit_allows(limit, site,
			     (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS,
			     send_line, NULL))
		send_line(NULL, site, line);
}

static void send_end(const struct vm_end *end, const char *text)
{
	struct vm_event event = {
		.kind = VM_EVENT_ENDED,
		.reason = end->reason,
		.status = end->status,
	};

	strncpy(event.text, text, sizeof(event.text) - 1);
	command_send(&event, 0);
}

/* Control wrote the configuration, so faults here are our own: say what, and end. */
static int receive_config(struct machine *m, struct machine_config *config, struct err *e)
{
	const size_t head = offsetof(struct machine_config, cmdline);
	ssize_t n = fdmsg_recv(WIRE_SOCKET_FD, config, sizeof(*config), m->fds, FDMSG_MAX_FDS,
			       &m->nr_fds);

	if (n < 0)
		return err_errno(e, (int)n, "machine cannot receive its configuration");
	if ((size_t)n <= head || config->version != WIRE_VERSION ||
	    config->drive_count > WIRE_MAX_DRIVES ||
	    !memchr(config->cmdline, '\0', (size_t)n - head))
		return err_set(e, -EPROTO, "machine received a configuration it does not know");
	return 0;
}

/* The message that follows a configuration with has_cpu_template. */
static int receive_template(struct cpu_template *template, struct err *e)
{
	size_t nr_fds;
	ssize_t n = fdmsg_recv(WIRE_SOCKET_FD, template, sizeof(*template), NULL, 0, &nr_fds);

	if (n < 0)
		return err_errno(e, (int)n, "machine cannot receive its CPU template");
	if (n != (ssize_t)sizeof(*template) || template->nr_cpuid > WIRE_MAX_CPUID ||
	    template->nr_msrs > WIRE_MAX_MSRS || template->nr_capabilities > WIRE_MAX_CAPABILITIES)
		return err_set(e, -EPROTO, "machine received a CPU template it does not know");
	return 0;
}

/* The descriptor in @slot, which stays ours; -1 without one. */
static int slot_fd(const struct machine *m, int32_t slot)
{
	return slot >= 0 && (size_t)slot < m->nr_fds ? m->fds[slot] : -1;
}

/* MACHINE_CPU_DUMP: one struct cpu_template, and the end. */
static int answer_dump(const struct machine *m, const struct machine_config *config,
		       const struct cpu_template *asked, struct err *e)
{
	static struct cpu_template host;
	int r = template_describe_host(slot_fd(m, config->kvm_slot), asked, &host, e);

	if (r < 0)
		return r;
	r = fdmsg_send(WIRE_SOCKET_FD, &host, sizeof(host), NULL, 0);
	return r < 0 ? err_errno(e, r, "machine cannot send what it knows of the CPU") : 0;
}

static void on_vm_paused(void *opaque)
{
	struct machine *m = opaque;

	commands_on_paused(m->commands);
}

static void on_vm_end(void *opaque, const struct vm_end *end)
{
	struct machine *m = opaque;

	m->end = *end;
	event_base_loopbreak(m->base);
}

static void on_stop(void *opaque)
{
	const struct vm_end end = { .reason = VM_END_STOPPED };

	on_vm_end(opaque, &end);
}

/* Tells control which layers of the sandbox there are, and why others are not. */
static void send_layers(const struct confinement *c)
{
	struct vm_event event = {
		.kind = VM_EVENT_CONFINED,
		.layers = c->layers,
		.landlock_abi = c->landlock_abi,
	};
	size_t used = 0;

	for (int i = 0; i < JAIL_LAYERS && used < sizeof(event.text); i++) {
		if (!(c->layers & 1u << i))
			used += (size_t)snprintf(event.text + used, sizeof(event.text) - used,
						 "%s%s: %s", used > 0 ? "; " : "",
						 jail_layer_name((enum jail_layer)i),
						 c->why[i].msg);
	}
	command_send(&event, 0);
}

/*
 * Before the first guest instruction: every thread is there and filters its system calls; what the
 * sandbox lacks is either allowed to be missing or ends the machine.
 */
static int confine(struct machine *m, const struct machine_config *config, struct err *e)
{
	struct err *why = &m->confinement.why[JAIL_SECCOMP];
	int r = 0;

	if (config->is_alone_on_core)
		r = jail_schedule_apart(e);
	if (r == 0)
		r = guard_new(&m->guard, vm_thread_count(m->vm), slot_fd(m, config->seccomp_slot),
			      e);
	if (r == 0)
		r = vm_start(m->vm, m->guard, e);
	if (r < 0)
		return r;
	confine_limits(&m->confinement, vm_thread_count(m->vm) + OWN_THREADS +
						config->drive_count * THREADS_PER_DRIVE);
	r = guard_close(m->guard, why);
	if (r == -EBADMSG)
		return err_set(e, r, "%s", why->msg);
	if (r == 0 && jail_is_built())
		m->confinement.layers |= 1u << JAIL_SECCOMP;
	send_layers(&m->confinement);
	return confine_check(&m->confinement, JAIL_ALL_LAYERS, config->allowed_missing, e);
}

static int build(struct machine *m, const struct machine_config *config,
		 const struct cpu_template *template, struct err *e)
{
	const struct vm_callbacks callbacks = {
		.on_end = on_vm_end,
		.on_paused = on_vm_paused,
		.on_panic = command_send_panic,
		.on_fault = command_send_fault,
		.opaque = m,
	};
	int r = metrics_map(&m->metrics, slot_fd(m, config->metrics_slot), e);
	if (r < 0)
		return r;
	metric_set(&m->metrics->boot_us[BOOT_PHASE_STARTED], m->started_us);
	metrics_reach(m->metrics, BOOT_PHASE_CONFIGURED);
	m->base = event_base_new();
	if (!m->base)
		return err_errno(e, -ENOMEM, "cannot make the event loop");
	r = commands_new(&m->commands, m->base, m->metrics, on_stop, m, e);
	if (r < 0)
		return r;
	return vm_create(&m->vm, config, template, m->fds, m->nr_fds, m->base, &callbacks,
			 m->metrics, e);
}

static int run(struct machine *m, struct err *e)
{
	static struct machine_config config; /* 64 KiB, most of it never touched */
	static struct cpu_template received; /* not touched either when there is none */
	const struct cpu_template *template = NULL;
	int r = receive_config(m, &config, e);

	if (r == 0 && config.has_cpu_template) {
		template = &received;
		r = receive_template(&received, e);
	}
	if (r < 0)
		return r;
	log_set_sink(log_to_control, &m->log_limit, config.log_level);
	if (config.purpose == MACHINE_CPU_DUMP) {
		confine_rest(&m->confinement);
		return answer_dump(m, &config, template, e);
	}
	/*
	 * Before there is a VM, so that a template this host cannot honour leaves nothing behind.
	 */
	if (template)
		r = template_check(slot_fd(m, config.kvm_slot), template, e);
	if (r == 0)
		r = build(m, &config, template, e);
	if (r < 0)
		return r;
	confine_rest(&m->confinement);
	r = confine_check(&m->confinement, EARLY_LAYERS, config.allowed_missing, e);
	if (r == 0)
		r = vm_load(m->vm, &config, m->fds, m->nr_fds, e);
	if (r == 0)
		r = confine(m, &config, e);
	if (r < 0)
		return r;
	commands_start(m->commands, m->vm);
	guard_open(m->guard, true);
	event_base_dispatch(m->base);
	vm_flush(m->vm, FLUSH_TIMEOUT_MS);
	return 0;
}

static void release(struct machine *m)
{
	if (m->guard)
		guard_open(m->guard, false);
	vm_free(m->vm);
	guard_free(m->guard);
	commands_free(m->commands);
	if (m->base)
		event_base_free(m->base);
	metrics_unmap(m->metrics);
	for (size_t i = 0; i < m->nr_fds; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	}
}

int machine_main(void)
{
	struct machine m = { .started_us = metrics_now_us() };
	const char *text = m.end.text;
	struct err e = { 0 };

	/*
	 * If control dies while we are still starting, nobody would read our socket: die with it.
	 */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NAME, "volt-machine", 0, 0, 0);
	mallopt(M_ARENA_MAX, 1); /* more would need mprotect() later */
	confine_process(&m.confinement);
	signal(SIGPIPE, SIG_IGN); /* a console without a reader is an error value */
	signal(SIGXFSZ, SIG_IGN); /* and so is a drive beyond RLIMIT_FSIZE */
	log_set_sink(log_to_control, &m.log_limit, LOG_LEVEL_DEBUG);
	if (run(&m, &e) < 0) {
		m.end = (struct vm_end){ .reason = VM_END_FAILED };
		text = e.msg;
	}
	log_limit_flush(&m.log_limit, send_line, NULL);
	send_end(&m.end, text);
	release(&m);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the program around one VM: see run.h. */
#include "control/run.h"

#include <errno.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "control/api/api.h"
#include "control/exit_status.h"
#include "control/instance.h"
#include "control/logger.h"
#include "control/metrics.h"
#include "control/session.h"

static const int handled_signals[] = { SIGINT,	SIGTERM, SIGHUP,  SIGQUIT,
				       SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2 };

struct run {
	struct event_base *base; /* owned */
	struct event *signal_events[ARRAY_LEN(handled_signals)]; /* owned */
	struct instance *instance; /* borrowed */
	struct api *api; /* owned; NULL without one */
	const struct run_options *options; /* borrowed */
	bool has_run; /* the vCPUs have run once */
	bool is_ready; /* on_ready has been called */
	int stop_signal; /* the signal that made us end the VM, or 0 */
	int start_status; /* exit status when the start has failed, or 0 */
};

void run_hold_signals(sigset_t *before)
{
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_LEN(handled_signals); i++)
		sigaddset(&held, handled_signals[i]);
	sigprocmask(SIG_BLOCK, &held, before);
}

/* Ends the VM, or the wait for a client that would start one. */
static void stop(struct run *run)
{
	if (instance_is_started(run->instance))
		session_stop(run->instance->session);
	else
		event_base_loopbreak(run->base);
}

static void on_signal(evutil_socket_t signal_number, short what, void *opaque)
{
	struct run *run = opaque;

	(void)what;
	switch (signal_number) {
	case SIGTSTP:
		session_suspend(run->instance->session);
		raise(SIGSTOP);
		break;
	case SIGCONT:
		session_continue(run->instance->session);
		break;
	case SIGUSR1:
		session_pause(run->instance->session, NULL, NULL);
		break;
	case SIGUSR2:
		session_resume(run->instance->session, NULL, NULL);
		break;
	default:
		/* After the end it only ends the wait for the reader of the output. */
		if (session_end(run->instance->session).reason == 0)
			run->stop_signal = signal_number;
		stop(run);
		break;
	}
}

static void on_quit(void *opaque)
{
	stop(opaque);
}

static void on_over(void *opaque)
{
	struct run *run = opaque;

	event_base_loopbreak(run->base);
}

/* What follows the start, once. */
static void on_running(evutil_socket_t fd, short what, void *opaque)
{
	struct run *run = opaque;
	struct err e = { 0 };

	(void)fd;
	(void)what;
	if (!run->options->on_running || run->options->on_running(run->options->opaque, &e) == 0)
		return;
	log_error("%s", e.msg);
	run->start_status = EXIT_STATUS_ERROR;
	stop(run);
}

static void on_state(void *opaque, enum session_state state)
{
	static const struct timeval now = { 0 };
	struct run *run = opaque;
	const struct session_sandbox *sandbox = session_sandbox(run->instance->session);

	if (state != SESSION_NONE && sandbox->is_known)
		metrics_set_sandbox(run->instance->metrics, sandbox->layers, sandbox->landlock_abi,
				    sandbox->nr_forbidden);
	api_state_changed(run->api);
	/* Later: whoever waits for the start is answered first, and the guest runs meanwhile. */
	if (state == SESSION_RUNNING && !run->has_run) {
		run->has_run = true;
		event_base_once(run->base, -1, EV_TIMEOUT, on_running, run, &now);
	}
}

static void on_fault(void *opaque, const struct session_fault *fault)
{
	const struct run *run = opaque;

	api_device_fault(run->api, fault);
}

static void on_panic(void *opaque)
{
	const struct run *run = opaque;

	api_guest_panic(run->api);
}

static void set_ready(struct run *run)
{
	const struct launcher_times *launcher = &run->instance->launcher;

	if (!run->is_ready) {
		metrics_set_ready(run->instance->metrics, launcher->start_us,
				  launcher->start_cpu_us, launcher->parent_cpu_us);
		metrics_flush(run->instance->metrics);
	}
	if (!run->is_ready && run->options->on_ready)
		run->options->on_ready(run->options->opaque);
	run->is_ready = true;
}

static void on_started(void *opaque, int code, const char *text, uint32_t micros)
{
	struct run *run = opaque;

	(void)micros;
	if (code == 0) {
		set_ready(run);
		return;
	}
	/* A filter of the user's that ends machine leaves it no word. */
	if (code == -EOWNERDEAD && run->instance->settings.seccomp_path)
		log_error("%s; maybe the filter of --seccomp-filter forbids what it needs", text);
	else
		log_error("%s", text);
	run->start_status = code == -EOWNERDEAD ? EXIT_STATUS_MACHINE_DIED : EXIT_STATUS_ERROR;
	event_base_loopbreak(run->base);
}

static int make_loop(struct run *run, struct err *e)
{
	const struct session_callbacks callbacks = {
		.on_state = on_state,
		.on_fault = on_fault,
		.on_panic = on_panic,
		.on_quit = on_quit,
		.on_over = on_over,
		.opaque = run,
	};
	struct event_config *config = event_config_new();

	if (!config)
		return err_errno(e, -ENOMEM, "cannot make the event loop");
	/* Standard input and output may be files, which epoll does not take. */
	event_config_require_features(config, EV_FEATURE_FDS);
	/* Our behaviour is not for somebody's EVENT_ variables to change, and asking costs calls. */
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	run->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!run->base)
		return err_errno(e, -ENOMEM, "cannot make the event loop");
	for (size_t i = 0; i < ARRAY_LEN(handled_signals); i++) {
		run->signal_events[i] = evsignal_new(run->base, handled_signals[i], on_signal, run);
		if (!run->signal_events[i] || event_add(run->signal_events[i], NULL) < 0)
			return err_errno(e, -ENOMEM, "cannot watch for signals");
	}
	sigprocmask(SIG_SETMASK, &run->options->signals_before, NULL);
	return session_new(&run->instance->session, run->base, &callbacks, e);
}

/* What is counted, and the lines of it that the settings ask for. */
static int start_metrics(struct run *run, struct err *e)
{
	struct instance *i = run->instance;
	int r = metrics_new(&i->metrics, run->base, i->id, i->began_us, e);

	return r < 0 ? r : metrics_configure(i->metrics, &i->settings.metrics, e);
}

static int start_api(struct run *run, struct err *e)
{
	const struct run_options *o = run->options;
	const struct api_options options = {
		.socket_path = o->api_path,
		.max_body_bytes = o->max_body_bytes,
		.is_socket_kept = o->keeps_api_path,
		.on_quit = on_quit,
		.opaque = run,
	};
	int r;

	if (!o->api_path)
		return 0;
	r = api_new(&run->api, run->base, run->instance, &options, e);
	if (r == 0 || !o->is_api_optional)
		return r;
	log_warn("%s; the virtual machine runs without it", e->msg);
	return 0;
}

static void release(struct run *run)
{
	session_free(run->instance->session); /* answers what the API still waits for */
	run->instance->session = NULL;
	api_free(run->api);
	metrics_free(run->instance->metrics);
	run->instance->metrics = NULL;
	for (size_t i = 0; i < ARRAY_LEN(run->signal_events); i++) {
		if (run->signal_events[i])
			event_free(run->signal_events[i]);
	}
	if (run->base)
		event_base_free(run->base);
}

int run_vm(struct instance *instance, const struct run_options *options)
{
	struct run run = { .instance = instance, .options = options };
	struct err e = { 0 };
	int status;
	int r = make_loop(&run, &e);

	if (r == 0)
		r = start_metrics(&run, &e);
	if (r == 0)
		r = start_api(&run, &e);
	if (r == 0 && !options->waits_for_client)
		r = instance_start(instance, on_started, &run, &e);
	else if (r == 0)
		set_ready(&run);
	if (r < 0) {
		log_error("%s", e.msg);
		status = r == -EBADMSG ? EXIT_STATUS_USAGE : EXIT_STATUS_ERROR;
	} else {
		event_base_dispatch(run.base);
		status = session_finish(instance->session);
		if (run.start_status != 0)
			status = run.start_status;
		else if (run.stop_signal != 0)
			status = EXIT_STATUS_SIGNAL + run.stop_signal;
	}
	release(&run);
	logger_flush();
	return status;
}

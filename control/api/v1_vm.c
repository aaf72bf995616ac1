/* SPDX-License-Identifier: Apache-2.0 */
/* The VM in Volt's API: what it is, its configuration and its state. See v1_api.h. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "control/api/v1_api.h"
#include "control/json/config_file.h"
#include "control/logger.h"
#include "control/metrics.h"
#include "control/sandbox_json.h"

void v1_vm_get(struct api_call *call)
{
	const struct instance *instance = call->api->instance;
	const int machine_pid = session_machine_pid(instance->session);
	const enum session_state state = session_state(instance->session);
	const bool is_alive = state != SESSION_NONE && state != SESSION_ENDED && machine_pid > 0;

	api_call_reply_json(call, 200, NULL,
			    json_pack("{s:s,s:s,s:s,s:i,s:I,s:i,s:o}", "id", instance->id, "state",
				      v1_state_name(state), "version", VOLT_VERSION, "cpus",
				      (int)instance->settings.cpu_count, "memory_bytes",
				      (json_int_t)instance->settings.memory_bytes, "pid",
				      (int)getpid(), "machine_pid",
				      is_alive ? json_integer(machine_pid) : json_null()));
}

/* --- configuration -------------------------------------------------------------------------- */

void v1_config_get(struct api_call *call)
{
	api_call_reply_json(call, 200, NULL, settings_to_volt(&call->api->instance->settings));
}

static bool is_new_path(const char *path, const char *now)
{
	return path && (!now || strcmp(path, now) != 0);
}

/* The log and metrics lines do not wait for the start. */
static int apply(struct instance *instance, const struct settings *fresh, struct err *e)
{
	const struct settings *now = &instance->settings;
	int r = 0;

	if (fresh->logger.is_present)
		r = logger_configure(&fresh->logger, instance->id, e);
	if (r == 0 && is_new_path(fresh->metrics.path, now->metrics.path))
		r = metrics_configure(instance->metrics, &fresh->metrics, e);
	return r;
}

void v1_config_put(struct api_call *call)
{
	struct instance *instance = call->api->instance;
	struct settings fresh;
	struct json_node body;
	struct err e = { 0 };
	int r;

	if (!v1_parse(call, &body))
		return;
	settings_init(&fresh);
	r = settings_copy_confinement(&fresh, &instance->settings, &e);
	if (r == 0)
		r = settings_from_volt(&body, &fresh, &e);
	if (r == 0)
		r = apply(instance, &fresh, &e);
	if (r < 0) {
		settings_release(&fresh);
		v1_problem_code(call, r, e.msg);
		return;
	}
	settings_release(&instance->settings);
	instance->settings = fresh;
	call->api->has_boot_specific = true;
	api_call_reply_empty(call);
}

/* --- state ---------------------------------------------------------------------------------- */

enum wanted_state {
	WANT_RUNNING,
	WANT_PAUSED,
	WANT_STOPPED,
	WANT_SHUTDOWN,
};

static const char *const wanted_names[] = {
	[WANT_RUNNING] = "running",
	[WANT_PAUSED] = "paused",
	[WANT_STOPPED] = "stopped",
	[WANT_SHUTDOWN] = "shutdown",
	NULL,
};

void v1_state_get(struct api_call *call)
{
	const struct session *session = call->api->instance->session;
	const struct session_sandbox *sandbox = session_sandbox(session);
	const enum session_state state = session_state(session);
	json_t *json = json_null();

	if (state != SESSION_NONE && sandbox->is_known)
		json = sandbox_json_new(sandbox->layers, sandbox->landlock_abi, sandbox->why);
	api_call_reply_json(call, 200, NULL,
			    json_pack("{s:s,s:o}", "state", v1_state_name(state), "sandbox", json));
}

static void run(struct api_call *call)
{
	struct session *session = call->api->instance->session;
	struct err e = { 0 };
	int r;

	if (instance_is_started(call->api->instance)) {
		session_resume(session, v1_done, call); /* it may be running */
		return;
	}
	r = api_start_vm(call->api, v1_done, call, &e);
	if (r == -ENOENT && !call->api->instance->settings.kernel_path)
		v1_problem(call, 409, "there is no kernel in the configuration");
	else if (r < 0)
		v1_problem(call, r == -ENOMEM ? 503 : 422, "%s", e.msg);
}

static void do_pause(struct api_call *call)
{
	session_pause(call->api->instance->session, v1_done, call);
}

/* Asks the guest; whether and when it follows is its own affair. */
static void on_asked(void *opaque, int code, const char *text, uint32_t micros)
{
	struct api_call *call = opaque;

	(void)micros;
	if (code < 0)
		v1_problem_code(call, code, text);
	else
		api_call_reply_json(call, 202, NULL, json_pack("{s:s}", "state", "shutdown"));
}

/* Does not wait for its turn: what is under way may be what never ends. */
static void stop(struct api_call *call)
{
	struct api *api = call->api;
	struct session *session = api->instance->session;
	const enum session_state state = session_state(session);

	if (state == SESSION_NONE || state == SESSION_ENDED)
		api_call_reply_empty(call);
	else
		call->waits_for_end = true; /* which may come from within session_stop() */
	if (state == SESSION_NONE)
		api->options.on_quit(api->options.opaque);
	else
		session_stop(session);
}

void v1_state_put(struct api_call *call)
{
	static const struct json_field field = { "state", JSON_FIELD_WORD, true,
						 0,	  wanted_names,	   NULL };
	static const struct json_shape shape = { "State", &field, 1, false, true };
	struct json_node body;
	struct err e = { 0 };
	uint32_t wanted = 0;
	int r;

	if (!v1_parse(call, &body))
		return;
	r = json_read(&body, &shape, &wanted, NULL, &e);
	if (r < 0) {
		v1_problem_code(call, r, e.msg);
		return;
	}
	switch ((enum wanted_state)wanted) {
	case WANT_RUNNING:
		api_call_take_turn(call, run);
		break;
	case WANT_PAUSED:
		api_call_take_turn(call, do_pause);
		break;
	case WANT_STOPPED:
		stop(call);
		break;
	case WANT_SHUTDOWN:
		session_ctrl_alt_del(call->api->instance->session, on_asked, call);
		break;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's requests about the VM as a whole: see fc_api.h. */
#include <errno.h>

#include "control/api/conn.h"
#include "control/api/fc_api.h"
#include "control/metrics.h"
#include "control/session.h"

static const char *state_name(const struct instance *instance)
{
	switch (session_state(instance->session)) {
	case SESSION_RUNNING:
		return "Running";
	case SESSION_PAUSED:
		return "Paused";
	case SESSION_NONE:
	case SESSION_STARTING:
	case SESSION_ENDED:
		break;
	}
	return "Not started";
}

void fc_api_instance_get(struct api_call *call)
{
	const struct instance *instance = call->api->instance;

	api_call_reply_json(call, 200, NULL,
			    json_pack("{s:s,s:s,s:s,s:s}", "id", instance->id, "state",
				      state_name(instance), "vmm_version", FC_API_VERSION,
				      "app_name", "Firecracker"));
}

void fc_api_version_get(struct api_call *call)
{
	api_call_reply_json(call, 200, NULL,
			    json_pack("{s:s}", "firecracker_version", FC_API_VERSION));
}

void fc_api_config_get(struct api_call *call)
{
	api_call_reply_json(call, 200, NULL, settings_to_fc(&call->api->instance->settings));
}

void fc_api_machine_get(struct api_call *call)
{
	api_call_reply_json(call, 200, NULL, fc_machine_get(&call->api->instance->settings));
}

static void on_changed(struct api_call *call, enum metrics_latency whole, enum metrics_latency work,
		       int code, const char *text, uint32_t micros)
{
	struct metrics *metrics = call->api->instance->metrics;

	if (code == 0) {
		metrics_set_latency(metrics, whole, http_now_us() - call->arrived_us);
		metrics_set_latency(metrics, work, micros);
	}
	fc_api_done(call, code, text, micros);
}

static void on_paused(void *opaque, int code, const char *text, uint32_t micros)
{
	on_changed(opaque, METRICS_PAUSE_VM, METRICS_VMM_PAUSE_VM, code, text, micros);
}

static void on_resumed(void *opaque, int code, const char *text, uint32_t micros)
{
	on_changed(opaque, METRICS_RESUME_VM, METRICS_VMM_RESUME_VM, code, text, micros);
}

void fc_api_vm_patch(struct api_call *call)
{
	struct session *session = call->api->instance->session;
	struct json_node body;
	struct err e = { 0 };
	bool is_paused;
	int err;

	if (!fc_api_parse(call, &body))
		return;
	err = fc_vm_state(&body, &is_paused, &e);
	if (err < 0) {
		fc_api_refuse(call, err, "", &e);
		return;
	}
	if (!fc_api_is_time(call))
		return;
	call->prefix = "Internal VMM error: ";
	if (is_paused)
		session_pause(session, on_paused, call);
	else
		session_resume(session, on_resumed, call);
}

static void start(struct api_call *call)
{
	struct err e = { 0 };
	int err;

	if (instance_is_started(call->api->instance)) {
		fc_api_fault(call, "The requested operation is not supported after starting the "
				   "microVM.");
		return;
	}
	call->prefix = "Start microvm error: ";
	err = api_start_vm(call->api, fc_api_done, call, &e);
	if (err < 0)
		fc_api_fault(call, "%s%s", call->prefix, e.msg);
}

static void flush_metrics(struct api_call *call)
{
	if (metrics_flush(call->api->instance->metrics) < 0)
		fc_api_fault(call, "Internal VMM error: The metrics line could not be written.");
	else
		api_call_reply_empty(call);
}

void fc_api_action_put(struct api_call *call)
{
	enum fc_action action;
	struct json_node body;
	struct err e = { 0 };
	int err;

	if (!fc_api_parse(call, &body))
		return;
	err = fc_action(&body, &action, &e);
	if (err < 0) {
		fc_api_refuse(call, err, "", &e);
		return;
	}
	if (action != FC_ACTION_START && !instance_is_started(call->api->instance)) {
		fc_api_fault(call, "The requested operation is not supported before starting the "
				   "microVM.");
		return;
	}
	switch (action) {
	case FC_ACTION_START:
		start(call);
		break;
	case FC_ACTION_FLUSH_METRICS:
		flush_metrics(call);
		break;
	case FC_ACTION_CTRL_ALT_DEL:
		call->prefix = "Internal VMM error: ";
		session_ctrl_alt_del(call->api->instance->session, fc_api_done, call);
		break;
	}
}

void fc_api_snapshot_create(struct api_call *call)
{
	struct fc_snapshot_create snapshot;
	struct json_node body;
	struct err e = { 0 };
	int err;

	if (!fc_api_parse(call, &body))
		return;
	err = fc_snapshot_create(&body, &snapshot, &e);
	if (err < 0)
		fc_api_refuse(call, err, "Create snapshot error: ", &e);
	else if (!fc_api_is_time(call))
		return;
	else if (session_state(call->api->instance->session) != SESSION_PAUSED)
		fc_api_fault(call, "Create snapshot error: The microVM is not paused.");
	else
		fc_api_fault(call, "Create snapshot error: This version cannot take snapshots.");
}

void fc_api_snapshot_load(struct api_call *call)
{
	static const char prefix[] = "Load snapshot error: ";
	struct fc_snapshot_load snapshot;
	struct json_node body;
	struct err e = { 0 };
	int err;

	if (!fc_api_parse(call, &body))
		return;
	err = fc_snapshot_load(&body, &snapshot, &call->is_deprecated, &e);
	if (err < 0)
		fc_api_refuse(call, err, prefix, &e);
	else if (!fc_api_is_time(call))
		return;
	else if (call->api->has_boot_specific)
		fc_api_fault(call,
			     "%sLoading a microVM snapshot not allowed after configuring "
			     "boot-specific resources.",
			     prefix);
	else
		fc_api_fault(call, "%sThis version cannot load snapshots.", prefix);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/vm/events: what happens to the VM, as server-sent events (HTML Standard, 9.2), until it
 * ends. The first events say how things stand, so that a client that reconnects misses no state, and
 * no panic.
 */
#include <stdlib.h>
#include <string.h>

#include "control/api/v1_api.h"
#include "control/session.h"

struct watcher {
	LIST_ENTRY(watcher) link;
	struct http_stream *stream;
};

static void on_close(void *opaque)
{
	struct watcher *watcher = opaque;

	LIST_REMOVE(watcher, link);
	free(watcher);
}

/* An event's text, to be freed; NULL without memory. Takes @data, which has no line breaks. */
static char *event_new(const char *name, json_t *data)
{
	char *json = data ? json_dumps(data, JSON_COMPACT) : NULL;
	char *text = NULL;

	json_decref(data);
	if (json && asprintf(&text, "event: %s\ndata: %s\n\n", name, json) < 0)
		text = NULL;
	free(json);
	return text;
}

/* A client that does not keep up is dropped by the server, which calls on_close() later. */
static void send_all(struct api *api, const char *text)
{
	struct watcher *watcher = LIST_FIRST(&api->watchers);

	for (; watcher; watcher = LIST_NEXT(watcher, link))
		http_stream_send(watcher->stream, text, strlen(text));
}

static char *state_event(enum session_state state)
{
	return event_new("state", json_pack("{s:s}", "state", v1_state_name(state)));
}

static char *panic_event(uint8_t what)
{
	return event_new("guest_panic",
			 json_pack("{s:b}", "crash_kernel", (what & PANIC_CRASH_LOADED) != 0));
}

static char *fault_event(const struct session_fault *fault)
{
	const bool is_host = fault->kind == DEVICE_FAULT_IO_ERROR;
	json_t *text = json_string(fault->text);
	json_t *data = json_pack("{s:s,s:s,s:s}", "device", "drive", "id", fault->drive, "fault",
				 is_host ? "io_error" : "needs_reset");

	if (*fault->text && text)
		json_object_set(data, "text", text);
	json_decref(text);
	return event_new("device_fault", data);
}

static const char *reason_name(enum vm_end_reason reason)
{
	switch (reason) {
	case VM_END_FAILED:
		return "failed";
	case VM_END_POWER_OFF:
		return "power_off";
	case VM_END_REBOOT:
		return "reboot";
	case VM_END_EXIT_PORT:
		return "exit";
	case VM_END_CRASH:
		return "crash";
	case VM_END_STOPPED:
		return "stopped";
	case VM_END_PANIC:
		return "panic";
	}
	return "machine_died"; /* it did not say, or not sensibly */
}

/* Machine was ended because of it. */
static char *forbidden_event(const struct session_sandbox *sandbox)
{
	return event_new("forbidden_call", json_pack("{s:s}", "call", sandbox->forbidden));
}

static char *end_event(const struct session *session)
{
	const struct session_end end = session_end(session);
	json_t *text = json_string(end.text);
	const bool is_forbidden = session_sandbox(session)->nr_forbidden > 0;
	json_t *data = json_pack("{s:s}", "reason",
				 is_forbidden ? "forbidden_call" : reason_name(end.reason));

	if (end.reason == VM_END_EXIT_PORT)
		json_object_set_new(data, "status", json_integer(end.status));
	if (*end.text && text)
		json_object_set(data, "text", text);
	json_decref(text);
	return event_new("end", data);
}

/* Takes @text, or NULL. */
static void take_to_all(struct api *api, char *text)
{
	if (text)
		send_all(api, text);
	free(text);
}

void v1_events_state(struct api *api, enum session_state state)
{
	if (LIST_EMPTY(&api->watchers))
		return;
	take_to_all(api, state_event(state));
	if (state != SESSION_ENDED)
		return;
	if (session_sandbox(api->instance->session)->nr_forbidden > 0)
		take_to_all(api, forbidden_event(session_sandbox(api->instance->session)));
	take_to_all(api, end_event(api->instance->session));
	v1_events_end(api);
}

void v1_events_fault(struct api *api, const struct session_fault *fault)
{
	if (!LIST_EMPTY(&api->watchers))
		take_to_all(api, fault_event(fault));
}

void v1_events_panic(struct api *api)
{
	if (!LIST_EMPTY(&api->watchers))
		take_to_all(api, panic_event(session_panic(api->instance->session)));
}

void v1_events_end(struct api *api)
{
	struct watcher *watcher;

	while ((watcher = LIST_FIRST(&api->watchers)) != NULL) {
		LIST_REMOVE(watcher, link);
		http_stream_end(watcher->stream);
		free(watcher);
	}
}

void v1_events_get(struct api_call *call)
{
	struct api *api = call->api;
	const uint8_t panic = session_panic(api->instance->session);
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	char *text = state_event(session_state(api->instance->session));
	char *panic_text = panic ? panic_event(panic) : NULL;

	if (watcher && text)
		watcher->stream =
			http_stream_start(call->req, "text/event-stream", on_close, watcher);
	if (!watcher || !watcher->stream) {
		free(watcher);
		free(text);
		free(panic_text);
		v1_problem(call, 503, "too many clients watch already");
		return;
	}
	LIST_INSERT_HEAD(&api->watchers, watcher, link);
	http_stream_send(watcher->stream, text, strlen(text));
	if (panic_text)
		http_stream_send(watcher->stream, panic_text, strlen(panic_text));
	free(text);
	free(panic_text);
	api_call_forget(call);
}

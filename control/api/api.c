/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the API and of the requests in it: see api.h and call.h. */
#include "control/api/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/quote.h"
#include "control/api/call.h"
#include "control/api/conn.h"
#include "control/api/fc_api.h"
#include "control/api/v1_api.h"
#include "control/metrics.h"

/* Methods that reach us: POST is in neither API, and Volt's answers it with what would work. */
static const char *const methods[] = { "GET", "PUT", "PATCH", "DELETE", "POST", NULL };

static const char no_memory[] = "{\"fault_message\":\"out of memory\"}";
static const char no_memory_problem[] =
	"{\"type\":\"about:blank\",\"title\":\"Internal Server Error\",\"status\":500,"
	"\"detail\":\"out of memory\"}";

/* --- turns ---------------------------------------------------------------------------------- */

/* While the VM is being started, by whomever, a change would meet neither of two states. */
static bool is_free(const struct api *api)
{
	return !api->current && session_state(api->instance->session) != SESSION_STARTING;
}

static void run_turns(struct api *api)
{
	if (api->is_in_turns || api->is_ending)
		return;
	api->is_in_turns = true;
	while (is_free(api) && !TAILQ_EMPTY(&api->turns)) {
		struct api_call *call = TAILQ_FIRST(&api->turns);

		TAILQ_REMOVE(&api->turns, call, turn);
		call->is_queued = false;
		api->nr_turns--;
		api->current = call;
		call->step(call);
	}
	api->is_in_turns = false;
}

static void on_turn(evutil_socket_t fd, short what, void *opaque)
{
	(void)fd;
	(void)what;
	run_turns(opaque);
}

/*
 * Without this, clients that time out and try again while machine does not answer would fill the
 * server's table, and nobody could stop the VM any more.
 */
static void drop_abandoned(struct api *api)
{
	struct api_call *call = TAILQ_FIRST(&api->turns);
	const bool was_in_turns = api->is_in_turns;

	api->is_in_turns = true; /* or an answer may begin another call, and end it */
	while (call) {
		struct api_call *next = TAILQ_NEXT(call, turn);

		if (!http_request_has_client(call->req))
			api_call_reply(call, &(struct http_response){ .status = 503 });
		call = next;
	}
	api->is_in_turns = was_in_turns;
}

void api_call_take_turn(struct api_call *call, api_handler *step)
{
	struct api *api = call->api;

	call->step = step;
	call->is_queued = true;
	api->nr_turns++;
	TAILQ_INSERT_TAIL(&api->turns, call, turn);
	if (api->nr_turns > API_MAX_TURNS)
		drop_abandoned(api);
	run_turns(api);
}

/* --- answers -------------------------------------------------------------------------------- */

void api_call_forget(struct api_call *call)
{
	struct api *api = call->api;

	TAILQ_REMOVE(&api->calls, call, link);
	if (call->is_queued) {
		TAILQ_REMOVE(&api->turns, call, turn);
		api->nr_turns--;
	}
	if (api->current == call)
		api->current = NULL;
	json_doc_release(&call->doc);
	api_path_release(&call->path);
	free(call);
	run_turns(api);
}

void api_call_reply(struct api_call *call, const struct http_response *response)
{
	struct http_response r = *response;

	r.is_deprecated |= call->is_deprecated;
	if (r.is_deprecated)
		metrics_count_deprecated(call->api->instance->metrics);
	if (api_path_family(&call->path) == API_VOLT)
		r.server = V1_SERVER;
	http_reply(call->req, &r);
	api_call_forget(call);
}

void api_call_reply_empty(struct api_call *call)
{
	api_call_reply(call, &(struct http_response){ .status = 204 });
}

void api_call_reply_json(struct api_call *call, int status, const char *content_type, json_t *body)
{
	struct http_response r = { .status = status, .content_type = content_type };
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	r.body = text;
	if (!text) {
		const bool is_volt = api_path_family(&call->path) == API_VOLT;

		r.status = 500;
		r.content_type = is_volt ? "application/problem+json" : NULL;
		r.body = is_volt ? no_memory_problem : no_memory;
	}
	api_call_reply(call, &r);
	free(text);
}

int api_call_parse(struct api_call *call, struct err *e)
{
	size_t len;
	const char *text = http_request_body(call->req, &len);

	return json_doc_parse(&call->doc, text, len, e);
}

/* --- requests ------------------------------------------------------------------------------- */

static void on_request(void *opaque, struct http_request *req)
{
	struct api *api = opaque;
	struct api_call *call = calloc(1, sizeof(*call));

	if (!call || api_path_split(&call->path, http_request_path(req)) < 0) {
		free(call);
		http_reply(req, &(struct http_response){ .status = 500, .body = no_memory });
		return;
	}
	call->api = api;
	call->req = req;
	call->arrived_us = http_now_us();
	TAILQ_INSERT_TAIL(&api->calls, call, link);
	if (api_path_family(&call->path) == API_VOLT)
		v1_request(call);
	else
		fc_api_request(call);
}

static size_t body_limit(void *opaque, const char *path)
{
	const struct api *api = opaque;
	struct api_path parts;
	size_t limit = api->options.max_body_bytes;

	if (api_path_split(&parts, path) == 0 && api_path_family(&parts) == API_VOLT)
		limit = API_V1_BODY_BYTES;
	api_path_release(&parts);
	return limit;
}

static void on_long_body(void *opaque, const char *path, uint64_t len,
			 struct http_response *response, char *text, size_t size)
{
	const struct api *api = opaque;
	struct api_path parts;

	if (api_path_split(&parts, path) == 0 && api_path_family(&parts) == API_VOLT)
		v1_refuse_body(path, len, response, text, size);
	else
		fc_api_refuse_body(len, api->options.max_body_bytes, text, size);
	api_path_release(&parts);
}

static void on_finished(void *opaque, const struct http_finished *finished)
{
	const struct api *api = opaque;
	const struct http_request *req = finished->request;

	if (req)
		log_debug("API: %s %s of process %d: %d after %llu us", http_request_method(req),
			  quote(http_request_path(req)).text, (int)http_request_peer(req).pid,
			  finished->status, (unsigned long long)finished->micros);
	else
		log_debug("API: refused with %d what was no request", finished->status);
	metrics_count_request(api->instance->metrics, req ? http_request_method(req) : "",
			      finished->route, finished->status, finished->micros);
}

/* --- what both APIs do ---------------------------------------------------------------------- */

int api_start_vm(struct api *api, session_done *done, void *opaque, struct err *e)
{
	if (!api->instance->settings.kernel_path)
		return err_set(e, -ENOENT, "Cannot start microvm without kernel configuration.");
	return instance_start(api->instance, done, opaque, e);
}

static struct api_call *find_waiting_for_end(struct api *api)
{
	struct api_call *call = TAILQ_FIRST(&api->calls);

	while (call && !call->waits_for_end)
		call = TAILQ_NEXT(call, link);
	return call;
}

void api_state_changed(struct api *api)
{
	enum session_state state;
	struct api_call *call;

	if (!api)
		return;
	state = session_state(api->instance->session);
	v1_events_state(api, state);
	event_active(api->turn, EV_TIMEOUT,
		     0); /* not from here, where the session is half changed */
	if (state != SESSION_ENDED && state != SESSION_NONE)
		return;
	while ((call = find_waiting_for_end(api)) != NULL)
		api_call_reply_empty(call);
}

void api_device_fault(struct api *api, const struct session_fault *fault)
{
	if (api)
		v1_events_fault(api, fault);
}

void api_guest_panic(struct api *api)
{
	if (api)
		v1_events_panic(api);
}

/* --- life ----------------------------------------------------------------------------------- */

static void set_limits(struct api *api, struct http_options *http)
{
	struct api_options *o = &api->options;

	if (o->max_body_bytes == 0)
		o->max_body_bytes = http->limits.max_body_bytes;
	/* Above those of both APIs: see body_limit(). */
	http->limits.max_body_bytes = max_u64(o->max_body_bytes, API_V1_BODY_BYTES);
}

int api_new(struct api **out, struct event_base *base, struct instance *instance,
	    const struct api_options *options, struct err *e)
{
	struct http_options http = http_options_default();
	struct api *api = calloc(1, sizeof(*api));
	int r;

	if (!api)
		return err_set(e, -ENOMEM, "out of memory");
	api->base = base;
	api->instance = instance;
	api->options = *options;
	api->socket.fd = -1;
	TAILQ_INIT(&api->calls);
	TAILQ_INIT(&api->turns);
	LIST_INIT(&api->watchers);
	set_limits(api, &http);
	http.methods = methods;
	http.handler = on_request;
	http.body_limit = body_limit;
	http.refuse_body = on_long_body;
	http.finished = on_finished;
	http.opaque = api;
	api->turn = evtimer_new(base, on_turn, api);
	r = api->turn ? api_socket_open(&api->socket, options->socket_path, e)
		      : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = http_server_new(&api->server, base, api->socket.fd, &http, e);
	if (r == 0)
		r = api_socket_publish(&api->socket, e);
	if (r < 0) {
		api_free(api);
		return r;
	}
	log_info("API server started."); /* some clients of Firecracker's wait for this line */
	*out = api;
	return 0;
}

void api_free(struct api *api)
{
	struct api_call *call;

	if (!api)
		return;
	api->is_ending = true;
	while ((call = TAILQ_FIRST(&api->calls)) != NULL) {
		if (api_path_family(&call->path) == API_VOLT)
			v1_problem(call, 503, "the program is ending");
		else
			fc_api_fault(call, "The program is ending.");
	}
	v1_events_end(api);
	http_server_free(api->server);
	api_socket_close(&api->socket, !api->options.is_socket_kept);
	if (api->turn)
		event_free(api->turn);
	free(api);
}

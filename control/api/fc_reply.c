/* SPDX-License-Identifier: Apache-2.0 */
/* Finding handlers for Firecracker's requests, and the forms of its answers: see fc_api.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/api/fc_api.h"

enum { FAULT_BYTES = ERR_MSG_BYTES + WIRE_TEXT_BYTES };

/* --- answers -------------------------------------------------------------------------------- */

/* The text of others may be no UTF-8, which JSON cannot say. */
static json_t *fault_body(char *message)
{
	json_t *text = json_string(message);

	if (!text) {
		for (char *at = message; *at; at++) {
			if ((unsigned char)*at >= 0x80)
				*at = '?';
		}
		text = json_string(message);
	}
	return text ? json_pack("{s:o}", "fault_message", text) : NULL;
}

static void fault(struct api_call *call, int status, char *message)
{
	log_info("API: %s %s: %s", http_request_method(call->req),
		 call->route ? call->route->path : "refused", message);
	api_call_reply_json(call, status, NULL, fault_body(message));
}

void fc_api_fault(struct api_call *call, const char *fmt, ...)
{
	char message[FAULT_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	fault(call, 400, message);
}

void fc_api_refuse(struct api_call *call, int code, const char *prefix, const struct err *e)
{
	char message[FAULT_BYTES];

	if (code == -EBADMSG) {
		fc_api_fault(call,
			     "An error occurred when deserializing the json body of a request: %s.",
			     e->msg);
	} else if (code == -EBADR) {
		fc_api_fault(call, "%s", e->msg);
	} else if (code == -EFBIG) {
		snprintf(message, sizeof(message), "MMDS limit exceeded error: %s", e->msg);
		fault(call, 413, message);
	} else {
		fc_api_fault(call, "%s%s", prefix, e->msg);
	}
}

void fc_api_done(void *opaque, int code, const char *text, uint32_t micros)
{
	struct api_call *call = opaque;

	(void)micros;
	if (code == 0)
		api_call_reply_empty(call);
	else
		fc_api_fault(call, "%s%s", call->prefix, text);
}

bool fc_api_parse(struct api_call *call, struct json_node *body)
{
	struct err e = { 0 };
	const int r = api_call_parse(call, &e);

	if (r < 0) {
		fc_api_refuse(call, r, "", &e);
		return false;
	}
	*body = json_doc_root(&call->doc);
	return true;
}

bool fc_api_is_time(struct api_call *call)
{
	const bool is_started = instance_is_started(call->api->instance);

	if (is_started && call->route->when == API_BEFORE) {
		if (call->route->flags & API_PLUG)
			fc_api_fault(call, "PCI manager error: PCI is not enabled");
		else
			fc_api_fault(call, "The requested operation is not supported after "
					   "starting the microVM.");
		return false;
	}
	if (!is_started && call->route->when == API_AFTER) {
		fc_api_fault(call, "The requested operation is not supported before starting the "
				   "microVM.");
		return false;
	}
	return true;
}

/* --- requests ------------------------------------------------------------------------------- */

/* Transport errors have a key of their own. */
void fc_api_refuse_body(uint64_t len, size_t limit, char *text, size_t size)
{
	snprintf(text, size,
		 "{ \"error\": \"Request payload with size %" PRIu64
		 " is larger than the limit of %zu allowed by server.\nAll previous unanswered "
		 "requests will be dropped.\" }",
		 len, limit);
}

/* What is wrong with the presence of a body, or NULL. */
static const char *body_fault(const struct api_call *call)
{
	const char *method = http_request_method(call->req);
	size_t len;

	http_request_body(call->req, &len);
	if (strcmp(method, "GET") == 0)
		return len > 0 ? "GET request cannot have a body." : NULL;
	if (strcmp(method, "DELETE") == 0)
		return len > 0 ? "Empty Delete request." : NULL;
	if (len > 0 || (call->route && call->route->flags & API_NO_BODY))
		return NULL;
	return strcmp(method, "PUT") == 0 ? "Empty PUT request." : "Empty PATCH request.";
}

static void refuse_path(struct api_call *call)
{
	const char *method = http_request_method(call->req);
	const struct api_path *path = &call->path;
	const char *first = path->nr > 0 ? path->parts[0] : "";

	if (strcmp(method, "PUT") == 0 && strcmp(first, "snapshot") == 0) {
		if (path->nr == 1) {
			fc_api_fault(call, "Missing snapshot operation type.");
			return;
		}
		first = path->parts[1];
	}
	fc_api_fault(call, "Invalid request method and/or path: %s %.256s.", method, first);
}

/* What Firecracker lets through as an id in a path. */
static const char *id_fault(const struct api_call *call)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_";

	if (!strchr(call->route->path, '{'))
		return NULL;
	if (!call->id || !*call->id)
		return "The ID cannot be empty.";
	if (call->id[strspn(call->id, allowed)] != '\0')
		return "API Resource IDs can only contain alphanumeric characters and underscores.";
	return NULL;
}

void fc_api_request(struct api_call *call)
{
	const char *method = http_request_method(call->req);
	const char *rest = NULL;
	const char *wrong;

	if (strcmp(method, "POST") == 0) { /* a transport error to Firecracker */
		api_call_reply(call,
			       &(struct http_response){
				       .status = 400,
				       .body = "{ \"error\": \"Invalid HTTP Method: Unsupported "
					       "HTTP method.\nAll previous unanswered requests "
					       "will be dropped.\" }",
				       .is_last = true,
			       });
		return;
	}
	call->route = api_route_find_fc(method, &call->path, &call->id, &rest);
	wrong = body_fault(call);
	if (!wrong && call->route)
		wrong = id_fault(call);
	if (wrong) {
		fc_api_fault(call, "%s", wrong);
	} else if (!call->route) {
		refuse_path(call);
	} else if (rest && call->route->flags & API_NO_SUBPATHS) {
		fc_api_fault(call, "Unrecognized %s request path `%.256s`.", method, rest);
	} else {
		http_request_set_route(call->req, call->route->path);
		if (call->route->flags & API_IMMEDIATE)
			call->route->handle(call);
		else
			api_call_take_turn(call, call->route->handle);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Finding handlers for requests of Volt's API, and the forms of its answers: see v1_api.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "control/api/v1_api.h"

enum {
	DETAIL_BYTES = ERR_MSG_BYTES + WIRE_TEXT_BYTES,
	INSTANCE_PATH_BYTES = 512,
	METHODS_BYTES = 64,
	ALLOW_BYTES = METHODS_BYTES + 16,
};

#define PROBLEM_TYPE "application/problem+json"

/* --- answers -------------------------------------------------------------------------------- */

/* Titles are the phrases of the statuses, as "about:blank" wants: RFC 9457, 4.2.1. */
static const char *title_of(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{ 400, "Bad Request" },		  { 404, "Not Found" },
		{ 405, "Method Not Allowed" },	  { 409, "Conflict" },
		{ 413, "Content Too Large" },	  { 422, "Unprocessable Content" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
		if (titles[i].status == status)
			return titles[i].title;
	}
	return "Error";
}

/* The decoded path as a URI reference again: RFC 3986, 2.1. Cut when it is very long. */
static void encode_path(const char *path, char *to, size_t size)
{
	size_t used = 0;

	for (; *path && used + 4 < size; path++) {
		const unsigned char ch = (unsigned char)*path;

		if (isalnum(ch) || strchr("/-._~", ch))
			to[used++] = (char)ch;
		else
			used += (size_t)snprintf(to + used, size - used, "%%%02X", ch);
	}
	to[used] = '\0';
}

/* The text of others may be no UTF-8, which JSON cannot say. */
static json_t *text_json(char *text)
{
	json_t *json = json_string(text);

	for (char *at = text; !json && *at; at++) {
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	}
	return json ? json : json_string(text);
}

/* To be freed; NULL without memory. */
static char *problem_text(const char *path, int status, char *detail)
{
	char instance[INSTANCE_PATH_BYTES];
	char *text = NULL;
	json_t *body;

	encode_path(path, instance, sizeof(instance));
	body = json_pack("{s:s,s:s,s:i,s:o,s:s}", "type", "about:blank", "title", title_of(status),
			 "status", status, "detail", text_json(detail), "instance", instance);
	if (body)
		text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return text;
}

static void problem(struct api_call *call, int status, const char *fields, char *detail)
{
	char *text = problem_text(http_request_path(call->req), status, detail);

	log_info("API: %s %s: %s", http_request_method(call->req),
		 call->route ? call->route->path : "refused", detail);
	api_call_reply(call, &(struct http_response){
				     .status = status,
				     .content_type = PROBLEM_TYPE,
				     .fields = fields,
				     .body = text ? text : "{\"type\":\"about:blank\"}",
			     });
	free(text);
}

void v1_refuse_body(const char *path, uint64_t len, struct http_response *response, char *text,
		    size_t size)
{
	char detail[DETAIL_BYTES];
	char *problem_body;

	snprintf(detail, sizeof(detail), "the body has %" PRIu64 " bytes; at most %d are read", len,
		 API_V1_BODY_BYTES);
	problem_body = problem_text(path, 413, detail);
	snprintf(text, size, "%s", problem_body ? problem_body : "{\"type\":\"about:blank\"}");
	free(problem_body);
	response->status = 413;
	response->content_type = PROBLEM_TYPE;
	response->server = V1_SERVER;
}

void v1_problem(struct api_call *call, int status, const char *fmt, ...)
{
	char detail[DETAIL_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	problem(call, status, NULL, detail);
}

void v1_problem_code(struct api_call *call, int code, const char *text)
{
	switch (code) {
	case -EBADMSG:
	case -EBADR:
		v1_problem(call, 400, "%s", text);
		break;
	case -ENOTCONN:
	case -ESHUTDOWN:
	case -EALREADY:
	case -EBUSY:
		v1_problem(call, 409, "%s", text);
		break;
	case -EAGAIN:
	case -ENOMEM:
		v1_problem(call, 503, "%s", text);
		break;
	case -EIO:
	case -EOWNERDEAD:
		v1_problem(call, 500, "%s", text);
		break;
	default:
		v1_problem(call, 422, "%s", text);
		break;
	}
}

void v1_done(void *opaque, int code, const char *text, uint32_t micros)
{
	struct api_call *call = opaque;

	(void)micros;
	if (code == 0)
		api_call_reply_empty(call);
	else
		v1_problem_code(call, code, text);
}

bool v1_parse(struct api_call *call, struct json_node *body)
{
	struct err e = { 0 };
	const int r = api_call_parse(call, &e);

	if (r < 0) {
		v1_problem_code(call, r, e.msg);
		return false;
	}
	*body = json_doc_root(&call->doc);
	return true;
}

const char *v1_state_name(enum session_state state)
{
	switch (state) {
	case SESSION_NONE:
		break;
	case SESSION_STARTING:
		return "starting";
	case SESSION_RUNNING:
		return "running";
	case SESSION_PAUSED:
		return "paused";
	case SESSION_ENDED:
		return "ended";
	}
	return "not_started";
}

/* --- requests ------------------------------------------------------------------------------- */

static void refuse_method(struct api_call *call, const char *methods)
{
	char detail[DETAIL_BYTES];
	char allow[ALLOW_BYTES];

	snprintf(allow, sizeof(allow), "Allow: %s\r\n", methods);
	snprintf(detail, sizeof(detail), "%s is not among the methods of this path: %s",
		 http_request_method(call->req), methods);
	problem(call, 405, allow, detail);
}

/* The state that a change needs when its turn has come. */
static void change(struct api_call *call)
{
	const bool is_started = instance_is_started(call->api->instance);

	if (is_started && call->route->when == API_BEFORE)
		v1_problem(call, 409, "this cannot be changed once the virtual machine is started");
	else if (!is_started && call->route->when == API_AFTER)
		v1_problem(call, 409, "the virtual machine is not started");
	else
		call->route->handle(call);
}

void v1_request(struct api_call *call)
{
	const char *method = http_request_method(call->req);
	char methods[METHODS_BYTES];
	bool needs_body;
	size_t len;

	http_request_body(call->req, &len);
	call->route = api_route_find_v1(method, &call->path, &call->id, methods, sizeof(methods));
	needs_body = strcmp(method, "GET") != 0;
	if (!call->route && *methods == '\0') {
		v1_problem(call, 404, "there is no such path; GET /openapi.yaml lists them");
	} else if (!call->route) {
		refuse_method(call, methods);
	} else if (needs_body != (len > 0)) {
		v1_problem(call, 400,
			   needs_body ? "the request needs a body" : "GET takes no body");
	} else {
		http_request_set_route(call->req, call->route->path);
		if (call->route->flags & API_IMMEDIATE)
			call->route->handle(call);
		else
			api_call_take_turn(call, change);
	}
}

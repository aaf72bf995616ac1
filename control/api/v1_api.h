/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volt's own API: what Firecracker's lacks, by the usual rules of HTTP. Errors are problem details
 * (RFC 9457):
 *
 *	400	the request is malformed		404	no such path or resource
 *	405	not with this method (Allow says with which)
 *	409	not in this state of the VM		413	the body is too long
 *	422	the request is well-formed, but a value is refused
 *	500	machine or the host failed		501	this build cannot do it
 *	503	not at the moment
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "control/api/call.h"
#include "control/session.h"

/* The Server field of the answers. */
#define V1_SERVER "volt-vmm"

/* Finds the handler of @call, or says what is wrong with it. */
void v1_request(struct api_call *call);

/* Refuses the body of a request to @path; see struct http_options. */
void v1_refuse_body(const char *path, uint64_t len, struct http_response *response, char *text,
		    size_t size);

/* --- answers (v1_reply.c) ------------------------------------------------------------------- */

/* A problem with @status and what is special about this case. */
void v1_problem(struct api_call *call, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a function that returned the negative errno @code. */
void v1_problem_code(struct api_call *call, int code, const char *text);

/* Answers when machine did: 204 or a problem. A session_done. */
void v1_done(void *opaque, int code, const char *text, uint32_t micros);

/* Parses the body; false when it has answered. */
bool v1_parse(struct api_call *call, struct json_node *body);

/* "not_started", "running" and so on. */
const char *v1_state_name(enum session_state state);

/* --- handlers ------------------------------------------------------------------------------- */

/* v1_misc.c */
api_handler v1_health_get, v1_openapi_get, v1_metrics_get;

/* v1_vm.c */
api_handler v1_vm_get, v1_config_get, v1_config_put, v1_state_get, v1_state_put;

/* v1_drives.c */
api_handler v1_drives_get, v1_drive_get, v1_drive_patch;

/* v1_events.c: server-sent events */
api_handler v1_events_get;
void v1_events_fault(struct api *api, const struct session_fault *fault);
void v1_events_panic(struct api *api);

/* Tells the watchers. */
void v1_events_state(struct api *api, enum session_state state);

/* Ends their streams. */
void v1_events_end(struct api *api);

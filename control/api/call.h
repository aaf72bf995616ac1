/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the API share: the API, its requests while they are answered ("calls"), and the
 * table that says who answers what.
 *
 * A call belongs to its handler until one of the functions that answer it, which free it: nothing
 * of it may be touched after. Handlers that wait for machine pass it as `opaque`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "control/api/api.h"
#include "control/api/api_socket.h"
#include "control/api/http.h"
#include "control/instance.h"
#include "control/json/fc.h"
#include "control/json/json.h"

struct api_call;
struct event;
struct watcher;

enum {
	API_PATH_PARTS = 6,
	API_MAX_TURNS = 10, /* changes that may wait for clients that have left */
	API_V1_BODY_BYTES = 1 << 20, /* at most, of a request of Volt's API */
};

/* "/drives/a/" as "drives", "a". */
struct api_path {
	char *text; /* owned; the parts point into it */
	const char *parts[API_PATH_PARTS];
	size_t nr;
};

enum api_family {
	API_FIRECRACKER, /* errors are {"fault_message":...}, mostly 400 */
	API_VOLT, /* errors are problem details: RFC 9457 */
};

/* When a request makes sense: with regard to instance_is_started(). */
enum api_when {
	API_ANY,
	API_BEFORE,
	API_AFTER,
};

enum {
	API_IMMEDIATE = 1, /* does not wait for changes that are under way */
	API_BOOT = 2, /* what a snapshot would bring along: none can be loaded after it */
	API_PLUG = 4, /* Firecracker can do it to a running VM when that has PCI */
	API_DEVICE = API_BOOT | API_PLUG,
	API_NO_SUBPATHS = 8, /* what follows the path is not ignored */
	API_NO_BODY = 16, /* it may have none, although PUT and PATCH need one */
};

typedef void api_handler(struct api_call *call);

struct api_route {
	const char *method;
	const char *path; /* "/drives/{id}"; metrics know it by this, too */
	enum api_when when;
	unsigned flags; /* API_ */
	api_handler *handle;
	fc_change *change; /* for fc_api_change() */
};

struct api_call {
	TAILQ_ENTRY(api_call) link; /* of api.calls */
	TAILQ_ENTRY(api_call) turn; /* of api.turns, while is_queued */
	struct api *api;
	struct http_request *req; /* to be answered */
	const struct api_route *route;
	struct api_path path;
	const char *id; /* what "{id}" of the route stands for; NULL: the path ends before */
	struct json_doc doc; /* the body, once it was parsed */
	api_handler *step; /* when its turn has come */
	bool is_queued;
	uint64_t arrived_us; /* CLOCK_MONOTONIC */
	bool waits_for_end; /* of the VM */
	bool is_deprecated; /* the answer says that the request has something deprecated */
	const char *prefix; /* a constant: goes before the reason when machine refuses */
	struct fc_limit_patch limit; /* to be set after a drive's file was replaced */
};

struct api {
	struct event_base *base; /* borrowed, like the next */
	struct instance *instance;
	struct api_options options;
	struct api_socket socket;
	struct http_server *server; /* owned */
	TAILQ_HEAD(api_calls, api_call) calls; /* all that have no answer yet */
	TAILQ_HEAD(api_turns, api_call) turns; /* changes that wait */
	unsigned nr_turns; /* in `turns` */
	struct api_call *current; /* the change that is under way */
	struct event *turn; /* owned: runs them from the loop */
	bool is_in_turns; /* run_turns() is active further up */
	bool is_ending;
	bool has_boot_specific; /* something was set that a snapshot would bring along */
	LIST_HEAD(api_watchers, watcher) watchers; /* of events; owned by their streams */
};

/* --- the table (route.c) -------------------------------------------------------------------- */

/* Cuts a copy of @text into parts; those above API_PATH_PARTS are left out. 0 or -ENOMEM. */
int api_path_split(struct api_path *path, const char *text);

/* Accepts a zeroed object. */
void api_path_release(struct api_path *path);

/* By which API's rules a path is answered. */
enum api_family api_path_family(const struct api_path *path);

/*
 * The route of Firecracker's API, which ignores what follows its paths, or NULL. *@id is as in
 * struct api_call, *@rest the part behind the route's path or NULL.
 */
const struct api_route *api_route_find_fc(const char *method, const struct api_path *path,
					  const char **id, const char **rest);

/*
 * The route of Volt's API, or NULL: *@methods, of @size bytes, lists for the Allow field what else
 * the path can do, and is empty when there is no such path.
 */
const struct api_route *api_route_find_v1(const char *method, const struct api_path *path,
					  const char **id, char *methods, size_t size);

/* --- calls (api.c) -------------------------------------------------------------------------- */

/* Runs @step now, or when all changes that came before have their answers. */
void api_call_take_turn(struct api_call *call, api_handler *step);

/* Frees @call, whose request has its answer. */
void api_call_forget(struct api_call *call);

/* Answers @call and frees it. Adds is_deprecated. */
void api_call_reply(struct api_call *call, const struct http_response *response);

/* The same with status 204. */
void api_call_reply_empty(struct api_call *call);

/* The same with @body, which it takes; NULL means that there was no memory for it. */
void api_call_reply_json(struct api_call *call, int status, const char *content_type, json_t *body);

/* The request's body into call->doc. 0, -EBADMSG or -ENOMEM with @e. */
int api_call_parse(struct api_call *call, struct err *e);

/*
 * Starts the VM of the settings: instance_start(), after what is missing was checked: -ENOENT
 * without a kernel.
 */
int api_start_vm(struct api *api, session_done *done, void *opaque, struct err *e);

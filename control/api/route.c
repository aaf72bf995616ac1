/* SPDX-License-Identifier: Apache-2.0 */
/* Which handler answers which path: see call.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/api/call.h"
#include "control/api/fc_api.h"
#include "control/api/v1_api.h"

/* clang-format off: one row a line */
/* A path that begins with another comes before it. */
static const struct api_route fc_routes[] = {
	{ "GET", "/", API_ANY, API_IMMEDIATE, fc_api_instance_get, NULL },
	{ "GET", "/version", API_ANY, API_IMMEDIATE, fc_api_version_get, NULL },
	{ "GET", "/vm/config", API_ANY, API_IMMEDIATE, fc_api_config_get, NULL },
	{ "PATCH", "/vm", API_AFTER, 0, fc_api_vm_patch, NULL },
	{ "PUT", "/actions", API_ANY, 0, fc_api_action_put, NULL },
	{ "GET", "/machine-config", API_ANY, API_IMMEDIATE, fc_api_machine_get, NULL },
	{ "PUT", "/machine-config", API_BEFORE, API_BOOT, fc_api_change, fc_machine_put },
	{ "PATCH", "/machine-config", API_BEFORE, API_BOOT, fc_api_change, fc_machine_patch },
	{ "PUT", "/boot-source", API_BEFORE, API_BOOT, fc_api_change, fc_boot_put },
	{ "PUT", "/cpu-config", API_BEFORE, 0, fc_api_change, fc_cpu_put },
	{ "PUT", "/drives/{id}", API_BEFORE, API_DEVICE, fc_api_change, fc_drive_put },
	{ "PATCH", "/drives/{id}", API_AFTER, 0, fc_api_drive_patch, NULL },
	{ "DELETE", "/drives/{id}", API_AFTER, API_PLUG, fc_api_unplug, NULL },
	{ "PUT", "/network-interfaces/{id}", API_BEFORE, API_DEVICE, fc_api_change, fc_net_put },
	{ "PATCH", "/network-interfaces/{id}", API_AFTER, 0, fc_api_net_patch, NULL },
	{ "DELETE", "/network-interfaces/{id}", API_AFTER, API_PLUG, fc_api_unplug, NULL },
	{ "PUT", "/pmem/{id}", API_BEFORE, API_DEVICE, fc_api_change, fc_pmem_put },
	{ "PATCH", "/pmem/{id}", API_AFTER, 0, fc_api_pmem_patch, NULL },
	{ "DELETE", "/pmem/{id}", API_AFTER, API_PLUG, fc_api_unplug, NULL },
	{ "GET", "/balloon/statistics", API_AFTER, API_IMMEDIATE, fc_api_balloon_stats_get, NULL },
	{ "PATCH", "/balloon/statistics", API_AFTER, 0, fc_api_change, fc_balloon_stats_patch },
	{ "GET", "/balloon/hinting/status", API_AFTER, API_IMMEDIATE, fc_api_hinting_get, NULL },
	{ "PATCH", "/balloon/hinting/start", API_AFTER, API_NO_BODY, fc_api_hinting_start, NULL },
	{ "PATCH", "/balloon/hinting/stop", API_AFTER, API_NO_BODY, fc_api_hinting_stop, NULL },
	{ "GET", "/balloon", API_ANY, API_IMMEDIATE | API_NO_SUBPATHS, fc_api_balloon_get, NULL },
	{ "PUT", "/balloon", API_BEFORE, API_BOOT, fc_api_change, fc_balloon_put },
	{ "PATCH", "/balloon", API_AFTER, API_NO_SUBPATHS, fc_api_change, fc_balloon_patch },
	{ "PUT", "/vsock", API_BEFORE, API_BOOT, fc_api_change, fc_vsock_put },
	{ "PUT", "/entropy", API_BEFORE, API_BOOT, fc_api_change, fc_entropy_put },
	{ "PUT", "/serial", API_BEFORE, 0, fc_api_change, fc_serial_put },
	{ "PUT", "/logger", API_BEFORE, 0, fc_api_change, fc_logger_put },
	{ "PUT", "/metrics", API_BEFORE, 0, fc_api_change, fc_metrics_put },
	{ "PUT", "/mmds/config", API_BEFORE, API_BOOT, fc_api_change, fc_mmds_put },
	{ "GET", "/mmds", API_ANY, API_IMMEDIATE, fc_api_mmds_get, NULL },
	{ "PUT", "/mmds", API_ANY, API_NO_SUBPATHS, fc_api_mmds_put, NULL },
	{ "PATCH", "/mmds", API_ANY, 0, fc_api_mmds_patch, NULL },
	{ "GET", "/hotplug/memory", API_AFTER, API_IMMEDIATE, fc_api_memory_get, NULL },
	{ "PUT", "/hotplug/memory", API_BEFORE, API_BOOT, fc_api_change, fc_memory_put },
	{ "PATCH", "/hotplug/memory", API_AFTER, 0, fc_api_memory_patch, NULL },
	{ "PUT", "/snapshot/create", API_AFTER, 0, fc_api_snapshot_create, NULL },
	{ "PUT", "/snapshot/load", API_BEFORE, 0, fc_api_snapshot_load, NULL },
};

static const struct api_route v1_routes[] = {
	{ "GET", "/health", API_ANY, API_IMMEDIATE, v1_health_get, NULL },
	{ "GET", "/openapi.yaml", API_ANY, API_IMMEDIATE, v1_openapi_get, NULL },
	{ "GET", "/v1/metrics", API_ANY, API_IMMEDIATE, v1_metrics_get, NULL },
	{ "GET", "/v1/vm", API_ANY, API_IMMEDIATE, v1_vm_get, NULL },
	{ "GET", "/v1/vm/config", API_ANY, API_IMMEDIATE, v1_config_get, NULL },
	{ "PUT", "/v1/vm/config", API_BEFORE, 0, v1_config_put, NULL },
	{ "GET", "/v1/vm/state", API_ANY, API_IMMEDIATE, v1_state_get, NULL },
	{ "PUT", "/v1/vm/state", API_ANY, API_IMMEDIATE, v1_state_put, NULL },
	{ "GET", "/v1/vm/events", API_ANY, API_IMMEDIATE, v1_events_get, NULL },
	{ "GET", "/v1/drives", API_ANY, API_IMMEDIATE, v1_drives_get, NULL },
	{ "GET", "/v1/drives/{id}", API_ANY, API_IMMEDIATE, v1_drive_get, NULL },
	{ "PATCH", "/v1/drives/{id}", API_AFTER, 0, v1_drive_patch, NULL },
};
/* clang-format on */

int api_path_split(struct api_path *path, const char *text)
{
	char *rest;

	*path = (struct api_path){ .text = strdup(text + strspn(text, "/")) };
	if (!path->text)
		return -ENOMEM;
	rest = path->text;
	while (path->nr < API_PATH_PARTS && rest && *rest)
		path->parts[path->nr++] = strsep(&rest, "/");
	return 0;
}

void api_path_release(struct api_path *path)
{
	free(path->text);
	*path = (struct api_path){ 0 };
}

enum api_family api_path_family(const struct api_path *path)
{
	static const char *const firsts[] = { "v1", "health", "openapi.yaml" };

	for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
		if (path->nr > 0 && strcmp(path->parts[0], firsts[i]) == 0)
			return API_VOLT;
	}
	return API_FIRECRACKER;
}

/*
 * How many parts of @path the route's pattern takes, or -1 when it is another path. Only an id may
 * be missing at the end.
 */
static int match(const char *pattern, const struct api_path *path, const char **id)
{
	size_t nr = 0;

	*id = NULL;
	for (const char *at = pattern + 1; *at; nr++) {
		const size_t len = strcspn(at, "/");
		const char *part = nr < path->nr ? path->parts[nr] : NULL;

		if (*at == '{')
			*id = part;
		else if (!part || strlen(part) != len || memcmp(part, at, len) != 0)
			return -1;
		at += len + (at[len] == '/');
	}
	return (int)nr;
}

const struct api_route *api_route_find_fc(const char *method, const struct api_path *path,
					  const char **id, const char **rest)
{
	for (size_t i = 0; i < ARRAY_LEN(fc_routes); i++) {
		const struct api_route *route = &fc_routes[i];
		const int nr = match(route->path, path, id);

		/* The root's pattern is the start of all others. */
		if (nr < 0 || (nr == 0 && path->nr > 0) || strcmp(route->method, method) != 0)
			continue;
		*rest = (size_t)nr < path->nr ? path->parts[nr] : NULL;
		return route;
	}
	return NULL;
}

const struct api_route *api_route_find_v1(const char *method, const struct api_path *path,
					  const char **id, char *methods, size_t size)
{
	size_t used = 0;

	*methods = '\0';
	for (size_t i = 0; i < ARRAY_LEN(v1_routes); i++) {
		const struct api_route *route = &v1_routes[i];

		if (match(route->path, path, id) != (int)path->nr)
			continue;
		if (strcmp(route->method, method) == 0)
			return route;
		used += (size_t)snprintf(methods + used, size - min_u64(used, size), "%s%s",
					 used ? ", " : "", route->method);
	}
	return NULL;
}

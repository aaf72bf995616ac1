/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's requests about devices of a VM that runs: see fc_api.h. Of these this version has
 * drives. The settings of others are checked and kept, but no VM starts with them, so that their
 * requests find no device.
 */
#include <errno.h>
#include <string.h>

#include "control/api/fc_api.h"

#define NOT_FOUND "Device not found"

/* --- drives --------------------------------------------------------------------------------- */

static void refuse_drive(struct api_call *call, const char *why)
{
	fc_api_fault(call,
		     "Drive config error: Unable to patch the block device: %s. Please verify the "
		     "request arguments.",
		     why);
}

static void on_limited(void *opaque, int code, const char *text, uint32_t micros)
{
	struct api_call *call = opaque;

	(void)micros;
	if (code < 0)
		refuse_drive(call, text);
	else
		api_call_reply_empty(call);
}

static void limit_drive(struct api_call *call)
{
	const struct fc_limit_patch *limit = &call->limit;
	struct err e = { 0 };

	if (!limit->has_bandwidth && !limit->has_ops)
		api_call_reply_empty(call);
	else if (instance_limit_drive(call->api->instance, call->id, &limit->limit,
				      limit->has_bandwidth, limit->has_ops, on_limited, call,
				      &e) < 0)
		refuse_drive(call, e.msg);
}

static void on_replaced(void *opaque, int code, const char *text, uint32_t micros)
{
	struct api_call *call = opaque;

	(void)micros;
	if (code < 0)
		refuse_drive(call, text);
	else
		limit_drive(call);
}

void fc_api_drive_patch(struct api_call *call)
{
	struct instance *instance = call->api->instance;
	struct fc_request r = { .settings = &instance->settings, .path_id = call->id };
	struct fc_drive_patch patch = { 0 };
	struct json_node limiter;
	struct err e = { 0 };
	int err;

	if (!fc_api_parse(call, &r.body))
		return;
	err = fc_drive_patch(&r, &patch, &e);
	if (err < 0) {
		fc_api_refuse(call, err, "Drive config error: ", &e);
		return;
	}
	if (!fc_api_is_time(call))
		return;
	limiter = json_member(&r.body, "rate_limiter");
	call->limit = patch.limit;
	if (!settings_find_drive(&instance->settings, call->id))
		refuse_drive(call, NOT_FOUND);
	else if (!patch.path && json_is_absent(&limiter))
		refuse_drive(call, "Running method expected different backend");
	else if (!patch.path)
		limit_drive(call);
	else if (instance_replace_drive(instance, call->id, patch.path, on_replaced, call, &e) < 0)
		refuse_drive(call, e.msg);
}

/* --- devices that no VM has ----------------------------------------------------------------- */

void fc_api_net_patch(struct api_call *call)
{
	struct fc_request r = { .settings = &call->api->instance->settings, .path_id = call->id };
	struct fc_net_patch patch;
	struct err e = { 0 };
	int err;

	if (!fc_api_parse(call, &r.body))
		return;
	err = fc_net_patch(&r, &patch, &e);
	if (err < 0)
		fc_api_refuse(call, err, "Network config error: ", &e);
	else if (fc_api_is_time(call))
		fc_api_fault(call,
			     "Network config error: Unable to update the net device: " NOT_FOUND);
}

void fc_api_pmem_patch(struct api_call *call)
{
	struct fc_request r = { .settings = &call->api->instance->settings, .path_id = call->id };
	struct fc_pmem_patch patch;
	struct err e = { 0 };
	int err;

	if (!fc_api_parse(call, &r.body))
		return;
	err = fc_pmem_patch(&r, &patch, &e);
	if (err < 0)
		fc_api_refuse(call, err, "Pmem config error: ", &e);
	else if (fc_api_is_time(call))
		fc_api_fault(call, "Pmem config error: " NOT_FOUND);
}

/* --- the balloon ---------------------------------------------------------------------------- */

static void refuse_balloon(struct api_call *call)
{
	fc_api_fault(call, "Balloon config error: No balloon device found.");
}

void fc_api_balloon_get(struct api_call *call)
{
	const struct settings *settings = &call->api->instance->settings;

	if (settings->balloon.is_present)
		api_call_reply_json(call, 200, NULL, fc_balloon_get(settings));
	else
		refuse_balloon(call);
}

void fc_api_balloon_stats_get(struct api_call *call)
{
	if (fc_api_is_time(call))
		refuse_balloon(call);
}

void fc_api_hinting_get(struct api_call *call)
{
	if (fc_api_is_time(call))
		refuse_balloon(call);
}

void fc_api_hinting_start(struct api_call *call)
{
	struct fc_request r = { .settings = &call->api->instance->settings };
	bool acknowledges;
	struct err e = { 0 };
	size_t len;
	int err = 0;

	http_request_body(call->req, &len);
	if (len > 0) {
		if (!fc_api_parse(call, &r.body))
			return;
		err = fc_hinting_start(&r, &acknowledges, &e);
	}
	if (err < 0)
		fc_api_refuse(call, err, "Balloon update error: ", &e);
	else if (fc_api_is_time(call))
		refuse_balloon(call);
}

void fc_api_hinting_stop(struct api_call *call)
{
	if (fc_api_is_time(call))
		refuse_balloon(call);
}

/* --- memory that is plugged in -------------------------------------------------------------- */

void fc_api_memory_get(struct api_call *call)
{
	if (fc_api_is_time(call))
		fc_api_fault(call, "Memory hotplug config error: " NOT_FOUND);
}

void fc_api_memory_patch(struct api_call *call)
{
	struct fc_request r = { .settings = &call->api->instance->settings };
	struct err e = { 0 };
	uint32_t requested_mib;
	int err;

	if (!fc_api_parse(call, &r.body))
		return;
	err = fc_memory_patch(&r, &requested_mib, &e);
	if (err == -EBADMSG || err == -EBADR)
		fc_api_refuse(call, err, "", &e);
	else if (fc_api_is_time(call))
		fc_api_fault(call, "Memory hotplug update error: " NOT_FOUND);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Drives in Volt's API, with the fields of the configuration form: see v1_api.h. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/quote.h"
#include "control/api/v1_api.h"
#include "control/json/config_file.h"
#include "control/json/volt.h"

/* All drives, the root first; each is a member of the configuration. NULL without memory. */
static json_t *drives_new(const struct settings *s)
{
	json_t *config = settings_to_volt(s);
	json_t *drives = json_array();
	json_t *root = json_object_get(config, "rootfs");
	int r = config && drives ? 0 : -1;

	if (r == 0 && json_is_object(root))
		r = json_array_append(drives, root);
	if (r == 0)
		r = json_array_extend(drives, json_object_get(config, "drives"));
	json_decref(config);
	if (r == 0)
		return drives;
	json_decref(drives);
	return NULL;
}

void v1_drives_get(struct api_call *call)
{
	json_t *drives = drives_new(&call->api->instance->settings);

	api_call_reply_json(call, 200, NULL, drives ? json_pack("{s:o}", "drives", drives) : NULL);
}

static void refuse_id(struct api_call *call)
{
	v1_problem(call, 404, "there is no drive %s", quote(call->id).text);
}

void v1_drive_get(struct api_call *call)
{
	const struct settings *settings = &call->api->instance->settings;
	json_t *drives, *found = NULL;

	for (size_t i = 0; i < settings->nr_drives && !found; i++) {
		if (strcmp(settings->drives[i].id, call->id) != 0)
			continue;
		drives = drives_new(settings);
		found = json_incref(json_array_get(drives, i));
		json_decref(drives);
	}
	if (found)
		api_call_reply_json(call, 200, NULL, found);
	else
		refuse_id(call);
}

/* --- changes of a VM that runs -------------------------------------------------------------- */

struct drive_patch {
	const char *path; /* borrowed from the body */
	struct rate_limiter_config limit;
};

static const struct json_field patch_fields[] = {
	{ "path", JSON_FIELD_TEXT, false, offsetof(struct drive_patch, path), NULL, NULL },
	{ "bw", JSON_FIELD_CUSTOM, false, offsetof(struct drive_patch, limit.bandwidth), NULL,
	  volt_bytes_read },
	{ "ops", JSON_FIELD_CUSTOM, false, offsetof(struct drive_patch, limit.ops), NULL,
	  volt_ops_read },
};

static const struct json_shape patch_shape = { "drive", patch_fields, ARRAY_LEN(patch_fields),
					       false, true };

static bool has_member(const struct json_node *object, const char *key)
{
	return json_object_get(object->value, key) != NULL;
}

static void limit_drive(struct api_call *call)
{
	const struct fc_limit_patch *limit = &call->limit;
	struct err e = { 0 };
	int r;

	if (!limit->has_bandwidth && !limit->has_ops) {
		api_call_reply_empty(call);
		return;
	}
	r = instance_limit_drive(call->api->instance, call->id, &limit->limit, limit->has_bandwidth,
				 limit->has_ops, v1_done, call, &e);
	if (r < 0)
		v1_problem_code(call, r, e.msg);
}

static void on_replaced(void *opaque, int code, const char *text, uint32_t micros)
{
	struct api_call *call = opaque;

	(void)micros;
	if (code < 0)
		v1_problem_code(call, code, text);
	else
		limit_drive(call);
}

/* A merge patch: null takes a limit away, and a drive without a file there is not. */
void v1_drive_patch(struct api_call *call)
{
	struct instance *instance = call->api->instance;
	struct drive_patch patch = { 0 };
	struct json_node body;
	struct err e = { 0 };
	int r;

	if (!settings_find_drive(&instance->settings, call->id)) {
		refuse_id(call);
		return;
	}
	if (!v1_parse(call, &body))
		return;
	r = json_read(&body, &patch_shape, &patch, NULL, &e);
	if (r < 0) {
		v1_problem_code(call, r, e.msg);
		return;
	}
	if (has_member(&body, "path") && !patch.path) {
		v1_problem(call, 422, "the path of a drive cannot be null");
		return;
	}
	call->limit = (struct fc_limit_patch){
		.limit = patch.limit,
		.has_bandwidth = has_member(&body, "bw"),
		.has_ops = has_member(&body, "ops"),
	};
	if (!patch.path) {
		limit_drive(call);
		return;
	}
	r = instance_replace_drive(instance, call->id, patch.path, on_replaced, call, &e);
	if (r < 0)
		v1_problem(call, r == -ENOMEM ? 503 : 422, "%s", e.msg);
}

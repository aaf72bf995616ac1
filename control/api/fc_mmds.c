/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's requests about the guest's metadata: see fc_api.h. */
#include <errno.h>

#include "control/api/fc_api.h"
#include "control/mmds_store.h"

static const char prefix[] = "MMDS error: ";

/* Once the VM runs there is metadata only for a guest that can ask for it. */
static bool has_store(struct api_call *call)
{
	const struct instance *instance = call->api->instance;

	if (!instance_is_started(instance) || instance->settings.mmds.is_present)
		return true;
	fc_api_fault(call, "%sThe MMDS data store is not initialized.", prefix);
	return false;
}

void fc_api_mmds_get(struct api_call *call)
{
	json_t *root = call->api->instance->mmds.root;

	if (has_store(call))
		api_call_reply_json(call, 200, NULL, root ? json_incref(root) : json_object());
}

static void change(struct api_call *call,
		   int (*set)(struct mmds_store *store, json_t *value, struct err *e))
{
	struct json_node body;
	struct err e = { 0 };
	int err;

	if (!fc_api_parse(call, &body))
		return;
	if (!json_is_object(body.value)) {
		err = json_refuse_type(&body, "a map", &e);
		fc_api_refuse(call, err, "", &e);
		return;
	}
	if (!has_store(call))
		return;
	err = set(&call->api->instance->mmds, body.value, &e);
	if (err < 0)
		fc_api_refuse(call, err, prefix, &e);
	else
		api_call_reply_empty(call);
}

void fc_api_mmds_put(struct api_call *call)
{
	change(call, mmds_store_put);
}

void fc_api_mmds_patch(struct api_call *call)
{
	change(call, mmds_store_patch);
}

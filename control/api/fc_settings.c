/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of Firecracker's API that change settings and nothing that runs: see fc_api.h. */
#include <errno.h>

#include "control/api/fc_api.h"
#include "control/logger.h"
#include "control/metrics.h"
#include "control/settings.h"

/*
 * Tries a change on settings that nobody needs: what is wrong with the request itself is said
 * before it is said that it comes at the wrong time.
 */
static int rehearse(struct fc_request r, fc_change *change, struct err *e)
{
	struct settings scratch;
	int err;

	settings_init(&scratch);
	r.settings = &scratch;
	err = change(&r, e);
	settings_release(&scratch);
	return err == -EBADMSG || err == -EBADR ? err : 0;
}

/* The log and metrics lines do not wait for the start: where they cannot go, nothing is changed. */
static int apply(const struct api_call *call, struct fc_request r, struct err *e)
{
	const struct instance *instance = call->api->instance;
	fc_change *change = call->route->change;
	struct settings scratch;
	int err;

	if (change != fc_logger_put && change != fc_metrics_put)
		return 0;
	settings_init(&scratch);
	scratch.logger = instance->settings.logger; /* what is not given stays */
	scratch.logger.path = NULL;
	scratch.logger.module = NULL;
	r.settings = &scratch;
	err = change(&r, e);
	if (err == 0 && change == fc_logger_put)
		err = logger_configure(&scratch.logger, instance->id, e);
	else if (err == 0)
		err = metrics_configure(instance->metrics, &scratch.metrics, e);
	settings_release(&scratch);
	return err;
}

void fc_api_change(struct api_call *call)
{
	struct instance *instance = call->api->instance;
	fc_change *change = call->route->change;
	struct fc_request r = { .settings = &instance->settings, .path_id = call->id };
	struct err e = { 0 };
	int err;

	if (!fc_api_parse(call, &r.body))
		return;
	if (instance_is_started(instance) != (call->route->when == API_AFTER)) {
		err = rehearse(r, change, &e);
		if (err < 0)
			fc_api_refuse(call, err, "", &e);
		else
			fc_api_is_time(call);
		return;
	}
	err = apply(call, r, &e);
	if (err == 0)
		err = change(&r, &e);
	call->is_deprecated = r.is_deprecated;
	if (err < 0) {
		fc_api_refuse(call, err, fc_prefix(change), &e);
		return;
	}
	if (call->route->flags & API_BOOT)
		call->api->has_boot_specific = true;
	api_call_reply_empty(call);
}

void fc_api_unplug(struct api_call *call)
{
	if (fc_api_is_time(call))
		fc_api_fault(call, "PCI manager error: PCI is not enabled");
}

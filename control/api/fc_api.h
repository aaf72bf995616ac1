/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's API: its paths, states, statuses and texts, as clients of it know them. Success is
 * 200 with a body or 204; every error is {"fault_message":"..."} with status 400, but for metadata
 * that does not fit (413).
 *
 * A request is looked at in Firecracker's order: whether it has a body, its path, the id in it, the
 * JSON, and only then whether it is the time for it. docs/firecracker-compat.md lists what differs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/api/call.h"

/* The release whose API this is: clients compare versions. */
#define FC_API_VERSION "1.17.0"

/* Finds the handler of @call, or says what is wrong with it. */
void fc_api_request(struct api_call *call);

/* Writes the text that refuses a body of @len bytes, which is above @limit. */
void fc_api_refuse_body(uint64_t len, size_t limit, char *text, size_t size);

/* --- answers (fc_reply.c) ------------------------------------------------------------------- */

/* Status 400 with a message. */
void fc_api_fault(struct api_call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for a function of control/json/fc.h that returned @code. */
void fc_api_refuse(struct api_call *call, int code, const char *prefix, const struct err *e);

/* Answers when machine did: 204, or call->prefix and its reason. A session_done. */
void fc_api_done(void *opaque, int code, const char *text, uint32_t micros);

/* Parses the body; false when it has answered. */
bool fc_api_parse(struct api_call *call, struct json_node *body);

/* Whether it is the time for it; false when it has answered. */
bool fc_api_is_time(struct api_call *call);

/* --- handlers ------------------------------------------------------------------------------- */

api_handler fc_api_change; /* route->change on the settings (fc_settings.c) */
api_handler fc_api_unplug;

/* fc_vm.c */
api_handler fc_api_instance_get, fc_api_version_get, fc_api_config_get, fc_api_machine_get;
api_handler fc_api_vm_patch, fc_api_action_put, fc_api_snapshot_create, fc_api_snapshot_load;

/* fc_devices.c */
api_handler fc_api_drive_patch, fc_api_net_patch, fc_api_pmem_patch;
api_handler fc_api_balloon_get, fc_api_balloon_stats_get;
api_handler fc_api_hinting_get, fc_api_hinting_start, fc_api_hinting_stop;
api_handler fc_api_memory_get, fc_api_memory_patch;

/* fc_mmds.c */
api_handler fc_api_mmds_get, fc_api_mmds_put, fc_api_mmds_patch;

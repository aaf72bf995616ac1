/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resources of Firecracker's API: bodies of requests to checked changes of the settings, and
 * the settings to bodies of answers. Configuration files in Firecracker's form use the same
 * functions, since their sections are the same bodies.
 *
 * Nothing is changed unless all of a body is good. Fields that may be absent may be null. What a
 * failure was is told by the code:
 *
 *	-EBADMSG	the body is malformed; the message is serde's, without any prefix
 *	-EBADR		the request is wrong as a whole; the message is complete
 *	others		the resource refuses; the message wants the resource's prefix
 *			(fc_prefix())
 *
 * State rules (before or after the start) are the caller's. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "control/json/json.h"
#include "control/settings.h"
#include "control/wire.h"

/* The limits of Firecracker's API, where they are not those of values.h. */
enum { FC_MAX_CPUS = 32 };

struct fc_request {
	struct settings *settings; /* borrowed, like the rest */
	const char *path_id; /* the id in the URI, which that in the body must match; NULL: any */
	struct json_node body;
	bool is_deprecated; /* set by those below: the body has something deprecated */
};

/* What all functions below that change settings look like, for tables of routes. */
typedef int fc_change(struct fc_request *r, struct err *e);

/* PUT, and a section of a configuration file. */
fc_change fc_machine_put, fc_boot_put, fc_cpu_put, fc_drive_put, fc_net_put, fc_pmem_put;
fc_change fc_vsock_put, fc_balloon_put, fc_entropy_put, fc_serial_put, fc_memory_put;
fc_change fc_logger_put, fc_metrics_put, fc_mmds_put;

/* PATCH of what can change before the start, or with the settings alone. */
fc_change fc_machine_patch, fc_balloon_patch, fc_balloon_stats_patch;

/* "Drive config error: ", what goes before a refusal of a PUT (or PATCH) function above. */
const char *fc_prefix(fc_change *change);

/* PATCH of what runs: strings are borrowed from the body. */
struct fc_limit_patch {
	struct rate_limiter_config limit;
	bool has_bandwidth; /* false: stays as it is */
	bool has_ops;
};

struct fc_drive_patch {
	const char *id;
	const char *path; /* NULL: stays */
	struct fc_limit_patch limit;
};

struct fc_net_patch {
	const char *id;
	struct fc_limit_patch rx_limit;
	struct fc_limit_patch tx_limit;
};

struct fc_pmem_patch {
	const char *id;
	struct fc_limit_patch limit;
};

/* 0, -EBADMSG, or -EBADR when the ids differ. Whether there is such a device is not checked. */
int fc_drive_patch(const struct fc_request *r, struct fc_drive_patch *out, struct err *e);
int fc_net_patch(const struct fc_request *r, struct fc_net_patch *out, struct err *e);
int fc_pmem_patch(const struct fc_request *r, struct fc_pmem_patch *out, struct err *e);

/* PATCH /hotplug/memory: how much the guest is to have, checked against the settings. */
int fc_memory_patch(const struct fc_request *r, uint32_t *requested_mib, struct err *e);

/* PATCH /balloon/hinting/start; an absent body is not parsed: *@acknowledges is true then. */
int fc_hinting_start(const struct fc_request *r, bool *acknowledges, struct err *e);

enum fc_action {
	FC_ACTION_FLUSH_METRICS,
	FC_ACTION_START,
	FC_ACTION_CTRL_ALT_DEL,
};

int fc_action(const struct json_node *body, enum fc_action *action, struct err *e);

/* PATCH /vm */
int fc_vm_state(const struct json_node *body, bool *is_paused, struct err *e);

struct fc_snapshot_create {
	bool is_diff;
	const char *snapshot_path; /* borrowed from the body, like the next */
	const char *memory_path;
};

int fc_snapshot_create(const struct json_node *body, struct fc_snapshot_create *out, struct err *e);

enum fc_load_pages {
	FC_LOAD_PAGES_AS_SAVED,
	FC_LOAD_PAGES_4K,
	FC_LOAD_PAGES_THP,
	FC_LOAD_PAGES_2M,
};

struct fc_net_override {
	const char *id;
	const char *host_dev_name;
};

struct fc_snapshot_load {
	const char *snapshot_path; /* strings are borrowed from the body */
	const char *memory_path; /* a file, or the socket of a page server */
	bool is_uffd; /* a page server */
	bool has_dirty_log;
	bool is_resumed;
	bool has_clock_realtime;
	enum fc_load_pages pages;
	struct fc_net_override nets[SETTINGS_MAX_NETS];
	size_t nr_nets;
	const char *vsock_path; /* NULL: as saved */
};

int fc_snapshot_load(const struct json_node *body, struct fc_snapshot_load *out,
		     bool *is_deprecated, struct err *e);

/* Bodies of answers: a new reference, or NULL when there is no memory. */
json_t *fc_machine_get(const struct settings *s);
json_t *fc_balloon_get(const struct settings *s); /* call it when there is a balloon */
json_t *fc_memory_get(const struct settings *s, uint32_t plugged_mib, uint32_t requested_mib);

/* GET /vm/config, and a configuration file in Firecracker's form. */
json_t *settings_to_fc(const struct settings *s);

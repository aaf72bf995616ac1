/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of metrics share, and nobody else: metrics.c keeps them, metrics_prometheus.c and
 * metrics_fc.c write them down.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/metrics.h"
#include "control/metrics_page.h"

enum {
	METRICS_ROUTES_MAX = 96, /* the last is for all that find no place */
	METRICS_STATUSES_MAX = 12, /* likewise */
	METRICS_BUCKETS = 13,
	METRICS_METHOD_BYTES = 12,
	METRICS_FC_SLOTS = 512, /* of differences: see metrics_fc.c */
};

/* Upper ends of the histograms' buckets; the last one has none. */
extern const uint32_t metrics_bucket_us[METRICS_BUCKETS];

struct metrics_status {
	int status;
	uint64_t count;
};

struct metrics_route {
	char method[METRICS_METHOD_BYTES];
	const char *route; /* borrowed: a constant */
	struct metrics_status statuses[METRICS_STATUSES_MAX];
	uint64_t buckets[METRICS_BUCKETS + 1]; /* not summed up */
	uint64_t sum_us;
	uint64_t count;
};

struct metrics_target {
	int fd; /* owned; -1 without one */
	struct evbuffer *rest; /* owned: of a line that a FIFO did not take whole */
	struct event *room; /* owned: it takes more */
	uint64_t lines;
	uint64_t lost; /* lines that found no room */
	uint64_t errors;
};

struct metrics {
	struct event_base *base; /* borrowed */
	char id[WIRE_ID_BYTES]; /* of the instance */
	uint64_t started_us; /* CLOCK_MONOTONIC, like the page's */
	double start_time_s; /* CLOCK_REALTIME */
	bool has_instance_id;
	char *properties; /* owned; NULL without */
	struct event *timer; /* owned */
	struct metrics_target target;

	const struct machine_metrics
		*page; /* owned mapping; all zeroes before there is a machine */
	uint32_t nr_vcpus;
	uint32_t nr_drives;
	char drive_ids[WIRE_MAX_DRIVES][WIRE_ID_BYTES];

	struct metrics_route routes[METRICS_ROUTES_MAX];
	uint32_t nr_routes;
	uint64_t deprecated;
	uint64_t latencies_us[METRICS_LATENCIES];
	uint64_t startup_us;
	uint64_t startup_cpu_us;
	bool has_sandbox; /* there is a VM, and it has said what its sandbox is */
	uint32_t sandbox_layers;
	uint32_t landlock_abi;
	uint64_t nr_forbidden;
	uint64_t fc_last[METRICS_FC_SLOTS]; /* what the line before had seen */
};

/* Adds one of Firecracker's lines to @out, and remembers what it has told. 0 or -ENOMEM. */
int metrics_write_fc(struct metrics *m, struct evbuffer *out);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted about a VM, for those who watch it: machine's page (metrics_page.h), and what
 * control counts itself. It can be read in two ways: as Prometheus text, at any time, and as
 * Firecracker's JSON, a line a minute and on request, in a file or FIFO.
 *
 * Prometheus gets totals. Firecracker's lines hold differences to the line before for what counts,
 * and last values for what does not; when a line finds no room, the next one has its differences
 * too. docs/metrics.md lists both.
 *
 * Values from the page may be anything (see there). A counter that has gone backwards, because a
 * new machine began at zero, counts from zero.
 *
 * Loop thread only.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "control/settings.h"
#include "control/wire.h"

struct evbuffer;
struct event_base;
struct metrics;

/* Firecracker's latencies_us, in its order. */
enum metrics_latency {
	METRICS_FULL_CREATE_SNAPSHOT, /* from the request's arrival to its answer, like all until */
	METRICS_DIFF_CREATE_SNAPSHOT,
	METRICS_LOAD_SNAPSHOT,
	METRICS_PAUSE_VM,
	METRICS_RESUME_VM,
	METRICS_VMM_FULL_CREATE_SNAPSHOT, /* these, which are the work alone */
	METRICS_VMM_DIFF_CREATE_SNAPSHOT,
	METRICS_VMM_LOAD_SNAPSHOT,
	METRICS_VMM_PAUSE_VM,
	METRICS_VMM_RESUME_VM,
	METRICS_LATENCIES,
};

/*
 * @base is for the line a minute and for a FIFO that is full; @instance_id is copied; the program
 * began at @began_us (CLOCK_MONOTONIC), before it started anything. 0 or -errno with @e filled.
 */
int metrics_new(struct metrics **out, struct event_base *base, const char *instance_id,
		uint64_t began_us, struct err *e);

/* Writes a last line. Accepts NULL. */
void metrics_free(struct metrics *m);

/*
 * Sends Firecracker's lines where @value says; the first follows within a minute, or by
 * metrics_flush(). 0; -EALREADY: it has been done before, and stays; -errno. @e is filled.
 */
int metrics_configure(struct metrics *m, const struct metrics_value *value, struct err *e);

/* Writes one of Firecracker's lines now. 0, also when nobody wants them; -errno: it is lost. */
int metrics_flush(struct metrics *m);

/*
 * Makes the page for the machine that @config describes (its vCPUs and drives), in place of the one
 * before. Returns the descriptor for machine, which is the caller's, or -errno with @e filled.
 */
int metrics_new_page(struct metrics *m, const struct machine_config *config, struct err *e);

/*
 * A request to an API has its answer. @route is the path with names in place of ids
 * ("/drives/{id}"), a constant; NULL: it was no request that we know.
 */
void metrics_count_request(struct metrics *m, const char *method, const char *route, int status,
			   uint64_t duration_us);

/* A request used something deprecated. */
void metrics_count_deprecated(struct metrics *m);

void metrics_set_latency(struct metrics *m, enum metrics_latency which, uint64_t duration_us);

/*
 * The program is ready for its user: since @start_us (CLOCK_MONOTONIC), and with the CPU time since
 * @start_cpu_us (of this process) on top of @parent_cpu_us. All in microseconds; 0: not known.
 */
void metrics_set_ready(struct metrics *m, uint64_t start_us, uint64_t start_cpu_us,
		       uint64_t parent_cpu_us);

/* What the sandbox of the VM is, and which calls it has stopped so far. */
void metrics_set_sandbox(struct metrics *m, uint32_t layers, uint32_t landlock_abi,
			 uint64_t nr_forbidden);

/* Adds everything as Prometheus text (exposition format 0.0.4) to @out. 0 or -ENOMEM. */
int metrics_write_prometheus(struct metrics *m, struct evbuffer *out);

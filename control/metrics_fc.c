/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of Firecracker's lines of metrics: see metrics.h. The groups and fields are those of its
 * src/vmm/src/logger/metrics.rs and of the devices' metrics.rs, all of them, because readers check
 * lines against that list; what we have no such thing for is 0. Docs/metrics.md says which.
 *
 * A counter's value in a line is its difference to the line before. What was told is kept in
 * metrics.fc_last, in the order in which a line tells it; what there is more or less of (drives)
 * comes last, so that the order holds.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>

#include "base/bytes.h"
#include "control/json_text.h"
#include "control/logger.h"
#include "control/metrics_impl.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000, NS_PER_US = 1000 };

struct line {
	struct metrics *m;
	struct evbuffer *out;
	size_t at; /* in fc_last */
	bool has_value; /* the group has one already: a comma is due */
	bool has_failed; /* something is missing: there is no memory */
};

static void put(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	l->has_failed |= evbuffer_add_vprintf(l->out, fmt, ap) < 0;
	va_end(ap);
}

static void open_group(struct line *l, const char *name)
{
	put(l, ",\"%s\":{", name);
	l->has_value = false;
}

static void close_group(struct line *l)
{
	put(l, "}");
	l->has_value = true;
}

static void put_value(struct line *l, const char *name, uint64_t value)
{
	/* Readers may have signed numbers. */
	put(l, "%s\"%s\":%" PRIu64, l->has_value ? "," : "", name, min_u64(value, INT64_MAX));
	l->has_value = true;
}

/* A SharedIncMetric. */
static void put_count(struct line *l, const char *name, uint64_t total)
{
	uint64_t *last = &l->m->fc_last[l->at];
	const uint64_t delta = total >= *last ? total - *last : total;

	if (l->at < METRICS_FC_SLOTS - 1)
		l->at++;
	*last = total;
	put_value(l, name, delta);
}

/* Those we have nothing for: names with a space behind each. */
static void put_zeroes(struct line *l, const char *names)
{
	while (*names) {
		const size_t len = strcspn(names, " ");

		put(l, "%s\"%.*s\":0", l->has_value ? "," : "", (int)len, names);
		l->has_value = true;
		names += len + (names[len] == ' ');
	}
}

/* LatencyAggregateMetrics: the ends are values, the sum counts. */
static void put_aggregate(struct line *l, const char *name, uint64_t min_us, uint64_t max_us,
			  uint64_t sum_us)
{
	put(l, "%s\"%s\":{", l->has_value ? "," : "", name);
	l->has_value = false;
	put_value(l, "min_us", min_us);
	put_value(l, "max_us", max_us);
	put_count(l, "sum_us", sum_us);
	close_group(l);
}

/* --- the APIs ------------------------------------------------------------------------------ */

struct request_name {
	const char *first; /* part of the path */
	const char *name;
};

/* Requests of @method to paths that begin with /@first: all, or those that failed. */
static uint64_t count_requests(const struct metrics *m, const char *method, const char *first,
			       bool only_failures)
{
	const size_t len = strlen(first);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < m->nr_routes; i++) {
		const struct metrics_route *r = &m->routes[i];

		if (strcmp(r->method, method) != 0 || r->route[0] != '/' ||
		    strncmp(r->route + 1, first, len) != 0 ||
		    (r->route[1 + len] != '\0' && r->route[1 + len] != '/'))
			continue;
		for (size_t k = 0; k < METRICS_STATUSES_MAX; k++) {
			if (!only_failures || r->statuses[k].status >= 400)
				sum += r->statuses[k].count;
		}
	}
	return sum;
}

static void put_requests(struct line *l, const char *group, const char *method,
			 const struct request_name *names, size_t nr, bool has_failures)
{
	char field[64];

	open_group(l, group);
	for (size_t i = 0; i < nr; i++) {
		snprintf(field, sizeof(field), "%s_count", names[i].name);
		put_count(l, field, count_requests(l->m, method, names[i].first, false));
		if (!has_failures)
			continue;
		snprintf(field, sizeof(field), "%s_fails", names[i].name);
		put_count(l, field, count_requests(l->m, method, names[i].first, true));
	}
	close_group(l);
}

static void put_apis(struct line *l)
{
	static const struct request_name gets[] = {
		{ "", "instance_info" },
		{ "machine-config", "machine_cfg" },
		{ "mmds", "mmds" },
		{ "version", "vmm_version" },
		{ "hotplug", "hotplug_memory" },
	};
	static const struct request_name puts[] = {
		{ "actions", "actions" },
		{ "boot-source", "boot_source" },
		{ "drives", "drive" },
		{ "logger", "logger" },
		{ "machine-config", "machine_cfg" },
		{ "cpu-config", "cpu_cfg" },
		{ "metrics", "metrics" },
		{ "network-interfaces", "network" },
		{ "mmds", "mmds" },
		{ "vsock", "vsock" },
		{ "pmem", "pmem" },
		{ "serial", "serial" },
		{ "hotplug", "hotplug_memory" },
	};
	static const struct request_name patches[] = {
		{ "drives", "drive" },
		{ "network-interfaces", "network" },
		{ "machine-config", "machine_cfg" },
		{ "mmds", "mmds" },
		{ "hotplug", "hotplug_memory" },
		{ "pmem", "pmem" },
	};

	open_group(l, "api_server");
	put_value(l, "process_startup_time_us", l->m->startup_us);
	put_value(l, "process_startup_time_cpu_us", l->m->startup_cpu_us);
	close_group(l);
	put_requests(l, "get_api_requests", "GET", gets, ARRAY_LEN(gets), false);
	put_requests(l, "put_api_requests", "PUT", puts, ARRAY_LEN(puts), true);
	put_requests(l, "patch_api_requests", "PATCH", patches, ARRAY_LEN(patches), true);
	open_group(l, "deprecated_api");
	put_count(l, "deprecated_http_api_calls", l->m->deprecated);
	close_group(l);
}

static void put_latencies(struct line *l)
{
	static const char *const names[METRICS_LATENCIES] = {
		[METRICS_FULL_CREATE_SNAPSHOT] = "full_create_snapshot",
		[METRICS_DIFF_CREATE_SNAPSHOT] = "diff_create_snapshot",
		[METRICS_LOAD_SNAPSHOT] = "load_snapshot",
		[METRICS_PAUSE_VM] = "pause_vm",
		[METRICS_RESUME_VM] = "resume_vm",
		[METRICS_VMM_FULL_CREATE_SNAPSHOT] = "vmm_full_create_snapshot",
		[METRICS_VMM_DIFF_CREATE_SNAPSHOT] = "vmm_diff_create_snapshot",
		[METRICS_VMM_LOAD_SNAPSHOT] = "vmm_load_snapshot",
		[METRICS_VMM_PAUSE_VM] = "vmm_pause_vm",
		[METRICS_VMM_RESUME_VM] = "vmm_resume_vm",
	};

	open_group(l, "latencies_us");
	for (size_t i = 0; i < METRICS_LATENCIES; i++)
		put_value(l, names[i], l->m->latencies_us[i]);
	close_group(l);
}

static void put_logger(struct line *l)
{
	const struct logger_counts log = logger_counts();

	open_group(l, "logger");
	put_count(l, "missed_metrics_count", l->m->target.lost);
	put_count(l, "metrics_fails", l->m->target.errors);
	put_count(l, "missed_log_count", log.lost);
	put_count(l, "rate_limited_log_count", log.limited);
	close_group(l);
}

/* --- the machine --------------------------------------------------------------------------- */

static void add_times(struct timed_metrics *sum, const struct timed_metrics *e)
{
	const uint64_t min_ns = metric_get(&e->min_ns);

	sum->count += metric_get(&e->count);
	sum->timed += metric_get(&e->timed);
	sum->timed_ns += metric_get(&e->timed_ns);
	sum->max_ns = max_u64(sum->max_ns, metric_get(&e->max_ns));
	if (min_ns > 0 && (sum->min_ns == 0 || min_ns < sum->min_ns))
		sum->min_ns = min_ns;
}

/* All vCPUs' exits of one kind. */
static struct timed_metrics sum_exits(const struct metrics *m, enum exit_kind kind)
{
	struct timed_metrics sum = { 0 };

	for (uint32_t i = 0; i < m->nr_vcpus; i++)
		add_times(&sum, &m->page->vcpus[i].kinds[kind]);
	return sum;
}

/* From those that were timed to all. The values may be anything, so may be the result. */
static uint64_t total_us(const struct timed_metrics *e)
{
	double us;

	if (e->timed == 0)
		return 0;
	us = (double)e->timed_ns / (double)e->timed * (double)e->count / NS_PER_US;
	return us < (double)INT64_MAX ? (uint64_t)us : INT64_MAX;
}

static void put_times(struct line *l, const char *name, const struct timed_metrics *e)
{
	put_aggregate(l, name, e->min_ns / NS_PER_US, e->max_ns / NS_PER_US, total_us(e));
}

static void put_vcpus(struct line *l)
{
	static const char *const names[EXIT_KINDS][2] = {
		[EXIT_KIND_IO_IN] = { "exit_io_in", "exit_io_in_agg" },
		[EXIT_KIND_IO_OUT] = { "exit_io_out", "exit_io_out_agg" },
		[EXIT_KIND_MMIO_READ] = { "exit_mmio_read", "exit_mmio_read_agg" },
		[EXIT_KIND_MMIO_WRITE] = { "exit_mmio_write", "exit_mmio_write_agg" },
	};
	uint64_t failures = 0, kvmclock_failures = 0;

	for (uint32_t i = 0; i < l->m->nr_vcpus; i++) {
		const struct vcpu_metrics *v = &l->m->page->vcpus[i];

		failures += metric_get(&v->shutdown) + metric_get(&v->internal_error) +
			    metric_get(&v->fail_entry) + metric_get(&v->other) +
			    metric_get(&v->run_failures);
		kvmclock_failures += metric_get(&v->kvmclock_failures);
	}
	open_group(l, "vcpu");
	for (int k = 0; k < EXIT_KINDS; k++)
		put_count(l, names[k][0], sum_exits(l->m, (enum exit_kind)k).count);
	put_count(l, "failures", failures);
	put_count(l, "kvmclock_ctrl_fails", kvmclock_failures);
	for (int k = 0; k < EXIT_KINDS; k++) {
		const struct timed_metrics e = sum_exits(l->m, (enum exit_kind)k);

		put_times(l, names[k][1], &e);
	}
	close_group(l);
}

static void put_legacy(struct line *l)
{
	const struct serial_metrics *s = &l->m->page->serial;
	const struct i8042_metrics *k = &l->m->page->i8042;

	open_group(l, "i8042");
	put_zeroes(l, "error_count");
	put_count(l, "missed_read_count", metric_get(&k->missed_reads));
	put_count(l, "missed_write_count", metric_get(&k->missed_writes));
	put_count(l, "read_count", metric_get(&k->reads));
	put_count(l, "reset_count", metric_get(&k->resets));
	put_count(l, "write_count", metric_get(&k->writes));
	close_group(l);
	open_group(l, "uart");
	put_count(l, "error_count", metric_get(&s->errors));
	put_count(l, "flush_count", metric_get(&s->flushes));
	put_count(l, "missed_read_count", metric_get(&s->missed_reads));
	put_count(l, "missed_write_count", metric_get(&s->missed_writes));
	put_count(l, "read_count", metric_get(&s->reads));
	put_count(l, "write_count", metric_get(&s->writes));
	put_count(l, "rate_limiter_dropped_bytes", metric_get(&s->limited_bytes));
	close_group(l);
	open_group(l, "interrupts");
	put_count(l, "triggers", metric_get(&l->m->page->interrupts));
	put_zeroes(l, "config_updates");
	close_group(l);
}

static uint64_t drive_value(const struct metrics *m, uint32_t first, uint32_t nr, size_t offset)
{
	uint64_t sum = 0;

	for (uint32_t i = first; i < first + nr; i++)
		sum += metric_get((const uint64_t *)((const char *)&m->page->drives[i] + offset));
	return sum;
}

/* The @nr drives from @first on, together. */
static void put_drives(struct line *l, const char *group, uint32_t first, uint32_t nr)
{
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "event_fails", offsetof(struct block_counters, faults) },
		{ "execute_fails", offsetof(struct block_counters, failed) },
		{ "invalid_reqs_count", offsetof(struct block_counters, refused) },
		{ "flush_count", offsetof(struct block_counters, flushes) },
		{ "queue_event_count", offsetof(struct block_counters, kicks) },
		{ "rate_limiter_event_count", offsetof(struct block_counters, limit_wakes) },
		{ "update_count", offsetof(struct block_counters, replaced) },
		{ "update_fails", offsetof(struct block_counters, replace_failures) },
		{ "read_bytes", offsetof(struct block_counters, read_bytes) },
		{ "write_bytes", offsetof(struct block_counters, write_bytes) },
		{ "read_count", offsetof(struct block_counters, reads) },
		{ "write_count", offsetof(struct block_counters, writes) },
		{ "rate_limiter_throttled_events", offsetof(struct block_counters, throttled) },
	};

	struct timed_metrics reads = { 0 }, writes = { 0 };

	for (uint32_t i = first; i < first + nr; i++) {
		add_times(&reads, &l->m->page->drives[i].read_times);
		add_times(&writes, &l->m->page->drives[i].write_times);
	}
	/* Those that failed were begun, but have no time. */
	reads.count = drive_value(l->m, first, nr, offsetof(struct block_counters, reads));
	writes.count = drive_value(l->m, first, nr, offsetof(struct block_counters, writes));
	open_group(l, group);
	put_zeroes(l, "activate_fails cfg_fails no_avail_buffer");
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		put_count(l, fields[i].name, drive_value(l->m, first, nr, fields[i].offset));
	put_zeroes(l, "io_engine_throttled_events remaining_reqs_count");
	put_times(l, "read_agg", &reads);
	put_times(l, "write_agg", &writes);
	close_group(l);
}

/* --- what there is none of ----------------------------------------------------------------- */

static void put_missing(struct line *l)
{
	static const char *const groups[][2] = {
		{ "balloon", "activate_fails inflate_count stats_updates_count stats_update_fails "
			     "deflate_count event_fails free_page_report_count "
			     "free_page_report_freed free_page_report_fails free_page_hint_count "
			     "free_page_hint_freed free_page_hint_fails" },
		{ "mmds", "rx_accepted rx_accepted_err rx_accepted_unusual rx_bad_eth "
			  "rx_invalid_token rx_no_token rx_count tx_bytes tx_count tx_errors "
			  "tx_frames connections_created connections_destroyed" },
		{ "vmm", "panic_count" },
		{ "signals", "sigbus sigsegv sigxfsz sigxcpu sigpipe sighup sigill" },
		{ "vsock", "activate_fails cfg_fails rx_queue_event_fails tx_queue_event_fails "
			   "ev_queue_event_fails muxer_event_fails conn_event_fails "
			   "rx_queue_event_count tx_queue_event_count rx_bytes_count "
			   "tx_bytes_count rx_packets_count tx_packets_count conns_added "
			   "conns_killed conns_removed killq_resync tx_flush_fails "
			   "tx_write_fails rx_read_fails" },
		{ "entropy", "activate_fails entropy_event_fails entropy_event_count entropy_bytes "
			     "host_rng_fails entropy_rate_limiter_throttled "
			     "rate_limiter_event_count" },
		{ "pmem", "activate_fails cfg_fails event_fails queue_event_count "
			  "rate_limiter_throttled_events rate_limiter_event_count" },
	};

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		open_group(l, groups[i][0]);
		put_zeroes(l, groups[i][1]);
		close_group(l);
	}
}

/* Its own filters' faults are counted here: Firecracker's clients look for them. */
static void put_seccomp(struct line *l)
{
	open_group(l, "seccomp");
	put_value(l, "num_faults", l->m->nr_forbidden); /* a SharedStoreMetric */
	close_group(l);
}

static void put_missing_with_times(struct line *l)
{
	static const char *const hotplug[] = { "plug_agg", "unplug_agg", "state_agg",
					       "unplug_all_agg" };

	open_group(l, "net");
	put_zeroes(l, "activate_fails cfg_fails no_rx_avail_buffer no_tx_avail_buffer event_fails "
		      "rx_queue_event_count rx_event_rate_limiter_count rx_rate_limiter_throttled "
		      "rx_tap_event_count rx_bytes_count rx_packets_count rx_fails rx_count "
		      "tap_read_fails tap_write_fails");
	put_aggregate(l, "tap_write_agg", 0, 0, 0);
	put_zeroes(l, "tx_bytes_count tx_malformed_frames tx_fails tx_count tx_packets_count "
		      "tx_queue_event_count tx_rate_limiter_event_count "
		      "tx_rate_limiter_throttled tx_spoofed_mac_count tx_remaining_reqs_count");
	close_group(l);
	open_group(l, "memory_hotplug");
	put_zeroes(l, "activate_fails queue_event_fails queue_event_count plug_count plug_bytes "
		      "plug_fails unplug_count unplug_bytes unplug_fails unplug_discard_fails "
		      "state_count state_fails unplug_all_count unplug_all_fails");
	for (size_t i = 0; i < ARRAY_LEN(hotplug); i++)
		put_aggregate(l, hotplug[i], 0, 0, 0);
	close_group(l);
}

/* --- the line ------------------------------------------------------------------------------ */

static void put_start(struct line *l)
{
	const struct metrics *m = l->m;
	char id[JSON_TEXT_BYTES(sizeof(m->id))];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	put(l, "{\"utc_timestamp_ms\":%" PRIu64,
	    (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS);
	json_text(id, sizeof(id), m->id);
	if (m->has_instance_id)
		put(l, ",\"id\":\"%s\"", id);
	if (m->properties)
		put(l, ",\"properties\":%s", m->properties);
}

int metrics_write_fc(struct metrics *m, struct evbuffer *out)
{
	struct line l = { .m = m, .out = out };
	char group[sizeof("block_") + JSON_TEXT_BYTES(WIRE_ID_BYTES)] = "block_";

	put_start(&l);
	put_apis(&l);
	put_latencies(&l);
	put_logger(&l);
	put_vcpus(&l);
	put_legacy(&l);
	put_seccomp(&l);
	put_missing(&l);
	put_missing_with_times(&l);
	put_drives(&l, "block", 0, m->nr_drives);
	for (uint32_t i = 0; i < m->nr_drives; i++) {
		json_text(group + strlen("block_"), sizeof(group) - strlen("block_"),
			  m->drive_ids[i]);
		put_drives(&l, group, i, 1);
	}
	put(&l, "}\n");
	return l.has_failed ? -ENOMEM : 0;
}

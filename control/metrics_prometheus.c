/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is counted, as Prometheus text: see metrics.h and docs/metrics.md. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <event2/buffer.h>

#include "base/bytes.h"
#include "control/json_text.h"
#include "control/logger.h"
#include "control/metrics_impl.h"
#include "jail/layer.h"

#define NANOS_PER_S 1e9
#define MICROS_PER_S 1e6

static const char *const exit_kind_names[EXIT_KINDS] = {
	[EXIT_KIND_IO_IN] = "io_in",
	[EXIT_KIND_IO_OUT] = "io_out",
	[EXIT_KIND_MMIO_READ] = "mmio_read",
	[EXIT_KIND_MMIO_WRITE] = "mmio_write",
};

static const char *const phase_names[BOOT_PHASES] = {
	[BOOT_PHASE_STARTED] = "started", [BOOT_PHASE_CONFIGURED] = "configured",
	[BOOT_PHASE_MEMORY] = "memory",	  [BOOT_PHASE_VCPUS] = "vcpus",
	[BOOT_PHASE_DEVICES] = "devices", [BOOT_PHASE_LOADED] = "loaded",
	[BOOT_PHASE_RUNNING] = "running",
};

/* A value at some offset of a struct, and the labels that tell it from its like. */
struct field {
	const char *labels;
	size_t offset;
};

struct writer {
	struct evbuffer *out; /* borrowed */
	bool has_failed; /* something is missing: there is no memory */
};

static void put(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct writer *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	w->has_failed |= evbuffer_add_vprintf(w->out, fmt, ap) < 0;
	va_end(ap);
}

static uint64_t value_at(const void *base, size_t offset)
{
	return metric_get((const uint64_t *)((const char *)base + offset));
}

static void put_head(struct writer *w, const char *name, const char *type, const char *help)
{
	put(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_counter(struct writer *w, const char *name, const char *help, uint64_t value)
{
	put_head(w, name, "counter", help);
	put(w, "%s %" PRIu64 "\n", name, value);
}

/* --- the program --------------------------------------------------------------------------- */

static void put_program(const struct metrics *m, struct writer *w)
{
	char id[JSON_TEXT_BYTES(sizeof(m->id))];
	const struct logger_counts log = logger_counts();

	json_text(id, sizeof(id), m->id);
	put_head(w, "volt_info", "gauge", "The program and its instance; always 1.");
	put(w, "volt_info{version=\"%s\",id=\"%s\"} 1\n", VOLT_VERSION, id);
	put_head(w, "volt_start_time_seconds", "gauge", "When the program began, in Unix time.");
	put(w, "volt_start_time_seconds %.3f\n", m->start_time_s);
	put_head(w, "volt_log_lines_dropped_total", "counter",
		 "Log lines that their target did not take, or that were too many.");
	put(w,
	    "volt_log_lines_dropped_total{reason=\"target\"} %" PRIu64 "\n"
	    "volt_log_lines_dropped_total{reason=\"limit\"} %" PRIu64 "\n",
	    log.lost, log.limited);
	put_head(w, "volt_metrics_lines_total", "counter",
		 "Lines of JSON metrics that were written, or lost.");
	put(w,
	    "volt_metrics_lines_total{result=\"written\"} %" PRIu64 "\n"
	    "volt_metrics_lines_total{result=\"lost\"} %" PRIu64 "\n",
	    m->target.lines, m->target.lost + m->target.errors);
}

/* --- the APIs ------------------------------------------------------------------------------ */

static void put_statuses(const struct metrics_route *r, struct writer *w)
{
	for (size_t i = 0; i < METRICS_STATUSES_MAX && r->statuses[i].count > 0; i++)
		put(w,
		    "volt_api_requests_total{method=\"%s\",route=\"%s\","
		    "status=\"%d\"} %" PRIu64 "\n",
		    r->method, r->route, r->statuses[i].status, r->statuses[i].count);
}

static void put_histogram(const struct metrics_route *r, struct writer *w)
{
	static const char name[] = "volt_api_request_duration_seconds";
	uint64_t sum = 0;

	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		sum += r->buckets[i];
		put(w, "%s_bucket{method=\"%s\",route=\"%s\",le=\"%g\"} %" PRIu64 "\n", name,
		    r->method, r->route, metrics_bucket_us[i] / MICROS_PER_S, sum);
	}
	put(w,
	    "%s_bucket{method=\"%s\",route=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
	    "%s_sum{method=\"%s\",route=\"%s\"} %.6f\n"
	    "%s_count{method=\"%s\",route=\"%s\"} %" PRIu64 "\n",
	    name, r->method, r->route, r->count, name, r->method, r->route,
	    (double)r->sum_us / MICROS_PER_S, name, r->method, r->route, r->count);
}

/* Methods and routes are constants of ours, without anything to escape. */
static void put_requests(const struct metrics *m, struct writer *w)
{
	put_head(w, "volt_api_requests_total", "counter", "Requests to the APIs.");
	for (uint32_t i = 0; i < m->nr_routes; i++)
		put_statuses(&m->routes[i], w);
	put_head(w, "volt_api_request_duration_seconds", "histogram",
		 "Time from a request's last byte to its answer.");
	for (uint32_t i = 0; i < m->nr_routes; i++)
		put_histogram(&m->routes[i], w);
	put_counter(w, "volt_api_deprecated_requests_total",
		    "Requests that used something deprecated.", m->deprecated);
}

/* --- the sandbox --------------------------------------------------------------------------- */

/* Nothing of it before there is a VM: a layer that is not there yet is not missing. */
static void put_sandbox(const struct metrics *m, struct writer *w)
{
	if (m->has_sandbox) {
		put_head(w, "volt_sandbox_layer", "gauge",
			 "Whether a layer of the sandbox is in force.");
		for (int i = 0; i < JAIL_LAYERS; i++)
			put(w, "volt_sandbox_layer{layer=\"%s\"} %u\n",
			    jail_layer_name((enum jail_layer)i), m->sandbox_layers >> i & 1);
		put_head(w, "volt_sandbox_landlock_abi", "gauge",
			 "The version of Landlock in use; 0: none.");
		put(w, "volt_sandbox_landlock_abi %" PRIu32 "\n", m->landlock_abi);
	}
	put_counter(w, "volt_sandbox_forbidden_calls_total",
		    "System calls that a filter has stopped; the VM ends with the first.",
		    m->nr_forbidden);
}

/* --- vCPUs --------------------------------------------------------------------------------- */

static void put_exits(const struct metrics *m, struct writer *w)
{
	static const struct field others[] = {
		{ "interrupted", offsetof(struct vcpu_metrics, interrupted) },
		{ "shutdown", offsetof(struct vcpu_metrics, shutdown) },
		{ "system_event", offsetof(struct vcpu_metrics, system_event) },
		{ "internal_error", offsetof(struct vcpu_metrics, internal_error) },
		{ "fail_entry", offsetof(struct vcpu_metrics, fail_entry) },
		{ "other", offsetof(struct vcpu_metrics, other) },
		{ "error", offsetof(struct vcpu_metrics, run_failures) },
	};
	static const char line[] = "volt_vcpu_exits_total{vcpu=\"%" PRIu32
				   "\",reason=\"%s\"} %" PRIu64 "\n";

	put_head(w, "volt_vcpu_exits_total", "counter", "Times a vCPU left the guest, by reason.");
	for (uint32_t i = 0; i < m->nr_vcpus; i++) {
		const struct vcpu_metrics *vcpu = &m->page->vcpus[i];

		for (size_t k = 0; k < EXIT_KINDS; k++)
			put(w, line, i, exit_kind_names[k], metric_get(&vcpu->kinds[k].count));
		for (size_t k = 0; k < ARRAY_LEN(others); k++)
			put(w, line, i, others[k].labels, value_at(vcpu, others[k].offset));
	}
}

static void put_exit_times(const struct metrics *m, struct writer *w)
{
	static const char name[] = "volt_vcpu_exit_duration_seconds";

	put_head(w, name, "summary",
		 "Time spent on exits for the guest; one of 64 is measured and counted here.");
	for (uint32_t i = 0; i < m->nr_vcpus; i++) {
		for (size_t k = 0; k < EXIT_KINDS; k++) {
			const struct timed_metrics *e = &m->page->vcpus[i].kinds[k];

			put(w,
			    "%s_sum{vcpu=\"%" PRIu32 "\",reason=\"%s\"} %.9f\n"
			    "%s_count{vcpu=\"%" PRIu32 "\",reason=\"%s\"} %" PRIu64 "\n",
			    name, i, exit_kind_names[k],
			    (double)metric_get(&e->timed_ns) / NANOS_PER_S, name, i,
			    exit_kind_names[k], metric_get(&e->timed));
		}
	}
}

/* --- devices ------------------------------------------------------------------------------- */

/* A family with one line for each drive and field. */
static void put_drives(const struct metrics *m, struct writer *w, const char *name,
		       const char *help, const struct field *fields, size_t nr_fields)
{
	put_head(w, name, "counter", help);
	for (uint32_t i = 0; i < m->nr_drives; i++) {
		char id[JSON_TEXT_BYTES(WIRE_ID_BYTES)];

		json_text(id, sizeof(id), m->drive_ids[i]);
		for (size_t k = 0; k < nr_fields; k++)
			put(w, "%s{drive=\"%s\"%s} %" PRIu64 "\n", name, id, fields[k].labels,
			    value_at(&m->page->drives[i], fields[k].offset));
	}
}

#define DRIVE_FIELD(labels, member)                             \
	{                                                       \
		labels, offsetof(struct block_counters, member) \
	}

static void put_drive_times(const struct metrics *m, struct writer *w)
{
	static const char name[] = "volt_drive_request_duration_seconds";
	static const struct field kinds[] = {
		DRIVE_FIELD("read", read_times),
		DRIVE_FIELD("write", write_times),
	};

	put_head(w, name, "summary",
		 "Time from a request's start to its end; one of 16 is measured and counted here.");
	for (uint32_t i = 0; i < m->nr_drives; i++) {
		char id[JSON_TEXT_BYTES(WIRE_ID_BYTES)];

		json_text(id, sizeof(id), m->drive_ids[i]);
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
			const size_t at = kinds[k].offset;
			const void *drive = &m->page->drives[i];

			put(w,
			    "%s_sum{drive=\"%s\",operation=\"%s\"} %.9f\n"
			    "%s_count{drive=\"%s\",operation=\"%s\"} %" PRIu64 "\n",
			    name, id, kinds[k].labels,
			    (double)value_at(drive, at + offsetof(struct timed_metrics, timed_ns)) /
				    NANOS_PER_S,
			    name, id, kinds[k].labels,
			    value_at(drive, at + offsetof(struct timed_metrics, timed)));
		}
	}
}

static void put_block(const struct metrics *m, struct writer *w)
{
	static const struct field requests[] = {
		DRIVE_FIELD(",operation=\"read\"", reads),
		DRIVE_FIELD(",operation=\"write\"", writes),
		DRIVE_FIELD(",operation=\"discard\"", discards),
		DRIVE_FIELD(",operation=\"write_zeroes\"", write_zeroes),
		DRIVE_FIELD(",operation=\"flush\"", flushes),
	};
	static const struct field bytes[] = {
		DRIVE_FIELD(",operation=\"read\"", read_bytes),
		DRIVE_FIELD(",operation=\"write\"", write_bytes),
		DRIVE_FIELD(",operation=\"discard\"", discard_bytes),
		DRIVE_FIELD(",operation=\"write_zeroes\"", write_zeroes_bytes),
	};
	static const struct field failures[] = {
		DRIVE_FIELD(",reason=\"refused\"", refused),
		DRIVE_FIELD(",reason=\"host\"", failed),
	};
	static const struct field replacements[] = {
		DRIVE_FIELD(",result=\"done\"", replaced),
		DRIVE_FIELD(",result=\"failed\"", replace_failures),
	};
	static const struct {
		const char *name;
		const char *help;
		struct field field;
	} singles[] = {
		{ "volt_drive_faults_total", "Times the guest made a drive fail until its reset.",
		  DRIVE_FIELD("", faults) },
		{ "volt_drive_doorbells_total", "Turns that a doorbell of the guest began.",
		  DRIVE_FIELD("", kicks) },
		{ "volt_drive_throttled_total", "Times a rate limit made a drive wait.",
		  DRIVE_FIELD("", throttled) },
		{ "volt_drive_limit_wakes_total", "Times such a wait ended.",
		  DRIVE_FIELD("", limit_wakes) },
	};

	put_drives(m, w, "volt_drive_requests_total", "Requests that were done well.", requests,
		   ARRAY_LEN(requests));
	put_drives(m, w, "volt_drive_bytes_total", "Bytes of those requests.", bytes,
		   ARRAY_LEN(bytes));
	put_drives(m, w, "volt_drive_request_failures_total", "Requests that were not.", failures,
		   ARRAY_LEN(failures));
	put_drives(m, w, "volt_drive_replacements_total", "Changes of a drive's file.",
		   replacements, ARRAY_LEN(replacements));
	for (size_t i = 0; i < ARRAY_LEN(singles); i++)
		put_drives(m, w, singles[i].name, singles[i].help, &singles[i].field, 1);
}

static void put_legacy(const struct metrics *m, struct writer *w)
{
	const struct machine_metrics *page = m->page;
	static const struct field serial[] = {
		{ "in", offsetof(struct serial_metrics, in_bytes) },
		{ "out", offsetof(struct serial_metrics, out_bytes) },
		{ "dropped", offsetof(struct serial_metrics, dropped_bytes) },
		{ "limited", offsetof(struct serial_metrics, limited_bytes) },
	};

	put_head(w, "volt_serial_bytes_total", "counter",
		 "Bytes to and from the guest's serial port; dropped: nobody took them in time, "
		 "limited: above the limit.");
	for (size_t i = 0; i < ARRAY_LEN(serial); i++)
		put(w, "volt_serial_bytes_total{direction=\"%s\"} %" PRIu64 "\n", serial[i].labels,
		    value_at(&page->serial, serial[i].offset));
	put_counter(w, "volt_serial_errors_total", "Errors of the console's descriptors.",
		    metric_get(&page->serial.errors));
	put_counter(w, "volt_i8042_resets_total", "Resets through the keyboard controller.",
		    metric_get(&page->i8042.resets));
	put_counter(w, "volt_interrupts_total", "Interrupts that devices raised.",
		    metric_get(&page->interrupts));
	put_counter(w, "volt_guest_panics_total", "Panics that the guest's kernel told us of.",
		    metric_get(&page->panics));
	put_counter(w, "volt_pauses_total", "Times the VM was paused.", metric_get(&page->pauses));
	put_counter(w, "volt_resumes_total", "Times the VM was told to go on.",
		    metric_get(&page->resumes));
}

static void put_boot(const struct metrics *m, struct writer *w)
{
	static const char name[] = "volt_boot_phase_seconds";

	put_head(w, name, "gauge",
		 "When a phase of the start was reached, since the program began.");
	for (size_t i = 0; i < BOOT_PHASES; i++) {
		const uint64_t us = metric_get(&m->page->boot_us[i]);

		if (us > 0)
			put(w, "%s{phase=\"%s\"} %.6f\n", name, phase_names[i],
			    ((double)us - (double)m->started_us) / MICROS_PER_S);
	}
}

int metrics_write_prometheus(struct metrics *m, struct evbuffer *out)
{
	struct writer w = { .out = out };

	put_program(m, &w);
	put_requests(m, &w);
	put_boot(m, &w);
	put_sandbox(m, &w);
	put_exits(m, &w);
	put_exit_times(m, &w);
	put_block(m, &w);
	put_drive_times(m, &w);
	put_legacy(m, &w);
	return w.has_failed ? -ENOMEM : 0;
}

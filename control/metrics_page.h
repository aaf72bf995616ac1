/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page of counters that machine writes and control reads: the second header that both include,
 * beside wire.h.
 *
 * Control makes it, a sealed memfd of exactly sizeof(struct machine_metrics), maps it for reading,
 * and sends the descriptor with the configuration; machine maps it for writing. A scrape reads
 * memory and nothing else, so no guest notices it, and it works when machine is stuck.
 *
 * Machine may have been taken over, and then writes what it likes: control treats the values as
 * numbers, never as an index, a size or an address.
 *
 * All values are 64 bits wide and aligned, so they are read and written whole. A counter has one
 * writer at a time: metric_add() is a plain addition then. Those with several use
 * metric_add_shared(). Nothing orders one counter against another.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/wire.h"

enum {
	METRIC_TIMED_EXITS =
		64, /* one of so many exits of a kind is timed: the first, the 65th... */
	METRIC_TIMED_REQUESTS = 16, /* likewise, of a drive's reads, and of its writes */
};

/* What happens often, of which some are timed. */
struct timed_metrics {
	uint64_t count;
	uint64_t timed; /* those whose time was taken, with clocks of */
	uint64_t timed_ns;
	uint64_t min_ns; /* 0: none was timed */
	uint64_t max_ns;
};

/* Exits to us that are worked on for the guest. */
enum exit_kind {
	EXIT_KIND_IO_IN,
	EXIT_KIND_IO_OUT,
	EXIT_KIND_MMIO_READ,
	EXIT_KIND_MMIO_WRITE,
	EXIT_KINDS,
};

/* Written by the vCPU's thread; a whole number of cache lines, so that vCPUs do not share any. */
struct vcpu_metrics {
	struct timed_metrics kinds[EXIT_KINDS];
	uint64_t interrupted; /* KVM_RUN came back for a signal */
	uint64_t shutdown; /* triple faults */
	uint64_t system_event; /* power-off, reset or crash that KVM reported */
	uint64_t internal_error;
	uint64_t fail_entry;
	uint64_t other; /* exits that we do not know */
	uint64_t run_failures; /* KVM_RUN failed */
	uint64_t kvmclock_failures; /* KVM_KVMCLOCK_CTRL failed; by the loop thread */
	uint64_t reserved[4];
};

static_assert(sizeof(struct vcpu_metrics) % 64 == 0, "vCPUs share no cache line");

/* What a drive has done since it was made. All count requests, if not bytes. By its thread. */
struct block_counters {
	uint64_t reads; /* done well, like all until flushes */
	uint64_t read_bytes;
	uint64_t writes;
	uint64_t write_bytes;
	uint64_t discards;
	uint64_t discard_bytes;
	uint64_t write_zeroes;
	uint64_t write_zeroes_bytes;
	uint64_t flushes;
	uint64_t refused; /* the guest's fault: bad range, unknown type, read-only, ... */
	uint64_t failed; /* the host's */
	uint64_t faults; /* times the device failed until its reset */
	uint64_t kicks; /* turns that a doorbell began */
	uint64_t throttled; /* times the limit made the device wait */
	uint64_t limit_wakes; /* times such a wait, or a change of the limit, ended */
	uint64_t replaced; /* files */
	uint64_t replace_failures;
	struct timed_metrics read_times; /* from the start of a read that is done well to its end */
	struct timed_metrics write_times; /* with the flush that may belong to it */
};

/* Register accesses count bytes. Under the device's lock. */
struct serial_metrics {
	uint64_t reads;
	uint64_t writes;
	uint64_t missed_reads; /* outside of the registers */
	uint64_t missed_writes;
	uint64_t in_bytes; /* that came in for the guest */
	uint64_t out_bytes; /* that went out */
	uint64_t dropped_bytes; /* output that nobody took in time */
	uint64_t limited_bytes; /* output above its limit */
	uint64_t flushes; /* times output went out */
	uint64_t errors; /* of the host's descriptors */
};

struct i8042_metrics {
	uint64_t reads;
	uint64_t writes;
	uint64_t missed_reads;
	uint64_t missed_writes;
	uint64_t resets;
};

/* CLOCK_MONOTONIC in microseconds when each was reached; 0 before. In their order. */
enum boot_phase {
	BOOT_PHASE_STARTED, /* machine's main() */
	BOOT_PHASE_CONFIGURED, /* the configuration has arrived */
	BOOT_PHASE_MEMORY, /* guest memory is there */
	BOOT_PHASE_VCPUS, /* and the vCPUs */
	BOOT_PHASE_DEVICES,
	BOOT_PHASE_LOADED, /* kernel, initrd and tables are in memory */
	BOOT_PHASE_RUNNING, /* before the first KVM_RUN */
	BOOT_PHASES,
};

struct machine_metrics {
	uint64_t boot_us[BOOT_PHASES];
	uint64_t pauses;
	uint64_t resumes;
	uint64_t interrupts; /* edges raised by devices; shared */
	uint64_t panics; /* that the guest's kernel told us of; shared */
	struct serial_metrics serial;
	struct i8042_metrics i8042;
	struct block_counters drives[WIRE_MAX_DRIVES]; /* as in machine_config */
	_Alignas(64) struct vcpu_metrics vcpus[WIRE_MAX_CPUS];
};

static inline uint64_t metric_get(const uint64_t *metric)
{
	return __atomic_load_n(metric, __ATOMIC_RELAXED);
}

static inline void metric_set(uint64_t *metric, uint64_t value)
{
	__atomic_store_n(metric, value, __ATOMIC_RELAXED);
}

/* By the counter's one writer. */
static inline void metric_add(uint64_t *metric, uint64_t count)
{
	metric_set(metric, metric_get(metric) + count);
}

/* By the one writer: another is counted, and whether it is one of those that are to be timed. */
static inline bool metric_count_timed(struct timed_metrics *m, uint64_t one_of)
{
	const uint64_t count = metric_get(&m->count);

	metric_set(&m->count, count + 1);
	return count % one_of == 0;
}

/* It took @ns. */
static inline void metric_add_time(struct timed_metrics *m, uint64_t ns)
{
	if (metric_get(&m->timed) == 0 || ns < metric_get(&m->min_ns))
		metric_set(&m->min_ns, ns);
	if (ns > metric_get(&m->max_ns))
		metric_set(&m->max_ns, ns);
	metric_add(&m->timed_ns, ns);
	metric_add(&m->timed, 1);
}

static inline void metric_add_shared(uint64_t *metric, uint64_t count)
{
	__atomic_fetch_add(metric, count, __ATOMIC_RELAXED);
}

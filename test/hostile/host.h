/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of attacks without KVM: the device in this process, behind a bus, on fake guest memory.
 * Fast enough for thousands of rounds under sanitizers.
 *
 * Time passes in two ways. Pumped: the loop runs when the attack waits, on the same thread, so that
 * every run is the same. Threaded: a loop thread runs beside the attack, as in the machine. And a
 * disk is quick, or finishes requests late and out of order, so that faults find them in flight;
 * so do resets, but for the pumped kind: it would wait for itself, so the loop runs before a status
 * is written, and another CPU may not reset.
 */
#pragma once

#include <stdbool.h>

#include "test/hostile/port.h"

enum host_kind {
	HOST_PUMPED,
	HOST_PUMPED_SLOW,
	HOST_THREADED,
	HOST_THREADED_SLOW,
};

struct host_options {
	enum host_kind kind;
	bool is_read_only;
	uint32_t queue_count; /* 0: one */
};

struct host;

/* The caller's, to be given to host_free(). Ends the test program when memory or files fail. */
struct host *host_new(const struct host_options *options);
void host_free(struct host *host);

/* Valid as long as @host. Thread: one, besides those that the port starts. */
struct port *host_port(struct host *host);

/* Makes the device anew on the same disk. */
void host_reopen(struct host *host);

/* Fills the disk anew, see port.h. No request is in flight. */
void host_fill_disk(struct host *host);

/* RAM becomes zero. */
void host_clear_ram(struct host *host);

/* The disk has its size, and its first half (read-only: all of it) what it had at first. */
bool host_disk_is_whole(struct host *host);

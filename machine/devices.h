/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All devices of one VM: what there is, in which order the guest sees it, where it sits on the buses
 * and which interrupt line it has, and which thread serves it.
 *
 * Thread: the loop, and no vCPU runs, unless said otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "control/wire.h"
#include "machine/bus.h"
#include "machine/dev/end.h"
#include "machine/kvm.h"
#include "machine/mem.h"

struct devices;
struct event_base;
struct guard;
struct machine_metrics;

/* Where devices are attached. All of it outlives them. */
struct devices_site {
	struct kvm *kvm;
	const struct mem *mem;
	struct bus *ports;
	struct bus *mmio;
	struct event_base *base; /* of the loop thread */
	struct machine_metrics *metrics; /* where they count */
	struct guest_end end; /* called by devices that end the VM, on a vCPU's thread */
	/* Both are called on any thread and must not wait. Never NULL. */
	void (*on_panic)(void *opaque, uint8_t what); /* PANIC_ */
	void (*on_fault)(void *opaque, uint32_t drive, enum device_fault fault, const char *why);
	void *opaque; /* of the last two */
};

/*
 * Makes and places what @config describes. Takes the descriptors it uses out of @fds (their entries
 * become -1). 0 or -errno with @e filled.
 */
int devices_new(struct devices **out, const struct devices_site *site,
		const struct machine_config *config, int *fds, size_t nr_fds, struct err *e);

/* How many virtio windows are in use, from LAYOUT_VIRTIO_MMIO up. */
uint32_t devices_virtio_count(const struct devices *d);

/* How many threads serve devices besides the loop, and starts them: see guard.h. */
uint32_t devices_thread_count(const struct devices *d);
int devices_start(struct devices *d, struct guard *guard, struct err *e);

/* See vm.h. */
typedef void devices_done(void *opaque, int code, const char *text);
int devices_replace_drive(struct devices *d, uint32_t drive, int fd, devices_done *done,
			  void *opaque, struct err *e);
int devices_limit_drive(struct devices *d, uint32_t drive, const struct rate_limiter_config *limit,
			bool has_bandwidth, bool has_ops, struct err *e);
int devices_ctrl_alt_del(struct devices *d, struct err *e);

/*
 * Makes the devices let go of vCPUs that wait for them, for good: call it before vCPUs are joined.
 * Any thread but a vCPU's.
 */
void devices_release_vcpus(struct devices *d);

/* Hands serial output that is still on its way to its reader, for at most @timeout_ms. */
void devices_flush(struct devices *d, int timeout_ms);

/* Accepts NULL. No vCPU has a thread any more. */
void devices_free(struct devices *d);

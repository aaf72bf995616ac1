/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One microVM: owns guest memory, KVM descriptors, buses, devices and vCPUs, and is the only place
 * that knows them all. Life: vm_create() builds everything, vm_start() lets the vCPUs run, the
 * guest or the owner ends it, vm_free() takes it apart.
 *
 * Everything here runs on the loop thread, but for vm_end(), which any thread may call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "control/wire.h"

struct event_base;
struct guard;
struct machine_metrics;
struct vm;

/* Why a VM is over. The first reason wins. */
struct vm_end {
	enum vm_end_reason reason;
	uint8_t status; /* for VM_END_EXIT_PORT */
	char text[128]; /* for VM_END_CRASH and VM_END_PANIC: what happened */
};

/* Called on the loop thread, unless said otherwise. */
struct vm_callbacks {
	void (*on_end)(void *opaque, const struct vm_end *end); /* once: the VM is over */
	void (*on_paused)(void *opaque); /* no vCPU is in the guest any more */
	/* The next two: on any thread, with locks held, so they must not wait. */
	void (*on_panic)(void *opaque, uint8_t what); /* once, with bits of PANIC_ */
	void (*on_fault)(void *opaque, uint32_t drive, enum device_fault fault, const char *why);
	void *opaque; /* borrowed: outlives the VM */
};

/*
 * Builds the VM that @config and @template (checked already; NULL without one) describe: memory,
 * interrupt controllers, vCPUs, devices. @fds are the descriptors that the
 * slots of @config name; the VM takes the ones it uses (their entries become -1), the rest stay the
 * caller's. What happens is counted in @metrics, which outlives the VM. 0 or -errno with @e filled.
 */
int vm_create(struct vm **out, const struct machine_config *config,
	      const struct cpu_template *template, int *fds, size_t nr_fds, struct event_base *base,
	      const struct vm_callbacks *callbacks, struct machine_metrics *metrics, struct err *e);

/*
 * Puts the kernel and what it needs into the guest's memory, and the first vCPU at its entry. Takes
 * their descriptors out of @fds. 0 or -errno with @e filled.
 */
int vm_load(struct vm *vm, const struct machine_config *config, int *fds, size_t nr_fds,
	    struct err *e);

/* How many threads vm_start() starts. */
uint32_t vm_thread_count(const struct vm *vm);

/* Starts the threads: devices are served and vCPUs run as soon as @guard lets them. */
int vm_start(struct vm *vm, struct guard *guard, struct err *e);

/*
 * Takes all vCPUs out of the guest, in its own time; on_paused follows, also when it was paused
 * already. Devices go on with what the guest has asked of them.
 */
void vm_pause(struct vm *vm);

/* Lets the vCPUs go on; cancels a pause that is not complete. */
void vm_resume(struct vm *vm);

/* How vm_replace_drive() ended: 0 or -errno with a reason. On the drive's thread. */
typedef void vm_done(void *opaque, int code, const char *text);

/*
 * Drive @drive (an index into the configuration) goes on with the file @fd, which is taken in any
 * case. 0: @done follows; -errno with @e filled: it does not.
 */
int vm_replace_drive(struct vm *vm, uint32_t drive, int fd, vm_done *done, void *opaque,
		     struct err *e);

/* Full buckets in place of those named. 0 or -ENODEV with @e filled. */
int vm_limit_drive(struct vm *vm, uint32_t drive, const struct rate_limiter_config *limit,
		   bool has_bandwidth, bool has_ops, struct err *e);

/* Presses Ctrl, Alt and Delete. 0, or -EBUSY with @e filled when the guest takes no keys. */
int vm_ctrl_alt_del(struct vm *vm, struct err *e);

/* Stops the vCPUs for good, and hands serial output that is still on its way to its reader, for at most @timeout_ms. */
void vm_flush(struct vm *vm, int timeout_ms);

/* Stops the vCPUs and releases everything. Accepts NULL. */
void vm_free(struct vm *vm);

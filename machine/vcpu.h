/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual CPU: its KVM descriptor, its thread and the loop that runs the guest and hands its
 * accesses to the buses. A vCPU ends its loop when its VM ends, on vcpu_stop(), or on an exit it
 * cannot handle, which it reports as a crash; it never takes the process down.
 *
 * Pausing. All vCPUs of a VM share one gate. vcpu_gate_close() shuts it and kicks each vCPU; a vCPU
 * parks at the closed gate after KVM_RUN has come back with EINTR, that is, when KVM has completed
 * the access it had handed out. No wake-up is lost: immediate_exit is set under the gate's lock
 * together with the closing, sticks until the vCPU itself clears it under the same lock, and makes
 * a KVM_RUN that the signal came too early for return at once.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "control/metrics_page.h"
#include "machine/bus.h"
#include "machine/guard.h"
#include "machine/kvm.h"

/* How a vCPU tells the VM that the guest is over; called on the vCPU's thread. */
struct vcpu_owner {
	const struct bus *ports; /* borrowed: the VM outlives its vCPUs */
	const struct bus *mmio; /* borrowed: likewise */
	struct machine_metrics *metrics; /* borrowed: likewise */
	void (*power_off)(void *opaque);
	void (*reboot)(void *opaque);
	void (*crash)(void *opaque, const char *what);
	void *opaque;
	int pid; /* our process, constant */
	/* The VM's end is decided: no vCPU enters the guest again. Set by any thread, never cleared. */
	atomic_bool has_ended;
};

/* Where the vCPUs of a VM wait while it is paused. */
struct vcpu_gate {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	bool is_closed; /* under lock */
	uint32_t nr_parked; /* vCPUs that wait or have ended; under lock */
	uint32_t nr_vcpus; /* constant */
	int parked_fd; /* owned eventfd: written when the last vCPU has parked */
};

struct vcpu {
	uint32_t index; /* also the APIC id */
	int fd; /* owned; -1 when not open */
	struct kvm_run *run; /* owned mapping, shared with the kernel */
	size_t run_bytes;
	const struct vcpu_owner *owner; /* borrowed */
	struct vcpu_gate *gate; /* borrowed: the VM's */
	struct guard *guard; /* borrowed: outlives the thread; NULL without one */
	struct vcpu_metrics *metrics; /* borrowed: outlives us */
	pthread_t thread;
	atomic_int tid; /* of the thread, set by it; 0 before and when it has ended */
	bool has_thread;
	atomic_bool should_stop; /* written by any thread, read by the vCPU's */
};

/*
 * Creates vCPU @index in @kvm with @cpuid (already made for this index). Release with vcpu_close().
 */
int vcpu_open(struct vcpu *vcpu, const struct kvm *kvm, uint32_t index, struct kvm_cpuid2 *cpuid,
	      const struct vcpu_owner *owner, struct vcpu_gate *gate, struct err *e);

/* Waits for the thread of a stopped vCPU. Loop thread. */
void vcpu_join(struct vcpu *vcpu);

/* Stops the thread first when there is one. Accepts a half-built object. Loop thread. */
void vcpu_close(struct vcpu *vcpu);

/* Once per process, before any vcpu_start(): makes the kick signal harmless. */
int vcpu_init_signals(struct err *e);

/*
 * Starts the thread, named "vcpu<index>", on host CPU @affinity unless that is WIRE_NO_AFFINITY. It
 * enters the guest when @guard lets it.
 */
int vcpu_start(struct vcpu *vcpu, uint16_t affinity, struct guard *guard, struct err *e);

/* Makes the loop end soon, also when the guest spins or sleeps. Any thread; returns at once. */
void vcpu_stop(struct vcpu *vcpu);

/*
 * An open gate. 0 or -errno. Release when no vCPU thread is left; a zeroed object may be released.
 */
int vcpu_gate_init(struct vcpu_gate *gate, uint32_t nr_vcpus, struct err *e);
void vcpu_gate_release(struct vcpu_gate *gate);

/*
 * Sends all @gate->nr_vcpus vCPUs in @vcpus to the gate, and returns at once; parked_fd becomes
 * readable when the last is there. Closing a closed gate says so again. Loop thread.
 */
void vcpu_gate_close(struct vcpu_gate *gate, struct vcpu *vcpus);

/* Lets them go on, parked or still on their way; tells the guest's clock. Loop thread. */
void vcpu_gate_open(struct vcpu_gate *gate, struct vcpu *vcpus);

/* SPDX-License-Identifier: Apache-2.0 */
/* The vCPU run loop: see vcpu.h. */
#include "machine/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "control/wire.h"
#include "machine/metrics.h"

enum { VCPU_STACK_BYTES = 256 * 1024, NANOS_PER_S = 1000000000 };

/* Interrupts KVM_RUN; immediate_exit makes sure that a kick just before KVM_RUN is not lost. */
#define KICK_SIGNAL SIGRTMIN

static void on_kick(int signal_number)
{
	(void)signal_number;
}

int vcpu_init_signals(struct err *e)
{
	struct sigaction action = { .sa_handler = on_kick };

	if (sigaction(KICK_SIGNAL, &action, NULL) < 0)
		return err_errno(e, -errno, "cannot set up the vCPU signal");
	return 0;
}

int vcpu_open(struct vcpu *vcpu, const struct kvm *kvm, uint32_t index, struct kvm_cpuid2 *cpuid,
	      const struct vcpu_owner *owner, struct vcpu_gate *gate, struct err *e)
{
	void *run;
	int r;

	*vcpu = (struct vcpu){ .index = index, .fd = -1, .owner = owner, .gate = gate };
	vcpu->metrics = &owner->metrics->vcpus[index];
	r = kvm_ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (void *)(uintptr_t)index);
	if (r < 0)
		return err_errno(e, r, "KVM cannot create vCPU %" PRIu32, index);
	vcpu->fd = r;
	run = mmap(NULL, kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED) {
		r = err_errno(e, -errno, "cannot map the state of vCPU %" PRIu32, index);
		goto fail;
	}
	vcpu->run = run;
	vcpu->run_bytes = kvm->run_bytes;
	r = kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
	if (r < 0) {
		err_errno(e, r, "KVM does not take the CPUID of vCPU %" PRIu32, index);
		goto fail;
	}
	return 0;
fail:
	vcpu_close(vcpu);
	return r;
}

/* Gate's lock held. */
static void kick_locked(struct vcpu *vcpu)
{
	if (!vcpu->has_thread)
		return;
	vcpu->run->immediate_exit = 1;
	/* Not pthread_kill(), which uses three system calls more. 0: it has not got so far. */
	if (atomic_load(&vcpu->tid) > 0)
		syscall(SYS_tgkill, vcpu->owner->pid, atomic_load(&vcpu->tid), KICK_SIGNAL);
}

void vcpu_stop(struct vcpu *vcpu)
{
	atomic_store(&vcpu->should_stop, true);
	pthread_mutex_lock(&vcpu->gate->lock);
	kick_locked(vcpu);
	pthread_cond_broadcast(&vcpu->gate->opened);
	pthread_mutex_unlock(&vcpu->gate->lock);
}

void vcpu_join(struct vcpu *vcpu)
{
	if (vcpu->has_thread)
		pthread_join(vcpu->thread, NULL);
	vcpu->has_thread = false;
}

void vcpu_close(struct vcpu *vcpu)
{
	if (vcpu->has_thread)
		vcpu_stop(vcpu);
	vcpu_join(vcpu);
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_bytes);
	vcpu->run = NULL;
	if (vcpu->fd > 0)
		close(vcpu->fd);
	vcpu->fd = -1;
}

static void log_registers(const struct vcpu *vcpu)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &r) < 0 || kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s) < 0)
		return;
	log_error("vCPU %" PRIu32 ": rip %#llx rsp %#llx rflags %#llx rax %#llx rbx %#llx "
		  "rcx %#llx rdx %#llx rsi %#llx rdi %#llx rbp %#llx",
		  vcpu->index, r.rip, r.rsp, r.rflags, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi,
		  r.rbp);
	log_error("vCPU %" PRIu32 ": cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx efer %#llx cs %#x "
		  "base %#llx",
		  vcpu->index, s.cr0, s.cr2, s.cr3, s.cr4, s.efer, s.cs.selector, s.cs.base);
}

static void crash(struct vcpu *vcpu, const char *what)
{
	log_registers(vcpu);
	vcpu->owner->crash(vcpu->owner->opaque, what);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NANOS_PER_S + (uint64_t)now.tv_nsec;
}

/* Counts an exit; the time it begins, or 0 when this one is not timed. */
static uint64_t begin_exit(struct timed_metrics *m)
{
	return metric_count_timed(m, METRIC_TIMED_EXITS) ? now_ns() : 0;
}

static void end_exit(struct timed_metrics *m, uint64_t start_ns)
{
	if (start_ns != 0)
		metric_add_time(m, now_ns() - start_ns);
}

static void handle_port(const struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	const bool is_in = run->io.direction == KVM_EXIT_IO_IN;
	struct timed_metrics *m = &vcpu->metrics->kinds[is_in ? EXIT_KIND_IO_IN : EXIT_KIND_IO_OUT];
	uint8_t *data = (uint8_t *)vcpu->run + run->io.data_offset;
	const uint64_t start_ns = begin_exit(m);

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (is_in)
			bus_read(vcpu->owner->ports, run->io.port, data, run->io.size);
		else
			bus_write(vcpu->owner->ports, run->io.port, data, run->io.size);
	}
	end_exit(m, start_ns);
}

static void handle_mmio(const struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct timed_metrics *m =
		&vcpu->metrics
			 ->kinds[run->mmio.is_write ? EXIT_KIND_MMIO_WRITE : EXIT_KIND_MMIO_READ];
	const uint64_t start_ns = begin_exit(m);

	if (run->mmio.is_write)
		bus_write(vcpu->owner->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	else
		bus_read(vcpu->owner->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	end_exit(m, start_ns);
}

static bool handle_system_event(struct vcpu *vcpu)
{
	const struct vcpu_owner *owner = vcpu->owner;

	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		owner->power_off(owner->opaque);
		return false;
	case KVM_SYSTEM_EVENT_RESET:
		owner->reboot(owner->opaque);
		return false;
	default:
		crash(vcpu, "the guest reported a crash");
		return false;
	}
}

static void crash_internal(struct vcpu *vcpu)
{
	const uint32_t suberror = vcpu->run->internal.suberror;
	char what[128];

	if (suberror == KVM_INTERNAL_ERROR_EMULATION)
		snprintf(what, sizeof(what),
			 "it runs where there is no memory, or needs an instruction that KVM "
			 "cannot emulate");
	else
		snprintf(what, sizeof(what), "KVM cannot run it on (internal error %u)", suberror);
	crash(vcpu, what);
}

static void crash_entry(struct vcpu *vcpu)
{
	char what[96];

	snprintf(what, sizeof(what), "the CPU refused to enter the guest (reason %#llx)",
		 vcpu->run->fail_entry.hardware_entry_failure_reason);
	crash(vcpu, what);
}

/* false when the loop is over. */
static bool handle_exit(struct vcpu *vcpu)
{
	struct vcpu_metrics *m = vcpu->metrics;
	char what[64];

	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		handle_port(vcpu);
		return true;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		return true;
	case KVM_EXIT_INTR:
		metric_add(&m->interrupted, 1);
		return true;
	case KVM_EXIT_SHUTDOWN:
		metric_add(&m->shutdown, 1);
		crash(vcpu, "triple fault");
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		metric_add(&m->system_event, 1);
		return handle_system_event(vcpu);
	case KVM_EXIT_INTERNAL_ERROR:
		metric_add(&m->internal_error, 1);
		crash_internal(vcpu);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		metric_add(&m->fail_entry, 1);
		crash_entry(vcpu);
		return false;
	default:
		metric_add(&m->other, 1);
		snprintf(what, sizeof(what), "unexpected KVM exit %u", vcpu->run->exit_reason);
		crash(vcpu, what);
		return false;
	}
}

/* --- the gate ------------------------------------------------------------------------------ */

int vcpu_gate_init(struct vcpu_gate *gate, uint32_t nr_vcpus, struct err *e)
{
	*gate = (struct vcpu_gate){ .nr_vcpus = nr_vcpus };
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->opened, NULL);
	gate->parked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (gate->parked_fd < 0)
		return err_errno(e, -errno, "cannot make an eventfd");
	return 0;
}

void vcpu_gate_release(struct vcpu_gate *gate)
{
	if (gate->nr_vcpus == 0)
		return;
	if (gate->parked_fd >= 0)
		close(gate->parked_fd);
	pthread_cond_destroy(&gate->opened);
	pthread_mutex_destroy(&gate->lock);
	*gate = (struct vcpu_gate){ .parked_fd = -1 };
}

static void tell_if_all_parked_locked(const struct vcpu_gate *gate)
{
	const uint64_t one = 1;
	ssize_t n;

	if (!gate->is_closed || gate->nr_parked < gate->nr_vcpus)
		return;
	n = write(gate->parked_fd, &one, sizeof(one));
	(void)n; /* fails only when it is readable already */
}

/* After EINTR: waits while the gate is closed, and re-arms the kick. */
static void pass_gate(struct vcpu *vcpu)
{
	struct vcpu_gate *gate = vcpu->gate;

	pthread_mutex_lock(&gate->lock);
	if (gate->is_closed) {
		gate->nr_parked++;
		tell_if_all_parked_locked(gate);
		while (gate->is_closed && !atomic_load(&vcpu->should_stop))
			pthread_cond_wait(&gate->opened, &gate->lock);
		gate->nr_parked--;
	}
	vcpu->run->immediate_exit = 0;
	pthread_mutex_unlock(&gate->lock);
}

/* A vCPU that has ended is not in the guest: it counts as parked for good. */
static void leave_gate(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->gate->lock);
	atomic_store(&vcpu->tid, 0);
	vcpu->gate->nr_parked++;
	tell_if_all_parked_locked(vcpu->gate);
	pthread_mutex_unlock(&vcpu->gate->lock);
}

void vcpu_gate_close(struct vcpu_gate *gate, struct vcpu *vcpus)
{
	pthread_mutex_lock(&gate->lock);
	gate->is_closed = true;
	for (uint32_t i = 0; i < gate->nr_vcpus; i++)
		kick_locked(&vcpus[i]);
	tell_if_all_parked_locked(gate);
	pthread_mutex_unlock(&gate->lock);
}

void vcpu_gate_open(struct vcpu_gate *gate, struct vcpu *vcpus)
{
	pthread_mutex_lock(&gate->lock);
	/*
	 * The guest's watchdogs must not take the pause for a lock-up. Refused while the guest has
	 * not set up its clock, which then needs no telling.
	 */
	for (uint32_t i = 0; i < gate->nr_vcpus && gate->nr_parked == gate->nr_vcpus; i++) {
		if (kvm_ioctl(vcpus[i].fd, KVM_KVMCLOCK_CTRL, NULL) < 0)
			metric_add(&vcpus[i].metrics->kvmclock_failures, 1);
	}
	gate->is_closed = false;
	pthread_cond_broadcast(&gate->opened);
	pthread_mutex_unlock(&gate->lock);
}

/* --- the loop ------------------------------------------------------------------------------ */

static void *vcpu_loop(void *opaque)
{
	struct vcpu *vcpu = opaque;
	char what[96];

	snprintf(what, sizeof(what), "vcpu%" PRIu32, vcpu->index);
	prctl(PR_SET_NAME, what, 0, 0, 0);
	atomic_store(&vcpu->tid, gettid());
	if (!guard_enter(vcpu->guard, JAIL_THREAD_VCPU)) {
		leave_gate(vcpu);
		return NULL;
	}
	if (vcpu->index == 0)
		metrics_reach(vcpu->owner->metrics, BOOT_PHASE_RUNNING);
	while (!atomic_load(&vcpu->should_stop) && !atomic_load(&vcpu->owner->has_ended)) {
		if (ioctl(vcpu->fd, KVM_RUN, NULL) == 0) {
			if (!handle_exit(vcpu))
				break;
		} else if (errno == EINTR) {
			metric_add(&vcpu->metrics->interrupted, 1);
			pass_gate(vcpu);
		} else if (errno != EAGAIN) {
			metric_add(&vcpu->metrics->run_failures, 1);
			snprintf(what, sizeof(what), "KVM cannot run vCPU %" PRIu32 ": %s",
				 vcpu->index, strerror(errno));
			crash(vcpu, what);
			break;
		}
	}
	leave_gate(vcpu);
	return NULL;
}

static int set_affinity(const struct vcpu *vcpu, uint16_t cpu, struct err *e)
{
	cpu_set_t set;
	int r;

	if (cpu == WIRE_NO_AFFINITY)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	r = pthread_setaffinity_np(vcpu->thread, sizeof(set), &set);
	if (r != 0)
		return err_errno(e, -r, "cannot bind vCPU %" PRIu32 " to host CPU %u", vcpu->index,
				 cpu);
	return 0;
}

int vcpu_start(struct vcpu *vcpu, uint16_t affinity, struct guard *guard, struct err *e)
{
	pthread_attr_t attr;
	int r;

	vcpu->guard = guard;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK_BYTES);
	r = pthread_create(&vcpu->thread, &attr, vcpu_loop, vcpu);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return err_errno(e, -r, "cannot start the thread of vCPU %" PRIu32, vcpu->index);
	vcpu->has_thread = true;
	return set_affinity(vcpu, affinity, e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One microVM: see vm.h. The order in which things are made is written out in vm_create(). */
#include "machine/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "machine/boot/boot.h"
#include "machine/bus.h"
#include "machine/devices.h"
#include "machine/kvm.h"
#include "machine/mem.h"
#include "machine/memslots.h"
#include "machine/metrics.h"
#include "machine/vcpu.h"
#include "machine/x86/cpuid.h"
#include "machine/x86/layout.h"
#include "machine/x86/regs.h"
#include "machine/x86/template.h"

struct vm {
	struct kvm kvm;
	struct mem mem;
	struct bus ports; /* frozen by vm_start() */
	struct bus mmio; /* frozen by vm_start() */
	struct vcpu_owner vcpu_owner;
	struct vcpu *vcpus; /* owned array */
	struct vcpu_gate gate;
	struct event *parked_event; /* owned */
	struct memslots slots;
	uint32_t nr_vcpus;
	const struct cpu_template *template; /* NULL without; only while it is built */
	uint16_t affinity[WIRE_MAX_CPUS]; /* host CPU of each, or WIRE_NO_AFFINITY */

	struct devices *devices; /* owned */

	struct event_base *base; /* borrowed: the machine process's loop */
	int end_fd; /* owned eventfd: some thread has filled `end` */
	struct event *end_event; /* owned */
	struct vm_callbacks callbacks;
	struct machine_metrics *metrics; /* borrowed: outlives us */
	atomic_bool has_panicked; /* set by a vCPU */
	pthread_mutex_t end_lock;
	bool has_ended; /* under end_lock */
	struct vm_end end; /* under end_lock */
};

/* --- the end ------------------------------------------------------------------------------- */

/* What a kernel does after its panic is not the end that its user should hear of. */
static struct vm_end end_after_panic(const struct vm_end *end)
{
	struct vm_end panic = { .reason = VM_END_PANIC };

	switch (end->reason) {
	case VM_END_POWER_OFF:
		snprintf(panic.text, sizeof(panic.text), "it powered off then");
		return panic;
	case VM_END_REBOOT:
		snprintf(panic.text, sizeof(panic.text), "it rebooted then");
		return panic;
	case VM_END_CRASH:
		snprintf(panic.text, sizeof(panic.text), "it crashed then: %.96s", end->text);
		return panic;
	default:
		return *end;
	}
}

/*
 * First reason wins. The vCPU that ended the VM leaves the guest at once, so that nothing is seen of
 * what comes after the end in its program; the loop stops the others.
 */
static void end_vm(struct vm *vm, const struct vm_end *end)
{
	const uint64_t one = 1;
	bool is_first;
	ssize_t n;

	pthread_mutex_lock(&vm->end_lock);
	is_first = !vm->has_ended;
	if (is_first) {
		vm->has_ended = true;
		vm->end = vm->has_panicked ? end_after_panic(end) : *end;
	}
	pthread_mutex_unlock(&vm->end_lock);
	atomic_store(&vm->vcpu_owner.has_ended, true);
	if (!is_first)
		return;
	n = write(vm->end_fd, &one, sizeof(one));
	(void)n; /* a counter of 1 does not overflow */
}

static void on_end_event(evutil_socket_t fd, short what, void *opaque)
{
	struct vm *vm = opaque;
	struct vm_end end;

	(void)fd;
	(void)what;
	event_del(vm->end_event);
	pthread_mutex_lock(&vm->end_lock);
	end = vm->end;
	pthread_mutex_unlock(&vm->end_lock);
	vm->callbacks.on_end(vm->callbacks.opaque, &end);
}

static void on_guest_end(void *opaque, enum guest_end_kind kind, uint8_t status)
{
	struct vm_end end = { .status = status };

	switch (kind) {
	case GUEST_END_POWER_OFF:
		end.reason = VM_END_POWER_OFF;
		break;
	case GUEST_END_REBOOT:
		end.reason = VM_END_REBOOT;
		break;
	case GUEST_END_EXIT:
		end.reason = VM_END_EXIT_PORT;
		break;
	}
	end_vm(opaque, &end);
}

static void on_vcpu_power_off(void *opaque)
{
	on_guest_end(opaque, GUEST_END_POWER_OFF, 0);
}

static void on_vcpu_reboot(void *opaque)
{
	on_guest_end(opaque, GUEST_END_REBOOT, 0);
}

static void on_vcpu_crash(void *opaque, const char *what)
{
	struct vm_end end = { .reason = VM_END_CRASH };

	snprintf(end.text, sizeof(end.text), "%s", what);
	end_vm(opaque, &end);
}

static void on_guest_panic(void *opaque, uint8_t what)
{
	struct vm *vm = opaque;

	vm->has_panicked = true;
	vm->callbacks.on_panic(vm->callbacks.opaque, what);
}

static void on_device_fault(void *opaque, uint32_t drive, enum device_fault fault, const char *why)
{
	const struct vm *vm = opaque;

	vm->callbacks.on_fault(vm->callbacks.opaque, drive, fault, why);
}

static int open_end(struct vm *vm, struct err *e)
{
	vm->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->end_fd < 0)
		return err_errno(e, -errno, "cannot make an eventfd");
	vm->end_event = event_new(vm->base, vm->end_fd, EV_READ | EV_PERSIST, on_end_event, vm);
	if (!vm->end_event || event_add(vm->end_event, NULL) < 0)
		return err_errno(e, -ENOMEM, "cannot watch an eventfd");
	return 0;
}

/* --- memory and processors ----------------------------------------------------------------- */

static int add_memory(struct vm *vm, const struct machine_config *config, struct err *e)
{
	const struct mem_config mem = {
		.bytes = config->memory_bytes,
		.hugepages = config->hugepages,
		.is_shared = config->is_memory_shared,
		.has_prefault = config->has_prefault,
		.is_locked = config->is_memory_locked,
	};
	int r = mem_init_as(&vm->mem, &mem, e);

	return r < 0 ? r : memslots_add(&vm->slots, &vm->kvm, &vm->mem, config->has_dirty_log, e);
}

static int add_vcpu(struct vm *vm, uint32_t index, struct kvm_cpuid2 *cpuid, struct err *e)
{
	struct vcpu *vcpu = &vm->vcpus[index];
	int r;

	r = cpuid_set_vcpu(cpuid, index, vm->nr_vcpus, e);
	if (r < 0)
		return r;
	/* Sets CPUID, which must come before every MSR: see machine/x86/cpuid.h. */
	r = vcpu_open(vcpu, &vm->kvm, index, cpuid, &vm->vcpu_owner, &vm->gate, e);
	if (r < 0)
		return r;
	r = regs_set_msrs(vcpu->fd, e);
	if (r == 0 && vm->template)
		r = template_apply_msrs(vm->template, vcpu->fd, e);
	if (r == 0)
		r = regs_set_fpu(vcpu->fd, e);
	if (r == 0)
		r = regs_set_lapic(vcpu->fd, e);
	return r;
}

static void on_all_parked(evutil_socket_t fd, short what, void *opaque)
{
	struct vm *vm = opaque;
	uint64_t count;
	bool is_paused;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&vm->gate.lock);
	is_paused = vm->gate.is_closed && vm->gate.nr_parked == vm->gate.nr_vcpus;
	pthread_mutex_unlock(&vm->gate.lock);
	if (!is_paused) /* resumed meanwhile */
		return;
	memslots_log_dirty(&vm->slots, &vm->kvm);
	vm->callbacks.on_paused(vm->callbacks.opaque);
}

static int add_gate(struct vm *vm, uint32_t count, struct err *e)
{
	int r = vcpu_gate_init(&vm->gate, count, e);

	if (r < 0)
		return r;
	vm->parked_event =
		event_new(vm->base, vm->gate.parked_fd, EV_READ | EV_PERSIST, on_all_parked, vm);
	if (!vm->parked_event || event_add(vm->parked_event, NULL) < 0)
		return err_errno(e, -ENOMEM, "cannot watch an eventfd");
	return 0;
}

static int add_vcpus(struct vm *vm, uint32_t count, struct err *e)
{
	auto_free struct kvm_cpuid2 *cpuid = kvm_supported_cpuid(&vm->kvm, e);
	int r;

	if (!cpuid)
		return -EIO;
	if (vm->template)
		template_apply_cpuid(vm->template, cpuid);
	r = cpuid_normalize(cpuid, e);
	if (r == 0)
		r = memslots_check(&vm->mem, cpuid, e);
	if (r == 0)
		r = add_gate(vm, count, e);
	if (r < 0)
		return r;
	vm->vcpu_owner = (struct vcpu_owner){
		.ports = &vm->ports,
		.mmio = &vm->mmio,
		.metrics = vm->metrics,
		.power_off = on_vcpu_power_off,
		.reboot = on_vcpu_reboot,
		.crash = on_vcpu_crash,
		.opaque = vm,
		.pid = getpid(),
	};
	vm->vcpus = calloc(count, sizeof(vm->vcpus[0]));
	if (!vm->vcpus)
		return err_errno(e, -ENOMEM, "cannot hold %" PRIu32 " vCPUs", count);
	vm->nr_vcpus = count;
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = add_vcpu(vm, i, cpuid, e);
	return r;
}

/* --- devices ------------------------------------------------------------------------------- */

/* The descriptor in @slot, which is ours from here on; -1 for WIRE_NO_FD. */
static int take_slot(int *fds, size_t nr_fds, int32_t slot)
{
	if (slot < 0 || (size_t)slot >= nr_fds)
		return -1;
	return take_fd(&fds[slot]);
}

static int add_devices(struct vm *vm, const struct machine_config *config, int *fds, size_t nr_fds,
		       struct err *e)
{
	const struct devices_site site = {
		.kvm = &vm->kvm,
		.mem = &vm->mem,
		.ports = &vm->ports,
		.mmio = &vm->mmio,
		.base = vm->base,
		.metrics = vm->metrics,
		.end = { .fn = on_guest_end, .opaque = vm },
		.on_panic = on_guest_panic,
		.on_fault = on_device_fault,
		.opaque = vm,
	};

	return devices_new(&vm->devices, &site, config, fds, nr_fds, e);
}

/* --- boot ---------------------------------------------------------------------------------- */

static int load(struct vm *vm, const struct machine_config *config, int *fds, size_t nr_fds,
		struct err *e)
{
	auto_fd int kernel_fd = take_slot(fds, nr_fds, config->kernel_slot);
	auto_fd int initrd_fd = take_slot(fds, nr_fds, config->initrd_slot);
	const struct boot_plan plan = {
		.kernel_fd = kernel_fd,
		.initrd_fd = initrd_fd,
		.cmdline = config->cmdline,
		.protocol = config->boot_protocol,
		.unpacker = config->kernel_decompress,
		.has_acpi = config->has_acpi,
		.has_com1 = true,
		.cpu_count = vm->nr_vcpus,
		.nr_virtio = devices_virtio_count(vm->devices),
	};
	struct boot_entry entry;
	int r = boot_load(&vm->mem, &plan, &entry, e);

	if (r < 0)
		return r;
	return regs_set_entry(vm->vcpus[0].fd, &vm->mem, entry.protocol, entry.entry, entry.info,
			      e);
}

/* --- life ---------------------------------------------------------------------------------- */

/* Notes the phase that was reached, if it was (@r). */
static void reach(struct vm *vm, enum boot_phase phase, int r)
{
	if (r == 0)
		metrics_reach(vm->metrics, phase);
}

/*
 * Memory slots come before the irqchip, and both before any doorbell: on a recent KVM a slot added
 * after those waits for a grace period of several milliseconds.
 */
static int build(struct vm *vm, const struct machine_config *config, int *fds, size_t nr_fds,
		 struct err *e)
{
	int r = open_end(vm, e);

	if (r == 0)
		r = kvm_open(&vm->kvm, take_slot(fds, nr_fds, config->kvm_slot), e);
	if (r == 0)
		r = add_memory(vm, config, e);
	reach(vm, BOOT_PHASE_MEMORY, r);
	if (r == 0)
		r = kvm_create_irqchip(&vm->kvm, e);
	if (r == 0 && config->has_pit)
		r = kvm_create_pit(&vm->kvm, e);
	if (r == 0)
		r = add_vcpus(vm, config->cpu_count, e);
	reach(vm, BOOT_PHASE_VCPUS, r);
	if (r == 0)
		r = add_devices(vm, config, fds, nr_fds, e);
	reach(vm, BOOT_PHASE_DEVICES, r);
	return r;
}

int vm_load(struct vm *vm, const struct machine_config *config, int *fds, size_t nr_fds,
	    struct err *e)
{
	int r = load(vm, config, fds, nr_fds, e);

	reach(vm, BOOT_PHASE_LOADED, r);
	return r;
}

int vm_create(struct vm **out, const struct machine_config *config,
	      const struct cpu_template *template, int *fds, size_t nr_fds, struct event_base *base,
	      const struct vm_callbacks *callbacks, struct machine_metrics *metrics, struct err *e)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm)
		return err_errno(e, -ENOMEM, "cannot make a VM");
	vm->kvm = (struct kvm){ .sys_fd = -1, .vm_fd = -1 };
	vm->end_fd = -1;
	vm->base = base;
	vm->callbacks = *callbacks;
	vm->metrics = metrics;
	vm->template = template;
	memcpy(vm->affinity, config->affinity, sizeof(vm->affinity));
	pthread_mutex_init(&vm->end_lock, NULL);
	r = build(vm, config, fds, nr_fds, e);
	if (r < 0) {
		vm_free(vm);
		return r;
	}
	*out = vm;
	return 0;
}

uint32_t vm_thread_count(const struct vm *vm)
{
	return vm->nr_vcpus + devices_thread_count(vm->devices);
}

int vm_start(struct vm *vm, struct guard *guard, struct err *e)
{
	int r = vcpu_init_signals(e);

	if (r == 0)
		r = devices_start(vm->devices, guard, e);
	for (uint32_t i = 0; r == 0 && i < vm->nr_vcpus; i++)
		r = vcpu_start(&vm->vcpus[i], vm->affinity[i], guard, e);
	return r;
}

void vm_pause(struct vm *vm)
{
	vcpu_gate_close(&vm->gate, vm->vcpus);
}

void vm_resume(struct vm *vm)
{
	vcpu_gate_open(&vm->gate, vm->vcpus);
}

int vm_replace_drive(struct vm *vm, uint32_t drive, int fd, vm_done *done, void *opaque,
		     struct err *e)
{
	return devices_replace_drive(vm->devices, drive, fd, done, opaque, e);
}

int vm_limit_drive(struct vm *vm, uint32_t drive, const struct rate_limiter_config *limit,
		   bool has_bandwidth, bool has_ops, struct err *e)
{
	return devices_limit_drive(vm->devices, drive, limit, has_bandwidth, has_ops, e);
}

int vm_ctrl_alt_del(struct vm *vm, struct err *e)
{
	return devices_ctrl_alt_del(vm->devices, e);
}

static void stop_vcpus(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpus[i].has_thread)
			vcpu_stop(&vm->vcpus[i]);
	}
	/* One that resets a device waits for requests that this thread would have to finish. */
	if (vm->devices)
		devices_release_vcpus(vm->devices);
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		vcpu_join(&vm->vcpus[i]);
}

void vm_flush(struct vm *vm, int timeout_ms)
{
	/* A vCPU that prints on would keep the output from ever being complete. */
	stop_vcpus(vm);
	devices_flush(vm->devices, timeout_ms);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	stop_vcpus(vm);
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		vcpu_close(&vm->vcpus[i]);
	free(vm->vcpus);
	memslots_log_dirty(&vm->slots, &vm->kvm);
	if (vm->parked_event)
		event_free(vm->parked_event);
	vcpu_gate_release(&vm->gate);
	devices_free(vm->devices);
	kvm_close(&vm->kvm);
	mem_release(&vm->mem);
	if (vm->end_event)
		event_free(vm->end_event);
	cleanup_fd(&vm->end_fd);
	pthread_mutex_destroy(&vm->end_lock);
	free(vm);
}

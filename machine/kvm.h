/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thin wrappers around the ioctls of /dev/kvm (Linux: Documentation/virt/kvm/api.rst): they turn
 * errno into -errno and a message, and know nothing of the machine. The process that creates the VM
 * must be the one that runs it: KVM binds a VM to its creator's address space.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "base/err.h"

struct kvm {
	int sys_fd; /* owned: /dev/kvm */
	int vm_fd; /* owned */
	size_t run_bytes; /* size of the mapping of each vCPU's struct kvm_run */
};

/* One ioctl, EINTR retried. Returns its result or -errno. */
int kvm_ioctl(int fd, unsigned long request, void *arg);

/*
 * Takes ownership of @sys_fd whatever happens, checks the API version and the capabilities volt-vmm
 * cannot do without, and creates the VM. 0 or -errno. Release with kvm_close().
 */
int kvm_open(struct kvm *kvm, int sys_fd, struct err *e);

/* Accepts a half-built object (fds -1), and may be called twice. */
void kvm_close(struct kvm *kvm);

/* Value of a capability, 0 when it is missing. */
int kvm_cap(const struct kvm *kvm, int cap);

/* Guest memory at [gpa, gpa+len) that is ours at @host. */
struct kvm_memory {
	uint32_t slot;
	uint64_t gpa;
	uint64_t len_bytes;
	void *host; /* borrowed: outlives the VM */
	bool has_dirty_log;
};

/* Call before kvm_create_irqchip(). */
int kvm_set_memory(const struct kvm *kvm, const struct kvm_memory *memory, struct err *e);

/*
 * Counts the pages of @memory written since the last call (KVM_GET_DIRTY_LOG), which starts the
 * next period. The count or -errno.
 */
int64_t kvm_count_dirty(const struct kvm *kvm, const struct kvm_memory *memory);

/* The 8254 timer, with port 0x61 beside it. After kvm_create_irqchip(). */
int kvm_create_pit(const struct kvm *kvm, struct err *e);

/* Local APICs, I/O APIC and PIC in the kernel; sets the pages Intel hosts need first. */
int kvm_create_irqchip(const struct kvm *kvm, struct err *e);

/* Makes writes to @fd (an eventfd) an edge on I/O APIC pin @gsi. */
int kvm_add_irqfd(const struct kvm *kvm, int fd, uint32_t gsi, struct err *e);

/* Makes a guest's 4-byte write of @value to MMIO @addr signal @fd (an eventfd) without an exit. */
int kvm_add_ioeventfd(const struct kvm *kvm, int fd, uint64_t addr, uint32_t value, struct err *e);

/* One MSR of a vCPU; or, of sys_fd, what KVM offers of one. 0, or -errno (-EINVAL: refused). */
int kvm_get_msr(int fd, uint32_t index, uint64_t *value);
int kvm_set_msr(int vcpu_fd, uint32_t index, uint64_t value);

/* The most entries KVM takes for a vCPU (KVM_MAX_CPUID_ENTRIES). */
enum { KVM_CPUID_CAPACITY = 256 };

/*
 * The CPUID leaves KVM can give, in an array with room for KVM_CPUID_CAPACITY entries whatever
 * their number is; a KVM with more is an error. Needs no VM, only sys_fd. Allocated, the caller
 * frees. NULL with @e filled on failure.
 */
struct kvm_cpuid2 *kvm_supported_cpuid(const struct kvm *kvm, struct err *e);

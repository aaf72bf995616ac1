/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest's CPUID says: what KVM supports on this host, made true for one vCPU of this VM.
 *
 * KVM's answer is mostly the host's. A table in cpuid.c says what is taken away or put in on every
 * vCPU, each row with its reason; three functions beside it do what depends on a vCPU's number and
 * on how many there are. A CPU template is applied before, so that it cannot undo any of it:
 *
 *	kvm_supported_cpuid -> template_apply_cpuid -> cpuid_normalize -> cpuid_set_vcpu, each vCPU
 *
 * The result must reach KVM (KVM_SET_CPUID2) before any MSR of the vCPU is read or written: what an
 * MSR holds depends on CPUID, and since Linux 6.13 KVM answers zero for one that CPUID hides.
 *
 * Arrays here have room for KVM_CPUID_CAPACITY entries, which is also the most that KVM takes; what
 * does not fit is an error. Intel SDM vol. 2 CPUID; AMD APM vol. 3 appendix E. Thread: any.
 */
#pragma once

#include <stdint.h>

#include <linux/kvm.h>

#include "base/err.h"

enum cpuid_vendor {
	CPUID_VENDOR_OTHER,
	CPUID_VENDOR_INTEL,
	CPUID_VENDOR_AMD, /* and Hygon */
};

enum cpuid_vendor cpuid_vendor(const struct kvm_cpuid2 *cpuid);

/* The entry of a leaf, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf);

/* The register of an entry; @reg is an enum cpuid_register (base/cpuid_bits.h). */
uint32_t *cpuid_register(struct kvm_cpuid_entry2 *entry, uint32_t reg);

/* Makes @cpuid the same on every host as far as it must be: the table. 0 or -ENOSPC. */
int cpuid_normalize(struct kvm_cpuid2 *cpuid, struct err *e);

/*
 * Rewrites a normalized @cpuid for vCPU @index of @cpu_count (1 to 255): APIC id @index, one socket
 * of @cpu_count cores with one thread each. May be applied again to its own result with another
 * @index. 0 or -ENOSPC.
 */
int cpuid_set_vcpu(struct kvm_cpuid2 *cpuid, uint32_t index, uint32_t cpu_count, struct err *e);

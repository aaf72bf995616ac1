/* SPDX-License-Identifier: Apache-2.0 */
/* This host's CPU, as KVM and we offer it to a guest, in the form of a template: see template.h. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/cpuid_bits.h"
#include "machine/kvm.h"
#include "machine/x86/cpuid.h"
#include "machine/x86/template.h"

enum { MAX_MSR_INDICES = 4096 };

#define CPUID_7_EDX_ARCH_CAPABILITIES (1u << 29)
#define MSR_UCODE_REVISION 0x8bu
#define MSR_PLATFORM_INFO 0xceu
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_AMD_DE_CFG 0xc0011029u

/*
 * The MSRs of a description: those that tell software what the CPU is, that KVM reports without a
 * vCPU (KVM_GET_MSR_FEATURE_INDEX_LIST), and that a vCPU can be given. All others are state of a
 * guest (SYSENTER_*, STAR, PAT...), count time (TSC, APERF), belong to KVM (0x4b564d00...), or to
 * what we take away (0x480 and up: VMX; 0x345: performance counters).
 */
static const uint32_t described_msrs[] = {
	MSR_UCODE_REVISION, /* what fixes a guest believes to have */
	MSR_PLATFORM_INFO, /* CPUID faulting */
	MSR_ARCH_CAPABILITIES, /* which flaws the CPU does not have */
	MSR_AMD_DE_CFG, /* LFENCE is serializing */
};

struct msr_indices {
	uint32_t nr;
	uint32_t indices[MAX_MSR_INDICES];
};

static_assert(offsetof(struct msr_indices, indices) == offsetof(struct kvm_msr_list, indices),
	      "passed to KVM as a kvm_msr_list");

static int get_indices(int sys_fd, unsigned long request, struct msr_indices *list, struct err *e)
{
	int r;

	list->nr = MAX_MSR_INDICES;
	r = kvm_ioctl(sys_fd, request, list);
	return r < 0 ? err_errno(e, r, "KVM does not say which MSRs it supports") : 0;
}

static bool has_index(const struct msr_indices *list, uint32_t index)
{
	for (uint32_t i = 0; i < list->nr; i++) {
		if (list->indices[i] == index)
			return true;
	}
	return false;
}

static void add_msr(struct cpu_template *host, uint32_t index, uint64_t filter, uint64_t value)
{
	host->msrs[host->nr_msrs++] = (struct msr_modifier){
		.index = index,
		.filter = filter,
		.value = value,
	};
}

/*
 * Whether a vCPU with the CPUID in @host has the MSR. KVM lists IA32_ARCH_CAPABILITIES on AMD hosts
 * too, but takes no value for a CPU that does not announce it (leaf 7, edx bit 29).
 */
static bool is_announced(const struct cpu_template *host, uint32_t index)
{
	if (index != MSR_ARCH_CAPABILITIES)
		return true;
	for (uint32_t i = 0; i < host->nr_cpuid; i++) {
		if (host->cpuid[i].leaf == 7 && host->cpuid[i].subleaf == 0)
			return host->cpuid[i].value[CPUID_EDX] & CPUID_7_EDX_ARCH_CAPABILITIES;
	}
	return false;
}

static int describe_msrs(int sys_fd, struct cpu_template *host, struct err *e)
{
	auto_free struct msr_indices *list = calloc(1, sizeof(*list));
	int r;

	if (!list)
		return err_errno(e, -ENOMEM, "cannot hold the list of MSRs");
	r = get_indices(sys_fd, KVM_GET_MSR_FEATURE_INDEX_LIST, list, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(described_msrs); i++) {
		uint64_t value;

		if (has_index(list, described_msrs[i]) && is_announced(host, described_msrs[i]) &&
		    kvm_get_msr(sys_fd, described_msrs[i], &value) == 0)
			add_msr(host, described_msrs[i], UINT64_MAX, value);
	}
	return r;
}

static bool is_described(const struct cpu_template *host, uint32_t index)
{
	for (uint32_t i = 0; i < host->nr_msrs; i++) {
		if (host->msrs[i].index == index)
			return true;
	}
	return false;
}

/* The other MSRs that were asked for and that a vCPU has; nothing is said of their bits. */
static int add_asked_msrs(int sys_fd, const struct cpu_template *asked, struct cpu_template *host,
			  struct err *e)
{
	auto_free struct msr_indices *list = calloc(1, sizeof(*list));
	int r;

	if (!list)
		return err_errno(e, -ENOMEM, "cannot hold the list of MSRs");
	r = get_indices(sys_fd, KVM_GET_MSR_INDEX_LIST, list, e);
	for (uint32_t i = 0; r == 0 && i < asked->nr_msrs; i++) {
		uint32_t index = asked->msrs[i].index;

		if (host->nr_msrs < WIRE_MAX_MSRS && !is_described(host, index) &&
		    has_index(list, index))
			add_msr(host, index, 0, 0);
	}
	return r;
}

static void add_asked_capabilities(const struct kvm *kvm, const struct cpu_template *asked,
				   struct cpu_template *host)
{
	for (uint32_t i = 0; i < asked->nr_capabilities; i++) {
		uint32_t number = asked->capabilities[i].number;

		if (number <= INT32_MAX && kvm_cap(kvm, (int)number) > 0)
			host->capabilities[host->nr_capabilities++].number = number;
	}
}

/* Adds an entry less what is no part of the host; nothing when there is nothing left of it. */
static int add_leaf(struct cpu_template *out, struct kvm_cpuid_entry2 *entry, struct err *e)
{
	struct cpuid_modifier m = {
		.leaf = entry->function,
		.subleaf = entry->index,
		.flags = entry->flags,
	};
	uint32_t any = 0;

	for (uint32_t reg = 0; reg < CPUID_REGISTERS; reg++) {
		m.filter[reg] = ~cpuid_volatile_bits(m.leaf, m.subleaf, reg);
		m.value[reg] = *cpuid_register(entry, reg) & m.filter[reg];
		any |= m.filter[reg];
	}
	if (any == 0)
		return 0;
	if (out->nr_cpuid == WIRE_MAX_CPUID)
		return err_set(e, -ENOSPC, "this host has more than %d CPUID leaves",
			       WIRE_MAX_CPUID);
	out->cpuid[out->nr_cpuid++] = m;
	return 0;
}

int template_from_cpuid(const struct kvm_cpuid2 *cpuid, struct cpu_template *out, struct err *e)
{
	auto_free struct kvm_cpuid2 *copy =
		calloc(1, sizeof(*copy) + KVM_CPUID_CAPACITY * sizeof(copy->entries[0]));
	int r;

	if (!copy)
		return err_errno(e, -ENOMEM, "cannot hold the CPUID table");
	copy->nent = cpuid->nent;
	memcpy(copy->entries, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	r = cpuid_normalize(copy, e);
	if (r == 0)
		r = cpuid_set_vcpu(copy, 0, 1, e);
	for (uint32_t i = 0; r == 0 && i < copy->nent; i++)
		r = add_leaf(out, &copy->entries[i], e);
	return r;
}

int template_describe_host(int sys_fd, const struct cpu_template *asked, struct cpu_template *host,
			   struct err *e)
{
	const struct kvm kvm = { .sys_fd = sys_fd, .vm_fd = -1 };
	auto_free struct kvm_cpuid2 *cpuid = kvm_supported_cpuid(&kvm, e);
	int r;

	if (!cpuid)
		return -EIO;
	*host = (struct cpu_template){ 0 };
	r = template_from_cpuid(cpuid, host, e);
	if (r == 0)
		r = describe_msrs(sys_fd, host, e);
	if (r == 0 && asked)
		r = add_asked_msrs(sys_fd, asked, host, e);
	if (r == 0 && asked)
		add_asked_capabilities(&kvm, asked, host);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID of a vCPU: see cpuid.h. */
#include "machine/x86/cpuid.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cpuid_bits.h"
#include "machine/kvm.h"

#define BIT(n) (1u << (n))
#define ALL 0xffffffffu
#define ANY_SUBLEAF 0xffffffffu

enum { ANY_VENDOR = CPUID_VENDOR_OTHER };

/* Leaf 1 */
#define L1_EBX_LOGICAL_SHIFT 16
#define L1_EBX_APIC_ID_SHIFT 24
#define L1_EBX_PER_VCPU_MASK 0xffff0000u
#define L1_EDX_HTT BIT(28)

/* Leaf 4 and AMD's 0x8000001d: type, level and sharing in EAX */
#define L4_EAX_TYPE(eax) ((eax)&0x1f)
#define L4_EAX_LEVEL(eax) (((eax) >> 5) & 7)
#define L4_EAX_SHARING_MASK 0x03ffc000u
#define L4_EAX_SHARING_SHIFT 14
#define L4_EAX_CORES_MASK 0xfc000000u
#define L4_EAX_CORES_SHIFT 26

/* Leaf 0xb */
#define TOPOLOGY_SMT 1u
#define TOPOLOGY_CORE 2u
#define TOPOLOGY_TYPE_SHIFT 8

/* Leaf 0x80000001 ECX */
#define X1_ECX_CMP_LEGACY BIT(1)
#define X1_ECX_TOPOEXT BIT(22)

/* Leaf 0x80000008 ECX */
#define X8_ECX_COUNT_MASK 0x000000ffu
#define X8_ECX_ID_BITS_MASK 0x0000f000u
#define X8_ECX_ID_BITS_SHIFT 12

/*
 * A row changes a register of a leaf that KVM gives (with `is_created`, also of one it does not).
 */
static const struct row {
	uint32_t leaf;
	uint32_t subleaf; /* or ANY_SUBLEAF */
	uint8_t reg; /* enum cpuid_register */
	uint8_t vendor; /* enum cpuid_vendor, or ANY_VENDOR */
	bool is_created;
	uint32_t clear;
	uint32_t set;
	const char *reason;
} rows[] = {
	{ 0x1, 0, CPUID_EBX, ANY_VENDOR, false, 0xff00, 8 << 8,
	  "CLFLUSH: a line has 64 bytes, whatever KVM left here" },
	{ 0x1, 0, CPUID_ECX, ANY_VENDOR, false, BIT(2) | BIT(4), 0,
	  "DTES64, DS_CPL: the debug store writes to host addresses and is not virtualized" },
	{ 0x1, 0, CPUID_EDX, ANY_VENDOR, false, BIT(21), 0, "DS: as DTES64" },
	{ 0x1, 0, CPUID_ECX, ANY_VENDOR, false, BIT(3), 0,
	  "MONITOR: an MWAIT that does not exit keeps a host CPU from others, one that does is "
	  "slow" },
	{ 0x1, 0, CPUID_ECX, ANY_VENDOR, false, BIT(5), 0,
	  "VMX: nested guests are no part of a microVM, and a large attack surface in KVM" },
	{ 0x1, 0, CPUID_ECX, ANY_VENDOR, false, BIT(6), 0, "SMX: no measured launch in a guest" },
	{ 0x1, 0, CPUID_ECX, ANY_VENDOR, false, BIT(15), 0,
	  "PDCM: announces an MSR of the performance counters, which are off (leaf 0xa)" },
	{ 0x1, 0, CPUID_ECX, ANY_VENDOR, false, 0, BIT(24),
	  "TSC_DEADLINE: KVM tells by a capability, which kvm_open() requires, not in its answer" },
	{ 0x1, 0, CPUID_ECX, ANY_VENDOR, false, 0, BIT(31),
	  "HYPERVISOR: the guest looks for KVM's leaves only then" },
	{ 0x6, ANY_SUBLEAF, CPUID_EAX, ANY_VENDOR, false, ~BIT(2), 0,
	  "no turbo, no sensors; ARAT stays: without it and without a PIT Linux has no "
	  "high-resolution timer" },
	{ 0x6, ANY_SUBLEAF, CPUID_EBX, ANY_VENDOR, false, ALL, 0, "no thermal thresholds" },
	{ 0x6, ANY_SUBLEAF, CPUID_ECX, ANY_VENDOR, false, ALL, 0,
	  "no APERF/MPERF, no energy preference: the host runs the clock" },
	{ 0x6, ANY_SUBLEAF, CPUID_EDX, ANY_VENDOR, false, ALL, 0, "no hardware feedback" },
	{ 0x7, 0, CPUID_EBX, ANY_VENDOR, false, BIT(4) | BIT(11), 0,
	  "HLE, RTM: transactions leak (TAA) and microcode turns them off under running guests" },
	{ 0x7, 0, CPUID_EBX, ANY_VENDOR, false, BIT(14), 0,
	  "MPX: gone from newer CPUs, a guest using it could not move" },
	{ 0x7, 0, CPUID_EBX, ANY_VENDOR, false, BIT(12) | BIT(15), 0,
	  "RDT monitoring and allocation: the host's caches are the host's to divide" },
	{ 0x7, 0, CPUID_ECX, ANY_VENDOR, false, BIT(5), 0,
	  "WAITPKG: UMWAIT keeps a host CPU from others, like MONITOR" },
	{ 0x7, 0, CPUID_EDX, CPUID_VENDOR_AMD, false, BIT(29), 0,
	  "ARCH_CAPABILITIES: an Intel MSR that KVM makes up on AMD" },
	{ 0xa, ANY_SUBLEAF, CPUID_EAX, ANY_VENDOR, false, ALL, 0,
	  "no performance counters: they observe neighbours, and their state does not move" },
	{ 0xa, ANY_SUBLEAF, CPUID_EBX, ANY_VENDOR, false, ALL, 0, "as EAX" },
	{ 0xa, ANY_SUBLEAF, CPUID_ECX, ANY_VENDOR, false, ALL, 0, "as EAX" },
	{ 0xa, ANY_SUBLEAF, CPUID_EDX, ANY_VENDOR, false, ALL, 0, "as EAX" },
	{ 0xd, 0, CPUID_EAX, ANY_VENDOR, false, BIT(3) | BIT(4), 0, "state of MPX: see there" },
	{ 0x40000000, 0, CPUID_EAX, ANY_VENDOR, true, ALL, 0x40000001,
	  "highest leaf of KVM: clock and steal time are in the next one" },
	{ 0x40000000, 0, CPUID_EBX, ANY_VENDOR, true, ALL, 0x4b4d564b, "\"KVMK\"" },
	{ 0x40000000, 0, CPUID_ECX, ANY_VENDOR, true, ALL, 0x564b4d56, "\"VMKV\"" },
	{ 0x40000000, 0, CPUID_EDX, ANY_VENDOR, true, ALL, 0x0000004d, "\"M\"" },
	{ 0x80000001, 0, CPUID_EDX, ANY_VENDOR, true, 0, BIT(11) | BIT(20) | BIT(29),
	  "SYSCALL, NX, LM: every 64-bit kernel needs them; some KVMs hide them outside 64-bit "
	  "mode" },
	{ 0x80000001, 0, CPUID_ECX, CPUID_VENDOR_AMD, false, BIT(2), 0, "SVM: as VMX" },
	{ 0x80000007, ANY_SUBLEAF, CPUID_EAX, ANY_VENDOR, false, ALL, 0,
	  "no machine-check extras" },
	{ 0x80000007, ANY_SUBLEAF, CPUID_EBX, ANY_VENDOR, false, ALL, 0,
	  "no machine-check extras" },
	{ 0x80000007, ANY_SUBLEAF, CPUID_ECX, ANY_VENDOR, false, ALL, 0, "no power reporting" },
	{ 0x80000007, ANY_SUBLEAF, CPUID_EDX, ANY_VENDOR, false, ~BIT(8), 0,
	  "invariant TSC only: power management is the host's" },
	{ 0x80000022, ANY_SUBLEAF, CPUID_EAX, CPUID_VENDOR_AMD, false, ALL, 0, "as leaf 0xa" },
	{ 0x80000022, ANY_SUBLEAF, CPUID_EBX, CPUID_VENDOR_AMD, false, ALL, 0, "as leaf 0xa" },
};

/* The brand string of leaves 0x80000002 to 4: the same on every host of a vendor, for it moves. */
static const char brands[][48] = {
	[CPUID_VENDOR_OTHER] = "Virtual CPU",
	[CPUID_VENDOR_INTEL] = "Intel(R) Xeon(R) Processor",
	[CPUID_VENDOR_AMD] = "AMD EPYC",
};

enum cpuid_vendor cpuid_vendor(const struct kvm_cpuid2 *cpuid)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
		const uint32_t name[3] = { entry->ebx, entry->edx, entry->ecx };

		if (entry->function != 0)
			continue;
		if (memcmp(name, "GenuineIntel", sizeof(name)) == 0)
			return CPUID_VENDOR_INTEL;
		if (memcmp(name, "AuthenticAMD", sizeof(name)) == 0 ||
		    memcmp(name, "HygonGenuine", sizeof(name)) == 0)
			return CPUID_VENDOR_AMD;
	}
	return CPUID_VENDOR_OTHER;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		/* Without the flag, a leaf answers the same for every subleaf. */
		if (entry->function == leaf && entry->index == subleaf)
			return entry;
	}
	return NULL;
}

uint32_t *cpuid_register(struct kvm_cpuid_entry2 *entry, uint32_t reg)
{
	switch (reg) {
	case CPUID_EAX:
		return &entry->eax;
	case CPUID_EBX:
		return &entry->ebx;
	case CPUID_ECX:
		return &entry->ecx;
	default:
		return &entry->edx;
	}
}

/* KVM's answer goes by ranges (0x0, 0x80000000, 0x40000000...), each of them sorted. */
static uint32_t place_of(const struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf)
{
	uint32_t place = cpuid->nent;

	for (uint32_t i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function >> 30 != leaf >> 30)
			continue;
		if (entry->function > leaf || (entry->function == leaf && entry->index > subleaf))
			return i;
		place = i + 1;
	}
	return place;
}

/* The entry of a leaf, which is put in its place, all zero, when KVM gives none. NULL: no room. */
static struct kvm_cpuid_entry2 *find_or_add(struct kvm_cpuid2 *cpuid, uint32_t leaf,
					    uint32_t subleaf, bool has_subleaves)
{
	struct kvm_cpuid_entry2 *entry = cpuid_find(cpuid, leaf, subleaf);
	uint32_t at;

	if (entry)
		return entry;
	if (cpuid->nent >= KVM_CPUID_CAPACITY)
		return NULL;
	at = place_of(cpuid, leaf, subleaf);
	entry = &cpuid->entries[at];
	memmove(entry + 1, entry, (cpuid->nent - at) * sizeof(*entry));
	cpuid->nent++;
	*entry = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = has_subleaves ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
	};
	return entry;
}

static int refuse_full(uint32_t leaf, struct err *e)
{
	return err_set(e, -ENOSPC, "no room for CPUID leaf 0x%x among %d entries", leaf,
		       KVM_CPUID_CAPACITY);
}

static int set_brand(struct kvm_cpuid2 *cpuid, enum cpuid_vendor vendor, struct err *e)
{
	for (uint32_t i = 0; i < 3; i++) {
		const uint32_t leaf = 0x80000002 + i;
		struct kvm_cpuid_entry2 *entry = find_or_add(cpuid, leaf, 0, false);

		if (!entry)
			return refuse_full(leaf, e);
		memcpy(&entry->eax, &brands[vendor][16 * i], 16); /* EAX to EDX, in this order */
	}
	return 0;
}

static_assert(offsetof(struct kvm_cpuid_entry2, edx) - offsetof(struct kvm_cpuid_entry2, eax) == 12,
	      "the registers lie in a row");

int cpuid_normalize(struct kvm_cpuid2 *cpuid, struct err *e)
{
	const enum cpuid_vendor vendor = cpuid_vendor(cpuid);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		if (row->vendor != ANY_VENDOR && row->vendor != vendor)
			continue;
		if (row->is_created && !find_or_add(cpuid, row->leaf, row->subleaf, false))
			return refuse_full(row->leaf, e);
		for (uint32_t j = 0; j < cpuid->nent; j++) {
			struct kvm_cpuid_entry2 *entry = &cpuid->entries[j];
			uint32_t *reg = cpuid_register(entry, row->reg);

			if (entry->function == row->leaf &&
			    (row->subleaf == ANY_SUBLEAF || row->subleaf == entry->index))
				*reg = (*reg & ~row->clear) | row->set;
		}
	}
	return set_brand(cpuid, vendor, e);
}

/* Bits an APIC id needs to tell @count apart. */
static uint32_t id_bits(uint32_t count)
{
	uint32_t bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

/* Leaf 1: initial APIC id, how many ids the socket has, and whether it has more than one. */
static void set_ids(struct kvm_cpuid_entry2 *leaf, uint32_t index, uint32_t cpu_count)
{
	leaf->ebx &= ~L1_EBX_PER_VCPU_MASK;
	leaf->ebx |= (index & 0xff) << L1_EBX_APIC_ID_SHIFT;
	leaf->ebx |= cpu_count << L1_EBX_LOGICAL_SHIFT;
	leaf->edx &= ~L1_EDX_HTT;
	if (cpu_count > 1)
		leaf->edx |= L1_EDX_HTT;
}

/* Levels 1 and 2 belong to one core, the last level is shared by the socket. */
static void set_cache(struct kvm_cpuid_entry2 *leaf, uint32_t cpu_count)
{
	uint32_t sharers = L4_EAX_LEVEL(leaf->eax) < 3 ? 1 : 1u << id_bits(cpu_count);

	if (L4_EAX_TYPE(leaf->eax) == 0)
		return; /* no more caches */
	leaf->eax &= ~L4_EAX_SHARING_MASK;
	leaf->eax |= ((sharers - 1) << L4_EAX_SHARING_SHIFT) & L4_EAX_SHARING_MASK;
}

/* Leaf 4 has six bits for the cores of a socket: up to 64; leaf 0xb tells of the rest. */
static void set_cores(struct kvm_cpuid_entry2 *leaf, uint32_t cpu_count)
{
	uint32_t ids = (1u << id_bits(cpu_count)) - 1;

	if (L4_EAX_TYPE(leaf->eax) == 0)
		return;
	leaf->eax &= ~L4_EAX_CORES_MASK;
	leaf->eax |= (ids < 63 ? ids : 63) << L4_EAX_CORES_SHIFT;
}

/* Subleaf 0: threads of a core (one). Subleaf 1: cores of the socket. Others: the end. */
static void set_topology(struct kvm_cpuid_entry2 *leaf, uint32_t index, uint32_t cpu_count)
{
	leaf->eax = 0;
	leaf->ebx = 0;
	leaf->ecx = leaf->index;
	leaf->edx = index; /* x2APIC id */
	if (leaf->index == 0) {
		leaf->ebx = 1;
		leaf->ecx |= TOPOLOGY_SMT << TOPOLOGY_TYPE_SHIFT;
	} else if (leaf->index == 1) {
		leaf->eax = id_bits(cpu_count);
		leaf->ebx = cpu_count;
		leaf->ecx |= TOPOLOGY_CORE << TOPOLOGY_TYPE_SHIFT;
	}
}

/* AMD's own ways to say how many cores there are and which one this is. */
static void set_amd(struct kvm_cpuid_entry2 *leaf, uint32_t index, uint32_t cpu_count,
		    bool has_topology)
{
	switch (leaf->function) {
	case 0x80000001:
		leaf->ecx &= ~(X1_ECX_CMP_LEGACY | X1_ECX_TOPOEXT);
		leaf->ecx |= cpu_count > 1 ? X1_ECX_CMP_LEGACY : 0;
		leaf->ecx |= has_topology ? X1_ECX_TOPOEXT : 0;
		break;
	case 0x80000008:
		leaf->ecx &= ~(X8_ECX_COUNT_MASK | X8_ECX_ID_BITS_MASK);
		leaf->ecx |= id_bits(cpu_count) << X8_ECX_ID_BITS_SHIFT;
		leaf->ecx |= cpu_count - 1;
		break;
	case 0x8000001d:
		set_cache(leaf, cpu_count);
		break;
	case 0x8000001e: /* extended APIC id; core id, one thread in it; node 0 of 1 */
		leaf->eax = index;
		leaf->ebx = index & 0xff;
		leaf->ecx = 0;
		leaf->edx = 0;
		break;
	default:
		break;
	}
}

/*
 * Leaf 0xb is the only one that tells of more than 64 cores and of x2APIC ids; some hosts have it
 * not, or with one level, by which a guest sees one core. Leaf 0x1f says the same and is filled
 * where KVM has it. Leaf 0x8000001e belongs to the topology extensions, and those to a host whose
 * leaf 0x8000001d describes caches: announcing them without it would hide the caches.
 */
static int add_topology(struct kvm_cpuid2 *cpuid, bool has_amd_topology, struct err *e)
{
	const bool has_1f = cpuid_find(cpuid, 0x1f, 0);
	struct kvm_cpuid_entry2 *highest = cpuid_find(cpuid, 0, 0);

	if (highest && highest->eax < 0xb)
		highest->eax = 0xb;
	for (uint32_t subleaf = 0; subleaf < 2; subleaf++) {
		if (!find_or_add(cpuid, 0xb, subleaf, true))
			return refuse_full(0xb, e);
		if (has_1f && !find_or_add(cpuid, 0x1f, subleaf, true))
			return refuse_full(0x1f, e);
	}
	if (has_amd_topology && !find_or_add(cpuid, 0x8000001e, 0, false))
		return refuse_full(0x8000001e, e);
	return 0;
}

int cpuid_set_vcpu(struct kvm_cpuid2 *cpuid, uint32_t index, uint32_t cpu_count, struct err *e)
{
	const struct kvm_cpuid_entry2 *caches = cpuid_find(cpuid, 0x8000001d, 0);
	const bool is_amd = cpuid_vendor(cpuid) == CPUID_VENDOR_AMD;
	const bool has_amd_topology = is_amd && caches && L4_EAX_TYPE(caches->eax) != 0;
	int r = add_topology(cpuid, has_amd_topology, e);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *leaf = &cpuid->entries[i];

		switch (leaf->function) {
		case 0x1:
			set_ids(leaf, index, cpu_count);
			break;
		case 0x4:
			set_cache(leaf, cpu_count);
			set_cores(leaf, cpu_count);
			break;
		case 0xb:
		case 0x1f:
			set_topology(leaf, index, cpu_count);
			break;
		default:
			if (is_amd)
				set_amd(leaf, index, cpu_count, has_amd_topology);
			break;
		}
	}
	return 0;
}

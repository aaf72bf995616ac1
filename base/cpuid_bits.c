/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How registers of CPUID compare between hosts: see cpuid_bits.h. The names are in cpuid_names.c.
 */
#include "base/cpuid_bits.h"

#include <stddef.h>

#include "base/bytes.h"

enum { ALL_REGISTERS = CPUID_REGISTERS };

#define ANY_SUBLEAF 0xffffffffu

#define MSR_PLATFORM_INFO 0xceu
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_AMD_DE_CFG 0xc0011029u

/* Registers that are not features; the first row that fits counts. */
static const struct {
	uint32_t first_leaf;
	uint32_t last_leaf;
	uint32_t subleaf; /* or ANY_SUBLEAF */
	uint32_t reg; /* or ALL_REGISTERS */
	enum cpuid_kind kind;
} kinds[] = {
	{ 0x0, 0x0, ANY_SUBLEAF, CPUID_EAX, CPUID_MAXIMUM }, /* highest leaf */
	{ 0x0, 0x0, ANY_SUBLEAF, ALL_REGISTERS, CPUID_VENDOR },
	{ 0x1, 0x1, ANY_SUBLEAF, CPUID_EAX, CPUID_MODEL },
	{ 0x1, 0x1, ANY_SUBLEAF, CPUID_EBX, CPUID_DESCRIPTION }, /* brand index, cache line */
	{ 0x2, 0x5, ANY_SUBLEAF, ALL_REGISTERS, CPUID_DESCRIPTION }, /* caches, serial, MWAIT */
	{ 0x6, 0x6, ANY_SUBLEAF, CPUID_EBX, CPUID_DESCRIPTION }, /* thresholds of a sensor */
	{ 0x7, 0x7, 0, CPUID_EAX, CPUID_MAXIMUM }, /* highest subleaf */
	{ 0xa, 0xa, ANY_SUBLEAF, ALL_REGISTERS, CPUID_OVERWRITTEN }, /* no PMU */
	{ 0xb, 0xb, ANY_SUBLEAF, ALL_REGISTERS, CPUID_OVERWRITTEN }, /* topology */
	{ 0xd, 0xd, 0, CPUID_EBX, CPUID_DESCRIPTION }, /* size for the present XCR0 */
	{ 0xd, 0xd, 0, CPUID_ECX, CPUID_DESCRIPTION }, /* size for all components */
	{ 0xd, 0xd, 1, CPUID_EBX, CPUID_DESCRIPTION },
	{ 0xd, 0xd, 1, ALL_REGISTERS, CPUID_FEATURES },
	{ 0xd, 0xd, 0, ALL_REGISTERS, CPUID_FEATURES },
	{ 0xd, 0xd, ANY_SUBLEAF, ALL_REGISTERS, CPUID_DESCRIPTION }, /* size and place of one */
	{ 0x14, 0x14, 0, CPUID_EAX, CPUID_MAXIMUM },
	{ 0x15, 0x18, ANY_SUBLEAF, ALL_REGISTERS, CPUID_DESCRIPTION }, /* clocks, SoC, TLBs */
	{ 0x1a, 0x1a, ANY_SUBLEAF, ALL_REGISTERS, CPUID_DESCRIPTION }, /* core type */
	{ 0x1d, 0x1e, ANY_SUBLEAF, ALL_REGISTERS, CPUID_DESCRIPTION }, /* sizes of AMX tiles */
	{ 0x1f, 0x1f, ANY_SUBLEAF, ALL_REGISTERS, CPUID_OVERWRITTEN }, /* topology */
	{ 0x20, 0x20, 0, CPUID_EAX, CPUID_MAXIMUM },
	{ 0x24, 0x24, 0, CPUID_EAX, CPUID_MAXIMUM },
	{ 0x40000000, 0x40000000, ANY_SUBLEAF, ALL_REGISTERS, CPUID_OVERWRITTEN }, /* "KVM" */
	{ 0x80000000, 0x80000000, ANY_SUBLEAF, CPUID_EAX, CPUID_MAXIMUM },
	{ 0x80000000, 0x80000000, ANY_SUBLEAF, ALL_REGISTERS, CPUID_VENDOR }, /* AMD: again */
	{ 0x80000001, 0x80000001, ANY_SUBLEAF, CPUID_EAX, CPUID_MODEL }, /* AMD: again */
	{ 0x80000001, 0x80000001, ANY_SUBLEAF, CPUID_EBX, CPUID_DESCRIPTION }, /* package */
	{ 0x80000002, 0x80000004, ANY_SUBLEAF, ALL_REGISTERS, CPUID_OVERWRITTEN }, /* brand */
	{ 0x80000005, 0x80000006, ANY_SUBLEAF, ALL_REGISTERS, CPUID_DESCRIPTION }, /* caches */
	{ 0x80000008, 0x80000008, ANY_SUBLEAF, CPUID_EAX, CPUID_WIDTHS }, /* address bits */
	{ 0x80000008, 0x80000008, ANY_SUBLEAF, CPUID_ECX, CPUID_OVERWRITTEN }, /* cores */
	{ 0x80000008, 0x80000008, ANY_SUBLEAF, CPUID_EDX, CPUID_DESCRIPTION },
	{ 0x8000000a, 0x8000000a, ANY_SUBLEAF, CPUID_EAX, CPUID_MAXIMUM }, /* SVM revision */
	{ 0x8000000a, 0x8000000a, ANY_SUBLEAF, CPUID_EBX, CPUID_MAXIMUM }, /* ASIDs */
	{ 0x80000019, 0x8000001a, ANY_SUBLEAF, ALL_REGISTERS, CPUID_DESCRIPTION }, /* TLBs */
	{ 0x8000001d, 0x8000001d, ANY_SUBLEAF, ALL_REGISTERS, CPUID_DESCRIPTION }, /* caches */
	{ 0x8000001e, 0x8000001e, ANY_SUBLEAF, ALL_REGISTERS, CPUID_OVERWRITTEN },
	{ 0x8000001f, 0x8000001f, ANY_SUBLEAF, CPUID_EBX, CPUID_DESCRIPTION }, /* C-bit place */
	{ 0x8000001f, 0x8000001f, ANY_SUBLEAF, CPUID_ECX, CPUID_MAXIMUM }, /* guests */
	{ 0x8000001f, 0x8000001f, ANY_SUBLEAF, CPUID_EDX, CPUID_DESCRIPTION }, /* ASIDs */
	{ 0x80000022, 0x80000022, ANY_SUBLEAF, ALL_REGISTERS, CPUID_OVERWRITTEN }, /* no PMU */
};

const char *cpuid_register_name(enum cpuid_register reg)
{
	static const char *const names[] = { "eax", "ebx", "ecx", "edx" };

	return names[reg];
}

enum cpuid_kind cpuid_register_kind(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (leaf >= kinds[i].first_leaf && leaf <= kinds[i].last_leaf &&
		    (kinds[i].subleaf == ANY_SUBLEAF || kinds[i].subleaf == subleaf) &&
		    (kinds[i].reg == ALL_REGISTERS || kinds[i].reg == (uint32_t)reg))
			return kinds[i].kind;
	}
	return CPUID_FEATURES;
}

uint32_t cpuid_warning_bits(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg)
{
	/* fdp_excptn_only and zero_fcs_fds: the x87 unit no longer keeps pointers and selectors. */
	if (leaf == 0x7 && subleaf == 0 && reg == CPUID_EBX)
		return 1u << 6 | 1u << 13;
	return 0;
}

/* Registers that change in part; those that are CPUID_OVERWRITTEN change as a whole. */
static const struct {
	uint32_t leaf;
	uint32_t subleaf; /* or ANY_SUBLEAF */
	enum cpuid_register reg;
	uint32_t bits;
} volatiles[] = {
	{ 0x1, 0, CPUID_EBX, 0xffff0000 }, /* APIC id, number of ids */
	{ 0x1, 0, CPUID_ECX, 1u << 27 }, /* osxsave follows CR4 */
	{ 0x1, 0, CPUID_EDX, 1u << 28 }, /* ht: with more than one vCPU */
	{ 0x4, ANY_SUBLEAF, CPUID_EAX, 0xffffc000 }, /* who shares the cache */
	{ 0x7, 0, CPUID_ECX, 1u << 4 }, /* ospke follows CR4 */
	{ 0xd, 0, CPUID_EBX, 0xffffffff }, /* follows XCR0 */
	{ 0xd, 1, CPUID_EBX, 0xffffffff }, /* follows XCR0 and IA32_XSS */
	{ 0x80000001, 0, CPUID_ECX, 1u << 1 | 1u << 22 }, /* cmp_legacy, topoext: topology */
	{ 0x8000001d, ANY_SUBLEAF, CPUID_EAX, 0x03ffc000 }, /* who shares the cache */
};

uint32_t cpuid_volatile_bits(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg)
{
	if (cpuid_register_kind(leaf, subleaf, reg) == CPUID_OVERWRITTEN)
		return UINT32_MAX;
	for (size_t i = 0; i < ARRAY_LEN(volatiles); i++) {
		if (volatiles[i].leaf == leaf && volatiles[i].reg == reg &&
		    (volatiles[i].subleaf == ANY_SUBLEAF || volatiles[i].subleaf == subleaf))
			return volatiles[i].bits;
	}
	return 0;
}

uint64_t msr_warning_bits(uint32_t index)
{
	/* RSBA and RRSBA: returns may be predicted from elsewhere than the return stack. */
	return index == MSR_ARCH_CAPABILITIES ? UINT64_C(1) << 2 | UINT64_C(1) << 19 : 0;
}

bool msr_has_features(uint32_t index)
{
	return index == MSR_ARCH_CAPABILITIES || index == MSR_PLATFORM_INFO ||
	       index == MSR_AMD_DE_CFG;
}

/* The fields of @filter whose number in @wanted is above that in @host. */
static uint32_t widths_above(uint32_t filter, uint32_t wanted, uint32_t host)
{
	uint32_t above = 0;

	for (uint32_t field = 0xff; field != 0; field <<= 8) {
		if ((wanted & field) > (host & field))
			above |= field & filter;
	}
	return above;
}

uint32_t cpuid_missing(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg, uint32_t filter,
		       uint32_t value, uint32_t host)
{
	uint32_t wanted;

	filter &= ~cpuid_volatile_bits(leaf, subleaf, reg);
	wanted = (host & ~filter) | (value & filter);
	switch (cpuid_register_kind(leaf, subleaf, reg)) {
	case CPUID_FEATURES:
		return wanted & ~host & ~cpuid_warning_bits(leaf, subleaf, reg);
	case CPUID_MAXIMUM:
		return wanted > host ? filter : 0;
	case CPUID_WIDTHS:
		return widths_above(filter, wanted, host);
	case CPUID_VENDOR:
		return wanted ^ host;
	case CPUID_MODEL:
	case CPUID_DESCRIPTION:
	case CPUID_OVERWRITTEN:
		break;
	}
	return 0;
}

uint64_t msr_missing(uint32_t index, uint64_t filter, uint64_t value, uint64_t host)
{
	if (!msr_has_features(index))
		return 0;
	return filter & value & ~host & ~msr_warning_bits(index);
}

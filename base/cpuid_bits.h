/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registers of CPUID, and the few MSRs that describe a CPU, mean when hosts are compared.
 *
 * Most registers are sets of features: a host can always hide a bit and never add one. Others are
 * numbers (the highest leaf), names (the vendor) or plain descriptions (cache sizes), where "bit 3
 * is set" says nothing. A few bits are warnings and work the other way round: a CPU that has the
 * flaw must not hide it, one without may announce it. The tables here say which is which; the
 * machine process checks CPU templates by them, control compares hosts by them.
 *
 * Intel SDM vol. 2 CPUID and vol. 4; AMD APM vol. 3 appendix E; Linux virt/kvm/x86/cpuid.rst.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum cpuid_register {
	CPUID_EAX,
	CPUID_EBX,
	CPUID_ECX,
	CPUID_EDX,
	CPUID_REGISTERS,
};

enum cpuid_kind {
	CPUID_FEATURES, /* each bit a feature; also every register that no table knows */
	CPUID_MAXIMUM, /* one number: less is always possible */
	CPUID_WIDTHS, /* four numbers of 8 bits: less is always possible */
	CPUID_VENDOR, /* a name that must be the host's */
	CPUID_MODEL, /* family, model and stepping: any can be claimed */
	CPUID_DESCRIPTION, /* numbers that describe (caches, frequencies): any can be claimed */
	CPUID_OVERWRITTEN, /* different on each vCPU, or set by the machine whatever a template says */
};

/* "eax" to "edx" */
const char *cpuid_register_name(enum cpuid_register reg);

enum cpuid_kind cpuid_register_kind(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg);

/* Bits of a CPUID_FEATURES register (of an MSR) that are warnings: set means less, not more. */
uint32_t cpuid_warning_bits(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg);
uint64_t msr_warning_bits(uint32_t index);

/*
 * Bits that differ between vCPUs, or follow the guest's control registers (OSXSAVE), or that the
 * machine sets whatever a template says: no part of what a host is.
 */
uint32_t cpuid_volatile_bits(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg);

/* Whether each bit of an MSR is a feature, so that those of several hosts can be intersected. */
bool msr_has_features(uint32_t index);

/*
 * What a host that has @host in a register cannot provide when the bits of @filter are to become
 * those of @value: the offending bits, 0 when it can. For a number, all bits that are asked for.
 */
uint32_t cpuid_missing(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg, uint32_t filter,
		       uint32_t value, uint32_t host);
uint64_t msr_missing(uint32_t index, uint64_t filter, uint64_t value, uint64_t host);

/* What Linux calls a bit ("avx512f"), or NULL. */
const char *cpuid_bit_name(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg, unsigned bit);
const char *msr_bit_name(uint32_t index, unsigned bit);

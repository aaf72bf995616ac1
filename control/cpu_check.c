/* SPDX-License-Identifier: Apache-2.0 */
/* Telling what a host lacks: see cpu_check.h. */
#include "control/cpu_check.h"

#include <inttypes.h>

#include "base/cpuid_bits.h"
#include "control/cpu_template.h"

struct report {
	FILE *to; /* borrowed */
	bool is_json;
	unsigned nr;
};

/* Starts an item of the list. */
static void next_item(struct report *r)
{
	if (r->is_json)
		fprintf(r->to, "%s\n\t\t", r->nr > 0 ? "," : "");
	r->nr++;
}

/* The end of an item that is a bit: its number and name. */
static void put_bit(const struct report *r, unsigned bit, const char *name)
{
	if (!r->is_json)
		fprintf(r->to, " bit %u%s%s%s\n", bit, name ? " (" : "", name ? name : "",
			name ? ")" : "");
	else if (name)
		fprintf(r->to, ", \"bit\": %u, \"name\": \"%s\" }", bit, name);
	else
		fprintf(r->to, ", \"bit\": %u }", bit);
}

static void put_register(const struct report *r, const struct cpuid_modifier *m, uint32_t reg)
{
	fprintf(r->to,
		r->is_json ? "{ \"leaf\": \"0x%" PRIx32 "\", \"subleaf\": \"0x%" PRIx32
			     "\", \"register\": \"%s\""
			   : "leaf 0x%" PRIx32 " subleaf 0x%" PRIx32 " %s",
		m->leaf, m->subleaf, cpuid_register_name(reg));
}

static void put_msr(const struct report *r, uint32_t index)
{
	fprintf(r->to, r->is_json ? "{ \"msr\": \"0x%" PRIx32 "\"" : "MSR 0x%" PRIx32, index);
}

static void put_number(const struct report *r, uint32_t wanted, uint32_t have)
{
	fprintf(r->to,
		r->is_json ? ", \"wanted\": \"0x%" PRIx32 "\", \"host\": \"0x%" PRIx32 "\" }"
			   : ": 0x%" PRIx32 " is wanted, the host has 0x%" PRIx32 "\n",
		wanted, have);
}

static void check_register(struct report *r, const struct cpuid_modifier *m, uint32_t reg,
			   uint32_t have)
{
	const uint32_t missing =
		cpuid_missing(m->leaf, m->subleaf, reg, m->filter[reg], m->value[reg], have);

	if (missing == 0)
		return;
	if (cpuid_register_kind(m->leaf, m->subleaf, reg) != CPUID_FEATURES) {
		next_item(r);
		put_register(r, m, reg);
		put_number(r, (have & ~m->filter[reg]) | m->value[reg], have);
		return;
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		if (!(missing >> bit & 1))
			continue;
		next_item(r);
		put_register(r, m, reg);
		put_bit(r, bit, cpuid_bit_name(m->leaf, m->subleaf, reg, bit));
	}
}

static void check_msr(struct report *r, const struct msr_modifier *m,
		      const struct msr_modifier *have)
{
	uint64_t missing;

	if (!have) {
		next_item(r);
		put_msr(r, m->index);
		fputs(r->is_json ? " }" : ": KVM does not have it\n", r->to);
		return;
	}
	missing = msr_missing(m->index, m->filter, m->value, have->value);
	for (unsigned bit = 0; bit < 64; bit++) {
		if (!(missing >> bit & 1))
			continue;
		next_item(r);
		put_msr(r, m->index);
		put_bit(r, bit, msr_bit_name(m->index, bit));
	}
}

static void check_capability(struct report *r, const struct kvm_capability *c,
			     const struct cpu_template *host)
{
	for (uint32_t i = 0; i < host->nr_capabilities; i++) {
		if (host->capabilities[i].number == c->number)
			return;
	}
	if (c->is_removed)
		return;
	next_item(r);
	fprintf(r->to,
		r->is_json ? "{ \"kvm_capability\": %" PRIu32 " }"
			   : "KVM capability %" PRIu32 ": KVM lacks it\n",
		c->number);
}

unsigned cpu_check(const struct cpu_template *template, const struct cpu_template *host,
		   bool is_json, FILE *to)
{
	struct report r = { .to = to, .is_json = is_json };

	if (is_json)
		fputs("{\n\t\"missing\": [", to);
	for (uint32_t i = 0; i < template->nr_cpuid; i++) {
		const struct cpuid_modifier *m = &template->cpuid[i];
		const struct cpuid_modifier *have =
			cpu_template_find_leaf(host, m->leaf, m->subleaf);

		for (uint32_t reg = 0; reg < CPUID_REGISTERS; reg++)
			check_register(&r, m, reg, have ? have->value[reg] : 0);
	}
	for (uint32_t i = 0; i < template->nr_msrs; i++)
		check_msr(&r, &template->msrs[i],
			  cpu_template_find_msr(host, template->msrs[i].index));
	for (uint32_t i = 0; i < template->nr_capabilities; i++)
		check_capability(&r, &template->capabilities[i], host);
	if (is_json)
		fprintf(to, "%s],\n\t\"ok\": %s\n}\n", r.nr > 0 ? "\n\t" : "",
			r.nr > 0 ? "false" : "true");
	return r.nr;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Checking and applying a CPU template: see template.h. What the host has is in template_host.c. */
#include "machine/x86/template.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/cpuid_bits.h"
#include "machine/kvm.h"
#include "machine/x86/cpuid.h"

/* Bits as people read them, "16 (avx512f), 17 (avx512dq)", cut where the text is full. */
struct bit_text {
	char text[160];
};

static void add_bit(struct bit_text *list, size_t *used, unsigned bit, const char *name)
{
	int n;

	if (*used >= sizeof(list->text))
		return;
	n = snprintf(list->text + *used, sizeof(list->text) - *used, "%s%u%s%s%s",
		     *used > 0 ? ", " : "", bit, name ? " (" : "", name ? name : "",
		     name ? ")" : "");
	if (n > 0)
		*used += (size_t)n;
}

static struct bit_text cpuid_bits_text(const struct cpuid_modifier *m, uint32_t reg, uint32_t bits)
{
	struct bit_text list = { "" };
	size_t used = 0;

	for (unsigned bit = 0; bit < 32; bit++) {
		if (bits >> bit & 1)
			add_bit(&list, &used, bit, cpuid_bit_name(m->leaf, m->subleaf, reg, bit));
	}
	return list;
}

static struct bit_text msr_bits_text(uint32_t index, uint64_t bits)
{
	struct bit_text list = { "" };
	size_t used = 0;

	for (unsigned bit = 0; bit < 64; bit++) {
		if (bits >> bit & 1)
			add_bit(&list, &used, bit, msr_bit_name(index, bit));
	}
	return list;
}

static int refuse_register(const struct cpuid_modifier *m, enum cpuid_register reg,
			   const struct cpuid_modifier *host, uint32_t bits, struct err *e)
{
	const char *name = cpuid_register_name(reg);
	uint32_t have = host ? host->value[reg] : 0;

	switch (cpuid_register_kind(m->leaf, m->subleaf, reg)) {
	case CPUID_VENDOR:
		return err_set(e, -ENOTSUP,
			       "the CPU template is for a CPU of another vendor (leaf 0x%x %s); "
			       "one vendor cannot pass for another",
			       m->leaf, name);
	case CPUID_MAXIMUM:
	case CPUID_WIDTHS:
		return err_set(e, -ENOTSUP,
			       "the CPU template asks for 0x%x in leaf 0x%x subleaf 0x%x %s, this "
			       "host has 0x%x",
			       (have & ~m->filter[reg]) | m->value[reg], m->leaf, m->subleaf, name,
			       have);
	default:
		return err_set(
			e, -ENOTSUP,
			"the CPU template sets in leaf 0x%x subleaf 0x%x %s bit %s, which this "
			"host cannot provide%s",
			m->leaf, m->subleaf, name, cpuid_bits_text(m, reg, bits).text,
			host ? "" : ": it has no such leaf");
	}
}

static const struct cpuid_modifier *find_leaf(const struct cpu_template *t, uint32_t leaf,
					      uint32_t subleaf)
{
	for (uint32_t i = 0; i < t->nr_cpuid; i++) {
		if (t->cpuid[i].leaf == leaf && t->cpuid[i].subleaf == subleaf)
			return &t->cpuid[i];
	}
	return NULL;
}

/* A leaf the host does not have reads as zero: bits can be cleared there, not set. */
static int compare_leaf(const struct cpuid_modifier *m, const struct cpu_template *host,
			struct err *e)
{
	const struct cpuid_modifier *have = find_leaf(host, m->leaf, m->subleaf);

	for (uint32_t reg = 0; reg < CPUID_REGISTERS; reg++) {
		uint32_t bits = cpuid_missing(m->leaf, m->subleaf, reg, m->filter[reg],
					      m->value[reg], have ? have->value[reg] : 0);

		if (bits)
			return refuse_register(m, reg, have, bits, e);
	}
	return 0;
}

static int compare_msr(const struct msr_modifier *m, const struct cpu_template *host, struct err *e)
{
	uint64_t bits;

	for (uint32_t i = 0; i < host->nr_msrs; i++) {
		if (host->msrs[i].index != m->index)
			continue;
		bits = msr_missing(m->index, m->filter, m->value, host->msrs[i].value);
		if (!bits)
			return 0;
		return err_set(e, -ENOTSUP,
			       "the CPU template sets in MSR 0x%x bit %s, which this host cannot "
			       "provide",
			       m->index, msr_bits_text(m->index, bits).text);
	}
	return err_set(e, -ENOTSUP,
		       "the CPU template changes MSR 0x%x, which this host's KVM does not have",
		       m->index);
}

static int compare_capability(uint32_t number, const struct cpu_template *host, struct err *e)
{
	for (uint32_t i = 0; i < host->nr_capabilities; i++) {
		if (host->capabilities[i].number == number)
			return 0;
	}
	return err_set(e, -ENOTSUP,
		       "the CPU template needs KVM capability %u, which this host's KVM lacks",
		       number);
}

int template_compare(const struct cpu_template *template, const struct cpu_template *host,
		     struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < template->nr_cpuid; i++)
		r = compare_leaf(&template->cpuid[i], host, e);
	for (uint32_t i = 0; r == 0 && i < template->nr_msrs; i++)
		r = compare_msr(&template->msrs[i], host, e);
	for (uint32_t i = 0; r == 0 && i < template->nr_capabilities; i++) {
		if (!template->capabilities[i].is_removed)
			r = compare_capability(template->capabilities[i].number, host, e);
	}
	return r;
}

int template_check(int sys_fd, const struct cpu_template *template, struct err *e)
{
	auto_free struct cpu_template *host = calloc(1, sizeof(*host));
	int r;

	if (!host)
		return err_errno(e, -ENOMEM, "cannot hold the description of this host's CPU");
	r = template_describe_host(sys_fd, template, host, e);
	return r < 0 ? r : template_compare(template, host, e);
}

void template_apply_cpuid(const struct cpu_template *template, struct kvm_cpuid2 *cpuid)
{
	for (uint32_t i = 0; i < template->nr_cpuid; i++) {
		const struct cpuid_modifier *m = &template->cpuid[i];
		struct kvm_cpuid_entry2 *entry = cpuid_find(cpuid, m->leaf, m->subleaf);

		for (uint32_t reg = 0; entry && reg < CPUID_REGISTERS; reg++) {
			uint32_t *value = cpuid_register(entry, reg);

			*value = (*value & ~m->filter[reg]) | (m->value[reg] & m->filter[reg]);
		}
	}
}

/* KVM takes some values and drops bits of them in silence: what counts is what it reads back. */
static int apply_msr(const struct msr_modifier *m, int vcpu_fd, struct err *e)
{
	uint64_t wanted = 0, value = 0;
	int r = kvm_get_msr(vcpu_fd, m->index, &wanted);

	if (r < 0)
		return err_set(e, r,
			       "the CPU template changes MSR 0x%x, which KVM does not let be read",
			       m->index);
	wanted = (wanted & ~m->filter) | (m->value & m->filter);
	r = kvm_set_msr(vcpu_fd, m->index, wanted);
	if (r == 0)
		r = kvm_get_msr(vcpu_fd, m->index, &value);
	if (r == 0 && (value ^ wanted) & m->filter)
		r = -ENOTSUP;
	if (r < 0)
		return err_set(e, r,
			       "KVM does not take 0x%" PRIx64 ", which the CPU template makes of "
			       "MSR 0x%x",
			       wanted, m->index);
	return 0;
}

int template_apply_msrs(const struct cpu_template *template, int vcpu_fd, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < template->nr_msrs; i++)
		r = apply_msr(&template->msrs[i], vcpu_fd, e);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The common denominator of CPU templates: see cpu_baseline.h. */
#include "control/cpu_baseline.h"

#include <errno.h>
#include <inttypes.h>

#include "base/cpuid_bits.h"
#include "base/quote.h"
#include "control/cpu_template.h"

#define MSR_UCODE_REVISION 0x8bu

/* A register of a leaf as one template has it; @filter says which bits are known. */
struct known {
	uint32_t filter;
	uint32_t value;
};

/* A leaf that is not mentioned reads as zero on that host, all of it. */
static struct known known_of(const struct cpuid_modifier *m, uint32_t reg)
{
	return m ? (struct known){ m->filter[reg], m->value[reg] }
		 : (struct known){ UINT32_MAX, 0 };
}

static struct known lower_widths(struct known a, struct known b)
{
	struct known result = { a.filter & b.filter, 0 };

	for (uint32_t field = 0xff; field != 0; field <<= 8) {
		uint32_t x = a.value & field, y = b.value & field;

		result.value |= x < y ? x : y;
	}
	result.value &= result.filter;
	return result;
}

/*
 * Family, model and stepping in the order in which they compare (SDM vol. 2, CPUID leaf 1: the
 * extended fields come first). 0x000306f2: family 6, model 0x3f, stepping 2.
 */
static uint32_t model_order(uint32_t eax)
{
	uint32_t family = (eax >> 8 & 0xf) + (eax >> 20 & 0xff);
	uint32_t model = (eax >> 12 & 0xf0) | (eax >> 4 & 0xf);

	return family << 12 | model << 4 | (eax & 0xf);
}

static struct known lower_model(struct known a, struct known b)
{
	return model_order(b.value) < model_order(a.value) ? b : a;
}

static struct known if_equal(struct known a, struct known b)
{
	const struct known none = { 0, 0 };

	return a.filter == b.filter && a.value == b.value ? a : none;
}

static struct known common(uint32_t leaf, uint32_t subleaf, uint32_t reg, struct known a,
			   struct known b)
{
	const uint32_t warnings = cpuid_warning_bits(leaf, subleaf, reg);
	struct known both = { a.filter & b.filter, 0 };

	switch (cpuid_register_kind(leaf, subleaf, reg)) {
	case CPUID_FEATURES:
		both.value = (a.value & b.value & ~warnings) | ((a.value | b.value) & warnings);
		both.value &= both.filter;
		return both;
	case CPUID_MAXIMUM:
		both.value = (a.value < b.value ? a.value : b.value) & both.filter;
		return both;
	case CPUID_WIDTHS:
		return lower_widths(a, b);
	case CPUID_MODEL:
		return lower_model(a, b);
	case CPUID_VENDOR: /* the caller has seen to it that they are equal */
	case CPUID_DESCRIPTION:
	case CPUID_OVERWRITTEN:
		break;
	}
	return if_equal(a, b);
}

/* Templates that say nothing of the vendor are for any. */
static int check_vendor(const struct cpu_template *all, const struct cpu_template *next,
			const char *name, struct err *e)
{
	const struct cpuid_modifier *a = cpu_template_find_leaf(all, 0, 0);
	const struct cpuid_modifier *b = cpu_template_find_leaf(next, 0, 0);

	for (uint32_t reg = CPUID_EBX; a && b && reg < CPUID_REGISTERS; reg++) {
		if ((a->value[reg] ^ b->value[reg]) & a->filter[reg] & b->filter[reg])
			return err_set(e, -EINVAL,
				       "CPU template %s is of another vendor than the first one; "
				       "CPUs of two vendors have no common denominator",
				       quote(name).text);
	}
	return 0;
}

static void add_leaf(struct cpuid_modifier *m, const struct cpuid_modifier *a,
		     const struct cpuid_modifier *b)
{
	for (uint32_t reg = 0; reg < CPUID_REGISTERS; reg++) {
		struct known result =
			common(m->leaf, m->subleaf, reg, known_of(a, reg), known_of(b, reg));

		m->filter[reg] = result.filter;
		m->value[reg] = result.value;
	}
}

static void add_msr(struct msr_modifier *a, const struct msr_modifier *b)
{
	const uint64_t warnings = msr_warning_bits(a->index);

	if (msr_has_features(a->index)) {
		a->filter &= b->filter;
		a->value = (a->value & b->value & ~warnings) | ((a->value | b->value) & warnings);
		a->value &= a->filter;
	} else if (a->index == MSR_UCODE_REVISION) {
		a->value = a->value < b->value ? a->value : b->value;
	} else if (a->filter != b->filter || a->value != b->value) {
		a->filter = 0;
	}
}

static void add_msrs(struct cpu_template *all, const struct cpu_template *next)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < all->nr_msrs; i++) {
		const struct msr_modifier *other = cpu_template_find_msr(next, all->msrs[i].index);

		if (!other)
			continue;
		add_msr(&all->msrs[i], other);
		if (all->msrs[i].filter)
			all->msrs[kept++] = all->msrs[i];
	}
	all->nr_msrs = kept;
}

/* A capability that one template wants is one that not all hosts are known to have. */
static void add_capabilities(struct cpu_template *all, const struct cpu_template *next)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < all->nr_capabilities; i++) {
		for (uint32_t j = 0; j < next->nr_capabilities; j++) {
			if (all->capabilities[i].number == next->capabilities[j].number &&
			    all->capabilities[i].is_removed == next->capabilities[j].is_removed)
				all->capabilities[kept++] = all->capabilities[i];
		}
	}
	all->nr_capabilities = kept;
}

int cpu_baseline_add(struct cpu_template *all, const struct cpu_template *next, const char *name,
		     struct err *e)
{
	const uint32_t nr_before = all->nr_cpuid;
	int r = check_vendor(all, next, name, e);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < nr_before; i++) {
		struct cpuid_modifier *m = &all->cpuid[i];
		const struct cpuid_modifier before = *m;

		add_leaf(m, &before, cpu_template_find_leaf(next, m->leaf, m->subleaf));
	}
	for (uint32_t i = 0; i < next->nr_cpuid; i++) {
		const struct cpuid_modifier *from = &next->cpuid[i];

		if (cpu_template_find_leaf(all, from->leaf, from->subleaf))
			continue;
		if (all->nr_cpuid == WIRE_MAX_CPUID)
			return err_set(e, -EINVAL,
				       "CPU template %s: more than %d leaves with those before",
				       quote(name).text, WIRE_MAX_CPUID);
		all->cpuid[all->nr_cpuid] = *from;
		add_leaf(&all->cpuid[all->nr_cpuid++], NULL, from);
	}
	add_msrs(all, next);
	add_capabilities(all, next);
	return 0;
}

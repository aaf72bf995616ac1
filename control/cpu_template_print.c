/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a CPU template as JSON: see cpu_template.h. */
#include <inttypes.h>

#include "base/cpuid_bits.h"
#include "control/cpu_template.h"

static void print_bitmap(uint64_t filter, uint64_t value, unsigned width, FILE *to)
{
	fputs("\"bitmap\": \"0b", to);
	while (width-- > 0)
		fputc(filter >> width & 1 ? '0' + (int)(value >> width & 1) : 'x', to);
	fputc('"', to);
}

static void print_leaf(const struct cpuid_modifier *m, FILE *to)
{
	const char *separator = "\n";

	fprintf(to,
		"\t\t{ \"leaf\": \"0x%" PRIx32 "\", \"subleaf\": \"0x%" PRIx32
		"\", \"flags\": %" PRIu32 ", \"modifiers\": [",
		m->leaf, m->subleaf, m->flags);
	for (uint32_t reg = 0; reg < CPUID_REGISTERS; reg++) {
		if (!m->filter[reg])
			continue;
		fprintf(to, "%s\t\t\t{ \"register\": \"%s\", ", separator,
			cpuid_register_name(reg));
		print_bitmap(m->filter[reg], m->value[reg], 32, to);
		fputs(" }", to);
		separator = ",\n";
	}
	fputs("\n\t\t] }", to);
}

void cpu_template_print(const struct cpu_template *t, FILE *to)
{
	fputs("{\n\t\"kvm_capabilities\": [", to);
	for (uint32_t i = 0; i < t->nr_capabilities; i++)
		fprintf(to, "%s\"%s%" PRIu32 "\"", i > 0 ? ", " : "",
			t->capabilities[i].is_removed ? "!" : "", t->capabilities[i].number);
	fputs("],\n\t\"cpuid_modifiers\": [", to);
	for (uint32_t i = 0; i < t->nr_cpuid; i++) {
		fputs(i > 0 ? ",\n" : "\n", to);
		print_leaf(&t->cpuid[i], to);
	}
	fputs("\n\t],\n\t\"msr_modifiers\": [", to);
	for (uint32_t i = 0; i < t->nr_msrs; i++) {
		fprintf(to, "%s\n\t\t{ \"addr\": \"0x%" PRIx32 "\", ", i > 0 ? "," : "",
			t->msrs[i].index);
		print_bitmap(t->msrs[i].filter, t->msrs[i].value, 64, to);
		fputs(" }", to);
	}
	fputs("\n\t]\n}\n", to);
}

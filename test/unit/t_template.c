/* SPDX-License-Identifier: Apache-2.0 */
/* CPU templates in the machine process: describing a host, comparing, applying to CPUID. No KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cpuid_bits.h"
#include "machine/kvm.h"
#include "machine/x86/cpuid.h"
#include "machine/x86/template.h"

#define GENUINE_INTEL .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69

static struct cpu_template template, host;

static const struct kvm_cpuid_entry2 leaves[] = {
	{ .function = 0x0, .eax = 0x16, GENUINE_INTEL },
	{ .function = 0x1, .eax = 0x606a6, .ebx = 0x12345678, .ecx = 1u << 5 | 1, .edx = 0x1 },
	{ .function = 0x7, .flags = 1, .ebx = 1u << 5 | 1u << 4, .ecx = 1u << 4 },
	{ .function = 0xd, .flags = 1, .eax = 7, .ebx = 576, .ecx = 832 },
	{ .function = 0x80000000, .eax = 0x80000008 },
	{ .function = 0x80000008, .eax = 0x302e },
};

static struct kvm_cpuid2 *table(void)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + KVM_CPUID_CAPACITY * sizeof(t->entries[0]));

	assert_non_null(t);
	t->nent = ARRAY_LEN(leaves);
	memcpy(t->entries, leaves, sizeof(leaves));
	return t;
}

static int set_up(void **state)
{
	struct kvm_cpuid2 *t = table();
	struct err e = { 0 };

	(void)state;
	template = host = (struct cpu_template){ 0 };
	assert_int_equal(template_from_cpuid(t, &host, &e), 0);
	free(t);
	return 0;
}

static const struct cpuid_modifier *described(uint32_t leaf)
{
	for (uint32_t i = 0; i < host.nr_cpuid; i++) {
		if (host.cpuid[i].leaf == leaf)
			return &host.cpuid[i];
	}
	return NULL;
}

/* Adds to the template: bits of @filter shall be @value. */
static void want(uint32_t leaf, uint32_t reg, uint32_t filter, uint32_t value)
{
	struct cpuid_modifier *m = &template.cpuid[template.nr_cpuid++];

	*m = (struct cpuid_modifier){ .leaf = leaf };
	m->filter[reg] = filter;
	m->value[reg] = value;
}

static void assert_taken(void)
{
	struct err e = { 0 };

	if (template_compare(&template, &host, &e) < 0)
		fail_msg("%s", e.msg);
	template.nr_cpuid = 0;
}

static void assert_refused(const char *part)
{
	struct err e = { 0 };

	assert_int_equal(template_compare(&template, &host, &e), -ENOTSUP);
	if (!strstr(e.msg, part))
		fail_msg("no '%s' in: %s", part, e.msg);
	template.nr_cpuid = 0;
}

static void test_description_is_normalized_and_stable(void **state)
{
	(void)state;
	assert_int_equal(described(1)->value[CPUID_ECX], 1u << 31 | 1u << 24 | 1); /* less VMX */
	assert_int_equal(described(1)->filter[CPUID_EBX], 0xffff);
	assert_int_equal(described(1)->filter[CPUID_EDX], ~(1u << 28));
	assert_int_equal(described(7)->value[CPUID_EBX], 1u << 5); /* less HLE */
	assert_int_equal(described(7)->filter[CPUID_ECX], ~(1u << 4)); /* OSPKE */
	assert_int_equal(described(0xd)->filter[CPUID_EBX], 0);
	assert_null(described(0xb));
	assert_null(described(0x40000000));
	assert_null(described(0x80000002));
}

static void test_host_provides_its_description(void **state)
{
	(void)state;
	template = host;
	assert_taken();
}

static void test_features(void **state)
{
	(void)state;
	want(7, CPUID_EBX, UINT32_MAX, 0);
	assert_taken();
	want(7, CPUID_EBX, 1u << 5, 1u << 5);
	assert_taken();
	want(7, CPUID_EBX, 1u << 16 | 1u << 17, 1u << 16 | 1u << 17);
	assert_refused("leaf 0x7 subleaf 0x0 ebx bit 16 (avx512f), 17 (avx512dq)");
	want(1, CPUID_ECX, 1u << 5, 1u << 5); /* the host has it, but it is taken away */
	assert_refused("ecx bit 5 (vmx)");
	want(7, CPUID_EBX, 1u << 6, 1u << 6); /* a warning can be given without cause */
	assert_taken();
	want(1, CPUID_EDX, 1u << 28, 1u << 28); /* HTT is set by the number of vCPUs */
	assert_taken();
}

static void test_absent_leaf(void **state)
{
	(void)state;
	want(0x19, CPUID_EBX, UINT32_MAX, 0);
	assert_taken();
	want(0x19, CPUID_EBX, 1, 1);
	assert_refused("leaf 0x19 subleaf 0x0 ebx bit 0, which this host cannot provide: it has no "
		       "such leaf");
}

static void test_numbers_and_names(void **state)
{
	(void)state;
	want(0, CPUID_EAX, UINT32_MAX, 0xd);
	assert_taken();
	want(0, CPUID_EAX, UINT32_MAX, 0x20);
	assert_refused("0x20 in leaf 0x0 subleaf 0x0 eax, this host has 0x16");
	want(0x80000008, CPUID_EAX, 0xff, 0x27);
	assert_taken();
	want(0x80000008, CPUID_EAX, 0xff, 0x34);
	assert_refused("leaf 0x80000008");
	want(0x80000008, CPUID_EAX, 0xff00, 0x3900);
	assert_refused("leaf 0x80000008");
	want(1, CPUID_EAX, 0x0fff3fff, 0x000c06f2); /* any model */
	assert_taken();
	want(0, CPUID_EBX, UINT32_MAX, 0x68747541);
	assert_refused("another vendor");
}

static void test_msrs(void **state)
{
	(void)state;
	host.nr_msrs = 2;
	host.msrs[0] = (struct msr_modifier){ .index = 0x10a, .filter = UINT64_MAX, .value = 0x3 };
	host.msrs[1] = (struct msr_modifier){ .index = 0x277 };
	template.nr_msrs = 1;
	template.msrs[0] = (struct msr_modifier){ .index = 0x10a, .filter = 0xf, .value = 0x3 };
	assert_taken();
	template.msrs[0].value = 0x4; /* RSBA: a warning */
	assert_taken();
	template.msrs[0].value = 0x20;
	template.msrs[0].filter = 0x20;
	assert_refused("MSR 0x10a bit 5 (mds_no)");
	template.msrs[0].index = 0x277; /* nothing is known of its bits */
	assert_taken();
	template.msrs[0].index = 0x999;
	assert_refused("MSR 0x999");
}

static void test_capabilities(void **state)
{
	(void)state;
	host.nr_capabilities = 1;
	host.capabilities[0].number = 3;
	template.nr_capabilities = 1;
	template.capabilities[0].number = 3;
	assert_taken();
	template.capabilities[0].number = 4;
	assert_refused("capability 4");
	template.capabilities[0].is_removed = 1;
	assert_taken();
}

static void test_apply(void **state)
{
	struct kvm_cpuid2 *t = table();
	struct err e = { 0 };

	(void)state;
	want(1, CPUID_EAX, 0x00ff, 0x00f2);
	want(1, CPUID_ECX, 1u << 31 | 1, 0);
	want(7, CPUID_EBX, 1u << 5, 0);
	want(0x99, CPUID_EBX, 1u << 5, 0);
	template_apply_cpuid(&template, t);
	assert_int_equal(t->nent, ARRAY_LEN(leaves));
	assert_int_equal(cpuid_find(t, 1, 0)->eax, 0x606f2);
	assert_int_equal(cpuid_find(t, 1, 0)->ecx, 1u << 5);
	assert_int_equal(cpuid_find(t, 7, 0)->ebx, 1u << 4);
	assert_int_equal(cpuid_find(t, 1, 0)->ebx, 0x12345678);
	/* What the machine needs comes after, and wins. */
	assert_int_equal(cpuid_normalize(t, &e), 0);
	assert_int_equal(cpuid_find(t, 1, 0)->ecx, 1u << 31 | 1u << 24);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_description_is_normalized_and_stable, set_up),
		cmocka_unit_test_setup(test_host_provides_its_description, set_up),
		cmocka_unit_test_setup(test_features, set_up),
		cmocka_unit_test_setup(test_absent_leaf, set_up),
		cmocka_unit_test_setup(test_numbers_and_names, set_up),
		cmocka_unit_test_setup(test_msrs, set_up),
		cmocka_unit_test_setup(test_capabilities, set_up),
		cmocka_unit_test_setup(test_apply, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID of a guest: each row of the table, and the topology of one socket of single-threaded cores.
 */
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

#define ALL 0xffffffffu
#define SIGNIFICANT KVM_CPUID_FLAG_SIGNIFCANT_INDEX

/* A host with every bit set in the leaves that are changed, except where they are structured. */
static const struct kvm_cpuid_entry2 host[] = {
	{ .function = 0x0, .eax = 0x20 },
	{ .function = 0x1, .eax = 0x606a6, .ebx = ALL, .ecx = ALL, .edx = ALL },
	{ .function = 0x4, .index = 0, .flags = SIGNIFICANT, .eax = 0xfc004121 },
	{ .function = 0x4, .index = 3, .flags = SIGNIFICANT, .eax = 0xfc01c163 },
	{ .function = 0x4, .index = 4, .flags = SIGNIFICANT, .eax = 0 },
	{ .function = 0x6, .eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL },
	{ .function = 0x7, .index = 0, .flags = SIGNIFICANT, .ebx = ALL, .ecx = ALL, .edx = ALL },
	{ .function = 0x7, .index = 1, .flags = SIGNIFICANT, .ebx = ALL, .ecx = ALL, .edx = ALL },
	{ .function = 0xa, .eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL },
	{ .function = 0xb, .index = 0, .flags = SIGNIFICANT },
	{ .function = 0xd, .index = 0, .flags = SIGNIFICANT, .eax = ALL },
	{ .function = 0x1f, .index = 0, .flags = SIGNIFICANT },
	{ .function = 0x80000000, .eax = 0x80000022 },
	{ .function = 0x80000001, .ecx = ALL, .edx = 0 },
	{ .function = 0x80000003, .eax = ALL },
	{ .function = 0x80000007, .eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL },
	{ .function = 0x80000008, .eax = 0x3028, .ecx = 0xffff0fff },
	{ .function = 0x8000001d, .index = 0, .flags = SIGNIFICANT, .eax = 0x03ffc121 },
	{ .function = 0x8000001d, .index = 3, .flags = SIGNIFICANT, .eax = 0x163 },
	{ .function = 0x80000022, .eax = ALL, .ebx = ALL },
	{ .function = 0x40000000, .eax = 0x40000010, .ebx = 1, .ecx = 2, .edx = 3 },
	{ .function = 0x40000001, .eax = 0x1007efb },
};

static struct kvm_cpuid2 *table_of(const char *vendor)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + KVM_CPUID_CAPACITY * sizeof(t->entries[0]));

	assert_non_null(t);
	t->nent = ARRAY_LEN(host);
	memcpy(t->entries, host, sizeof(host));
	memcpy(&t->entries[0].ebx, vendor, 4);
	memcpy(&t->entries[0].edx, vendor + 4, 4);
	memcpy(&t->entries[0].ecx, vendor + 8, 4);
	return t;
}

static struct kvm_cpuid2 *intel(void)
{
	return table_of("GenuineIntel");
}

static struct kvm_cpuid2 *amd(void)
{
	return table_of("AuthenticAMD");
}

static const struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *t, uint32_t function, uint32_t index)
{
	const struct kvm_cpuid_entry2 *entry = cpuid_find(t, function, index);

	assert_non_null(entry);
	return entry;
}

static void normalize(struct kvm_cpuid2 *t)
{
	struct err e = { 0 };

	assert_int_equal(cpuid_normalize(t, &e), 0);
}

static void set_vcpu(struct kvm_cpuid2 *t, uint32_t index, uint32_t cpu_count)
{
	struct err e = { 0 };

	assert_int_equal(cpuid_set_vcpu(t, index, cpu_count, &e), 0);
}

/* What each register of the host above becomes: @ones is set, all else of it clear. */
static void test_rows(void **state)
{
	static const struct {
		uint32_t leaf, subleaf, reg, ones_intel, ones_amd;
	} expected[] = {
		{ 0x1, 0, CPUID_EAX, 0x606a6, 0x606a6 },
		{ 0x1, 0, CPUID_EBX, 0xffff08ff, 0xffff08ff },
		{ 0x1, 0, CPUID_ECX, 0xffff7f83, 0xffff7f83 },
		{ 0x1, 0, CPUID_EDX, 0xffdfffff, 0xffdfffff },
		{ 0x6, 0, CPUID_EAX, 0x4, 0x4 },
		{ 0x6, 0, CPUID_EBX, 0, 0 },
		{ 0x6, 0, CPUID_ECX, 0, 0 },
		{ 0x6, 0, CPUID_EDX, 0, 0 },
		{ 0x7, 0, CPUID_EBX, 0xffff27ef, 0xffff27ef },
		{ 0x7, 0, CPUID_ECX, 0xffffffdf, 0xffffffdf },
		{ 0x7, 0, CPUID_EDX, 0xffffffff, 0xdfffffff },
		{ 0x7, 1, CPUID_EBX, 0xffffffff, 0xffffffff },
		{ 0x7, 1, CPUID_ECX, 0xffffffff, 0xffffffff },
		{ 0x7, 1, CPUID_EDX, 0xffffffff, 0xffffffff },
		{ 0xa, 0, CPUID_EAX, 0, 0 },
		{ 0xa, 0, CPUID_EBX, 0, 0 },
		{ 0xa, 0, CPUID_ECX, 0, 0 },
		{ 0xa, 0, CPUID_EDX, 0, 0 },
		{ 0xd, 0, CPUID_EAX, 0xffffffe7, 0xffffffe7 },
		{ 0x40000000, 0, CPUID_EAX, 0x40000001, 0x40000001 },
		{ 0x40000000, 0, CPUID_EBX, 0x4b4d564b, 0x4b4d564b },
		{ 0x40000000, 0, CPUID_ECX, 0x564b4d56, 0x564b4d56 },
		{ 0x40000000, 0, CPUID_EDX, 0x4d, 0x4d },
		{ 0x40000001, 0, CPUID_EAX, 0x1007efb, 0x1007efb },
		{ 0x80000001, 0, CPUID_ECX, 0xffffffff, 0xfffffffb },
		{ 0x80000001, 0, CPUID_EDX, 0x20100800, 0x20100800 },
		{ 0x80000007, 0, CPUID_EAX, 0, 0 },
		{ 0x80000007, 0, CPUID_EBX, 0, 0 },
		{ 0x80000007, 0, CPUID_ECX, 0, 0 },
		{ 0x80000007, 0, CPUID_EDX, 0x100, 0x100 },
		{ 0x80000022, 0, CPUID_EAX, 0xffffffff, 0 },
		{ 0x80000022, 0, CPUID_EBX, 0xffffffff, 0 },
	};
	struct kvm_cpuid2 *a = intel(), *b = amd();

	(void)state;
	normalize(a);
	normalize(b);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		const uint32_t function = expected[i].leaf, index = expected[i].subleaf;
		uint32_t *in_a = cpuid_register(cpuid_find(a, function, index), expected[i].reg);
		uint32_t *in_b = cpuid_register(cpuid_find(b, function, index), expected[i].reg);

		if (*in_a != expected[i].ones_intel || *in_b != expected[i].ones_amd)
			fail_msg("leaf 0x%x subleaf 0x%x %s: Intel 0x%x, AMD 0x%x", function, index,
				 cpuid_register_name(expected[i].reg), *in_a, *in_b);
	}
	free(a);
	free(b);
}

/* What the rows do not set must be taken from the host: a bare one gains only these bits. */
static void test_rows_add_nothing_else(void **state)
{
	struct kvm_cpuid2 *t = intel();

	(void)state;
	for (uint32_t i = 1; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &t->entries[i];

		entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
	}
	normalize(t);
	assert_int_equal(leaf(t, 1, 0)->ebx, 0x800);
	assert_int_equal(leaf(t, 1, 0)->ecx, 1u << 31 | 1u << 24);
	assert_int_equal(leaf(t, 1, 0)->edx, 0);
	assert_int_equal(leaf(t, 6, 0)->eax, 0);
	assert_int_equal(leaf(t, 7, 0)->ebx, 0);
	assert_int_equal(leaf(t, 0x80000007, 0)->edx, 0);
	free(t);
}

static void assert_brand(struct kvm_cpuid2 *t, const char *expected)
{
	char brand[49] = { 0 };

	for (uint32_t i = 0; i < 3; i++)
		memcpy(brand + 16 * i, &leaf(t, 0x80000002 + i, 0)->eax, 16);
	assert_string_equal(brand, expected);
	for (size_t i = strlen(expected); i < 48; i++)
		assert_int_equal(brand[i], 0);
}

static void test_brand_is_stable(void **state)
{
	static const struct {
		const char *vendor;
		const char *brand;
	} cases[] = {
		{ "GenuineIntel", "Intel(R) Xeon(R) Processor" },
		{ "AuthenticAMD", "AMD EPYC" },
		{ "HygonGenuine", "AMD EPYC" },
		{ "CentaurHauls", "Virtual CPU" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kvm_cpuid2 *t = table_of(cases[i].vendor);

		normalize(t);
		assert_brand(t, cases[i].brand);
		free(t);
	}
}

static void assert_sorted(const struct kvm_cpuid2 *t)
{
	for (uint32_t i = 1; i < t->nent; i++) {
		const struct kvm_cpuid_entry2 *a = &t->entries[i - 1], *b = &t->entries[i];

		if (a->function >> 30 == b->function >> 30)
			assert_true(a->function < b->function ||
				    (a->function == b->function && a->index < b->index));
	}
}

/* Hosts without the leaves get them, in order; again changes nothing. */
static void test_missing_leaves_are_created_in_order(void **state)
{
	struct kvm_cpuid2 *t = amd();
	uint32_t nent;

	(void)state;
	for (uint32_t i = 0; i < t->nent;) {
		const uint32_t function = t->entries[i].function;

		if (function != 0xb && function != 0x1f && function != 0x40000000) {
			i++;
			continue;
		}
		t->nent--;
		memmove(&t->entries[i], &t->entries[i + 1], (t->nent - i) * sizeof(t->entries[0]));
	}
	t->entries[0].eax = 0x7;
	normalize(t);
	set_vcpu(t, 1, 2);
	assert_sorted(t);
	assert_int_equal(leaf(t, 0, 0)->eax, 0xb);
	assert_int_equal(leaf(t, 0xb, 0)->flags, SIGNIFICANT);
	assert_int_equal(leaf(t, 0xb, 1)->flags, SIGNIFICANT);
	assert_int_equal(leaf(t, 0xb, 1)->edx, 1);
	assert_null(cpuid_find(t, 0x1f, 0));
	assert_int_equal(leaf(t, 0x40000000, 0)->ebx, 0x4b4d564b);
	assert_int_equal(leaf(t, 0x8000001e, 0)->eax, 1);
	nent = t->nent;
	normalize(t);
	set_vcpu(t, 1, 2);
	assert_int_equal(t->nent, nent);
	free(t);
}

/* A host with as many leaves as fit: an error, and nothing written behind the array. */
static void test_full_table_is_refused(void **state)
{
	struct kvm_cpuid2 *t = intel();
	struct err e = { 0 };

	(void)state;
	for (uint32_t i = t->nent; i < KVM_CPUID_CAPACITY; i++)
		t->entries[i] = (struct kvm_cpuid_entry2){ .function = 0x20, .index = i };
	t->nent = KVM_CPUID_CAPACITY;
	assert_int_equal(cpuid_normalize(t, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "0x8000000"));
	assert_int_equal(cpuid_set_vcpu(t, 0, 1, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "0xb"));
	free(t);
}

static void test_one_cpu(void **state)
{
	struct kvm_cpuid2 *t = intel();

	(void)state;
	normalize(t);
	set_vcpu(t, 0, 1);
	assert_int_equal(leaf(t, 1, 0)->ebx, 0x000108ff);
	assert_false(leaf(t, 1, 0)->edx & 1u << 28);
	assert_int_equal(leaf(t, 0x4, 0)->eax, 0x00000121);
	assert_int_equal(leaf(t, 0xb, 1)->ebx, 1);
	assert_int_equal(leaf(t, 0x80000008, 0)->ecx, 0xffff0fff); /* reserved on Intel */
	assert_null(cpuid_find(t, 0x8000001e, 0));
	free(t);
}

static void test_four_cpus_one_after_the_other(void **state)
{
	struct kvm_cpuid2 *t = intel();
	uint32_t nent;

	(void)state;
	normalize(t);
	set_vcpu(t, 0, 4);
	nent = t->nent;
	set_vcpu(t, 3, 4);
	assert_int_equal(t->nent, nent);
	assert_sorted(t);
	assert_int_equal(leaf(t, 1, 0)->ebx, 0x030408ff);
	assert_true(leaf(t, 1, 0)->edx & 1u << 28);
	assert_int_equal(leaf(t, 0x4, 0)->eax >> 26, 3);
	assert_int_equal(leaf(t, 0x4, 0)->eax >> 14 & 0xfff, 0);
	assert_int_equal(leaf(t, 0x4, 3)->eax >> 14 & 0xfff, 3);
	assert_int_equal(leaf(t, 0x4, 4)->eax, 0);
	for (uint32_t function = 0xb; function <= 0x1f; function += 0x1f - 0xb) {
		assert_int_equal(leaf(t, function, 0)->eax, 0);
		assert_int_equal(leaf(t, function, 0)->ebx, 1);
		assert_int_equal(leaf(t, function, 0)->ecx, 0x100);
		assert_int_equal(leaf(t, function, 0)->edx, 3);
		assert_int_equal(leaf(t, function, 1)->eax, 2);
		assert_int_equal(leaf(t, function, 1)->ebx, 4);
		assert_int_equal(leaf(t, function, 1)->ecx, 0x201);
		assert_int_equal(leaf(t, function, 1)->edx, 3);
	}
	free(t);
}

static void test_four_cpus_on_amd(void **state)
{
	struct kvm_cpuid2 *t = amd();

	(void)state;
	normalize(t);
	set_vcpu(t, 3, 4);
	assert_int_equal(leaf(t, 0x80000001, 0)->ecx & (1u << 1 | 1u << 22), 1u << 1 | 1u << 22);
	assert_int_equal(leaf(t, 0x80000008, 0)->ecx, 0xffff0f00 | 2 << 12 | 3);
	assert_int_equal(leaf(t, 0x8000001d, 0)->eax, 0x121);
	assert_int_equal(leaf(t, 0x8000001d, 3)->eax, 3 << 14 | 0x163);
	assert_int_equal(leaf(t, 0x8000001e, 0)->eax, 3);
	assert_int_equal(leaf(t, 0x8000001e, 0)->ebx, 3);
	assert_int_equal(leaf(t, 0x8000001e, 0)->ecx, 0);
	set_vcpu(t, 0, 1);
	assert_false(leaf(t, 0x80000001, 0)->ecx & 1u << 1);
	free(t);
}

/* Without described caches there are no topology extensions: they would hide the caches. */
static void test_amd_without_cache_leaf(void **state)
{
	struct kvm_cpuid2 *t = amd();

	(void)state;
	cpuid_find(t, 0x8000001d, 0)->eax = 0;
	normalize(t);
	set_vcpu(t, 1, 2);
	assert_false(leaf(t, 0x80000001, 0)->ecx & 1u << 22);
	assert_null(cpuid_find(t, 0x8000001e, 0));
	free(t);
}

static void test_255_cpus(void **state)
{
	struct kvm_cpuid2 *t = intel();

	(void)state;
	normalize(t);
	set_vcpu(t, 254, 255);
	assert_int_equal(leaf(t, 1, 0)->ebx, 0xfeff08ff);
	assert_int_equal(leaf(t, 0x4, 0)->eax >> 26, 63);
	assert_int_equal(leaf(t, 0x4, 3)->eax >> 14 & 0xfff, 255);
	assert_int_equal(leaf(t, 0xb, 1)->eax, 8);
	assert_int_equal(leaf(t, 0xb, 1)->ebx, 255);
	assert_int_equal(leaf(t, 0xb, 1)->edx, 254);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_rows_add_nothing_else),
		cmocka_unit_test(test_brand_is_stable),
		cmocka_unit_test(test_missing_leaves_are_created_in_order),
		cmocka_unit_test(test_full_table_is_refused),
		cmocka_unit_test(test_one_cpu),
		cmocka_unit_test(test_four_cpus_one_after_the_other),
		cmocka_unit_test(test_four_cpus_on_amd),
		cmocka_unit_test(test_amd_without_cache_leaf),
		cmocka_unit_test(test_255_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

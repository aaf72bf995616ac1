/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU templates as JSON: what is read, what is refused and how, writing, and the common
 * denominator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cpuid_bits.h"
#include "control/cpu_baseline.h"
#include "control/cpu_check.h"
#include "control/cpu_template.h"

#define LEAF(modifiers) \
	"{\"leaf\":\"0x1\",\"subleaf\":\"0x0\",\"flags\":0,\"modifiers\":[" modifiers "]}"
#define ONE(leaves) "{\"cpuid_modifiers\":[" leaves "]}"
#define ECX(bitmap) "{\"register\":\"ecx\",\"bitmap\":\"" bitmap "\"}"
#define MSR(bitmap) "{\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":\"" bitmap "\"}]}"
#define ZEROES_32 "00000000000000000000000000000000"

static struct cpu_template t, other;

static int parse_into(struct cpu_template *out, const char *text, struct err *e)
{
	return cpu_template_parse("test", text, strlen(text), out, e);
}

static void parse(struct cpu_template *out, const char *text)
{
	struct err e = { 0 };

	if (parse_into(out, text, &e) < 0)
		fail_msg("%s", e.msg);
}

static void test_whole_template(void **state)
{
	(void)state;
	parse(&t, "{\"kvm_capabilities\":[\"121\",\"!56\"],\"cpuid_modifiers\":["
		  "{\"leaf\":\"0x80000001\",\"subleaf\":\"0b11\",\"flags\":1,\"modifiers\":["
		  "{\"register\":\"eax\",\"bitmap\":\"0b1xx0_xxxx\"},"
		  "{\"register\":\"edx\",\"bitmap\":\"0b01\"}]}],"
		  "\"msr_modifiers\":[{\"addr\":\"0x10A\",\"bitmap\":\"0b10\"}]}");
	assert_int_equal(t.nr_capabilities, 2);
	assert_int_equal(t.capabilities[0].number, 121);
	assert_int_equal(t.capabilities[0].is_removed, 0);
	assert_int_equal(t.capabilities[1].number, 56);
	assert_int_equal(t.capabilities[1].is_removed, 1);
	assert_int_equal(t.nr_cpuid, 1);
	assert_int_equal(t.cpuid[0].leaf, 0x80000001);
	assert_int_equal(t.cpuid[0].subleaf, 3);
	assert_int_equal(t.cpuid[0].flags, 1);
	assert_int_equal(t.cpuid[0].filter[CPUID_EAX], 0x90);
	assert_int_equal(t.cpuid[0].value[CPUID_EAX], 0x80);
	assert_int_equal(t.cpuid[0].filter[CPUID_EBX], 0);
	assert_int_equal(t.cpuid[0].filter[CPUID_EDX], 3);
	assert_int_equal(t.cpuid[0].value[CPUID_EDX], 1);
	assert_int_equal(t.nr_msrs, 1);
	assert_int_equal(t.msrs[0].index, 0x10a);
	assert_int_equal(t.msrs[0].filter, 3);
	assert_int_equal(t.msrs[0].value, 2);
}

static void test_empty_template(void **state)
{
	(void)state;
	parse(&t, "{}");
	assert_int_equal(t.nr_cpuid + t.nr_msrs + t.nr_capabilities, 0);
}

static void test_agreeing_modifiers_merge(void **state)
{
	(void)state;
	parse(&t, ONE(LEAF(ECX("0b1x")) "," LEAF(ECX("0b10"))));
	assert_int_equal(t.nr_cpuid, 1);
	assert_int_equal(t.cpuid[0].filter[CPUID_ECX], 3);
	assert_int_equal(t.cpuid[0].value[CPUID_ECX], 2);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text;
		const char *parts[3];
	} cases[] = {
		{ "", { "line 1" } },
		{ "{\n  \"cpuid_modifiers\": [,]\n}", { "line 2", "column" } },
		{ "{} x", { "line 1" } },
		{ "{\"msr_modifiers\":[],\"msr_modifiers\":[]}", { "duplicate" } },
		{ "[]", { "object" } },
		{ "{\"cpuid_modifers\":[]}", { "cpuid_modifers", "\"cpuid_modifiers\"" } },
		{ "{\"reg_modifiers\":[]}", { "reg_modifiers", "aarch64" } },
		{ "{\"vcpu_features\":[]}", { "vcpu_features", "aarch64" } },
		{ "{\"cpuid_modifiers\":{}}", { "cpuid_modifiers", "array" } },
		{ "{\"msr_modifiers\":null}", { "msr_modifiers", "array" } },
		{ "{\"cpuid_modifiers\":[1]}", { "cpuid_modifiers[0]", "object" } },
		{ ONE(LEAF("7")), { "cpuid_modifiers[0].modifiers[0]", "object" } },
		{ ONE("{\"leaf\":\"0x1\",\"subleaf\":\"0x0\",\"flags\":0}"),
		  { "modifiers", "missing" } },
		{ ONE("{\"subleaf\":\"0x0\",\"flags\":0,\"modifiers\":[]}"),
		  { "\"leaf\"", "missing" } },
		{ ONE("{\"leaf\":\"0x1\",\"flags\":0,\"modifiers\":[]}"), { "\"subleaf\"" } },
		{ ONE("{\"leaf\":\"0x1\",\"subleaf\":\"0x0\",\"modifiers\":[]}"), { "\"flags\"" } },
		{ ONE("{\"leaf\":1,\"subleaf\":\"0x0\",\"flags\":0,\"modifiers\":[]}"),
		  { "\"leaf\"", "string" } },
		{ ONE("{\"leaf\":\"1\",\"subleaf\":\"0x0\",\"flags\":0,\"modifiers\":[]}"),
		  { "\"leaf\"", "'1'" } },
		{ ONE("{\"leaf\":\"0x\",\"subleaf\":\"0x0\",\"flags\":0,\"modifiers\":[]}"),
		  { "'0x'" } },
		{ ONE("{\"leaf\":\"0x1g\",\"subleaf\":\"0x0\",\"flags\":0,\"modifiers\":[]}"),
		  { "'0x1g'" } },
		{ ONE("{\"leaf\":\"0b12\",\"subleaf\":\"0x0\",\"flags\":0,\"modifiers\":[]}"),
		  { "'0b12'" } },
		{ ONE("{\"leaf\":\"0x100000000\",\"subleaf\":\"0x0\",\"flags\":0,"
		      "\"modifiers\":[]}"),
		  { "'0x100000000'", "32 bits" } },
		{ ONE("{\"leaf\":\"0x12345678\",\"subleaf\":\"0x0\",\"flags\":0,"
		      "\"modifiers\":[]}"),
		  { "unknown leaf 0x12345678" } },
		{ ONE("{\"leaf\":\"0xd\",\"subleaf\":\"0x100\",\"flags\":0,\"modifiers\":[]}"),
		  { "unknown subleaf 0x100" } },
		{ ONE("{\"leaf\":\"0x1\",\"subleaf\":\"0x0\",\"flags\":8,\"modifiers\":[]}"),
		  { "\"flags\"", "7" } },
		{ ONE("{\"leaf\":\"0x1\",\"subleaf\":\"0x0\",\"flags\":-1,\"modifiers\":[]}"),
		  { "\"flags\"" } },
		{ ONE(LEAF("{\"register\":\"ekx\",\"bitmap\":\"0b1\"}")), { "'ekx'", "ecx" } },
		{ ONE(LEAF("{\"bitmap\":\"0b1\"}")), { "\"register\"", "missing" } },
		{ ONE(LEAF("{\"register\":\"ecx\"}")), { "\"bitmap\"", "missing" } },
		{ ONE(LEAF("{\"register\":\"ecx\",\"bitmap\":\"0b1\",\"bit\":1}")),
		  { "'bit'", "\"bitmap\"" } },
		{ ONE(LEAF(ECX("1"))), { "'1'", "0b" } },
		{ ONE(LEAF(ECX("0b"))), { "no bits" } },
		{ ONE(LEAF(ECX("0b___"))), { "no bits" } },
		{ ONE(LEAF(ECX("0b12"))), { "'0b12'", "character 4" } },
		{ ONE(LEAF(ECX("0bX"))), { "character 3" } },
		{ ONE(LEAF(ECX("0b1" ZEROES_32))), { "32 bits" } },
		{ MSR("0b1" ZEROES_32 ZEROES_32), { "msr_modifiers[0]", "64 bits" } },
		{ ONE(LEAF(ECX("0b1")) "," LEAF(ECX("0b0"))),
		  { "cpuid_modifiers[1]", "contradicts", "leaf 0x1 subleaf 0x0 ecx in bit 0" } },
		{ ONE(LEAF(ECX("0bx1xx") "," ECX("0b0xxx") "," ECX("0b1xxx"))),
		  { "modifiers[2]", "in bit 3" } },
		{ "{\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":\"0b1\"},"
		  "{\"addr\":\"0x10a\",\"bitmap\":\"0b0\"}]}",
		  { "msr_modifiers[1]", "MSR 0x10a in bit 0" } },
		{ "{\"msr_modifiers\":[{\"bitmap\":\"0b1\"}]}", { "\"addr\"", "missing" } },
		{ "{\"kvm_capabilities\":[121]}", { "kvm_capabilities[0]", "string" } },
		{ "{\"kvm_capabilities\":[\"\"]}", { "kvm_capabilities[0]" } },
		{ "{\"kvm_capabilities\":[\"!\"]}", { "'!'" } },
		{ "{\"kvm_capabilities\":[\"-1\"]}", { "'-1'" } },
		{ "{\"kvm_capabilities\":[\"0x1\"]}", { "'0x1'" } },
		{ "{\"kvm_capabilities\":[\"4294967296\"]}", { "4294967296" } },
		{ "{\"kvm_capabilities\":[\"1\",\"!1\"]}",
		  { "kvm_capabilities[1]", "capability 1", "both" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };

		if (parse_into(&t, cases[i].text, &e) != -EBADMSG)
			fail_msg("'%s' is taken", cases[i].text);
		assert_non_null(strstr(e.msg, "'test'"));
		for (size_t j = 0; j < 3 && cases[i].parts[j]; j++) {
			if (!strstr(e.msg, cases[i].parts[j]))
				fail_msg("no '%s' in: %s", cases[i].parts[j], e.msg);
		}
	}
}

/* A list of @nr items made by @item, under @key. */
static char *list_of(const char *key, const char *item, unsigned nr)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	fprintf(to, "{\"%s\":[", key);
	for (unsigned i = 0; i < nr; i++)
		fprintf(to, "%s%s", i > 0 ? "," : "", item);
	fprintf(to, "]}");
	fclose(to);
	return text;
}

static void test_too_many(void **state)
{
	static const struct {
		const char *key;
		const char *item;
		unsigned max;
	} cases[] = {
		{ "kvm_capabilities", "\"1\"", WIRE_MAX_CAPABILITIES },
		{ "cpuid_modifiers", LEAF(ECX("0b1")), WIRE_MAX_CPUID },
		{ "msr_modifiers", "{\"addr\":\"0x1\",\"bitmap\":\"0b1\"}", WIRE_MAX_MSRS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *fits = list_of(cases[i].key, cases[i].item, cases[i].max);
		char *bursts = list_of(cases[i].key, cases[i].item, cases[i].max + 1);
		struct err e = { 0 };

		assert_int_equal(parse_into(&t, fits, &e), 0);
		assert_int_equal(parse_into(&t, bursts, &e), -EBADMSG);
		assert_non_null(strstr(e.msg, "at most"));
		free(fits);
		free(bursts);
	}
}

static char *print(const struct cpu_template *from)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	cpu_template_print(from, to);
	fclose(to);
	return text;
}

static void test_builtin_ones_parse_and_print(void **state)
{
	(void)state;
	for (size_t i = 0; cpu_template_names[i]; i++) {
		struct err e = { 0 };
		char *text;

		assert_int_equal(cpu_template_load(cpu_template_names[i], &t, &e), 0);
		assert_true(t.nr_cpuid > 4);
		assert_non_null(cpu_template_find_leaf(&t, 0, 0)); /* the vendor */
		text = print(&t);
		parse(&other, text);
		assert_memory_equal(&t, &other, sizeof(t));
		free(text);
	}
	assert_non_null(cpu_template_find_msr(&t, 0x10a)); /* T2S, the last */
}

static void test_missing_file(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(cpu_template_load("/nonexistent/t.json", &t, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "'/nonexistent/t.json'"));
	assert_non_null(strstr(e.msg, "T2CL"));
	assert_int_equal(cpu_template_load("/", &t, &e), -EISDIR);
}

/* --- the common denominator ---------------------------------------------------------------- */

static struct cpuid_modifier *add(struct cpu_template *to, uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_modifier *m = &to->cpuid[to->nr_cpuid++];

	*m = (struct cpuid_modifier){ .leaf = leaf, .subleaf = subleaf };
	memset(m->filter, 0xff, sizeof(m->filter));
	return m;
}

static void test_baseline_by_kind(void **state)
{
	struct err e = { 0 };

	(void)state;
	t = other = (struct cpu_template){ 0 };
	add(&t, 0, 0)->value[CPUID_EAX] = 0x20;
	add(&t, 1, 0)->value[CPUID_EAX] = 0x000606a6; /* model 0x6a, stepping 6 */
	t.cpuid[1].value[CPUID_ECX] = 0xff;
	add(&t, 2, 0)->value[CPUID_EAX] = 1;
	add(&t, 3, 0)->value[CPUID_EAX] = 9;
	add(&t, 7, 0)->value[CPUID_EBX] = 1u << 5 | 1u << 6;
	add(&t, 0x80000008, 0)->value[CPUID_EAX] = 0x302e;
	add(&other, 0, 0)->value[CPUID_EAX] = 0x16;
	add(&other, 1, 0)->value[CPUID_EAX] = 0x000506f7; /* model 0x5f, stepping 7 */
	other.cpuid[1].value[CPUID_ECX] = 0xf0f;
	add(&other, 2, 0)->value[CPUID_EAX] = 2;
	add(&other, 3, 0)->value[CPUID_EAX] = 9;
	add(&other, 0x80000008, 0)->value[CPUID_EAX] = 0x3930;
	add(&other, 0x24, 0)->value[CPUID_EBX] = 7;
	assert_int_equal(cpu_baseline_add(&t, &other, "b", &e), 0);
	assert_int_equal(cpu_template_find_leaf(&t, 0, 0)->value[CPUID_EAX], 0x16);
	assert_int_equal(cpu_template_find_leaf(&t, 1, 0)->value[CPUID_EAX], 0x000506f7);
	assert_int_equal(cpu_template_find_leaf(&t, 1, 0)->value[CPUID_ECX], 0x0f);
	assert_int_equal(cpu_template_find_leaf(&t, 2, 0)->filter[CPUID_EAX], 0);
	assert_int_equal(cpu_template_find_leaf(&t, 3, 0)->value[CPUID_EAX], 9);
	/* AVX2 is gone, the warning fdp_excptn_only stays though one host has no leaf 7. */
	assert_int_equal(cpu_template_find_leaf(&t, 7, 0)->value[CPUID_EBX], 1u << 6);
	assert_int_equal(cpu_template_find_leaf(&t, 0x80000008, 0)->value[CPUID_EAX], 0x302e);
	/* The second host's guests must not see what the first one does not have. */
	assert_int_equal(cpu_template_find_leaf(&t, 0x24, 0)->filter[CPUID_EBX], UINT32_MAX);
	assert_int_equal(cpu_template_find_leaf(&t, 0x24, 0)->value[CPUID_EBX], 0);
}

static void test_baseline_of_msrs(void **state)
{
	struct err e = { 0 };

	(void)state;
	/* RDCL_NO and MDS_NO on one, RSBA on the other. */
	parse(&t,
	      "{\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":\"0b100001\"},"
	      "{\"addr\":\"0x8b\",\"bitmap\":\"0b11\"},{\"addr\":\"0xce\",\"bitmap\":\"0b1\"}]}");
	parse(&other, "{\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":\"0b000101\"},"
		      "{\"addr\":\"0x8b\",\"bitmap\":\"0b10\"}]}");
	assert_int_equal(cpu_baseline_add(&t, &other, "b", &e), 0);
	assert_int_equal(t.nr_msrs, 2);
	assert_int_equal(cpu_template_find_msr(&t, 0x10a)->value, 0x5);
	assert_int_equal(cpu_template_find_msr(&t, 0x8b)->value, 2);
}

static void test_baseline_of_one_twice_is_itself(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; cpu_template_names[i]; i++) {
		char *before, *after;

		assert_int_equal(cpu_template_load(cpu_template_names[i], &t, &e), 0);
		other = t;
		before = print(&t);
		assert_int_equal(cpu_baseline_add(&t, &other, "again", &e), 0);
		after = print(&t);
		assert_string_equal(before, after);
		free(before);
		free(after);
	}
}

static void test_baseline_needs_one_vendor(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(cpu_template_load("T2", &t, &e), 0);
	assert_int_equal(cpu_template_load("T2A", &other, &e), 0);
	assert_int_equal(cpu_baseline_add(&t, &other, "amd.json", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "'amd.json'"));
	assert_non_null(strstr(e.msg, "vendor"));
}

/* --- telling what is missing --------------------------------------------------------------- */

static unsigned check(bool is_json, char **text)
{
	size_t size;
	FILE *to = open_memstream(text, &size);
	unsigned nr;

	assert_non_null(to);
	nr = cpu_check(&t, &other, is_json, to);
	fclose(to);
	return nr;
}

static void test_check_names_bits(void **state)
{
	char *text;

	(void)state;
	parse(&t, "{\"kvm_capabilities\":[\"7\",\"!8\"],\"cpuid_modifiers\":["
		  "{\"leaf\":\"0x7\",\"subleaf\":\"0x0\",\"flags\":1,\"modifiers\":["
		  "{\"register\":\"ebx\",\"bitmap\":\"0b1_xxxx_xxxx_xx0x_xxxx\"}]},"
		  "{\"leaf\":\"0x0\",\"subleaf\":\"0x0\",\"flags\":0,\"modifiers\":["
		  "{\"register\":\"eax\",\"bitmap\":\"0b11111\"}]}],"
		  "\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":\"0b101\"},"
		  "{\"addr\":\"0x999\",\"bitmap\":\"0b0\"}]}");
	other = (struct cpu_template){ .nr_msrs = 1, .msrs[0] = { .index = 0x10a } };
	add(&other, 0, 0)->value[CPUID_EAX] = 0x10;
	assert_int_equal(check(false, &text), 5);
	assert_non_null(strstr(text, "leaf 0x7 subleaf 0x0 ebx bit 16 (avx512f)\n"));
	assert_non_null(
		strstr(text, "leaf 0x0 subleaf 0x0 eax: 0x1f is wanted, the host has 0x10\n"));
	assert_non_null(strstr(text, "MSR 0x10a bit 0 (rdcl_no)\n"));
	assert_non_null(strstr(text, "MSR 0x999: KVM does not have it\n"));
	assert_non_null(strstr(text, "KVM capability 7: KVM lacks it\n"));
	free(text);
	assert_int_equal(check(true, &text), 5);
	assert_non_null(strstr(text, "\"ok\": false"));
	assert_non_null(strstr(text, "\"bit\": 16, \"name\": \"avx512f\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_template),
		cmocka_unit_test(test_empty_template),
		cmocka_unit_test(test_agreeing_modifiers_merge),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_builtin_ones_parse_and_print),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_baseline_by_kind),
		cmocka_unit_test(test_baseline_of_msrs),
		cmocka_unit_test(test_baseline_of_one_twice_is_itself),
		cmocka_unit_test(test_baseline_needs_one_vendor),
		cmocka_unit_test(test_check_names_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

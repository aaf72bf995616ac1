/* SPDX-License-Identifier: Apache-2.0 */
/* The AML writer against bytes worked out by hand from ACPI 6.5, chapters 6.4 and 20.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/x86/aml.h"

#define assert_aml(aml, bytes)                                         \
	do {                                                           \
		assert_int_equal(aml_finish(aml), sizeof(bytes));      \
		assert_memory_equal((aml)->buf, bytes, sizeof(bytes)); \
	} while (0)

static void integers_take_the_shortest_form(void **state)
{
	static const struct {
		uint64_t value;
		size_t len;
		uint8_t bytes[9];
	} cases[] = {
		{ 0, 1, { 0x00 } },
		{ 1, 1, { 0x01 } },
		{ 2, 2, { 0x0a, 2 } },
		{ 0xff, 2, { 0x0a, 0xff } },
		{ 0x100, 3, { 0x0b, 0x00, 0x01 } },
		{ 0xffff, 3, { 0x0b, 0xff, 0xff } },
		{ 0x10000, 5, { 0x0c, 0x00, 0x00, 0x01, 0x00 } },
		{ 0xffffffff, 5, { 0x0c, 0xff, 0xff, 0xff, 0xff } },
		{ 0x100000000, 9, { 0x0e, 0, 0, 0, 0, 1, 0, 0, 0 } },
		{ 0x0123456789abcdef, 9, { 0x0e, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 1 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t buf[16];
		struct aml aml;

		aml_init(&aml, buf, sizeof(buf));
		aml_integer(&aml, cases[i].value);
		assert_int_equal(aml_finish(&aml), cases[i].len);
		assert_memory_equal(buf, cases[i].bytes, cases[i].len);
	}
}

static void names_are_padded_and_may_start_at_the_root(void **state)
{
	static const uint8_t want[] = {
		0x10, 6,    '\\', '_',	'S',  'B',  '_', /* Scope (\_SB_) */
		0x08, '_',  'U',  'I',	'D',  0x0a, 7, /* Name (_UID, 7) */
		0x08, '_',  'H',  'I',	'D',  0x0d, 'A', 'B', 0, /* Name (_HID, "AB") */
		0x08, 'X',  '_',  '_',	'_', /* Name (X, */
		0x0c, 0x41, 0xd0, 0x05, 0x01, /* EISAID ("PNP0501")) */
	};
	uint8_t buf[64];
	struct aml aml;

	(void)state;
	aml_init(&aml, buf, sizeof(buf));
	aml_open_scope(&aml, "\\_SB");
	aml_close(&aml);
	aml_name_integer(&aml, "_UID", 7);
	aml_name_string(&aml, "_HID", "AB");
	aml_name_eisa_id(&aml, "X", "PNP0501");
	assert_aml(&aml, want);
}

static void eisa_ids_take_hexadecimal_digits(void **state)
{
	static const uint8_t want[] = { 0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0xcf };
	uint8_t buf[16];
	struct aml aml;

	(void)state;
	aml_init(&aml, buf, sizeof(buf));
	aml_name_eisa_id(&aml, "_HID", "PNP0ACF");
	assert_aml(&aml, want);
}

static void packages_count_their_elements(void **state)
{
	static const uint8_t want[] = {
		0x08, '\\', '_', 'S', '5', '_', 0x12, 7, 4, 0x0a, 5, 0, 0, 0
	};
	uint8_t buf[32];
	struct aml aml;

	(void)state;
	aml_init(&aml, buf, sizeof(buf));
	aml_open_name_package(&aml, "\\_S5", 4);
	aml_integer(&aml, 5);
	for (int i = 0; i < 3; i++)
		aml_integer(&aml, 0);
	aml_close(&aml);
	assert_aml(&aml, want);
}

static void a_device_holds_its_resources(void **state)
{
	static const uint8_t want[] = {
		0x5b, 0x82, 45,	  'D',	'E',  'V',  '0', /* Device (DEV0) */
		0x08, '_',  'C',  'R',	'S',  0x11, 34, /* Name (_CRS, Buffer */
		0x0a, 31, /* (31) */
		0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 1,	  8, /* IO */
		0x86, 9,    0,	  1, /* Memory32Fixed */
		0x00, 0x10, 0x00, 0xc0, 0x00, 0x20, 0x00, 0x00, /* 0xc0001000, 0x2000 */
		0x89, 6,    0,	  0x03, 1,    23,   0,	  0,	0, /* Interrupt */
		0x79, 0, /* EndTag */
	};
	uint8_t buf[64];
	struct aml aml;

	(void)state;
	aml_init(&aml, buf, sizeof(buf));
	aml_open_device(&aml, "DEV0");
	aml_open_crs(&aml);
	aml_io(&aml, 0x3f8, 8);
	aml_memory32_fixed(&aml, 0xc0001000, 0x2000);
	aml_interrupt(&aml, 23);
	aml_close(&aml);
	aml_close(&aml);
	assert_aml(&aml, want);
}

/* A scope of @fill bytes of contents besides its name; checks the length bytes before it. */
static void check_length(size_t fill, const uint8_t *length, size_t nr)
{
	size_t size = fill + 16;
	auto_free uint8_t *buf = malloc(size);
	struct aml aml;

	assert_non_null(buf);
	aml_init(&aml, buf, size);
	aml_open_scope(&aml, "ABCD");
	for (size_t i = 0; i < fill; i++)
		aml_integer(&aml, i & 1);
	aml_close(&aml);

	assert_int_equal(aml_finish(&aml), 1 + nr + 4 + fill);
	assert_int_equal(buf[0], 0x10);
	assert_memory_equal(buf + 1, length, nr);
	assert_memory_equal(buf + 1 + nr, "ABCD", 4);
	for (size_t i = 0; i < fill; i++)
		assert_int_equal(buf[1 + nr + 4 + i], i & 1);
}

static void lengths_grow_with_the_contents(void **state)
{
	(void)state;
	check_length(0, (const uint8_t[]){ 5 }, 1);
	check_length(63 - 1 - 4, (const uint8_t[]){ 63 }, 1);
	check_length(64 - 1 - 4, (const uint8_t[]){ 0x41, 0x04 }, 2); /* 65 in all */
	check_length(0xfff - 2 - 4, (const uint8_t[]){ 0x4f, 0xff }, 2);
	check_length(0x1000 - 2 - 4, (const uint8_t[]){ 0x81, 0x00, 0x01 }, 3); /* 0x1001 */
	check_length(0xfffff - 3 - 4, (const uint8_t[]){ 0x8f, 0xff, 0xff }, 3);
	check_length(0x100000 - 3 - 4, (const uint8_t[]){ 0xc1, 0x00, 0x00, 0x01 }, 4);
}

/* What DSDT-like calls write into @size bytes at the front of a guarded buffer. */
static int build_into(uint8_t *buf, size_t size)
{
	struct aml aml;

	aml_init(&aml, buf, size);
	aml_open_scope(&aml, "\\_SB");
	aml_open_device(&aml, "DEV0");
	aml_name_eisa_id(&aml, "_HID", "PNP0501");
	aml_name_string(&aml, "_STR", "a text");
	aml_open_crs(&aml);
	aml_io(&aml, 0x3f8, 8);
	aml_memory32_fixed(&aml, 0xc0001000, 0x1000);
	aml_interrupt(&aml, 4);
	aml_close(&aml);
	aml_close(&aml);
	aml_close(&aml);
	return aml_finish(&aml);
}

/* Every size that is too small fails, the exact one does not, and no byte behind it is touched. */
static void nothing_is_written_past_the_end(void **state)
{
	uint8_t full[256], buf[256];
	int need = build_into(full, sizeof(full));

	(void)state;
	assert_in_range(need, 64, 128);
	for (int size = 0; size <= need; size++) {
		memset(buf, 0xa5, sizeof(buf));
		assert_int_equal(build_into(buf, (size_t)size), size < need ? -ENOSPC : need);
		for (size_t i = (size_t)size; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 0xa5);
	}
	assert_memory_equal(buf, full, (size_t)need);
}

static void opens_and_closes_must_match(void **state)
{
	uint8_t buf[256];
	struct aml aml;

	(void)state;
	aml_init(&aml, buf, sizeof(buf));
	aml_open_scope(&aml, "ABCD");
	assert_int_equal(aml_finish(&aml), -EINVAL);
	aml_close(&aml);
	assert_int_equal(aml_finish(&aml), 6);
	aml_close(&aml);
	assert_int_equal(aml_finish(&aml), -EINVAL);

	/* Errors stick. */
	aml_open_scope(&aml, "ABCD");
	aml_close(&aml);
	assert_int_equal(aml_finish(&aml), -EINVAL);
}

static void depth_is_bounded(void **state)
{
	for (int depth = AML_MAX_DEPTH; depth <= AML_MAX_DEPTH + 1; depth++) {
		uint8_t buf[256];
		struct aml aml;

		aml_init(&aml, buf, sizeof(buf));
		for (int i = 0; i < depth; i++)
			aml_open_device(&aml, "ABCD");
		for (int i = 0; i < depth; i++)
			aml_close(&aml);
		if (depth <= AML_MAX_DEPTH)
			assert_int_equal(aml_finish(&aml), 7 * depth);
		else
			assert_int_equal(aml_finish(&aml), -EINVAL);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_take_the_shortest_form),
		cmocka_unit_test(names_are_padded_and_may_start_at_the_root),
		cmocka_unit_test(eisa_ids_take_hexadecimal_digits),
		cmocka_unit_test(packages_count_their_elements),
		cmocka_unit_test(a_device_holds_its_resources),
		cmocka_unit_test(lengths_grow_with_the_contents),
		cmocka_unit_test(nothing_is_written_past_the_end),
		cmocka_unit_test(opens_and_closes_must_match),
		cmocka_unit_test(depth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

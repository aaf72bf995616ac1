/* SPDX-License-Identifier: Apache-2.0 */
/* The two-way cursor: bytes as promised, bounds, sections, errors that stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/snap/state.h"

struct fields {
	uint8_t a;
	uint16_t b;
	uint32_t c;
	uint64_t d;
	bool e;
	char f[3];
};

static void fields_state(struct fields *f, struct state *s)
{
	struct state_section section;

	state_section_begin(s, &section, "fields", 2);
	state_u8(s, &f->a);
	state_u16(s, &f->b);
	state_u32(s, &f->c);
	state_u64(s, &f->d);
	state_bool(s, &f->e);
	state_bytes(s, f->f, sizeof(f->f));
	state_section_end(s, &section);
}

static const struct fields sample = {
	0x01, 0x0302, 0x07060504, 0x0f0e0d0c0b0a0908, true, { 'x', 'y', 'z' },
};

static const uint8_t golden[] = {
	'f', 'i', 'e', 'l', 'd', 's', 0, 0, 0, 0, 0, 0,	 0,  0,	 0,  0,	 2,  0, 0,   0,	  19,  0,
	0,   0,	  1,   2,   3,	 4,   5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 'x', 'y', 'z',
};
enum { FIELDS_AT = STATE_HEADER_BYTES, BOOL_AT = FIELDS_AT + 15 };

static int load(const void *bytes, size_t len, struct fields *f)
{
	struct state s;

	state_init_load(&s, bytes, len);
	fields_state(f, &s);
	return state_finish(&s, "fields", NULL);
}

static void test_bytes_are_as_promised(void **state)
{
	struct fields copy = sample;
	struct fields loaded = { 0 };
	uint8_t buf[256];
	struct state s;

	(void)state;
	state_init_save(&s, buf, sizeof(buf));
	assert_false(state_is_loading(&s));
	fields_state(&copy, &s);
	assert_int_equal(state_finish(&s, "fields", NULL), 0);
	assert_int_equal(state_size(&s), sizeof(golden));
	assert_memory_equal(buf, golden, sizeof(golden));
	assert_int_equal(load(golden, sizeof(golden), &loaded), 0);
	assert_int_equal(loaded.a, sample.a);
	assert_int_equal(loaded.b, sample.b);
	assert_int_equal(loaded.c, sample.c);
	assert_int_equal(loaded.d, sample.d);
	assert_true(loaded.e);
	assert_memory_equal(loaded.f, "xyz", 3);
}

static void test_save_stays_within_the_buffer(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < sizeof(golden); capacity++) {
		struct fields copy = sample;
		uint8_t buf[sizeof(golden)];
		struct state s;
		struct err e = { 0 };

		memset(buf, 0xee, sizeof(buf));
		state_init_save(&s, buf, capacity);
		fields_state(&copy, &s);
		assert_int_equal(state_finish(&s, "the toy", &e), -ENOSPC);
		assert_string_equal(e.msg, "the toy: the state does not fit its buffer");
		for (size_t i = capacity; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 0xee);
	}
}

/* Exactly as long as the copy, so that a sanitizer sees a byte too many. */
static void test_load_of_any_part(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(golden); len++) {
		uint8_t *part = test_malloc(len + 1);
		struct fields f = { .a = 77, .c = 99 };

		memcpy(part, golden, len);
		assert_int_equal(load(part, len, &f), -ENODATA);
		/* The section is refused before any field of it is touched. */
		assert_int_equal(f.a, 77);
		assert_int_equal(f.c, 99);
		test_free(part);
	}
}

static void test_boolean_is_0_or_1(void **state)
{
	(void)state;
	for (int v = 0; v < 256; v++) {
		uint8_t bytes[sizeof(golden)];
		struct fields f = { 0 };

		memcpy(bytes, golden, sizeof(bytes));
		bytes[BOOL_AT] = (uint8_t)v;
		assert_int_equal(load(bytes, sizeof(bytes), &f), v < 2 ? 0 : -EINVAL);
		assert_int_equal(f.e, v == 1);
	}
}

struct edit {
	const char *name;
	size_t at;
	uint8_t value;
	int result;
};

static const struct edit edits[] = {
	{ "another name", 0, 'F', -EINVAL },
	{ "a longer name", 6, 's', -EINVAL },
	{ "name to its last byte", 15, 1, -EINVAL },
	{ "version 0", 16, 0, -EOPNOTSUPP },
	{ "version 1 is older", 16, 1, 0 },
	{ "version 3 is newer", 16, 3, -EOPNOTSUPP },
	{ "version 0x01000002", 19, 1, -EOPNOTSUPP },
	{ "length one less", 20, 18, -ENODATA },
	{ "length 0", 20, 0, -ENODATA },
	{ "length one more", 20, 20, -ENODATA },
	{ "length of gigabytes", 23, 0xff, -ENODATA },
};

static void test_section_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		uint8_t bytes[sizeof(golden)];
		struct fields f = { 0 };
		int r;

		memcpy(bytes, golden, sizeof(bytes));
		bytes[edits[i].at] = edits[i].value;
		r = load(bytes, sizeof(bytes), &f);
		if (r != edits[i].result)
			fail_msg("%s: %d, not %d", edits[i].name, r, edits[i].result);
	}
}

static void test_leftovers_are_refused(void **state)
{
	uint8_t bytes[sizeof(golden) + 1] = { 0 };
	struct fields f = { 0 };

	(void)state;
	memcpy(bytes, golden, sizeof(golden));
	assert_int_equal(load(bytes, sizeof(bytes), &f), -EINVAL);
	/* The same within the section. */
	bytes[20]++;
	assert_int_equal(load(bytes, sizeof(bytes), &f), -EINVAL);
}

/* outer { u8, inner { u32 }, u8 } */
static void nested_state(struct state *s, uint8_t around[static 2], uint32_t *within)
{
	struct state_section outer;
	struct state_section inner;

	state_section_begin(s, &outer, "outer", 1);
	state_u8(s, &around[0]);
	state_section_begin(s, &inner, "inner", 1);
	state_u32(s, within);
	state_section_end(s, &inner);
	state_u8(s, &around[1]);
	state_section_end(s, &outer);
}

static void test_inner_section_stays_within_the_outer(void **state)
{
	const size_t inner_len_at = 2 * STATE_HEADER_BYTES + 1 - sizeof(uint32_t);
	uint8_t buf[128] = { 0 };
	uint8_t around[2] = { 1, 2 };
	uint32_t within = 3;
	struct state s;

	(void)state;
	state_init_save(&s, buf, sizeof(buf));
	nested_state(&s, around, &within);
	assert_int_equal(state_size(&s), 2 * STATE_HEADER_BYTES + 6);
	for (uint32_t len = 0; len < 16; len++) {
		memset(around, 0, sizeof(around));
		buf[inner_len_at] = (uint8_t)len;
		state_init_load(&s, buf, 2 * STATE_HEADER_BYTES + 6);
		nested_state(&s, around, &within);
		assert_int_equal(state_is_ok(&s), len == 4);
		assert_int_equal(around[1], len == 4 ? 2 : 0);
	}
}

static void test_first_error_stays(void **state)
{
	struct err e = { 0 };
	uint8_t byte = 9;
	struct state s;

	(void)state;
	state_init_load(&s, golden, sizeof(golden));
	state_check(&s, true, "not this");
	assert_true(state_is_ok(&s));
	state_refuse(&s, -EBUSY, "in use");
	state_refuse(&s, -EINVAL, "later");
	state_check(&s, false, "later still");
	state_u8(&s, &byte);
	assert_int_equal(byte, 9);
	assert_int_equal(state_size(&s), 0);
	assert_int_equal(state_finish(&s, "drive 'root'", &e), -EBUSY);
	assert_string_equal(e.msg, "drive 'root': in use");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_as_promised),
		cmocka_unit_test(test_save_stays_within_the_buffer),
		cmocka_unit_test(test_load_of_any_part),
		cmocka_unit_test(test_boolean_is_0_or_1),
		cmocka_unit_test(test_section_header),
		cmocka_unit_test(test_leftovers_are_refused),
		cmocka_unit_test(test_inner_section_stays_within_the_outer),
		cmocka_unit_test(test_first_error_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

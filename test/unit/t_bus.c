/* SPDX-License-Identifier: Apache-2.0 */
/* Bus dispatch: the right device, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "machine/bus.h"

struct recorder {
	uint64_t offset;
	uint32_t len;
	int reads;
	int writes;
};

static void record_read(void *dev, uint64_t offset, void *data, uint32_t len)
{
	struct recorder *r = dev;

	r->offset = offset;
	r->len = len;
	r->reads++;
	memset(data, 0x5a, len);
}

static void record_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	struct recorder *r = dev;

	(void)data;
	r->offset = offset;
	r->len = len;
	r->writes++;
}

static const struct bus_ops ops = { .read = record_read, .write = record_write };

static void test_dispatch(void **state)
{
	struct recorder a = { 0 }, b = { 0 };
	struct bus bus = { 0 };
	uint32_t v = 0;

	(void)state;
	assert_int_equal(bus_add(&bus, 0x2000, 0x1000, &ops, &b), 0);
	assert_int_equal(bus_add(&bus, 0x1000, 0x1000, &ops, &a), 0);
	bus_read(&bus, 0x1ffc, &v, 4);
	assert_int_equal(v, 0x5a5a5a5a);
	assert_int_equal(a.reads, 1);
	assert_int_equal(a.offset, 0xffc);
	bus_write(&bus, 0x2000, &v, 2);
	assert_int_equal(b.writes, 1);
	assert_int_equal(b.offset, 0);
	assert_int_equal(b.len, 2);
}

static void test_nobody_answers(void **state)
{
	struct recorder a = { 0 };
	struct bus bus = { 0 };
	uint64_t v = 0;

	(void)state;
	assert_int_equal(bus_add(&bus, 0x1000, 0x1000, &ops, &a), 0);
	bus_read(&bus, 0xfff, &v, 1);
	assert_int_equal(v, 0xff);
	bus_read(&bus, 0x2000, &v, 8);
	assert_true(v == UINT64_MAX);
	bus_write(&bus, UINT64_MAX, &v, 8);
	bus_read(&bus, 0x1ffd, &v, 4); /* partly inside */
	bus_read(&bus, 0xffe, &v, 4);
	assert_int_equal(a.reads + a.writes, 0);
}

static void test_ranges_that_meet_are_refused(void **state)
{
	struct recorder a = { 0 };
	struct bus bus = { 0 };

	(void)state;
	assert_int_equal(bus_add(&bus, 0x1000, 0x1000, &ops, &a), 0);
	assert_int_equal(bus_add(&bus, 0x1fff, 1, &ops, &a), -EEXIST);
	assert_int_equal(bus_add(&bus, 0xfff, 2, &ops, &a), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x0, 0x10000, &ops, &a), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x0, 0, &ops, &a), -EINVAL);
	assert_int_equal(bus_add(&bus, UINT64_MAX, 2, &ops, &a), -EINVAL);
	assert_int_equal(bus_add(&bus, 0xfff, 1, &ops, &a), 0);
	assert_int_equal(bus_add(&bus, 0x2000, 1, &ops, &a), 0);
}

static void test_full_bus(void **state)
{
	struct recorder a = { 0 };
	struct bus bus = { 0 };

	(void)state;
	for (uint64_t i = 0; i < BUS_MAX_RANGES; i++)
		assert_int_equal(bus_add(&bus, i * 16, 16, &ops, &a), 0);
	assert_int_equal(bus_add(&bus, 1 << 20, 16, &ops, &a), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dispatch),
		cmocka_unit_test(test_nobody_answers),
		cmocka_unit_test(test_ranges_that_meet_are_refused),
		cmocka_unit_test(test_full_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

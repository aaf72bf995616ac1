/* SPDX-License-Identifier: Apache-2.0 */
/* The MP table, read back from guest RAM by offsets of the MP Specification 1.4, chapter 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/mem.h"
#include "machine/x86/layout.h"
#include "machine/x86/mptable.h"

enum { RAM_BYTES = 2 << 20, PATTERN = 0xa5 };

/* What was found in a table. */
struct found {
	uint32_t nr_cpus, nr_buses, nr_ioapics, nr_pins, nr_lints;
	bool is_cpu[256]; /* by APIC id */
	uint8_t ioapic_id;
};

static uint32_t number_at(const uint8_t *p, size_t len)
{
	uint32_t value = 0;

	for (size_t i = len; i > 0; i--)
		value = value << 8 | p[i - 1];
	return value;
}

static unsigned int sum(const uint8_t *p, size_t len)
{
	unsigned int total = 0;

	for (size_t i = 0; i < len; i++)
		total += p[i];
	return total & 0xff;
}

static void fill_ram(struct mem *mem)
{
	assert_int_equal(mem_init(mem, RAM_BYTES, NULL), 0);
	memset(mem_ptr(mem, (struct gpa){ 0 }, RAM_BYTES), PATTERN, RAM_BYTES);
}

/* No byte of [from, to) has been written. */
static void check_untouched(const struct mem *mem, uint64_t from, uint64_t to)
{
	const uint8_t *p = mem_ptr(mem, (struct gpa){ from }, to - from);

	assert_non_null(p);
	for (uint64_t i = 0; i < to - from; i++)
		assert_int_equal(p[i], PATTERN);
}

static void check_cpu(const uint8_t *p, struct found *f)
{
	const uint8_t id = p[1];

	assert_false(f->is_cpu[id]);
	f->is_cpu[id] = true;
	assert_int_equal(id, f->nr_cpus);
	assert_int_equal(p[3], id == 0 ? 3 : 1); /* enabled, and one boots */
	assert_int_not_equal(number_at(p + 4, 4), 0);
	assert_true(number_at(p + 8, 4) & 1 << 9); /* has an APIC */
	f->nr_cpus++;
}

static void check_ioapic(const uint8_t *p, struct found *f)
{
	f->ioapic_id = p[1];
	assert_false(f->is_cpu[f->ioapic_id]);
	assert_int_equal(p[3], 1); /* enabled */
	assert_int_equal(number_at(p + 4, 4), LAYOUT_IOAPIC);
	f->nr_ioapics++;
}

static void check_pin(const uint8_t *p, struct found *f)
{
	assert_int_equal(p[1], 0); /* INT */
	assert_int_equal(number_at(p + 2, 2), 1 | 1 << 2); /* active high, edge */
	assert_int_equal(p[4], 0); /* the ISA bus */
	assert_int_equal(p[5], f->nr_pins);
	assert_int_equal(p[6], f->ioapic_id);
	assert_int_equal(p[7], f->nr_pins);
	f->nr_pins++;
}

static void check_lint(const uint8_t *p, struct found *f)
{
	static const uint8_t kinds[] = { 3, 1 }; /* ExtINT, NMI */

	assert_true(f->nr_lints < ARRAY_LEN(kinds));
	assert_int_equal(p[1], kinds[f->nr_lints]);
	assert_int_equal(p[7], f->nr_lints);
	f->nr_lints++;
}

/* Checks the entry at @p, of at most @left bytes, and returns its size. */
static size_t check_entry(const uint8_t *p, size_t left, struct found *f)
{
	const size_t size = p[0] == 0 ? 20 : 8;

	assert_true(size <= left);
	switch (p[0]) {
	case 0:
		check_cpu(p, f);
		break;
	case 1:
		assert_memory_equal(p + 1, "\0ISA   ", 7);
		f->nr_buses++;
		break;
	case 2:
		check_ioapic(p, f);
		break;
	case 3:
		check_pin(p, f);
		break;
	case 4:
		check_lint(p, f);
		break;
	default:
		fail_msg("entry of type %u", p[0]);
	}
	return size;
}

/* Returns the length of the table. */
static size_t check_table(const uint8_t *table, uint32_t cpu_count)
{
	const size_t len = number_at(table + 4, 2);
	struct found f = { 0 };
	uint32_t nr_entries = 0;
	uint8_t last_type = 0;

	assert_memory_equal(table, "PCMP", 4);
	assert_int_equal(table[6], 4);
	assert_int_equal(sum(table, len), 0);
	assert_memory_equal(table + 8, "VOLT    VOLT-VMM    ", 20);
	assert_int_equal(number_at(table + 28, 4), 0); /* no OEM table */
	assert_int_equal(number_at(table + 36, 4), LAYOUT_LAPIC);
	assert_int_equal(number_at(table + 40, 4), 0); /* no extended table */

	for (size_t at = 44; at < len; nr_entries++) {
		assert_true(table[at] >= last_type);
		last_type = table[at];
		at += check_entry(table + at, len - at, &f);
	}
	assert_int_equal(number_at(table + 34, 2), nr_entries);
	assert_int_equal(f.nr_cpus, cpu_count);
	assert_int_equal(f.nr_buses, 1);
	assert_int_equal(f.nr_ioapics, 1);
	assert_int_equal(f.nr_pins, 24);
	assert_int_equal(f.nr_lints, 2);
	return len;
}

static void tables_say_what_was_asked(void **state)
{
	static const uint32_t cpu_counts[] = { 1, 2, 16, 254, LAYOUT_MAX_CPUS };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cpu_counts); i++) {
		const uint8_t *pointer;
		struct mem mem;
		uint32_t table;
		size_t len;

		fill_ram(&mem);
		assert_int_equal(mptable_write(&mem, cpu_counts[i], NULL), 0);
		pointer = mem_ptr(&mem, (struct gpa){ LAYOUT_MPTABLE }, LAYOUT_MPTABLE_MAX_BYTES);
		assert_memory_equal(pointer, "_MP_", 4);
		assert_int_equal(pointer[8], 1);
		assert_int_equal(pointer[9], 4);
		assert_int_equal(sum(pointer, 16), 0);
		assert_int_equal(number_at(pointer + 11, 4), 0); /* no default, virtual wire */

		table = number_at(pointer + 4, 4);
		assert_int_equal(table, LAYOUT_MPTABLE + 16);
		len = check_table(pointer + 16, cpu_counts[i]);
		check_untouched(&mem, 0, LAYOUT_MPTABLE);
		check_untouched(&mem, table + len, RAM_BYTES);
		mem_release(&mem);
	}
}

static void bad_counts_are_refused(void **state)
{
	static const uint32_t cpu_counts[] = { 0, LAYOUT_MAX_CPUS + 1, UINT32_MAX };
	struct mem mem;

	(void)state;
	fill_ram(&mem);
	for (size_t i = 0; i < ARRAY_LEN(cpu_counts); i++) {
		struct err e = { 0 };

		assert_int_equal(mptable_write(&mem, cpu_counts[i], &e), -EINVAL);
		assert_int_equal(e.code, -EINVAL);
		assert_int_not_equal(e.msg[0], '\0');
	}
	check_untouched(&mem, 0, RAM_BYTES);
	mem_release(&mem);
}

/* RAM that ends below the table or within it: an error, and no half of a table. */
static void small_memory_is_an_error(void **state)
{
	/* Pointer, header, CPU, bus, I/O APIC, pins, local interrupts */
	const uint64_t len = 16 + 44 + 20 + 8 + 8 + 24 * 8 + 2 * 8;
	struct mem mem;

	(void)state;
	fill_ram(&mem);
	for (uint64_t end = LAYOUT_MPTABLE - 1; end < LAYOUT_MPTABLE + len; end++) {
		struct err e = { 0 };

		mem.regions[0].len_bytes = end;
		assert_int_equal(mptable_write(&mem, 1, &e), -EFAULT);
		assert_int_equal(e.code, -EFAULT);
	}
	mem.regions[0].len_bytes = RAM_BYTES;
	check_untouched(&mem, 0, RAM_BYTES);

	mem.regions[0].len_bytes = LAYOUT_MPTABLE + len;
	assert_int_equal(mptable_write(&mem, 1, NULL), 0);
	mem_release(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_say_what_was_asked),
		cmocka_unit_test(bad_counts_are_refused),
		cmocka_unit_test(small_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

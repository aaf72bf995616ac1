/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables, read back from guest RAM by a reader of its own (ACPI 6.5) that checks each step.
 * With ACPI_DUMP_DIR in the environment the tables are left there as files, for iasl -d.
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
#include "machine/mem.h"
#include "machine/x86/acpi.h"
#include "machine/x86/layout.h"

enum { RAM_BYTES = 2 << 20, PATTERN = 0xa5 };

/* Bytes not read yet. Reads past the end fail the test. */
struct reader {
	const uint8_t *p;
	size_t len;
};

struct device {
	char name[5];
	char hid[16]; /* a string, or eight hex digits of an EISA id */
	uint64_t uid, cca;
	uint32_t mmio, mmio_bytes;
	uint16_t port[2];
	uint8_t nr_ports, port_len[2], gsi_flags;
	uint32_t gsi;
};

/* What a DSDT says. */
struct dsdt {
	struct device devices[32];
	size_t nr_devices;
	uint64_t s5[4];
	size_t nr_s5;
};

static struct reader slice(struct reader *r, size_t len)
{
	struct reader part = { r->p, len };

	assert_true(len <= r->len);
	r->p += len;
	r->len -= len;
	return part;
}

/* A little-endian number of @len bytes. */
static uint64_t number(struct reader *r, size_t len)
{
	const struct reader part = slice(r, len);
	uint64_t value = 0;

	for (size_t i = len; i > 0; i--)
		value = value << 8 | part.p[i - 1];
	return value;
}

static uint64_t number_at(const uint8_t *table, size_t offset, size_t len)
{
	struct reader r = { table + offset, len };

	return number(&r, len);
}

static unsigned int sum(const uint8_t *p, size_t len)
{
	unsigned int total = 0;

	for (size_t i = 0; i < len; i++)
		total += p[i];
	return total & 0xff;
}

/* The contents of an object whose length is next, 20.2.4. */
static struct reader object(struct reader *r)
{
	const size_t before = r->len;
	const uint8_t lead = (uint8_t)number(r, 1);
	const size_t nr_more = lead >> 6;
	size_t len = lead & 0x3f;

	if (nr_more) {
		assert_int_equal(lead & 0x30, 0);
		len = (lead & 0xf) | number(r, nr_more) << 4;
	}
	assert_true(len >= before - r->len);
	return slice(r, len - (before - r->len));
}

static void read_name(struct reader *r, char name[static 5])
{
	memcpy(name, slice(r, 4).p, 4);
	name[4] = '\0';
}

static uint64_t read_integer(struct reader *r)
{
	const uint8_t op = (uint8_t)number(r, 1);

	if (op <= 1)
		return op;
	assert_in_range(op, 0x0a, 0x0c);
	return number(r, (size_t)1 << (op - 0x0a));
}

static void read_hid(struct reader *r, struct device *d)
{
	if (*r->p == 0x0d) {
		slice(r, 1);
		snprintf(d->hid, sizeof(d->hid), "%s", (const char *)r->p);
		slice(r, strlen(d->hid) + 1);
		return;
	}
	snprintf(d->hid, sizeof(d->hid), "%08x", be32toh((uint32_t)read_integer(r)));
}

static void read_resources(struct reader *r, struct device *d)
{
	struct reader bytes;
	uint64_t size;

	assert_int_equal(number(r, 1), 0x11);
	bytes = object(r);
	size = read_integer(&bytes);
	assert_int_equal(size, bytes.len);
	for (;;) {
		switch (number(&bytes, 1)) {
		case 0x47:
			assert_int_equal(number(&bytes, 1), 1); /* 16 bits decoded */
			assert_true(d->nr_ports < ARRAY_LEN(d->port));
			d->port[d->nr_ports] = (uint16_t)number(&bytes, 2);
			assert_int_equal(number(&bytes, 2), d->port[d->nr_ports]);
			number(&bytes, 1);
			d->port_len[d->nr_ports++] = (uint8_t)number(&bytes, 1);
			break;
		case 0x86:
			assert_int_equal(number(&bytes, 2), 9);
			assert_int_equal(number(&bytes, 1), 1); /* writable */
			d->mmio = (uint32_t)number(&bytes, 4);
			d->mmio_bytes = (uint32_t)number(&bytes, 4);
			break;
		case 0x89:
			assert_int_equal(number(&bytes, 2), 6);
			d->gsi_flags = (uint8_t)number(&bytes, 1);
			assert_int_equal(number(&bytes, 1), 1); /* interrupts */
			d->gsi = (uint32_t)number(&bytes, 4);
			break;
		case 0x79:
			assert_int_equal(number(&bytes, 1), 0);
			assert_int_equal(bytes.len, 0);
			return;
		default:
			fail_msg("unknown resource");
		}
	}
}

static void read_device(struct reader r, struct device *d)
{
	read_name(&r, d->name);
	while (r.len) {
		char name[5];

		assert_int_equal(number(&r, 1), 0x08);
		read_name(&r, name);
		if (!strcmp(name, "_HID"))
			read_hid(&r, d);
		else if (!strcmp(name, "_UID"))
			d->uid = read_integer(&r);
		else if (!strcmp(name, "_CCA"))
			d->cca = read_integer(&r);
		else if (!strcmp(name, "_CRS"))
			read_resources(&r, d);
		else
			fail_msg("unknown name %s", name);
	}
}

static void read_scope(struct reader r, struct dsdt *dsdt)
{
	assert_memory_equal(slice(&r, 5).p, "\\_SB_", 5);
	while (r.len) {
		assert_int_equal(number(&r, 1), 0x5b);
		assert_int_equal(number(&r, 1), 0x82);
		assert_true(dsdt->nr_devices < ARRAY_LEN(dsdt->devices));
		read_device(object(&r), &dsdt->devices[dsdt->nr_devices++]);
	}
}

static void read_s5(struct reader *r, struct dsdt *dsdt)
{
	struct reader package;

	assert_memory_equal(slice(r, 5).p, "\\_S5_", 5);
	assert_int_equal(number(r, 1), 0x12);
	package = object(r);
	dsdt->nr_s5 = number(&package, 1);
	assert_true(dsdt->nr_s5 <= ARRAY_LEN(dsdt->s5));
	for (size_t i = 0; i < dsdt->nr_s5; i++)
		dsdt->s5[i] = read_integer(&package);
	assert_int_equal(package.len, 0);
}

static void dump(const char *name, const uint8_t *table, size_t len)
{
	const char *dir = getenv("ACPI_DUMP_DIR");
	char path[256];
	FILE *f;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(table, 1, len, f), len);
	fclose(f);
}

/* The table at @address: in its area, with that signature, the sum right. Sets @len. */
static const uint8_t *table_at(const struct mem *mem, uint64_t address, const char *signature,
			       uint8_t revision, size_t *len)
{
	const uint8_t *table = mem_ptr(mem, (struct gpa){ address }, 36);

	assert_true(address >= LAYOUT_ACPI);
	assert_non_null(table);
	assert_memory_equal(table, signature, 4);
	*len = number_at(table, 4, 4);
	assert_true(*len >= 36);
	assert_true(address + *len <= LAYOUT_ACPI + LAYOUT_ACPI_MAX_BYTES);
	assert_int_equal(table[8], revision);
	assert_int_equal(sum(table, *len), 0);
	assert_memory_equal(table + 10, "VOLT  ", 6);
	dump(signature, table, *len);
	return table;
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

static void check_madt(const uint8_t *madt, size_t len, uint32_t cpu_count)
{
	struct reader r = { madt + 36, len - 36 };
	uint32_t nr_cpus = 0, nr_ioapics = 0;

	assert_int_equal(number(&r, 4), LAYOUT_LAPIC);
	assert_int_equal(number(&r, 4), 0); /* no 8259 */
	while (r.len) {
		const uint8_t type = (uint8_t)number(&r, 1);

		if (type == 0) {
			assert_int_equal(number(&r, 1), 8);
			assert_int_equal(number(&r, 1), nr_cpus); /* UID */
			assert_int_equal(number(&r, 1), nr_cpus); /* APIC id */
			assert_int_equal(number(&r, 4), 1); /* enabled */
			nr_cpus++;
		} else {
			assert_int_equal(type, 1);
			assert_int_equal(number(&r, 1), 12);
			assert_int_equal(number(&r, 2), 0); /* id, reserved */
			assert_int_equal(number(&r, 4), LAYOUT_IOAPIC);
			assert_int_equal(number(&r, 4), 0); /* first interrupt */
			nr_ioapics++;
		}
	}
	assert_int_equal(nr_cpus, cpu_count);
	assert_int_equal(nr_ioapics, 1);
}

/* A one-byte register in port space, 5.2.3.2. */
static void check_port(const uint8_t *gas, uint16_t port)
{
	static const uint8_t kind[] = { 1, 8, 0, 1 };

	assert_memory_equal(gas, kind, sizeof(kind));
	assert_int_equal(number_at(gas, 4, 8), port);
}

static void check_fadt(const uint8_t *fadt, size_t len)
{
	assert_int_equal(len, 276);
	assert_int_equal(number_at(fadt, 36, 4), 0); /* FACS */
	assert_int_equal(number_at(fadt, 132, 8), 0);
	assert_int_equal(number_at(fadt, 109, 2), 0x26); /* 8042, no VGA, no CMOS clock */
	assert_int_equal(number_at(fadt, 112, 4), 1 << 0 | 1 << 4 | 1 << 5 | 1 << 10 | 1 << 20);
	check_port(fadt + 116, LAYOUT_PORT_ACPI_RESET);
	assert_int_equal(fadt[128], 1);
	check_port(fadt + 244, LAYOUT_PORT_ACPI_SLEEP);
	check_port(fadt + 256, LAYOUT_PORT_ACPI_SLEEP + 1);

	/* Nothing of fixed hardware: SCI, timer, event and control blocks. */
	for (size_t i = 40; i < 109; i++)
		assert_int_equal(fadt[i], 0);
	for (size_t i = 148; i < 244; i++)
		assert_int_equal(fadt[i], 0);
}

/* It has @nr_ports ranges of @len ports each, 4 apart. */
static void check_isa(const struct device *d, const char *hid, uint32_t gsi, uint16_t port,
		      uint8_t len, size_t nr_ports)
{
	assert_string_equal(d->hid, hid);
	assert_int_equal(d->gsi, gsi);
	assert_int_equal(d->gsi_flags, 3); /* consumer, edge, active high, exclusive */
	assert_int_equal(d->nr_ports, nr_ports);
	for (size_t i = 0; i < nr_ports; i++) {
		assert_int_equal(d->port[i], port + 4 * i);
		assert_int_equal(d->port_len[i], len);
	}
}

static void check_device(const struct device *d, uint32_t i)
{
	const char name[] = { 'V', 'R', (char)('0' + i / 10), (char)('0' + i % 10), '\0' };

	assert_string_equal(d->name, name);
	assert_string_equal(d->hid, "LNRO0005");
	assert_int_equal(d->uid, i);
	assert_int_equal(d->cca, 1);
	assert_int_equal(d->mmio, LAYOUT_VIRTIO_MMIO + i * 0x1000);
	assert_int_equal(d->mmio_bytes, 0x1000);
	assert_int_equal(d->gsi, 5 + i);
	assert_int_equal(d->gsi_flags, 3);
	assert_int_equal(d->nr_ports, 0);
}

static void check_dsdt(const uint8_t *table, size_t len, const struct acpi_config *config)
{
	struct reader r = { table + 36, len - 36 };
	struct dsdt dsdt = { .nr_devices = 0 };
	const struct device *d = dsdt.devices;

	assert_int_equal(number(&r, 1), 0x10);
	read_scope(object(&r), &dsdt);
	assert_int_equal(number(&r, 1), 0x08);
	read_s5(&r, &dsdt);
	assert_int_equal(r.len, 0);

	assert_int_equal(dsdt.nr_s5, 4);
	assert_int_equal(dsdt.s5[0] << 2 | 0x20, ACPI_SLEEP_VALUE_S5);
	assert_int_equal(dsdt.nr_devices, config->has_com1 + 2 + config->nr_virtio);
	if (config->has_com1)
		check_isa(d++, "41d00501", 4, 0x3f8, 8, 1);
	check_isa(d++, "41d00303", 1, 0x60, 1, 2);
	assert_string_equal(d->hid, "QEMU0001");
	assert_int_equal(d->nr_ports, 1);
	assert_int_equal(d->port[0], LAYOUT_PORT_PVPANIC);
	assert_int_equal(d->port_len[0], 1);
	d++;
	for (uint32_t i = 0; i < config->nr_virtio; i++)
		check_device(&d[i], i);
}

static void check_tables(const struct acpi_config *config)
{
	struct gpa rsdp = { 0 };
	struct mem mem;
	const uint8_t *root, *xsdt, *fadt, *madt, *dsdt;
	size_t len;

	fill_ram(&mem);
	assert_int_equal(acpi_write(&mem, config, &rsdp, NULL), 0);
	assert_int_equal(rsdp.v, LAYOUT_ACPI);
	root = mem_ptr(&mem, rsdp, 36);
	assert_memory_equal(root, "RSD PTR ", 8);
	assert_int_equal(root[15], 2);
	assert_int_equal(number_at(root, 16, 4), 0); /* no RSDT */
	assert_int_equal(number_at(root, 20, 4), 36);
	assert_int_equal(sum(root, 20), 0);
	assert_int_equal(sum(root, 36), 0);

	xsdt = table_at(&mem, number_at(root, 24, 8), "XSDT", 1, &len);
	assert_int_equal(len, 36 + 2 * 8);
	fadt = table_at(&mem, number_at(xsdt, 36, 8), "FACP", 6, &len);
	check_fadt(fadt, len);
	madt = table_at(&mem, number_at(xsdt, 44, 8), "APIC", 6, &len);
	check_madt(madt, len, config->cpu_count);
	dsdt = table_at(&mem, number_at(fadt, 140, 8), "DSDT", 2, &len);
	check_dsdt(dsdt, len, config);

	/* The DSDT is last; around the tables nothing has changed. */
	check_untouched(&mem, 0, LAYOUT_ACPI);
	check_untouched(&mem, LAYOUT_ACPI + (uint64_t)(dsdt - root) + len, RAM_BYTES);
	dump("area", root, (size_t)(dsdt - root) + len);
	mem_release(&mem);
}

static void tables_say_what_was_asked(void **state)
{
	static const uint32_t cpu_counts[] = { 1, 2, LAYOUT_MAX_CPUS };
	static const uint32_t virtio_counts[] = { 0, 1, 10, LAYOUT_MAX_VIRTIO };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cpu_counts); i++) {
		for (size_t j = 0; j < ARRAY_LEN(virtio_counts); j++) {
			struct acpi_config config = { cpu_counts[i], virtio_counts[j], false };

			check_tables(&config);
			config.has_com1 = true;
			check_tables(&config);
		}
	}
}

/* Later writes (a VM that starts again) leave nothing of earlier ones. */
static void tables_can_be_written_again(void **state)
{
	const struct acpi_config big = { LAYOUT_MAX_CPUS, LAYOUT_MAX_VIRTIO, true };
	const struct acpi_config small = { 1, 0, false };
	struct gpa rsdp;
	struct mem once, twice;

	(void)state;
	fill_ram(&once);
	fill_ram(&twice);
	assert_int_equal(acpi_write(&twice, &big, &rsdp, NULL), 0);
	assert_int_equal(acpi_write(&twice, &small, &rsdp, NULL), 0);
	assert_int_equal(acpi_write(&once, &small, &rsdp, NULL), 0);
	assert_memory_equal(mem_ptr(&once, rsdp, 2048), mem_ptr(&twice, rsdp, 2048), 2048);
	mem_release(&once);
	mem_release(&twice);
}

static void bad_configs_are_refused(void **state)
{
	static const struct acpi_config configs[] = {
		{ 0, 0, false },	  { LAYOUT_MAX_CPUS + 1, 0, false },
		{ UINT32_MAX, 0, false }, { 1, LAYOUT_MAX_VIRTIO + 1, false },
		{ 1, UINT32_MAX, true },
	};
	struct gpa rsdp = { 1 };
	struct mem mem;

	(void)state;
	fill_ram(&mem);
	for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
		struct err e = { 0 };

		assert_int_equal(acpi_write(&mem, &configs[i], &rsdp, &e), -EINVAL);
		assert_int_equal(e.code, -EINVAL);
		assert_int_not_equal(e.msg[0], '\0');
	}
	assert_int_equal(rsdp.v, 1);
	check_untouched(&mem, 0, RAM_BYTES);
	mem_release(&mem);
}

/* RAM that ends below the tables or within them: an error, and no half of a table. */
static void small_memory_is_an_error(void **state)
{
	const struct acpi_config config = { LAYOUT_MAX_CPUS, LAYOUT_MAX_VIRTIO, true };
	struct gpa rsdp = { 1 };
	struct mem mem;

	(void)state;
	fill_ram(&mem);
	for (uint64_t end = LAYOUT_ACPI - 0x1000; end <= LAYOUT_ACPI + 0x800; end += 0x400) {
		struct err e = { 0 };

		mem.regions[0].len_bytes = end;
		assert_int_equal(acpi_write(&mem, &config, &rsdp, &e), -EFAULT);
		assert_int_equal(e.code, -EFAULT);
	}
	assert_int_equal(rsdp.v, 1);
	mem.regions[0].len_bytes = RAM_BYTES;
	check_untouched(&mem, 0, RAM_BYTES);
	mem_release(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_say_what_was_asked),
		cmocka_unit_test(tables_can_be_written_again),
		cmocka_unit_test(bad_configs_are_refused),
		cmocka_unit_test(small_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

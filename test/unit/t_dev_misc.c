/* SPDX-License-Identifier: Apache-2.0 */
/* The small devices: keyboard controller, ACPI power registers, exit port, pvpanic port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/wire.h"
#include "machine/bus.h"
#include "machine/dev/exit_port.h"
#include "machine/dev/i8042.h"
#include "machine/dev/power.h"
#include "machine/dev/pvpanic.h"
#include "machine/x86/acpi.h"
#include "machine/x86/layout.h"

enum {
	DATA = LAYOUT_PORT_I8042,
	COMMAND = LAYOUT_PORT_I8042 + 4,
	OUTPUT_FULL = 0x01,
	INPUT_FULL = 0x02,
};

struct machine {
	struct bus bus;
	struct i8042 i8042;
	struct power power;
	struct exit_port exit_port;
	struct pvpanic pvpanic;
	int nr_panics;
	uint8_t panic; /* bits of the last one */
	uint64_t counted_panics;
	int nr_ends;
	enum guest_end_kind kind; /* of the last end */
	uint8_t status;
};

static void note_end(void *opaque, enum guest_end_kind kind, uint8_t status)
{
	struct machine *m = opaque;

	m->nr_ends++;
	m->kind = kind;
	m->status = status;
}

static void note_panic(void *opaque, uint8_t what)
{
	struct machine *m = opaque;

	m->nr_panics++;
	m->panic = what;
}

static void build(struct machine *m)
{
	struct guest_end end = { note_end, m };

	*m = (struct machine){ .power.end = end, .exit_port.end = end };
	m->pvpanic.fn = note_panic;
	m->pvpanic.opaque = m;
	m->pvpanic.panics = &m->counted_panics;
	i8042_init(&m->i8042, (struct irq){ .fd = -1 }, end);
	assert_int_equal(
		bus_add(&m->bus, LAYOUT_PORT_I8042, I8042_PORTS, &i8042_bus_ops, &m->i8042), 0);
	assert_int_equal(bus_add(&m->bus, LAYOUT_PORT_ACPI_SLEEP, POWER_SLEEP_PORTS,
				 &power_sleep_bus_ops, &m->power),
			 0);
	assert_int_equal(bus_add(&m->bus, LAYOUT_PORT_ACPI_RESET, POWER_RESET_PORTS,
				 &power_reset_bus_ops, &m->power),
			 0);
	assert_int_equal(
		bus_add(&m->bus, LAYOUT_PORT_PVPANIC, PVPANIC_PORTS, &pvpanic_bus_ops, &m->pvpanic),
		0);
	assert_int_equal(bus_add(&m->bus, LAYOUT_PORT_EXIT, EXIT_PORT_PORTS, &exit_port_bus_ops,
				 &m->exit_port),
			 0);
}

static uint8_t in(struct machine *m, uint16_t port)
{
	uint8_t value;

	bus_read(&m->bus, port, &value, 1);
	return value;
}

static void out(struct machine *m, uint16_t port, uint8_t value)
{
	bus_write(&m->bus, port, &value, 1);
}

static uint8_t ask(struct machine *m, uint8_t command)
{
	assert_false(in(m, COMMAND) & INPUT_FULL);
	out(m, COMMAND, command);
	assert_true(in(m, COMMAND) & OUTPUT_FULL);
	return in(m, DATA);
}

static void test_i8042_resets(void **state)
{
	struct machine m;

	(void)state;
	build(&m);
	assert_false(in(&m, COMMAND) & INPUT_FULL); /* kb_wait() */
	out(&m, COMMAND, 0xff); /* pulses nothing */
	assert_int_equal(m.nr_ends, 0);
	out(&m, COMMAND, 0xfe);
	assert_int_equal(m.nr_ends, 1);
	assert_int_equal(m.kind, GUEST_END_REBOOT);
	assert_int_equal(m.status, 0);
	out(&m, COMMAND, 0xfe);
	assert_int_equal(m.nr_ends, 2);
	i8042_release(&m.i8042);
}

static void test_i8042_output_port_resets(void **state)
{
	struct machine m;

	(void)state;
	build(&m);
	out(&m, COMMAND, 0xd1);
	out(&m, DATA, 0xdf); /* what Linux writes to keep A20 on */
	assert_int_equal(m.nr_ends, 0);
	assert_int_equal(ask(&m, 0xd0), 0xdf);
	out(&m, DATA, 0x00); /* no command waits for it */
	assert_int_equal(m.nr_ends, 0);
	out(&m, COMMAND, 0xd1);
	out(&m, DATA, 0xde);
	assert_int_equal(m.nr_ends, 1);
	assert_int_equal(m.kind, GUEST_END_REBOOT);
	i8042_release(&m.i8042);
}

static void test_i8042_new_command_forgets_the_old_parameter(void **state)
{
	struct machine m;

	(void)state;
	build(&m);
	out(&m, COMMAND, 0xd1);
	out(&m, COMMAND, 0xad);
	out(&m, DATA, 0x00);
	assert_int_equal(m.nr_ends, 0);
	i8042_release(&m.i8042);
}

/* Linux spins on bit 5 of port 0x61 to calibrate, and reads NMI reasons from bits 6 and 7. */
static void test_system_control_port(void **state)
{
	struct machine m;

	(void)state;
	build(&m);
	out(&m, 0x61, 0x00);
	assert_int_equal(in(&m, 0x61) & 0xe0, 0x20);
	assert_int_equal(in(&m, 0x62), 0xff);
	i8042_release(&m.i8042);
}

static void test_power_off(void **state)
{
	struct machine m;

	(void)state;
	build(&m);
	out(&m, LAYOUT_PORT_ACPI_SLEEP + 1, 0x80); /* Linux clears WAK_STS first */
	for (unsigned int value = 0; value < 256; value++) {
		if ((value & 0x3c) != ACPI_SLEEP_VALUE_S5)
			out(&m, LAYOUT_PORT_ACPI_SLEEP, (uint8_t)value);
		out(&m, LAYOUT_PORT_ACPI_SLEEP + 1, (uint8_t)value);
	}
	assert_int_equal(m.nr_ends, 0);
	out(&m, LAYOUT_PORT_ACPI_SLEEP, ACPI_SLEEP_VALUE_S5);
	assert_int_equal(m.nr_ends, 1);
	assert_int_equal(m.kind, GUEST_END_POWER_OFF);
	assert_int_equal(in(&m, LAYOUT_PORT_ACPI_SLEEP), 0);
	assert_int_equal(in(&m, LAYOUT_PORT_ACPI_SLEEP + 1), 0);
	out(&m, LAYOUT_PORT_ACPI_SLEEP, ACPI_SLEEP_VALUE_S5 | 0xc3); /* reserved bits are ignored */
	assert_int_equal(m.nr_ends, 2);
	bus_write(&m.bus, LAYOUT_PORT_ACPI_SLEEP, "\x34\x80", 2);
	assert_int_equal(m.nr_ends, 3);
	bus_write(&m.bus, LAYOUT_PORT_ACPI_SLEEP, "\x34\x34\x34\x34", 4); /* leaves the range */
	assert_int_equal(m.nr_ends, 3);
	i8042_release(&m.i8042);
}

static void test_reset_register(void **state)
{
	struct machine m;

	(void)state;
	build(&m);
	for (unsigned int value = 0; value < 256; value++) {
		if (value != ACPI_RESET_VALUE)
			out(&m, LAYOUT_PORT_ACPI_RESET, (uint8_t)value);
	}
	assert_int_equal(m.nr_ends, 0);
	out(&m, LAYOUT_PORT_ACPI_RESET, ACPI_RESET_VALUE);
	assert_int_equal(m.nr_ends, 1);
	assert_int_equal(m.kind, GUEST_END_REBOOT);
	i8042_release(&m.i8042);
}

static void test_exit_port(void **state)
{
	struct machine m;

	(void)state;
	build(&m);
	assert_int_equal(in(&m, LAYOUT_PORT_EXIT), 'V');
	assert_int_equal(m.nr_ends, 0);
	for (unsigned int value = 0; value < 256; value++) {
		out(&m, LAYOUT_PORT_EXIT, (uint8_t)value);
		assert_int_equal(m.nr_ends, value + 1);
		assert_int_equal(m.kind, GUEST_END_EXIT);
		assert_int_equal(m.status, value);
	}
	i8042_release(&m.i8042);
}

/* Bits that the port does not know are no panic; of those it knows, only the first write counts. */
static void test_pvpanic(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int value = 0; value < 256; value++) {
		const uint8_t known = value & (PANIC_PANICKED | PANIC_CRASH_LOADED);

		build(&m);
		assert_int_equal(in(&m, LAYOUT_PORT_PVPANIC), PANIC_PANICKED | PANIC_CRASH_LOADED);
		out(&m, LAYOUT_PORT_PVPANIC, (uint8_t)value);
		assert_int_equal(m.nr_panics, known != 0);
		assert_int_equal(m.panic, known);
		for (unsigned int again = 0; known != 0 && again < 256; again++)
			out(&m, LAYOUT_PORT_PVPANIC, (uint8_t)again);
		assert_int_equal(m.nr_panics, known != 0);
		assert_int_equal(m.counted_panics, m.nr_panics);
		assert_int_equal(m.nr_ends, 0);
		i8042_release(&m.i8042);
	}
}

/* Past what the bus lets through: the devices themselves neither fault nor end the VM. */
static void test_wild_offsets_and_lengths(void **state)
{
	static const struct bus_ops *const ops[] = { &i8042_bus_ops, &power_sleep_bus_ops,
						     &power_reset_bus_ops, &exit_port_bus_ops,
						     &pvpanic_bus_ops };
	static const uint64_t offsets[] = { 5, 8, UINT64_C(1) << 32, UINT64_MAX };
	struct machine m;

	(void)state;
	build(&m);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		void *devs[] = { &m.i8042, &m.power, &m.power, &m.exit_port, &m.pvpanic };

		for (size_t j = 0; j < ARRAY_LEN(offsets); j++) {
			for (uint32_t len = 0; len <= 8; len++) {
				/* On the heap, where a byte too far is seen. */
				uint8_t *data = malloc(len + 1u);

				memset(data, 0xfe, len + 1u);
				ops[i]->write(devs[i], offsets[j], data, len);
				ops[i]->read(devs[i], offsets[j], data, len);
				assert_int_equal(data[len], 0xfe);
				free(data);
			}
		}
		ops[i]->write(devs[i], 0, "", 0);
	}
	assert_int_equal(m.nr_ends, 0);
	assert_int_equal(m.nr_panics, 0);
	i8042_release(&m.i8042);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_i8042_resets),
		cmocka_unit_test(test_i8042_output_port_resets),
		cmocka_unit_test(test_i8042_new_command_forgets_the_old_parameter),
		cmocka_unit_test(test_system_control_port),
		cmocka_unit_test(test_power_off),
		cmocka_unit_test(test_reset_register),
		cmocka_unit_test(test_exit_port),
		cmocka_unit_test(test_pvpanic),
		cmocka_unit_test(test_wild_offsets_and_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

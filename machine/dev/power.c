/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI power registers: see power.h. */
#include "machine/dev/power.h"

#include <string.h>

enum {
	SLEEP_CONTROL = 0, /* offset in the range */
	SLP_TYP_SHIFT = 2,
	SLP_TYP_MASK = 7,
	SLP_TYP_S5 = 5, /* as \_S5 says */
	SLP_EN = 0x20,
	RESET_VALUE = 1, /* as the FADT says */
};

/*
 * SLP_EN and the reset register are write-only. WAK_STS never sets: Linux waits for it after the
 * sleep write, and so the CPU that powered off stays there until the VM has ended.
 */
static void power_read(void *dev, uint64_t offset, void *data, uint32_t len)
{
	(void)dev;
	(void)offset;
	memset(data, 0, len);
}

/* A wider access is byte accesses at ascending ports; only the first byte can hit the control. */
static void sleep_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	const struct power *p = dev;
	uint8_t control;

	if (offset != SLEEP_CONTROL || len == 0)
		return;
	memcpy(&control, data, sizeof(control));
	if (!(control & SLP_EN))
		return;
	/* The tables offer no other sleep state, so the rest is not for us to obey. */
	if (((control >> SLP_TYP_SHIFT) & SLP_TYP_MASK) == SLP_TYP_S5)
		p->end.fn(p->end.opaque, GUEST_END_POWER_OFF, 0);
}

static void reset_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	const struct power *p = dev;
	uint8_t value;

	if (offset != 0 || len == 0)
		return;
	memcpy(&value, data, sizeof(value));
	if (value == RESET_VALUE)
		p->end.fn(p->end.opaque, GUEST_END_REBOOT, 0);
}

const struct bus_ops power_sleep_bus_ops = { .read = power_read, .write = sleep_write };
const struct bus_ops power_reset_bus_ops = { .read = power_read, .write = reset_write };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power registers of hardware-reduced ACPI: sleep control and sleep status (ACPI 6.5, section
 * 4.8.3.7), and the reset register (section 4.8.3.6). The ACPI tables tell the guest where they
 * are and which values to write; those are repeated in power.c, since devices know no tables.
 *
 * Stateless, so it needs no lock. Bus operations: any vCPU.
 */
#pragma once

#include "machine/bus.h"
#include "machine/dev/end.h"

enum {
	POWER_SLEEP_PORTS = 2, /* control, status */
	POWER_RESET_PORTS = 1,
};

struct power {
	struct guest_end end; /* set by the owner before the bus is frozen */
};

/* Both take a struct power as the device. */
extern const struct bus_ops power_sleep_bus_ops;
extern const struct bus_ops power_reset_bus_ops;

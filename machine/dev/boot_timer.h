/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot timer: a guest writes the byte 123 when it has booted, and a log line says how long that
 * took, as Firecracker's device of this name does. Reads give zeroes.
 *
 * Only the first such write counts: a guest could fill the log otherwise. Bus operations: any vCPU.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "machine/bus.h"

enum {
	BOOT_TIMER_BYTES = 0x1000,
	BOOT_TIMER_BOOTED = 123,
};

struct boot_timer {
	uint64_t start_us; /* CLOCK_MONOTONIC when the start was asked for; set by the owner */
	atomic_bool is_done; /* by any vCPU */
};

extern const struct bus_ops boot_timer_bus_ops;

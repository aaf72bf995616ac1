/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pvpanic port: a guest's kernel writes what it panics with, and the VM's user learns of it.
 * QEMU's docs/specs/pvpanic has the bits; Linux and Windows have drivers. The guest runs on, and
 * reboots, dumps its memory or hangs as it is set up to.
 *
 * Only the first write that says so counts: a guest could flood its user otherwise. Bus operations:
 * any vCPU.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "machine/bus.h"

enum { PVPANIC_PORTS = 1 };

/* Set by the owner before the bus is frozen, but for has_panicked. */
struct pvpanic {
	/* Called once, on the vCPU's thread, with bits of PANIC_ (control/wire.h). Never NULL. */
	void (*fn)(void *opaque, uint8_t what);
	void *opaque; /* borrowed: outlives the device */
	uint64_t *panics; /* a counter, borrowed; or NULL */
	atomic_bool has_panicked;
};

extern const struct bus_ops pvpanic_bus_ops;

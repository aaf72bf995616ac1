/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exit port: a guest writes one byte, and the VM ends with that byte as its exit status. It is
 * how a test or a one-shot job reports its result without a shutdown.
 *
 * Reading gives EXIT_PORT_SIGNATURE, so that a guest can find out whether the port exists before it
 * counts on it: an absent port reads as 0xff.
 *
 * Stateless, so it needs no lock. Bus operations: any vCPU.
 */
#pragma once

#include "machine/bus.h"
#include "machine/dev/end.h"

enum {
	EXIT_PORT_PORTS = 1,
	EXIT_PORT_SIGNATURE = 'V',
};

struct exit_port {
	struct guest_end end; /* set by the owner before the bus is frozen */
};

extern const struct bus_ops exit_port_bus_ops;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An i8042 keyboard controller (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller"). A guest resets the machine with it (Linux with reboot=k), and
 * learns through its keyboard (keyboard.h) that the owner of the VM has pressed Ctrl-Alt-Del.
 *
 * Every command is done when the write that gives it returns, and every answer is there at the
 * next look: no driver waits for anything, and one that looks for a mouse, of which there is none,
 * is told so at once. What the driver sees next comes from two places, the controller's reply
 * before the keyboard's bytes, so that the two are not mixed up when both are there.
 *
 * Traps:
 *  - The output buffer's interrupt is a level, and drivers read a single byte for each interrupt.
 *    Our line takes edges: there is one for each byte, when the one before it has been read.
 *  - An edge that comes while the guest has the line masked is lost. It comes again when the guest
 *    disables and enables the interrupt in the controller's command byte, as a driver does at
 *    its start.
 *  - A byte for the keyboard enables an interface that was disabled. Drivers count on it.
 *
 * The range also covers port 0x61, the PC's system control port B. Without the PIT in KVM that port
 * is ours: it reads as "timer output high, no NMI reason", which lets Linux's calibration loop end.
 *
 * Threads: the bus operations on any vCPU, i8042_ctrl_alt_del() on any thread; the lock of the
 * device is taken inside.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/metrics_page.h"
#include "machine/bus.h"
#include "machine/dev/end.h"
#include "machine/dev/keyboard.h"
#include "machine/irq.h"

enum { I8042_PORTS = 5 }; /* 0x60 to 0x64 */

struct i8042 {
	struct guest_end end;
	struct irq irq; /* borrowed: the VM owns its lines and outlives us */
	pthread_mutex_t lock; /* for what follows */
	struct keyboard keyboard;
	uint8_t ctr; /* the controller's command byte */
	uint8_t output_port;
	uint8_t parameter_of; /* command that waits for its byte at 0x60, or 0 */
	uint8_t output; /* what port 0x60 had last, which it shows until there is more */
	uint8_t reply; /* the controller's own next byte */
	uint8_t reply_status; /* status bits of the reply: 0 when there is none */
	bool line_is_high; /* level of the interrupt as struct irq was last told */
	struct i8042_metrics *metrics; /* borrowed: outlives us; NULL: nothing is counted */
};

extern const struct bus_ops i8042_bus_ops;

/* Cannot fail. @end: see end.h; it is asked for a reboot. `metrics` may be set after it. */
void i8042_init(struct i8042 *k, struct irq irq, struct guest_end end);

/* No vCPU may be running. */
void i8042_release(struct i8042 *k);

/*
 * Presses Ctrl, Alt and Delete. 0 says that the guest is told, not that it does anything about it;
 * -EBUSY, and nothing is pressed: the guest has no driver that listens (the keyboard or its
 * interrupt is off, as at the start), or has not taken the last press yet.
 */
int i8042_ctrl_alt_del(struct i8042 *k);

/* SPDX-License-Identifier: Apache-2.0 */
/* A keyboard controller on a bench, with an eventfd as its line and a counter of its resets. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine/dev/i8042.h"

enum {
	RIG_DATA = 0, /* offsets of the ports */
	RIG_COMMAND = 4,
	RIG_OUTPUT_FULL = 0x01, /* status bits */
	RIG_INPUT_FULL = 0x02,
	RIG_AUX_DATA = 0x20,
	RIG_TIMEOUT = 0x40,
	RIG_LISTENING = 0x25, /* the command byte of a driver: interrupt on, no mouse... */
	RIG_TRANSLATED = 0x40, /* ... and this */
	RIG_OUTPUT_MAX = 1 + KEYBOARD_ANSWER_MAX_BYTES + KEYBOARD_KEYS_MAX_BYTES,
};

struct rig {
	struct i8042 i8042;
	struct irq irq;
	atomic_int nr_resets;
};

static inline void rig_on_end(void *opaque, enum guest_end_kind kind, uint8_t status)
{
	struct rig *r = opaque;

	if (kind != GUEST_END_REBOOT || status != 0)
		abort();
	r->nr_resets++;
}

static inline void rig_start(struct rig *r)
{
	r->irq = (struct irq){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .gsi = 1 };
	r->nr_resets = 0;
	if (r->irq.fd < 0)
		abort();
	i8042_init(&r->i8042, r->irq, (struct guest_end){ rig_on_end, r });
}

static inline void rig_stop(struct rig *r)
{
	i8042_release(&r->i8042);
	close(r->irq.fd);
}

static inline uint8_t rig_in(struct rig *r, uint64_t offset)
{
	uint8_t value;

	i8042_bus_ops.read(&r->i8042, offset, &value, 1);
	return value;
}

static inline void rig_out(struct rig *r, uint64_t offset, uint8_t value)
{
	i8042_bus_ops.write(&r->i8042, offset, &value, 1);
}

static inline bool rig_is_full(struct rig *r)
{
	return rig_in(r, RIG_COMMAND) & RIG_OUTPUT_FULL;
}

/* Edges since the last call. */
static inline uint64_t rig_edges(struct rig *r)
{
	uint64_t count = 0;

	return read(r->irq.fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Reads what there is, at most @max bytes; returns their number. */
static inline size_t rig_drain(struct rig *r, uint8_t *bytes, size_t max)
{
	size_t nr = 0;

	while (nr < max && rig_is_full(r))
		bytes[nr++] = rig_in(r, RIG_DATA);
	return nr;
}

static inline void rig_set_ctr(struct rig *r, uint8_t ctr)
{
	rig_out(r, RIG_COMMAND, 0x60);
	rig_out(r, RIG_DATA, ctr);
}

/*
 * As an interrupt handler: with each edge it takes one byte, if there is one. It stops where a guest
 * would: without an edge it never looks.
 */
static inline size_t rig_interrupts(struct rig *r, uint8_t *bytes, size_t max)
{
	size_t nr = 0;

	while (nr < max && rig_edges(r)) {
		if (rig_is_full(r))
			bytes[nr++] = rig_in(r, RIG_DATA);
	}
	return nr;
}

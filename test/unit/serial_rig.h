/* SPDX-License-Identifier: Apache-2.0 */
/* A serial port on a bench: an event base, pipes on both sides, and an eventfd as its line. */
#pragma once

#include <event2/event.h>
#include <fcntl.h>
#include <linux/serial_reg.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine/dev/serial.h"

struct rig {
	struct event_base *base;
	struct serial *serial;
	struct irq irq;
	int host_out; /* where the test reads what the guest wrote; -1 when closed */
	int host_in; /* where the test writes what the guest reads; -1 when closed */
};

static inline void rig_write(struct rig *r, unsigned int reg, uint8_t value)
{
	serial_bus_ops.write(r->serial, reg, &value, 1);
}

static inline uint8_t rig_read(struct rig *r, unsigned int reg)
{
	uint8_t value;

	serial_bus_ops.read(r->serial, reg, &value, 1);
	return value;
}

/* Edges since the last call. */
static inline uint64_t rig_edges(struct rig *r)
{
	uint64_t count = 0;

	return read(r->irq.fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Lets the loop do what is due, and what becomes due by it. */
static inline void rig_loop(struct rig *r)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(r->base, EVLOOP_NONBLOCK);
}

/* The same, a few milliseconds later: the loop's pace has passed. */
static inline void rig_loop_later(struct rig *r)
{
	usleep(5000);
	rig_loop(r);
}

/* A port on these descriptors, which it takes. */
static inline void rig_start_on(struct rig *r, int out_fd, int in_fd)
{
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	*r = (struct rig){ .host_out = -1, .host_in = -1 };
	r->base = event_base_new();
	r->irq.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (serial_new(&r->serial, r->base, r->irq, out_fd, in_fd, &e) < 0)
		abort();
}

/* A port on two pipes. */
static inline void rig_start(struct rig *r)
{
	int out[2];
	int in[2];

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(in, O_CLOEXEC) < 0)
		abort();
	fcntl(out[1], F_SETPIPE_SZ, 4096);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	rig_start_on(r, out[1], in[0]);
	r->host_out = out[0];
	r->host_in = in[1];
}

static inline void rig_stop(struct rig *r)
{
	serial_free(r->serial);
	event_base_free(r->base);
	close(r->irq.fd);
	if (r->host_out >= 0)
		close(r->host_out);
	if (r->host_in >= 0)
		close(r->host_in);
}

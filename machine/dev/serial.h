/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serial port: a 16550A (uart.h) between the guest's register accesses and two descriptors.
 *
 * Output. A vCPU puts a byte into a ring of SERIAL_RING_BYTES and goes on; the loop thread writes
 * the ring out. The first byte wakes the loop at once; after that the loop comes back by itself
 * every millisecond as long as there is output, so that a busy guest pays one system call per
 * millisecond and not one per byte. A THRE interrupt follows the write-out, as it follows
 * transmission on the real chip: raised at the THR write, it would come for nothing each time a
 * driver stops the transmitter after its last byte. When the reader stalls, the ring fills, LSR
 * stops showing THRE, and bytes that the guest writes all the same are dropped and counted. The
 * guest never waits for the reader. When the reader is gone, output is discarded from then on. What
 * is above a limit is dropped and counted before it gets so far.
 *
 * Input. The loop reads no more than the chip's FIFO holds, then stops watching the descriptor
 * until the guest has emptied the FIFO: what the guest does not take stays with the sender, and no
 * buffer of ours grows.
 *
 * Interrupts. The chip's interrupt pin is a level, struct irq is an edge: it is raised whenever the
 * level rises. A driver that reads IIR until nothing is pending loses no wake-up, because whatever
 * happens after that last read makes the level rise again.
 *
 * A register access wider than a byte is consecutive byte accesses at ascending ports, which is
 * what a PC's bus makes of it for an 8-bit device.
 *
 * Threads: the bus operations run on any vCPU; all else on the thread of @base. System calls after
 * creation: on a vCPU write (eventfd) and futex; on the loop read, write, close, epoll_ctl, futex,
 * and poll in serial_flush(). SIGPIPE must be ignored.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "control/metrics_page.h"
#include "control/wire.h"
#include "machine/bus.h"
#include "machine/dev/uart.h"
#include "machine/irq.h"

enum {
	SERIAL_PORTS = UART_REGISTERS, /* length of the bus range */
	SERIAL_RING_BYTES = 16384,
};

struct serial;
struct event_base;

extern const struct bus_ops serial_bus_ops;

/*
 * Creates a serial port that writes to @out_fd (-1: output is discarded) and reads from @in_fd (-1:
 * there is no input). Any kind of descriptor does, regular files and /dev/null too. They are two
 * distinct descriptors: dup() one that serves both ways.
 *
 * Takes both descriptors, also when it fails, and makes them O_NONBLOCK; that flag is shared with
 * every process that has the same open file description, so do not pass a terminal that others use:
 * open it anew. @irq.fd and @base stay the caller's and outlive the port.
 *
 * Returns 0 or -errno with @e filled. End with serial_free().
 */
int serial_new(struct serial **out, struct event_base *base, struct irq irq, int out_fd, int in_fd,
	       struct err *e);

/* Counts in @metrics, which outlives the port, from here on. No vCPU may be running. */
void serial_set_metrics(struct serial *s, struct serial_metrics *metrics);

/* Drops output above @limit (bytes) from here on, and counts it. No vCPU may be running. */
void serial_set_limit(struct serial *s, const struct token_bucket_config *limit);

/* NULL is fine. No vCPU may be running. What is in the ring is lost: serial_flush() before. */
void serial_free(struct serial *s);

/*
 * Writes out what the guest has written, waiting at most @timeout_ms (>= 0) for the reader. True
 * when nothing is left: all bytes are written, or discarded because there is no reader. For the end
 * of the VM: bytes of vCPUs that still run prolong it up to the time-out.
 */
bool serial_flush(struct serial *s, int timeout_ms);

/* Bytes that the guest wrote although the ring was full. Thread: any. */
uint64_t serial_dropped_bytes(struct serial *s);

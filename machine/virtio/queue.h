/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (virtio 1.2, 2.7): the only code that touches a ring.
 *
 * A device never sees a descriptor. It takes a `struct virtq_chain`, which is two byte streams, one
 * that the guest wrote for us (readable) and one that we fill (writable), and gives it back with
 * virtq_done(). How the guest cut the streams into descriptors makes no difference (2.7.4).
 *
 * The guest is hostile and its other vCPUs run while we look:
 *   - virtq_start() checks size, alignment and all three areas once and keeps host pointers;
 *     nothing that the guest does afterwards changes what the queue uses, until virtq_stop();
 *   - every ring field is loaded once, atomically, and every descriptor is copied before it is
 *     checked; an indirect table is copied whole;
 *   - a walk ends after as many descriptors as the table has, so loops need no detection;
 *   - each segment becomes a pointer with its length, or the chain is refused.
 * A fault is sticky: the queue yields nothing more, virtq_fault() says why, and the device must ask
 * for a reset. What a segment *holds* can still change at any time: pull it once, check the copy.
 *
 * Chains live in an array sized by virtq_new() and so can be finished later and in any order. Each
 * chain that virtq_next() yields must go back through virtq_done() or virtq_drop(): a reset waits
 * until none is left.
 *
 * Thread: all calls on one queue under one lock, the device's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "machine/mem.h"
#include "machine/snap/state.h"

enum { VIRTQ_SIZE_MAX = 256 };

struct virtq;
struct virtq_chain;

/* What the guest asked for, in its own words: nothing is checked before virtq_start(). */
struct virtq_setup {
	uint32_t size;
	bool is_ready;
	struct gpa desc;
	struct gpa driver; /* available ring */
	struct gpa device; /* used ring */
};

/*
 * Makes a stopped queue of at most @size_max entries (a power of two, up to VIRTQ_SIZE_MAX) whose
 * chains hold at most @segments_max segments that are not empty. 0 or -ENOMEM.
 */
int virtq_new(struct virtq **out, uint32_t size_max, uint32_t segments_max);

/* Accepts NULL. */
void virtq_free(struct virtq *q);

/*
 * Takes @setup over: 0, or -EINVAL with virtq_fault() set. @features are the negotiated ones. @mem
 * is borrowed until virtq_stop().
 */
int virtq_start(struct virtq *q, const struct mem *mem, const struct virtq_setup *setup,
		uint64_t features);

/* Forgets the guest's areas and the fault. No chain is in flight. Accepts a stopped queue. */
void virtq_stop(struct virtq *q);

bool virtq_is_started(const struct virtq *q);

/* The reason for the last error, for a log line; NULL when there was none. */
const char *virtq_fault(const struct virtq *q);

/* Chains taken and not given back. */
uint32_t virtq_in_flight(const struct virtq *q);

/*
 * Takes the next available chain: 1 with *@out set, 0 when there is none, -errno when the guest
 * broke the ring: -EINVAL (bad index, flag or order), -EFAULT (outside RAM), -ELOOP (longer than
 * its table), -E2BIG (too many segments or bytes), -EBUSY (more buffers in flight than the queue
 * has).
 */
int virtq_next(struct virtq *q, struct virtq_chain **out);

/*
 * Gives @chain back to the guest. @written_bytes counts from the first byte of the writable stream
 * and has no gaps (2.7.8.2). The chain is gone afterwards.
 */
void virtq_done(struct virtq *q, struct virtq_chain *chain, uint32_t written_bytes);

/* Releases @chain without telling the guest: for a chain that made the device fail. */
void virtq_drop(struct virtq *q, struct virtq_chain *chain);

/*
 * Puts back @chain, the one that virtq_next() yielded last, as if it had not been taken: for a
 * device that cannot serve it yet. It is not in flight meanwhile, and virtq_next() takes it again,
 * from guest memory and checked anew: the guest may have changed it.
 */
void virtq_undo(struct virtq *q, struct virtq_chain *chain);

/* Whether virtq_next() would find something, be it a fault. False for a stopped queue. */
bool virtq_has_next(const struct virtq *q);

/* Chains given back since the last virtq_should_notify(). */
uint32_t virtq_given(const struct virtq *q);

/* Whether the guest wants an interrupt for what was given back since the last call (2.7.7). */
bool virtq_should_notify(struct virtq *q);

/*
 * Asks the guest not to kick, or to kick again (2.7.10). virtq_kick_enable() is true when buffers
 * came in meanwhile, for which no kick may follow: the caller must look again.
 */
void virtq_kick_disable(struct virtq *q);
bool virtq_kick_enable(struct virtq *q);

/*
 * The same, but @ahead buffers may come in without a kick. A driver that cannot be told a number
 * (no EVENT_IDX) does not kick at all then, unless @ahead is 0.
 */
bool virtq_kick_enable_after(struct virtq *q, uint32_t ahead);

/*
 * Saves or loads what virtq_setup does not say of a started queue: its two indices, any value of
 * which is safe, and whether it is broken. The switches for notifications are in guest memory.
 * -EBUSY in @s when chains are in flight.
 */
void virtq_state(struct virtq *q, struct state *s);

/* A number below the queue's size_max that no other chain in flight has. */
uint32_t virtq_slot(const struct virtq_chain *chain);

/* Bytes left in a stream. */
uint64_t virtq_readable_bytes(const struct virtq_chain *chain);
uint64_t virtq_writable_bytes(const struct virtq_chain *chain);

/* Takes @len bytes off the front of a stream: 0, or -EFAULT, nothing moved, if there are fewer. */
int virtq_pull(struct virtq_chain *chain, void *buf, size_t len);
int virtq_push(struct virtq_chain *chain, const void *buf, size_t len);

/*
 * What is left of a stream, for I/O straight from and to guest memory. The array is the chain's and
 * valid until the chain is given back; the caller may use it up.
 */
void virtq_readable(struct virtq_chain *chain, struct iovec **iov, size_t *count);
void virtq_writable(struct virtq_chain *chain, struct iovec **iov, size_t *count);

/*
 * Sets the last byte of the writable stream aside for virtq_put_status(): some devices end a
 * request so. -EFAULT when the stream is empty.
 */
int virtq_split_status(struct virtq_chain *chain);
void virtq_put_status(struct virtq_chain *chain, uint8_t status);

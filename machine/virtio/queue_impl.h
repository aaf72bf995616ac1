/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two halves of the queue layer share, and nobody else: queue.c has the rings, chain.c the
 * walk from a head to two streams.
 */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "machine/mem.h"
#include "machine/virtio/abi.h"
#include "machine/virtio/queue.h"

/* A descriptor as one load of two words, so that no field is read twice. */
struct desc_words {
	uint64_t addr;
	uint64_t len_flags_next;
};
static_assert(sizeof(struct desc_words) == sizeof(struct virtq_desc), "same bytes");

struct stream {
	struct iovec *iov; /* borrowed: into the queue's segments */
	size_t count;
	uint64_t bytes;
};

struct virtq_chain {
	struct stream readable;
	struct stream writable;
	uint8_t *status; /* guest memory, or NULL before virtq_split_status() */
	uint16_t slot;
	uint16_t head;
	uint16_t avail; /* its place in the available ring, free-running */
};

struct virtq {
	uint32_t size_max;
	uint32_t segments_max;
	struct virtq_chain *chains; /* owned: size_max of them */
	struct iovec *segments; /* owned: segments_max for each chain */
	struct virtq_desc *table; /* owned: the indirect table at hand, segments_max entries */
	uint16_t *free_slots; /* owned: a stack, so that few slots stay warm */
	uint32_t nr_free;

	/* Set by virtq_start(), then constant. */
	const struct mem *mem; /* borrowed: guest RAM outlives devices. NULL: stopped */
	uint32_t size;
	struct desc_words *desc; /* guest memory, like the next two */
	struct virtq_avail *avail;
	struct virtq_used *used;
	bool has_event_idx;
	bool has_indirect;

	/* Free-running indices (2.7.6, 2.7.8). Ours alone: never read back from the guest. */
	uint16_t next_avail;
	uint16_t next_used;
	uint32_t nr_given; /* since the guest was last considered for an interrupt */
	const char *fault; /* a literal; NULL: none */
};

/* Keeps @why, a literal, for virtq_fault(), and returns @code. */
static inline int virtq_set_fault(struct virtq *q, int code, const char *why)
{
	q->fault = why;
	return code;
}

/*
 * Fills the streams of @chain, of which slot and head are set, from the descriptors of the guest: 0
 * or what virtq_next() says.
 */
int virtq_walk(struct virtq *q, struct virtq_chain *chain);

/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues: see queue.h. */
#include "machine/virtio/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "machine/virtio/queue_impl.h"

int virtq_new(struct virtq **out, uint32_t size_max, uint32_t segments_max)
{
	struct virtq *q = calloc(1, sizeof(*q));

	assert(size_max <= VIRTQ_SIZE_MAX && segments_max > 0);
	if (!q)
		return -ENOMEM;
	q->size_max = size_max;
	q->segments_max = segments_max;
	q->chains = calloc(size_max, sizeof(q->chains[0]));
	q->segments = calloc((size_t)size_max * segments_max, sizeof(q->segments[0]));
	q->table = calloc(segments_max, sizeof(q->table[0]));
	q->free_slots = calloc(size_max, sizeof(q->free_slots[0]));
	if (!q->chains || !q->segments || !q->table || !q->free_slots) {
		virtq_free(q);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < size_max; i++)
		q->free_slots[i] = (uint16_t)(size_max - 1 - i);
	q->nr_free = size_max;
	*out = q;
	return 0;
}

void virtq_free(struct virtq *q)
{
	if (!q)
		return;
	free(q->chains);
	free(q->segments);
	free(q->table);
	free(q->free_slots);
	free(q);
}

/* NULL unless the whole area is aligned RAM. */
static void *area(const struct mem *mem, struct gpa start, uint64_t bytes, uint64_t align)
{
	return start.v % align == 0 ? mem_ptr(mem, start, bytes) : NULL;
}

int virtq_start(struct virtq *q, const struct mem *mem, const struct virtq_setup *setup,
		uint64_t features)
{
	const uint32_t size = setup->size;

	virtq_stop(q);
	if (size == 0 || size > q->size_max || (size & (size - 1)) != 0)
		return virtq_set_fault(q, -EINVAL, "queue size is not a power of two in range");
	q->desc = area(mem, setup->desc, sizeof(struct virtq_desc) * (uint64_t)size,
		       VIRTQ_DESC_ALIGN);
	q->avail = area(mem, setup->driver, VIRTQ_AVAIL_BYTES(size), VIRTQ_AVAIL_ALIGN);
	q->used = area(mem, setup->device, VIRTQ_USED_BYTES(size), VIRTQ_USED_ALIGN);
	if (!q->desc || !q->avail || !q->used)
		return virtq_set_fault(q, -EINVAL, "queue area is misaligned or not in RAM");
	q->size = size;
	q->has_event_idx = features & VIRTIO_F_EVENT_IDX;
	q->has_indirect = features & VIRTIO_F_INDIRECT_DESC;
	q->mem = mem;
	return 0;
}

void virtq_stop(struct virtq *q)
{
	assert(virtq_in_flight(q) == 0);
	q->mem = NULL;
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
	q->size = 0;
	q->next_avail = 0;
	q->next_used = 0;
	q->nr_given = 0;
	q->fault = NULL;
}

bool virtq_is_started(const struct virtq *q)
{
	return q->mem;
}

const char *virtq_fault(const struct virtq *q)
{
	return q->fault;
}

uint32_t virtq_in_flight(const struct virtq *q)
{
	return q->size_max - q->nr_free;
}

static uint16_t load16(const le16 *p, int order)
{
	return le16_get((le16){ __atomic_load_n(&p->raw, order) });
}

static void store16(le16 *p, uint16_t v, int order)
{
	__atomic_store_n(&p->raw, le16_put(v).raw, order);
}

static le16 *used_event(const struct virtq *q)
{
	return &q->avail->ring[q->size];
}

static le16 *avail_event(const struct virtq *q)
{
	return (le16 *)&q->used->ring[q->size];
}

int virtq_next(struct virtq *q, struct virtq_chain **out)
{
	struct virtq_chain *chain;
	uint16_t slot;
	uint16_t idx;
	int r;

	if (q->fault)
		return -EINVAL;
	if (!virtq_is_started(q))
		return 0;
	/* Acquire: the entries that idx covers are read after it. */
	idx = load16(&q->avail->idx, __ATOMIC_ACQUIRE);
	if (idx == q->next_avail)
		return 0;
	if ((uint16_t)(idx - q->next_avail) > q->size)
		return virtq_set_fault(q, -EINVAL, "available index jumped");
	if (virtq_in_flight(q) == q->size)
		return virtq_set_fault(q, -EBUSY, "more buffers in flight than the queue has");
	slot = q->free_slots[q->nr_free - 1];
	chain = &q->chains[slot];
	*chain = (struct virtq_chain){ .slot = slot, .avail = q->next_avail };
	chain->head = load16(&q->avail->ring[q->next_avail & (q->size - 1)], __ATOMIC_RELAXED);
	r = virtq_walk(q, chain);
	if (r < 0)
		return r;
	q->nr_free--;
	q->next_avail++;
	*out = chain;
	return 1;
}

void virtq_drop(struct virtq *q, struct virtq_chain *chain)
{
	assert(q->nr_free < q->size_max);
	q->free_slots[q->nr_free++] = chain->slot;
}

void virtq_undo(struct virtq *q, struct virtq_chain *chain)
{
	assert(chain->avail == (uint16_t)(q->next_avail - 1));
	q->next_avail--;
	virtq_drop(q, chain);
}

/* Release: who sees the index sees the entry and the data. virtq_should_notify() has the rest. */
void virtq_done(struct virtq *q, struct virtq_chain *chain, uint32_t written_bytes)
{
	struct virtq_used_elem *elem = &q->used->ring[q->next_used & (q->size - 1)];

	__atomic_store_n(&elem->id.raw, le32_put(chain->head).raw, __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len.raw, le32_put(written_bytes).raw, __ATOMIC_RELAXED);
	q->next_used++;
	q->nr_given++;
	store16(&q->used->idx, q->next_used, __ATOMIC_RELEASE);
	virtq_drop(q, chain);
}

uint32_t virtq_given(const struct virtq *q)
{
	return q->nr_given;
}

/*
 * Each side stores its index and then looks at the other side's wish: we at used_event or the
 * flags, the driver, after it has stored those, at the used index once more. If either look could
 * pass its store, both might believe that the other will act, and stop. So the index is stored
 * again, the same value but sequentially consistent, once for all that a batch has given back; the
 * pair in virtq_kick_enable() does the same for the other direction.
 *
 * With EVENT_IDX the guest names the used index it waits for: interrupt when the indices given back
 * since last time, the nr_given ones before next_used, hold it. For example 3 given, next_used 1:
 * the indices 65534, 65535, 0; used_event 0 gives (1 - 0 - 1) = 0 < 3, an interrupt; used_event 1
 * gives 65535, none. After 65536 every index was given.
 */
bool virtq_should_notify(struct virtq *q)
{
	const uint32_t given = q->nr_given;
	uint16_t event;

	if (given == 0)
		return false;
	q->nr_given = 0;
	store16(&q->used->idx, q->next_used, __ATOMIC_SEQ_CST);
	if (!q->has_event_idx)
		return !(load16(&q->avail->flags, __ATOMIC_SEQ_CST) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	event = load16(used_event(q), __ATOMIC_SEQ_CST);
	return (uint16_t)(q->next_used - event - 1) < given;
}

bool virtq_has_next(const struct virtq *q)
{
	return virtq_is_started(q) && load16(&q->avail->idx, __ATOMIC_RELAXED) != q->next_avail;
}

void virtq_kick_disable(struct virtq *q)
{
	/* With EVENT_IDX, an avail_event that stays behind says the same. */
	if (virtq_is_started(q) && !q->has_event_idx)
		store16(&q->used->flags, VIRTQ_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}

bool virtq_kick_enable(struct virtq *q)
{
	return virtq_kick_enable_after(q, 0);
}

/* A guest that has passed the index meanwhile is found by the look at the end. */
bool virtq_kick_enable_after(struct virtq *q, uint32_t ahead)
{
	if (!virtq_is_started(q))
		return false;
	if (q->has_event_idx)
		store16(avail_event(q), (uint16_t)(q->next_avail + ahead), __ATOMIC_SEQ_CST);
	else
		store16(&q->used->flags, ahead > 0 ? VIRTQ_USED_F_NO_NOTIFY : 0, __ATOMIC_SEQ_CST);
	return load16(&q->avail->idx, __ATOMIC_SEQ_CST) != q->next_avail;
}

void virtq_state(struct virtq *q, struct state *s)
{
	bool has_fault = q->fault;

	if (!virtq_is_started(q) || virtq_in_flight(q) > 0) {
		state_refuse(s, -EBUSY, "a queue is stopped or has chains in flight");
		return;
	}
	state_u16(s, &q->next_avail);
	state_u16(s, &q->next_used);
	state_bool(s, &has_fault);
	if (has_fault && !q->fault)
		q->fault = "the queue was broken when it was saved";
}

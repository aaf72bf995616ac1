/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of descriptors as two byte streams: see queue.h. */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/virtio/queue_impl.h"

/* A descriptor copied out of the guest's reach. */
struct desc {
	struct gpa addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/*
 * The copy just made of guest memory is what the code works on. Without this the compiler might see
 * that the source has not changed, as far as it knows, and read it again instead of the copy.
 */
static void end_copy(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static struct desc desc_decode(const struct virtq_desc *d)
{
	return (struct desc){
		.addr = { le64_get(d->addr) },
		.len = le32_get(d->len),
		.flags = le16_get(d->flags),
		.next = le16_get(d->next),
	};
}

static struct desc desc_load(const struct desc_words *p)
{
	const struct desc_words words = {
		.addr = __atomic_load_n(&p->addr, __ATOMIC_RELAXED),
		.len_flags_next = __atomic_load_n(&p->len_flags_next, __ATOMIC_RELAXED),
	};
	struct virtq_desc d;

	memcpy(&d, &words, sizeof(d));
	return desc_decode(&d);
}

/*
 * An empty segment carries nothing and 2.7.5 does not forbid it: it is passed over, its address
 * never used. It still counts for the length of the walk.
 */
static int add_segment(struct virtq *q, struct virtq_chain *chain, const struct desc *d)
{
	const bool is_writable = d->flags & VIRTQ_DESC_F_WRITE;
	const size_t nr = chain->readable.count + chain->writable.count;
	struct stream *s = is_writable ? &chain->writable : &chain->readable;
	void *p;

	if (d->len == 0)
		return 0;
	if (!is_writable && chain->writable.count > 0)
		return virtq_set_fault(q, -EINVAL, "readable descriptor after a writable one");
	if (nr == q->segments_max)
		return virtq_set_fault(q, -E2BIG, "chain has too many segments");
	p = mem_ptr(q->mem, d->addr, d->len);
	if (!p)
		return virtq_set_fault(q, -EFAULT, "descriptor points outside RAM");
	/* 2.7.5.2 allows 2^32 bytes. The used length has 32 bits, so here it is one less. */
	if (chain->readable.bytes + chain->writable.bytes + d->len > UINT32_MAX)
		return virtq_set_fault(q, -E2BIG, "chain has too many bytes");
	if (s->count == 0)
		s->iov = &q->segments[(size_t)chain->slot * q->segments_max + nr];
	s->iov[s->count++] = (struct iovec){ p, d->len };
	s->bytes += d->len;
	return 0;
}

/* 2.7.5.3. The table may lie anywhere, unaligned too, so it is copied and the copy is walked. */
static int walk_indirect(struct virtq *q, struct virtq_chain *chain, const struct desc *ref)
{
	const uint32_t count = ref->len / sizeof(struct virtq_desc);
	uint32_t at = 0;

	if (!q->has_indirect)
		return virtq_set_fault(q, -EINVAL, "indirect descriptor was not negotiated");
	if (ref->flags & VIRTQ_DESC_F_NEXT)
		return virtq_set_fault(q, -EINVAL, "indirect descriptor has a next one");
	if (ref->len == 0 || ref->len % sizeof(struct virtq_desc) != 0)
		return virtq_set_fault(q, -EINVAL, "indirect table is empty or cut");
	if (count > q->segments_max)
		return virtq_set_fault(q, -E2BIG, "indirect table is too long");
	if (mem_read(q->mem, ref->addr, q->table, ref->len) < 0)
		return virtq_set_fault(q, -EFAULT, "indirect table is outside RAM");
	end_copy();
	for (uint32_t seen = 0; seen < count; seen++) {
		struct desc d;
		int r;

		if (at >= count)
			return virtq_set_fault(q, -EINVAL,
					       "next index is beyond the indirect table");
		d = desc_decode(&q->table[at]);
		if (d.flags & ~(VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE))
			return virtq_set_fault(q, -EINVAL,
					       "indirect table has a nested or unknown flag");
		r = add_segment(q, chain, &d);
		if (r < 0)
			return r;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return 0;
		at = d.next;
	}
	return virtq_set_fault(q, -ELOOP, "chain is longer than its indirect table");
}

int virtq_walk(struct virtq *q, struct virtq_chain *chain)
{
	const uint32_t known = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT;
	uint32_t at = chain->head;

	for (uint32_t seen = 0; seen < q->size; seen++) {
		struct desc d;
		int r;

		if (at >= q->size)
			return virtq_set_fault(q, -EINVAL, "descriptor index is beyond the queue");
		d = desc_load(&q->desc[at]);
		if (d.flags & ~known)
			return virtq_set_fault(q, -EINVAL, "descriptor has an unknown flag");
		if (d.flags & VIRTQ_DESC_F_INDIRECT)
			return walk_indirect(q, chain, &d);
		r = add_segment(q, chain, &d);
		if (r < 0)
			return r;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return 0;
		at = d.next;
	}
	return virtq_set_fault(q, -ELOOP, "chain is longer than the queue");
}

uint32_t virtq_slot(const struct virtq_chain *chain)
{
	return chain->slot;
}

uint64_t virtq_readable_bytes(const struct virtq_chain *chain)
{
	return chain->readable.bytes;
}

uint64_t virtq_writable_bytes(const struct virtq_chain *chain)
{
	return chain->writable.bytes;
}

/* Takes up to @len bytes of contiguous guest memory off a stream that is not empty. */
static void *stream_take(struct stream *s, size_t len, size_t *taken)
{
	struct iovec *first = s->iov;
	void *p = first->iov_base;

	*taken = min_u64(len, first->iov_len);
	first->iov_base = (uint8_t *)p + *taken;
	first->iov_len -= *taken;
	s->bytes -= *taken;
	if (first->iov_len == 0) {
		s->iov++;
		s->count--;
	}
	return p;
}

int virtq_pull(struct virtq_chain *chain, void *buf, size_t len)
{
	size_t n;

	if (len > chain->readable.bytes)
		return -EFAULT;
	for (size_t done = 0; done < len; done += n) {
		const void *from = stream_take(&chain->readable, len - done, &n);

		memcpy((uint8_t *)buf + done, from, n);
	}
	end_copy();
	return 0;
}

int virtq_push(struct virtq_chain *chain, const void *buf, size_t len)
{
	size_t n;

	if (len > chain->writable.bytes)
		return -EFAULT;
	for (size_t done = 0; done < len; done += n) {
		void *to = stream_take(&chain->writable, len - done, &n);

		memcpy(to, (const uint8_t *)buf + done, n);
	}
	return 0;
}

void virtq_readable(struct virtq_chain *chain, struct iovec **iov, size_t *count)
{
	*iov = chain->readable.iov;
	*count = chain->readable.count;
}

void virtq_writable(struct virtq_chain *chain, struct iovec **iov, size_t *count)
{
	*iov = chain->writable.iov;
	*count = chain->writable.count;
}

int virtq_split_status(struct virtq_chain *chain)
{
	struct stream *s = &chain->writable;
	struct iovec *last;

	if (s->bytes == 0)
		return -EFAULT;
	last = &s->iov[s->count - 1];
	last->iov_len--;
	chain->status = (uint8_t *)last->iov_base + last->iov_len;
	s->bytes--;
	if (last->iov_len == 0)
		s->count--;
	return 0;
}

void virtq_put_status(struct virtq_chain *chain, uint8_t status)
{
	assert(chain->status);
	__atomic_store_n(chain->status, status, __ATOMIC_RELAXED);
}

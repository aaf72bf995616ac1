/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the queue layer: each ends in an error of that queue, and nothing is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "test/unit/virtq_rig.h"

struct bad_chain {
	const char *name;
	int error;
	struct {
		uint64_t addr;
		uint32_t len;
		uint32_t flags;
		uint32_t next;
	} direct[3], table[3];
};

static const struct bad_chain bad_chains[] = {
	{ "next beyond the queue", -EINVAL, { { FAKE_DATA, 1, NEXT, 256 } }, { { 0 } } },
	{ "next 65535", -EINVAL, { { FAKE_DATA, 1, NEXT, 65535 } }, { { 0 } } },
	{ "loop on itself", -E2BIG, { { FAKE_DATA, 1, NEXT, 0 } }, { { 0 } } },
	{ "loop of empty segments", -ELOOP, { { FAKE_DATA, 0, NEXT, 0 } }, { { 0 } } },
	{ "loop of two",
	  -ELOOP,
	  { { FAKE_DATA, 0, NEXT, 1 }, { FAKE_DATA, 0, NEXT, 0 } },
	  { { 0 } } },
	{ "unknown flag", -EINVAL, { { FAKE_DATA, 1, 8, 0 } }, { { 0 } } },
	{ "unknown high flag", -EINVAL, { { FAKE_DATA, 1, 0x8000, 0 } }, { { 0 } } },
	{ "readable after writable",
	  -EINVAL,
	  { { FAKE_DATA, 1, NEXT | WRITE, 1 }, { FAKE_DATA, 1, 0, 0 } },
	  { { 0 } } },
	{ "first byte of the hole", -EFAULT, { { FAKE_LOW_END, 1, 0, 0 } }, { { 0 } } },
	{ "across the start of the hole", -EFAULT, { { FAKE_LOW_END - 1, 2, 0, 0 } }, { { 0 } } },
	{ "last byte of the hole", -EFAULT, { { FAKE_HIGH_START - 1, 1, 0, 0 } }, { { 0 } } },
	{ "across the end of the hole", -EFAULT, { { FAKE_HIGH_START - 1, 2, 0, 0 } }, { { 0 } } },
	{ "around the hole", -EFAULT, { { 0x80000000, 0xffffffff, 0, 0 } }, { { 0 } } },
	{ "behind RAM", -EFAULT, { { FAKE_HIGH_END, 1, 0, 0 } }, { { 0 } } },
	{ "across the end of RAM", -EFAULT, { { FAKE_HIGH_END - 1, 2, WRITE, 0 } }, { { 0 } } },
	{ "all bytes from 0", -EFAULT, { { 0, 0xffffffff, 0, 0 } }, { { 0 } } },
	{ "address and length wrap", -EFAULT, { { UINT64_MAX, 2, 0, 0 } }, { { 0 } } },
	{ "address and length reach 2^64", -EFAULT, { { UINT64_MAX, 1, 0, 0 } }, { { 0 } } },
	{ "wraps to valid RAM", -EFAULT, { { UINT64_MAX - 0xfff, 0x12000, 0, 0 } }, { { 0 } } },
	{ "2^32 bytes in total",
	  -E2BIG,
	  { { 0, 0x80000000, NEXT, 1 }, { 0, 0x80000000, 0, 0 } },
	  { { 0 } } },
	{ "indirect with next", -EINVAL, { { FAKE_TABLE, 16, INDIRECT | NEXT, 1 } }, { { 0 } } },
	{ "empty table", -EINVAL, { { FAKE_TABLE, 0, INDIRECT, 0 } }, { { 0 } } },
	{ "half a descriptor", -EINVAL, { { FAKE_TABLE, 24, INDIRECT, 0 } }, { { 0 } } },
	{ "table of 15 bytes", -EINVAL, { { FAKE_TABLE, 15, INDIRECT, 0 } }, { { 0 } } },
	{ "table too long", -E2BIG, { { FAKE_TABLE, 17 * 16, INDIRECT, 0 } }, { { 0 } } },
	{ "table of 4 GiB", -E2BIG, { { FAKE_TABLE, 0xfffffff0, INDIRECT, 0 } }, { { 0 } } },
	{ "table across the hole", -EFAULT, { { FAKE_LOW_END - 16, 32, INDIRECT, 0 } }, { { 0 } } },
	{ "table wraps", -EFAULT, { { UINT64_MAX - 15, 32, INDIRECT, 0 } }, { { 0 } } },
	{ "nested table",
	  -EINVAL,
	  { { FAKE_TABLE, 32, INDIRECT, 0 } },
	  { { FAKE_TABLE, 16, INDIRECT, 0 } } },
	{ "next beyond the table",
	  -EINVAL,
	  { { FAKE_TABLE, 32, INDIRECT, 0 } },
	  { { FAKE_DATA, 1, NEXT, 2 }, { 0 }, { FAKE_DATA, 1, 0, 0 } } },
	{ "loop in the table",
	  -ELOOP,
	  { { FAKE_TABLE, 32, INDIRECT, 0 } },
	  { { FAKE_DATA, 1, NEXT, 1 }, { FAKE_DATA, 1, NEXT, 0 } } },
	{ "readable in a table after a direct writable",
	  -EINVAL,
	  { { FAKE_DATA, 1, NEXT | WRITE, 1 }, { FAKE_TABLE, 16, INDIRECT, 0 } },
	  { { FAKE_DATA, 1, 0, 0 } } },
	{ "segment of a table outside RAM",
	  -EFAULT,
	  { { FAKE_TABLE, 16, INDIRECT, 0 } },
	  { { FAKE_HIGH_END - 4, 5, WRITE, 0 } } },
};

static void test_bad_chains(void **state)
{
	struct virtq_rig *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad_chains); i++) {
		const struct bad_chain *c = &bad_chains[i];
		struct virtq_chain *chain;
		int r;

		virtq_rig_start(f, FAKE_F_RING);
		for (uint32_t n = 0; n < 3; n++) {
			fake_guest_desc(&f->g, n, c->direct[n].addr, c->direct[n].len,
					c->direct[n].flags, c->direct[n].next);
			fake_guest_table_desc(&f->g, n, c->table[n].addr, c->table[n].len,
					      c->table[n].flags, c->table[n].next);
		}
		fake_guest_offer(&f->g, 0);
		r = virtq_next(f->q, &chain);
		if (r != c->error)
			fail_msg("%s: %d, not %d", c->name, r, c->error);
		assert_non_null(virtq_fault(f->q));
		assert_int_equal(virtq_in_flight(f->q), 0);
		/* Sticky, even when the guest repairs it. */
		fake_guest_desc(&f->g, 0, FAKE_DATA, 1, 0, 0);
		assert_true(virtq_next(f->q, &chain) < 0);
		virtq_stop(f->q);
		assert_null(virtq_fault(f->q));
	}
}

static void test_head_and_index_sanity(void **state)
{
	static const uint16_t jumps[] = { 257, 258, 32768, 65535 };
	struct virtq_rig *f = *state;
	struct virtq_chain *chain;

	virtq_rig_start(f, FAKE_F_RING);
	fake_guest_offer(&f->g, 256);
	assert_int_equal(virtq_next(f->q, &chain), -EINVAL);
	virtq_rig_start(f, FAKE_F_RING);
	fake_guest_offer(&f->g, 0xffff);
	assert_int_equal(virtq_next(f->q, &chain), -EINVAL);

	for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
		virtq_rig_start(f, FAKE_F_RING);
		f->g.offered = (uint16_t)(jumps[i] - 1);
		fake_guest_offer(&f->g, 0);
		assert_int_equal(virtq_next(f->q, &chain), -EINVAL);
		assert_string_equal(virtq_fault(f->q), "available index jumped");
	}
}

/* The same head again and again, never finished: no conforming driver has that many in flight. */
static void test_in_flight_is_bounded(void **state)
{
	struct virtq_rig *f = *state;
	struct virtq_chain *chains[FAKE_QUEUE_SIZE];
	struct virtq_chain *extra;
	bool is_seen[FAKE_QUEUE_SIZE] = { false };

	virtq_rig_start(f, FAKE_F_RING);
	fake_guest_desc(&f->g, 0, FAKE_DATA, 1, 0, 0);
	for (size_t i = 0; i < FAKE_QUEUE_SIZE; i++) {
		fake_guest_offer(&f->g, 0);
		assert_int_equal(virtq_next(f->q, &chains[i]), 1);
		assert_true(virtq_slot(chains[i]) < FAKE_QUEUE_SIZE);
		assert_false(is_seen[virtq_slot(chains[i])]);
		is_seen[virtq_slot(chains[i])] = true;
	}
	fake_guest_offer(&f->g, 0);
	assert_int_equal(virtq_next(f->q, &extra), -EBUSY);
	for (size_t i = 0; i < FAKE_QUEUE_SIZE; i++)
		virtq_done(f->q, chains[(i * 7) % FAKE_QUEUE_SIZE], 0);
	assert_int_equal(fake_guest_used_idx(&f->g), FAKE_QUEUE_SIZE);
}

struct bad_setup {
	uint32_t size;
	uint64_t desc;
	uint64_t driver;
	uint64_t device;
};

static const struct bad_setup bad_setups[] = {
	{ 0, FAKE_DESC, FAKE_AVAIL, FAKE_USED },
	{ 3, FAKE_DESC, FAKE_AVAIL, FAKE_USED },
	{ 255, FAKE_DESC, FAKE_AVAIL, FAKE_USED },
	{ 512, FAKE_DESC, FAKE_AVAIL, FAKE_USED },
	{ 0x10000, FAKE_DESC, FAKE_AVAIL, FAKE_USED }, /* 0 in 16 bits */
	{ 0x10100, FAKE_DESC, FAKE_AVAIL, FAKE_USED }, /* 256 in 16 bits */
	{ 0x80000000, FAKE_DESC, FAKE_AVAIL, FAKE_USED },
	{ 0xffffffff, FAKE_DESC, FAKE_AVAIL, FAKE_USED },
	{ 256, FAKE_DESC + 8, FAKE_AVAIL, FAKE_USED },
	{ 256, FAKE_DESC, FAKE_AVAIL + 1, FAKE_USED },
	{ 256, FAKE_DESC, FAKE_AVAIL, FAKE_USED + 2 },
	{ 256, FAKE_LOW_END, FAKE_AVAIL, FAKE_USED },
	{ 256, FAKE_LOW_END - 4096 + 16, FAKE_AVAIL, FAKE_USED },
	{ 256, FAKE_DESC, FAKE_LOW_END - 516, FAKE_USED },
	{ 256, FAKE_DESC, FAKE_AVAIL, FAKE_HIGH_END - 2052 },
	{ 256, UINT64_MAX - 15, FAKE_AVAIL, FAKE_USED },
	{ 256, FAKE_DESC, UINT64_MAX - 1, FAKE_USED },
	{ 256, FAKE_DESC, FAKE_AVAIL, UINT64_MAX - 3 },
};

static void test_bad_setups(void **state)
{
	struct virtq_rig *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad_setups); i++) {
		const struct bad_setup *s = &bad_setups[i];
		const struct virtq_setup queue = {
			s->size, true, { s->desc }, { s->driver }, { s->device },
		};
		struct virtq_chain *chain;

		if (virtq_start(f->q, &f->g.mem, &queue, FAKE_F_RING) != -EINVAL)
			fail_msg("set-up %zu was taken", i);
		assert_non_null(virtq_fault(f->q));
		assert_false(virtq_is_started(f->q));
		assert_true(virtq_next(f->q, &chain) < 0);
	}
}

struct rewriter {
	struct fake_guest *g;
	atomic_bool is_over;
};

/*
 * Another vCPU moves a descriptor between two places, by way of a state that no place allows. It
 * stays a little in each, so that the queue meets all of them and the steps in between.
 */
static void *rewrite(void *opaque)
{
	static const struct {
		uint64_t addr;
		uint64_t len; /* flags and next are 0 */
	} states[] = {
		{ FAKE_HIGH_END - 16, 16 },
		{ FAKE_HIGH_END - 16, 0x100000 },
		{ FAKE_DATA, 0x100000 },
		{ FAKE_HIGH_END - 16, 0x100000 },
	};
	struct rewriter *w = opaque;
	uint64_t *words = fake_guest_ram(w->g, FAKE_DESC, sizeof(struct virtq_desc));

	for (uint32_t i = 0; !atomic_load(&w->is_over); i++) {
		const uint32_t at = i % ARRAY_LEN(states);

		__atomic_store_n(&words[0], htole64(states[at].addr), __ATOMIC_RELAXED);
		__atomic_store_n(&words[1], htole64(states[at].len), __ATOMIC_RELAXED);
		for (uint32_t n = 0; n < i % 64; n++)
			__atomic_load_n(&words[0], __ATOMIC_RELAXED);
	}
	return NULL;
}

static void test_descriptor_rewritten_meanwhile(void **state)
{
	struct virtq_rig *f = *state;
	struct rewriter w = { .g = &f->g };
	uint32_t nr_taken = 0;
	uint32_t nr_refused = 0;
	pthread_t thread;

	virtq_rig_start(f, FAKE_F_RING);
	assert_int_equal(pthread_create(&thread, NULL, rewrite, &w), 0);
	/* Until both outcomes were common: the other thread may have to wait for a processor. */
	for (int i = 0; i < 5000000 && (nr_taken < 50000 || nr_refused < 50000); i++) {
		const struct virtq_setup queue = fake_guest_queue();
		const uint8_t *end = (const uint8_t *)f->g.mem.mapping + f->g.mem.mapping_bytes;
		struct virtq_chain *chain;
		struct iovec *iov;
		size_t count;
		int r;

		fake_guest_offer(&f->g, 0);
		r = virtq_next(f->q, &chain);
		if (r < 0) {
			assert_int_equal(r, -EFAULT);
			nr_refused++;
			assert_int_equal(virtq_start(f->q, &f->g.mem, &queue, FAKE_F_RING), 0);
			f->g.offered = 0;
			continue;
		}
		assert_int_equal(r, 1);
		nr_taken++;
		virtq_readable(chain, &iov, &count);
		for (size_t n = 0; n < count; n++)
			assert_true((uint8_t *)iov[n].iov_base + iov[n].iov_len <= end);
		virtq_done(f->q, chain, 0);
	}
	atomic_store(&w.is_over, true);
	pthread_join(thread, NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, virtq_rig_setup, virtq_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_bad_chains),
		CASE(test_head_and_index_sanity),
		CASE(test_in_flight_is_bounded),
		CASE(test_bad_setups),
		CASE(test_descriptor_rewritten_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

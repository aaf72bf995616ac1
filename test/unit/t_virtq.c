/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the queue layer with guests that keep to the rules; t_virtq_attack.c has the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "test/unit/virtq_rig.h"

static void test_streams_do_not_depend_on_framing(void **state)
{
	struct virtq_rig *f = *state;
	struct virtq_chain *chain;
	char buf[16] = { 0 };

	virtq_rig_start(f, FAKE_F_RING);
	memcpy(fake_guest_ram(&f->g, FAKE_DATA, 8), "abcdefgh", 8);
	fake_guest_desc(&f->g, 7, FAKE_DATA, 1, NEXT, 3);
	fake_guest_desc(&f->g, 3, FAKE_DATA + 1, 0, NEXT, 4); /* empty: passed over */
	fake_guest_desc(&f->g, 4, FAKE_DATA + 1, 7, NEXT, 5);
	fake_guest_desc(&f->g, 5, FAKE_DATA + 100, 2, NEXT | WRITE, 6);
	fake_guest_desc(&f->g, 6, FAKE_DATA + 200, 3, WRITE, 99);
	fake_guest_offer(&f->g, 7);

	assert_int_equal(virtq_next(f->q, &chain), 1);
	assert_int_equal(virtq_in_flight(f->q), 1);
	assert_int_equal(virtq_readable_bytes(chain), 8);
	assert_int_equal(virtq_writable_bytes(chain), 5);
	assert_int_equal(virtq_pull(chain, buf, 9), -EFAULT);
	assert_int_equal(virtq_pull(chain, buf, 5), 0);
	assert_int_equal(virtq_pull(chain, buf + 5, 3), 0);
	assert_string_equal(buf, "abcdefgh");
	assert_int_equal(virtq_pull(chain, buf, 1), -EFAULT);
	assert_int_equal(virtq_split_status(chain), 0);
	assert_int_equal(virtq_push(chain, "12345", 5), -EFAULT);
	assert_int_equal(virtq_push(chain, "1234", 4), 0);
	assert_int_equal(virtq_push(chain, "5", 1), -EFAULT);
	virtq_put_status(chain, '!');
	assert_memory_equal(fake_guest_ram(&f->g, FAKE_DATA + 100, 3), "12\0", 3);
	assert_memory_equal(fake_guest_ram(&f->g, FAKE_DATA + 200, 4), "34!\0", 4);
	virtq_done(f->q, chain, 5);
	assert_int_equal(virtq_in_flight(f->q), 0);
	assert_int_equal(fake_guest_used_idx(&f->g), 1);
	assert_int_equal(fake_guest_used_id(&f->g, 0), 7);
	assert_int_equal(fake_guest_used_len(&f->g, 0), 5);
	assert_int_equal(virtq_next(f->q, &chain), 0);
}

static void test_rest_of_stream_as_iov(void **state)
{
	struct virtq_rig *f = *state;
	struct virtq_chain *chain;
	struct iovec *iov;
	size_t count;
	char buf[4];

	virtq_rig_start(f, FAKE_F_RING);
	fake_guest_desc(&f->g, 0, FAKE_DATA, 6, NEXT, 1);
	fake_guest_desc(&f->g, 1, FAKE_HIGH_END - 10, 10, NEXT, 2);
	fake_guest_desc(&f->g, 2, FAKE_LOW_END - 1, 1, WRITE, 0);
	fake_guest_offer(&f->g, 0);
	assert_int_equal(virtq_next(f->q, &chain), 1);
	assert_int_equal(virtq_pull(chain, buf, 4), 0);
	virtq_readable(chain, &iov, &count);
	assert_int_equal(count, 2);
	assert_ptr_equal(iov[0].iov_base, fake_guest_ram(&f->g, FAKE_DATA + 4, 2));
	assert_int_equal(iov[0].iov_len, 2);
	assert_ptr_equal(iov[1].iov_base, fake_guest_ram(&f->g, FAKE_HIGH_END - 10, 10));
	assert_int_equal(iov[1].iov_len, 10);
	assert_int_equal(virtq_split_status(chain), 0);
	virtq_writable(chain, &iov, &count);
	assert_int_equal(count, 0);
	assert_int_equal(virtq_split_status(chain), -EFAULT);
	virtq_drop(f->q, chain);
	assert_int_equal(fake_guest_used_idx(&f->g), 0);
}

/* 2.7.5.3.2: the write flag of the reference is ignored, and direct descriptors may come first. */
static void test_indirect_after_direct(void **state)
{
	struct virtq_rig *f = *state;
	struct virtq_chain *chain;

	virtq_rig_start(f, FAKE_F_RING);
	fake_guest_desc(&f->g, 0, FAKE_DATA, 16, NEXT, 1);
	fake_guest_desc(&f->g, 1, FAKE_TABLE, 48, INDIRECT | WRITE, 0);
	fake_guest_table_desc(&f->g, 0, FAKE_DATA + 16, 8, NEXT, 2);
	fake_guest_table_desc(&f->g, 2, FAKE_DATA + 64, 32, NEXT | WRITE, 1);
	fake_guest_table_desc(&f->g, 1, FAKE_DATA + 96, 1, WRITE, 0);
	fake_guest_offer(&f->g, 0);
	assert_int_equal(virtq_next(f->q, &chain), 1);
	assert_int_equal(virtq_readable_bytes(chain), 24);
	assert_int_equal(virtq_writable_bytes(chain), 33);
	virtq_done(f->q, chain, 0);
}

/* An indirect table may lie at any address (2.7 aligns only the three areas). */
static void test_indirect_table_unaligned(void **state)
{
	const struct virtq_desc d = { le64_put(FAKE_DATA), le32_put(5), le16_put(0), le16_put(0) };
	struct virtq_rig *f = *state;
	struct virtq_chain *chain;

	virtq_rig_start(f, FAKE_F_RING);
	memcpy(fake_guest_ram(&f->g, FAKE_TABLE + 3, sizeof(d)), &d, sizeof(d));
	fake_guest_desc(&f->g, 0, FAKE_TABLE + 3, 16, INDIRECT, 0);
	fake_guest_offer(&f->g, 0);
	assert_int_equal(virtq_next(f->q, &chain), 1);
	assert_int_equal(virtq_readable_bytes(chain), 5);
	virtq_done(f->q, chain, 0);
}

static void test_indirect_needs_negotiation(void **state)
{
	struct virtq_rig *f = *state;
	struct virtq_chain *chain;

	virtq_rig_start(f, VIRTIO_F_VERSION_1);
	fake_guest_desc(&f->g, 0, FAKE_TABLE, 16, INDIRECT, 0);
	fake_guest_table_desc(&f->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(&f->g, 0);
	assert_int_equal(virtq_next(f->q, &chain), -EINVAL);
}

static void test_segments_up_to_the_limit(void **state)
{
	struct virtq_rig *f = *state;
	struct virtq_chain *chain;

	for (uint32_t nr = SEGMENTS_MAX; nr <= SEGMENTS_MAX + 1; nr++) {
		virtq_rig_start(f, FAKE_F_RING);
		for (uint32_t i = 0; i < nr; i++)
			fake_guest_desc(&f->g, i, FAKE_DATA + i, 1,
					(i > 3 ? WRITE : 0) | (i + 1 < nr ? NEXT : 0), i + 1);
		fake_guest_offer(&f->g, 0);
		if (nr > SEGMENTS_MAX) {
			assert_int_equal(virtq_next(f->q, &chain), -E2BIG);
			continue;
		}
		assert_int_equal(virtq_next(f->q, &chain), 1);
		assert_int_equal(virtq_writable_bytes(chain), nr - 4);
		virtq_done(f->q, chain, 0);
	}
}

/* Chains keep their segments apart while several are in flight. */
static void test_chains_do_not_share_segments(void **state)
{
	struct virtq_rig *f = *state;
	struct virtq_chain *a;
	struct virtq_chain *b;
	struct iovec *iov;
	size_t count;

	virtq_rig_start(f, FAKE_F_RING);
	fake_guest_desc(&f->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_desc(&f->g, 1, FAKE_DATA + 64, 2, 0, 0);
	fake_guest_offer(&f->g, 0);
	fake_guest_offer(&f->g, 1);
	assert_int_equal(virtq_next(f->q, &a), 1);
	assert_int_equal(virtq_next(f->q, &b), 1);
	virtq_readable(a, &iov, &count);
	assert_ptr_equal(iov[0].iov_base, fake_guest_ram(&f->g, FAKE_DATA, 1));
	assert_int_equal(iov[0].iov_len, 1);
	virtq_done(f->q, b, 0);
	virtq_done(f->q, a, 0);
	assert_int_equal(fake_guest_used_id(&f->g, 0), 1);
	assert_int_equal(fake_guest_used_id(&f->g, 1), 0);
}

/* Areas that end with the last byte of RAM are fine. */
static void test_setup_at_the_edges(void **state)
{
	const struct virtq_setup queue = {
		.size = 256,
		.desc = { FAKE_LOW_END - 4096 },
		.driver = { FAKE_HIGH_END - 518 },
		.device = { FAKE_HIGH_START },
	};
	struct virtq_rig *f = *state;
	struct virtq_chain *chain;

	assert_int_equal(virtq_start(f->q, &f->g.mem, &queue, FAKE_F_RING), 0);
	assert_int_equal(virtq_next(f->q, &chain), 0);
}

static void use_one(struct virtq_rig *f)
{
	struct virtq_chain *chain;

	fake_guest_offer(&f->g, 0);
	assert_int_equal(virtq_next(f->q, &chain), 1);
	virtq_done(f->q, chain, 0);
}

static void test_interrupt_suppression_by_flag(void **state)
{
	struct virtq_rig *f = *state;
	le16 *flags = fake_guest_ram(&f->g, FAKE_AVAIL, sizeof(le16));

	virtq_rig_start(f, FAKE_F_RING);
	assert_false(virtq_should_notify(f->q));
	use_one(f);
	assert_true(virtq_should_notify(f->q));
	assert_false(virtq_should_notify(f->q));
	*flags = le16_put(VIRTQ_AVAIL_F_NO_INTERRUPT);
	use_one(f);
	assert_false(virtq_should_notify(f->q));
}

/* For all distances of used_event from what was given back, around the wrap of the index. */
static void test_interrupt_suppression_by_event(void **state)
{
	struct virtq_rig *f = *state;

	virtq_rig_start(f, FAKE_F_RING | VIRTIO_F_EVENT_IDX);
	for (uint32_t i = 0; i < 65536 + 300; i++) {
		const uint16_t before = fake_guest_used_idx(&f->g);
		const int16_t distance = (int16_t)((int)(i % 9) - 4);
		const uint16_t event = (uint16_t)(before + distance);
		const uint32_t given = 1 + i % 3;

		fake_guest_set_used_event(&f->g, event);
		for (uint32_t n = 0; n < given; n++)
			use_one(f);
		assert_int_equal(virtq_should_notify(f->q),
				 distance >= 0 && (uint32_t)distance < given);
	}
}

static void test_kick_suppression(void **state)
{
	struct virtq_rig *f = *state;
	const le16 *flags = fake_guest_ram(&f->g, FAKE_USED, sizeof(le16));
	struct virtq_chain *chain;

	virtq_rig_start(f, FAKE_F_RING);
	virtq_kick_disable(f->q);
	assert_int_equal(le16_get(*flags), VIRTQ_USED_F_NO_NOTIFY);
	assert_false(virtq_kick_enable(f->q));
	assert_int_equal(le16_get(*flags), 0);

	virtq_rig_start(f, FAKE_F_RING | VIRTIO_F_EVENT_IDX);
	use_one(f);
	virtq_kick_disable(f->q);
	assert_int_equal(le16_get(*flags), 0);
	assert_false(virtq_kick_enable(f->q));
	assert_int_equal(fake_guest_avail_event(&f->g), 1);
	/* A buffer that came before the re-arming: no kick will follow, so the queue says so. */
	fake_guest_offer(&f->g, 0);
	assert_true(virtq_kick_enable(f->q));
	assert_int_equal(virtq_next(f->q, &chain), 1);
	virtq_done(f->q, chain, 0);
}

/* A kick for the last of a batch only: the index that it is given, across the wrap, or silence. */
static void test_kick_after_some(void **state)
{
	struct virtq_rig *f = *state;
	const le16 *flags = fake_guest_ram(&f->g, FAKE_USED, sizeof(le16));

	virtq_rig_start(f, FAKE_F_RING);
	assert_false(virtq_kick_enable_after(f->q, 3));
	assert_int_equal(le16_get(*flags), VIRTQ_USED_F_NO_NOTIFY);
	assert_false(virtq_kick_enable_after(f->q, 0));
	assert_int_equal(le16_get(*flags), 0);

	virtq_rig_start(f, FAKE_F_RING | VIRTIO_F_EVENT_IDX);
	for (uint32_t i = 0; i < 65534; i++)
		use_one(f);
	assert_false(virtq_kick_enable_after(f->q, 3));
	assert_int_equal(fake_guest_avail_event(&f->g), 1);
	fake_guest_offer(&f->g, 0);
	assert_true(virtq_kick_enable_after(f->q, 3));
	virtq_stop(f->q);
	assert_false(virtq_kick_enable_after(f->q, 3));
}

/* After 2^16 chains every used index was given back, the one that the guest waits for as well. */
static void test_interrupt_after_a_whole_turn_of_the_index(void **state)
{
	struct virtq_rig *f = *state;

	virtq_rig_start(f, FAKE_F_RING | VIRTIO_F_EVENT_IDX);
	for (uint32_t i = 0; i < 65536; i++)
		use_one(f);
	assert_true(virtq_should_notify(f->q));
	assert_false(virtq_should_notify(f->q));
}

static void test_undo_gives_the_chain_again(void **state)
{
	struct virtq_rig *f = *state;
	struct virtq_chain *first;
	struct virtq_chain *second;
	char byte;

	virtq_rig_start(f, FAKE_F_RING);
	memcpy(fake_guest_ram(&f->g, FAKE_DATA, 2), "ab", 2);
	fake_guest_desc(&f->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_desc(&f->g, 1, FAKE_DATA + 1, 1, 0, 0);
	fake_guest_offer(&f->g, 0);
	fake_guest_offer(&f->g, 1);
	assert_int_equal(virtq_next(f->q, &first), 1);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(virtq_next(f->q, &second), 1);
		assert_int_equal(virtq_pull(second, &byte, 1), 0);
		assert_int_equal(byte, 'b');
		virtq_undo(f->q, second);
		assert_int_equal(virtq_in_flight(f->q), 1);
		/* It is left for later, so the guest need not kick for it. */
		assert_true(virtq_kick_enable(f->q));
	}
	/* Not ours meanwhile: what the guest makes of it is checked again. */
	fake_guest_desc(&f->g, 1, FAKE_LOW_END, 1, 0, 0);
	assert_int_equal(virtq_next(f->q, &second), -EFAULT);
	assert_int_equal(virtq_in_flight(f->q), 1);
	virtq_done(f->q, first, 0);
	assert_int_equal(fake_guest_used_idx(&f->g), 1);
	assert_int_equal(fake_guest_used_id(&f->g, 0), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, virtq_rig_setup, virtq_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_streams_do_not_depend_on_framing),
		CASE(test_rest_of_stream_as_iov),
		CASE(test_indirect_after_direct),
		CASE(test_indirect_table_unaligned),
		CASE(test_indirect_needs_negotiation),
		CASE(test_segments_up_to_the_limit),
		CASE(test_chains_do_not_share_segments),
		CASE(test_setup_at_the_edges),
		CASE(test_interrupt_suppression_by_flag),
		CASE(test_interrupt_suppression_by_event),
		CASE(test_interrupt_after_a_whole_turn_of_the_index),
		CASE(test_kick_suppression),
		CASE(test_kick_after_some),
		CASE(test_undo_gives_the_chain_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

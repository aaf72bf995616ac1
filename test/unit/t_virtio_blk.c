/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk on a file, as a driver and as an attacker use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "test/unit/blk_rig.h"

static void test_config_and_features(void **state)
{
	struct blk_rig *b = *state;
	const uint64_t want = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |
			      VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE |
			      VIRTIO_BLK_F_WRITE_ZEROES;
	const uint64_t ring = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_VERSION_1;
	const struct virtio_blk_config config = blk_rig_config(b);

	assert_int_equal(fake_guest_read(&b->g, VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(blk_rig_offered(b) & ~VIRTIO_BLK_F_DISCARD, want | ring);
	assert_int_equal(le64_get(config.capacity_sectors), DISK_SECTORS);
	assert_int_equal(le32_get(config.size_max), 256 << 10);
	assert_int_equal(le32_get(config.seg_max), 254);
	assert_int_equal(le32_get(config.blk_size), 512);
	assert_int_equal(config.writeback, 1);
	assert_int_equal(le16_get(config.num_queues), 0);
	/* The capacity is not the guest's to write. */
	fake_guest_write_len(&b->g, VIRTIO_MMIO_CONFIG, 1, 8);
	assert_int_equal(fake_guest_read_len(&b->g, VIRTIO_MMIO_CONFIG, 8), DISK_SECTORS);
}

static void test_write_then_read(void **state)
{
	struct blk_rig *b = *state;
	uint8_t *data = fake_guest_ram(&b->g, BLK_DATA, 4096);

	memset(data, 0x5a, 4096);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_OUT, 3, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(b->used_len, 1);
	assert_int_equal(blk_rig_disk_byte(b, 3 * 512 - 1), 0);
	assert_int_equal(blk_rig_disk_byte(b, 3 * 512), 0x5a);
	assert_int_equal(blk_rig_disk_byte(b, 3 * 512 + 4095), 0x5a);
	assert_int_equal(blk_rig_disk_byte(b, 3 * 512 + 4096), 0);
	memset(data, 0, 4096);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 3, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(b->used_len, 4097);
	assert_int_equal(data[0], 0x5a);
	assert_int_equal(data[4095], 0x5a);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(b->used_len, 1);
}

/* Header, data and status in as many pieces as a chain may have (2.7.4: framing means nothing). */
static void test_any_framing(void **state)
{
	struct blk_rig *b = *state;
	const struct virtio_blk_header h = { le32_put(VIRTIO_BLK_T_OUT), le32_put(0), le64_put(1) };
	uint8_t *p = fake_guest_ram(&b->g, BLK_HEADER, sizeof(h) + 512);
	uint32_t at = 0;

	memcpy(p, &h, sizeof(h));
	memset(p + sizeof(h), 0x77, 512);
	/* 5, then 11 of header and 1 of data, then 511, an empty one, the status. */
	fake_guest_table_desc(&b->g, at++, BLK_HEADER, 5, VIRTQ_DESC_F_NEXT, 1);
	fake_guest_table_desc(&b->g, at++, BLK_HEADER + 5, 12, VIRTQ_DESC_F_NEXT, 2);
	fake_guest_table_desc(&b->g, at++, BLK_HEADER + 17, 511, VIRTQ_DESC_F_NEXT, 3);
	fake_guest_table_desc(&b->g, at++, BLK_STATUS, 0, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE,
			      4);
	fake_guest_table_desc(&b->g, at++, BLK_STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
	fake_guest_desc(&b->g, 9, FAKE_TABLE, at * 16, VIRTQ_DESC_F_INDIRECT, 0);
	assert_int_equal(blk_rig_submit(b, 9), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_rig_disk_byte(b, 512), 0x77);
	assert_int_equal(blk_rig_disk_byte(b, 1023), 0x77);
	assert_int_equal(blk_rig_disk_byte(b, 1024), 0);
}

/* seg_max data segments, direct: the whole queue in one chain. */
static void test_largest_chain(void **state)
{
	struct blk_rig *b = *state;

	blk_rig_header(b, VIRTIO_BLK_T_IN, 0);
	fake_guest_desc(&b->g, 0, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 1);
	for (uint32_t i = 1; i <= 254; i++)
		fake_guest_desc(&b->g, i, BLK_DATA + 512 * i, 512,
				VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, i + 1);
	fake_guest_desc(&b->g, 255, BLK_STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
	assert_int_equal(blk_rig_submit(b, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(b->used_len, 254 * 512 + 1);
}

struct range {
	uint64_t sector;
	uint32_t len;
	uint8_t status;
};

static void test_sector_range(void **state)
{
	static const struct range ranges[] = {
		{ 0, 512, VIRTIO_BLK_S_OK },
		{ 0, 0, VIRTIO_BLK_S_OK },
		{ DISK_SECTORS, 0, VIRTIO_BLK_S_OK },
		{ DISK_SECTORS + 1, 0, VIRTIO_BLK_S_IOERR },
		{ DISK_SECTORS - 1, 512, VIRTIO_BLK_S_OK },
		{ DISK_SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ DISK_SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ UINT64_MAX / 512, 512, VIRTIO_BLK_S_IOERR },
		{ UINT64_MAX / 512 + 1, 512, VIRTIO_BLK_S_IOERR }, /* times 512 is 0 in 64 bits */
		{ UINT64_C(1) << 55, 512, VIRTIO_BLK_S_IOERR }, /* likewise */
		{ (UINT64_C(1) << 55) - 1, 512, VIRTIO_BLK_S_IOERR }, /* the end wraps to 0 */
		{ INT64_MAX / 512, 512, VIRTIO_BLK_S_IOERR },
		{ 0, 1, VIRTIO_BLK_S_IOERR },
		{ 0, 511, VIRTIO_BLK_S_IOERR },
		{ 0, 513, VIRTIO_BLK_S_IOERR },
		{ 0, 0x7fffffff, VIRTIO_BLK_S_IOERR },
		{ 0, 0x80000000, VIRTIO_BLK_S_IOERR },
	};
	struct blk_rig *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		const struct range *r = &ranges[i];
		const bool is_ok = r->status == VIRTIO_BLK_S_OK;
		int status = blk_rig_request(b, VIRTIO_BLK_T_IN, r->sector, r->len);

		if (status != r->status)
			fail_msg("read %u at %" PRIu64 ": %d", r->len, r->sector, status);
		/* A failed read wrote the status, but not what comes before it. */
		assert_int_equal(b->used_len, is_ok || r->len == 0 ? r->len + 1 : 0);
		status = blk_rig_request(b, VIRTIO_BLK_T_OUT, r->sector, r->len);
		if (status != r->status)
			fail_msg("write %u at %" PRIu64 ": %d", r->len, r->sector, status);
		assert_int_equal(b->used_len, 1);
		assert_int_equal(blk_rig_disk_bytes(b), DISK_BYTES);
	}
}

static void test_unknown_requests(void **state)
{
	static const uint32_t types[] = { 2, 3, 5, 9, 10, 12, 14, 16, 0x80000000, UINT32_MAX };
	struct blk_rig *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		assert_int_equal(blk_rig_request(b, types[i], 0, 512), VIRTIO_BLK_S_UNSUPP);
		assert_true(b->used_len <= 1);
	}
}

static void test_get_id(void **state)
{
	static const uint32_t short_lens[] = { 0, 1, 19 };
	struct blk_rig *b = *state;
	char *data = fake_guest_ram(&b->g, BLK_DATA, 512);

	memset(data, 'x', 512);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	assert_int_equal(b->used_len, 21);
	assert_memory_equal(data, "root\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", 21);
	/* A longer buffer: the id, and a used length that ends where the gap begins. */
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_GET_ID, 0, 32), VIRTIO_BLK_S_OK);
	assert_int_equal(b->used_len, 20);
	for (size_t i = 0; i < ARRAY_LEN(short_lens); i++) {
		memset(data, 'x', 32);
		assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_GET_ID, 0, short_lens[i]),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(data[0], 'x');
	}
}

static void check_needs_reset(struct blk_rig *b)
{
	const uint16_t used = fake_guest_used_idx(&b->g);

	fake_guest_offer(&b->g, 0);
	fake_guest_kick(&b->g);
	assert_int_equal(fake_guest_read(&b->g, VIRTIO_MMIO_STATUS),
			 15 | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(fake_guest_used_idx(&b->g), used);
	/* And it comes back. */
	assert_int_equal(fake_guest_start(&b->g, BLK_FEATURES), 15);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

static void test_short_header_needs_reset(void **state)
{
	struct blk_rig *b = *state;

	for (uint32_t len = 0; len < 16; len++) {
		fake_guest_desc(&b->g, 0, BLK_HEADER, len, VIRTQ_DESC_F_NEXT, 1);
		fake_guest_desc(&b->g, 1, BLK_STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
		check_needs_reset(b);
	}
	/* A header the device may only write. */
	fake_guest_desc(&b->g, 0, BLK_HEADER, 17, VIRTQ_DESC_F_WRITE, 0);
	check_needs_reset(b);
}

static void test_missing_status_needs_reset(void **state)
{
	struct blk_rig *b = *state;

	blk_rig_header(b, VIRTIO_BLK_T_OUT, 0);
	fake_guest_desc(&b->g, 0, BLK_HEADER, 16, 0, 0);
	check_needs_reset(b);
	blk_rig_header(b, VIRTIO_BLK_T_OUT, 0);
	fake_guest_desc(&b->g, 0, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 1);
	fake_guest_desc(&b->g, 1, BLK_DATA, 512, 0, 0);
	check_needs_reset(b);
	fake_guest_desc(&b->g, 0, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 1);
	fake_guest_desc(&b->g, 1, BLK_STATUS, 0, VIRTQ_DESC_F_WRITE, 0);
	check_needs_reset(b);
}

/* Data, status and rings on top of each other: the guest harms itself and nobody else. */
static void test_request_over_its_own_rings(void **state)
{
	static const uint64_t targets[] = { FAKE_DESC, FAKE_AVAIL, FAKE_USED, BLK_HEADER };
	struct blk_rig *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		fake_guest_start(&b->g, BLK_FEATURES);
		blk_rig_header(b, VIRTIO_BLK_T_IN, 0);
		fake_guest_desc(&b->g, 0, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 1);
		fake_guest_desc(&b->g, 1, targets[i], 4096, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE,
				2);
		fake_guest_desc(&b->g, 2, targets[i] + 2, 1, VIRTQ_DESC_F_WRITE, 0);
		fake_guest_offer(&b->g, 0);
		fake_guest_kick(&b->g);
	}
	assert_int_equal(fake_guest_start(&b->g, BLK_FEATURES), 15);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

/* A full queue is more than one turn of the loop: all of it is done, by more than one. */
static void test_full_queue_takes_turns(void **state)
{
	struct blk_rig *b = *state;

	blk_rig_header(b, VIRTIO_BLK_T_IN, 0);
	fake_guest_desc(&b->g, 0, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 1);
	fake_guest_desc(&b->g, 1, BLK_DATA, 513, VIRTQ_DESC_F_WRITE, 0);
	for (int i = 0; i < FAKE_QUEUE_SIZE; i++)
		fake_guest_offer(&b->g, 0);
	fake_guest_write(&b->g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	blk_rig_one_turn(b);
	assert_in_range(fake_guest_used_idx(&b->g), 1, FAKE_QUEUE_SIZE - 1);
	fake_guest_run(&b->g);
	assert_int_equal(fake_guest_used_idx(&b->g), FAKE_QUEUE_SIZE);
}

static void test_read_only(void **state)
{
	struct blk_rig *b = *state;

	blk_rig_reopen(b, true);
	fake_guest_write(&b->g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	assert_true(fake_guest_read(&b->g, VIRTIO_MMIO_DEVICE_FEATURES) & VIRTIO_BLK_F_RO);
	memset(fake_guest_ram(&b->g, BLK_DATA, 512), 0x11, 512);
	/* Whether or not the driver took note of RO. */
	for (int i = 0; i < 2; i++) {
		fake_guest_start(&b->g, BLK_FEATURES | (i ? VIRTIO_BLK_F_RO : 0));
		assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
		assert_int_equal(b->used_len, 1);
		assert_int_equal(blk_rig_disk_byte(b, 0), 0);
		assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
		assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	}
}

/* Host trouble is the status of that request; the device and the next request are fine. */
static void test_host_errors(void **state)
{
	struct blk_rig *b = *state;

	blk_rig_truncate(b, 1024); /* somebody shortened the file */
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 1, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(b->used_len, 0);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 8, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 1, 512), VIRTIO_BLK_S_OK);
	blk_rig_seal(b); /* from here on it cannot grow */
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_OUT, 1, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_OUT, 1, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_guest_read(&b->g, VIRTIO_MMIO_STATUS), 15);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, blk_rig_setup, blk_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_config_and_features),
		CASE(test_write_then_read),
		CASE(test_any_framing),
		CASE(test_largest_chain),
		CASE(test_sector_range),
		CASE(test_unknown_requests),
		CASE(test_get_id),
		CASE(test_short_header_needs_reset),
		CASE(test_missing_status_needs_reset),
		CASE(test_request_over_its_own_rings),
		CASE(test_full_queue_takes_turns),
		CASE(test_read_only),
		CASE(test_host_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: discards and writes of zeroes, by a driver and by an attacker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "test/unit/blk_rig.h"
#include "test/unit/fake_backend.h"

enum {
	OK = VIRTIO_BLK_S_OK,
	IOERR = VIRTIO_BLK_S_IOERR,
	UNSUPP = VIRTIO_BLK_S_UNSUPP,
	UNMAP = VIRTIO_BLK_RANGE_F_UNMAP,
	RANGES_MAX = 16,
	DISCARD_MAX = 131072, /* sectors */
	ZEROES_MAX = 8192,
};

static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

struct rig {
	struct blk_rig *blk;
	struct fake_backend disk;
};

static void use(struct rig *r, bool can_discard, bool is_read_only)
{
	struct block_backend *backend = &r->disk.backend;

	fake_backend_init(&r->disk, 4 * GIB);
	r->disk.finish = FAKE_IN_SUBMIT;
	backend->can_discard = can_discard;
	backend->is_read_only = is_read_only;
	blk_rig_use(r->blk, backend);
	fake_guest_start(&r->blk->g, BLK_FEATURES);
}

/* The disk at hand is closed on the way, so it moves aside. */
static void use_another(struct rig *r, bool can_discard, bool is_read_only)
{
	struct fake_backend old = r->disk;

	r->blk->backend = &old.backend;
	use(r, can_discard, is_read_only);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	void *blk;

	blk_rig_setup(&blk);
	r->blk = blk;
	use(r, true, false);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	void *blk = r->blk;

	blk_rig_teardown(&blk);
	free(r);
	return 0;
}

static int one(struct rig *r, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	blk_rig_range(r->blk, 0, sector, sectors, flags);
	return blk_rig_request(r->blk, type, 0, 16);
}

static void test_what_is_offered(void **state)
{
	struct rig *r = *state;
	const uint64_t both = VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES;
	struct virtio_blk_config c = blk_rig_config(r->blk);

	assert_int_equal(blk_rig_offered(r->blk) & both, both);
	assert_int_equal(le32_get(c.max_discard_sectors), DISCARD_MAX);
	assert_int_equal(le32_get(c.max_discard_seg), RANGES_MAX);
	assert_int_equal(le32_get(c.discard_sector_alignment), 8);
	assert_int_equal(le32_get(c.max_write_zeroes_sectors), ZEROES_MAX);
	assert_int_equal(le32_get(c.max_write_zeroes_seg), RANGES_MAX);
	assert_int_equal(c.write_zeroes_may_unmap, 1);
	/* A host that cannot give space back can still write zeroes. */
	use_another(r, false, false);
	c = blk_rig_config(r->blk);
	assert_int_equal(blk_rig_offered(r->blk) & both, VIRTIO_BLK_F_WRITE_ZEROES);
	assert_int_equal(le32_get(c.max_discard_sectors), 0);
	assert_int_equal(c.write_zeroes_may_unmap, 0);
	assert_int_equal(one(r, VIRTIO_BLK_T_DISCARD, 0, 8, 0), UNSUPP);
	assert_int_equal(one(r, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, UNMAP), OK);
	assert_int_equal(r->disk.nr_log, 1);
	assert_false(r->disk.log[0].may_unmap);
	/* A disk that may not be written to has neither. */
	use_another(r, true, true);
	c = blk_rig_config(r->blk);
	assert_int_equal(blk_rig_offered(r->blk) & both, 0);
	assert_int_equal(le32_get(c.max_write_zeroes_sectors), 0);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_int_equal(one(r, types[i], 0, 8, 0), UNSUPP);
	assert_int_equal(r->disk.nr_log, 0);
}

struct range {
	uint64_t sector;
	uint32_t sectors;
	uint8_t status;
};

static void test_one_range(void **state)
{
	static const uint64_t end = 4 * GIB / 512;
	const struct range ranges[] = {
		{ 0, 1, OK },
		{ 0, 0, OK }, /* nothing to do */
		{ end, 0, OK },
		{ end + 1, 0, IOERR },
		{ end - 1, 1, OK },
		{ end - 1, 2, IOERR },
		{ end, 1, IOERR },
		{ UINT64_MAX, 1, IOERR },
		{ UINT64_C(1) << 55, 1, IOERR }, /* times 512 is 0 in 64 bits */
		{ (UINT64_C(1) << 55) - 1, 1, IOERR }, /* the end wraps to 0 */
		{ 0, 1u << 23, IOERR }, /* times 512 is 0 in 32 bits */
		{ 0, UINT32_MAX, IOERR },
		{ 8, ZEROES_MAX, OK },
		{ 0, DISCARD_MAX + 1, IOERR },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(ranges) * ARRAY_LEN(types); i++) {
		const struct range *range = &ranges[i / ARRAY_LEN(types)];
		const uint32_t type = types[i % ARRAY_LEN(types)];
		const bool is_io = range->status == OK && range->sectors > 0;
		int status;

		fake_backend_clear(&r->disk);
		status = one(r, type, range->sector, range->sectors, 0);
		if (status != range->status)
			fail_msg("type %u, %u at %" PRIu64 ": %d", type, range->sectors,
				 range->sector, status);
		assert_int_equal(r->blk->used_len, 1);
		assert_int_equal(r->disk.nr_log, is_io);
		if (is_io) {
			assert_int_equal(r->disk.log[0].offset_bytes, range->sector * 512);
			assert_int_equal(r->disk.log[0].len_bytes, range->sectors * 512u);
		}
	}
	/* Each has its own maximum. */
	assert_int_equal(one(r, VIRTIO_BLK_T_WRITE_ZEROES, 0, ZEROES_MAX + 1, 0), IOERR);
	assert_int_equal(one(r, VIRTIO_BLK_T_DISCARD, 0, ZEROES_MAX + 1, 0), OK);
	assert_int_equal(one(r, VIRTIO_BLK_T_DISCARD, 0, DISCARD_MAX, 0), OK);
}

/* 5.2.6.2: what is not known is not done, and not guessed. */
static void test_flags(void **state)
{
	struct rig *r = *state;

	for (uint32_t bit = 0; bit < 32; bit++) {
		const bool is_unmap = UINT32_C(1) << bit == UNMAP;

		assert_int_equal(one(r, VIRTIO_BLK_T_DISCARD, 0, 8, UINT32_C(1) << bit), UNSUPP);
		assert_int_equal(one(r, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, UINT32_C(1) << bit),
				 is_unmap ? OK : UNSUPP);
	}
	assert_int_equal(r->disk.nr_log, 1);
	assert_int_equal(r->disk.log[0].op, BLOCK_WRITE_ZEROES);
	assert_true(r->disk.log[0].may_unmap);
	assert_int_equal(one(r, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), OK);
	assert_false(r->disk.log[1].may_unmap);
}

static void test_length_of_the_data(void **state)
{
	static const uint32_t bad[] = {
		0, 1, 15, 17, 31, 16 * RANGES_MAX + 1, 16 * (RANGES_MAX + 1), 4096, 1 << 20
	};
	struct rig *r = *state;

	for (uint32_t i = 0; i < 300; i++)
		blk_rig_range(r->blk, i, 8 * i, 8, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad) * ARRAY_LEN(types); i++)
		assert_int_equal(blk_rig_request(r->blk, types[i % 2], 0, bad[i / 2]), IOERR);
	assert_int_equal(r->disk.nr_log, 0);
	/* Ranges where only the device may write: there are none to read. */
	blk_rig_build(r->blk, VIRTIO_BLK_T_IN, 0, 32);
	blk_rig_header(r->blk, VIRTIO_BLK_T_DISCARD, 0);
	assert_int_equal(blk_rig_submit(r->blk, 0), IOERR);
	assert_int_equal(r->disk.nr_log, 0);
	assert_int_equal(fake_guest_read(&r->blk->g, VIRTIO_MMIO_STATUS), 15);
}

static void fill(struct rig *r, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		blk_rig_range(r->blk, i, 100 * i, i + 1, 0);
}

/* As many as there may be; they are cut into descriptors in the middle of a range. */
static void test_many_ranges(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	fill(r, RANGES_MAX);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		fake_backend_clear(&r->disk);
		blk_rig_header(r->blk, types[i], 0);
		fake_guest_desc(g, 0, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 1);
		fake_guest_desc(g, 1, BLK_DATA, 23, VIRTQ_DESC_F_NEXT, 2);
		fake_guest_desc(g, 2, BLK_DATA + 23, 16 * RANGES_MAX - 23, VIRTQ_DESC_F_NEXT, 3);
		fake_guest_desc(g, 3, BLK_STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
		assert_int_equal(blk_rig_submit(r->blk, 0), OK);
		assert_int_equal(r->disk.nr_log, RANGES_MAX);
		for (uint32_t n = 0; n < RANGES_MAX; n++) {
			assert_int_equal(r->disk.log[n].offset_bytes, 51200 * n);
			assert_int_equal(r->disk.log[n].len_bytes, 512 * (n + 1));
		}
	}
}

/* A bad one at the end: the first ones are not done either. */
static void test_all_ranges_are_checked_first(void **state)
{
	struct rig *r = *state;

	fill(r, RANGES_MAX);
	blk_rig_range(r->blk, RANGES_MAX - 1, UINT64_MAX, 1, 0);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_DISCARD, 0, 16 * RANGES_MAX), IOERR);
	blk_rig_range(r->blk, RANGES_MAX - 1, 0, 1, UNMAP);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_DISCARD, 0, 16 * RANGES_MAX), UNSUPP);
	assert_int_equal(r->disk.nr_log, 0);
}

static void end_next(struct rig *r, int result)
{
	fake_backend_end(&r->disk, 0, result);
	fake_guest_run(&r->blk->g);
}

/* A request is done when all its ranges are; the guest may scribble over them meanwhile. */
static void test_done_when_all_are(void **state)
{
	struct rig *r = *state;

	r->disk.finish = FAKE_LATER;
	fill(r, 3);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_DISCARD, 0, 48), -1);
	memset(fake_guest_ram(&r->blk->g, BLK_DATA, 64), 0xff, 64);
	end_next(r, 0);
	end_next(r, 0);
	assert_int_equal(fake_guest_used_idx(&r->blk->g), 0);
	end_next(r, 0);
	assert_int_equal(fake_guest_used_idx(&r->blk->g), 1);
	assert_int_equal(*(uint8_t *)fake_guest_ram(&r->blk->g, BLK_STATUS, 1), OK);
	assert_int_equal(r->disk.log[2].offset_bytes, 102400);
	assert_int_equal(r->disk.log[2].len_bytes, 1536);
}

/* The first failure ends it. */
static void test_failure(void **state)
{
	struct rig *r = *state;

	fill(r, 4);
	r->disk.fail_at = 1;
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_DISCARD, 0, 64), IOERR);
	assert_int_equal(r->disk.nr_log, 2);
	/* The host turns out not to be able to: the driver learns that it need not ask again. */
	r->disk.fail_at = UINT32_MAX;
	r->disk.result = -EOPNOTSUPP;
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_DISCARD, 0, 64), UNSUPP);
	assert_int_equal(one(r, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), UNSUPP);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), IOERR);
	assert_int_equal(fake_guest_read(&r->blk->g, VIRTIO_MMIO_STATUS), 15);
}

static void test_on_a_file(void **state)
{
	struct rig *r = *state;
	struct blk_rig *b = r->blk;
	struct fake_backend old = r->disk;

	b->backend = &old.backend; /* to be closed */
	blk_rig_reopen(b, false);
	fake_guest_start(&b->g, BLK_FEATURES);
	memset(fake_guest_ram(&b->g, BLK_DATA, 8192), 0x5a, 8192);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_OUT, 0, 8192), OK);
	assert_int_equal(one(r, VIRTIO_BLK_T_WRITE_ZEROES, 1, 2, 0), OK);
	assert_int_equal(blk_rig_disk_byte(b, 511), 0x5a);
	assert_int_equal(blk_rig_disk_byte(b, 512), 0);
	assert_int_equal(blk_rig_disk_byte(b, 1535), 0);
	assert_int_equal(blk_rig_disk_byte(b, 1536), 0x5a);
	assert_int_equal(one(r, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, UNMAP), OK);
	assert_int_equal(blk_rig_disk_byte(b, 4096), 0);
	assert_int_equal(blk_rig_disk_byte(b, 8191), 0);
	assert_int_equal(one(r, VIRTIO_BLK_T_WRITE_ZEROES, DISK_SECTORS - 1, 1, 0), OK);
	assert_int_equal(blk_rig_disk_bytes(b), DISK_BYTES);
	if (blk_rig_offered(b) & VIRTIO_BLK_F_DISCARD)
		assert_int_equal(one(r, VIRTIO_BLK_T_DISCARD, 0, 8, 0), OK);
	assert_int_equal(blk_rig_disk_bytes(b), DISK_BYTES);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_is_offered),
		CASE(test_one_range),
		CASE(test_flags),
		CASE(test_length_of_the_data),
		CASE(test_many_ranges),
		CASE(test_all_ranges_are_checked_first),
		CASE(test_done_when_all_are),
		CASE(test_failure),
		CASE(test_on_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking: what was packed comes back, and damaged or boundless data are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/boot/decompress.h"
#include "test/unit/boot_image.h"
#include "test/unit/packed.h"

/* More than one lz4 block, and long repeats with something new in between. */
enum { PLAIN_BYTES = (8 << 20) + 12345, PACKED_ROOM = 32 << 20 };

struct rig {
	uint8_t *plain;
	uint8_t *packed;
};

static int set_up(void **state)
{
	static struct rig rig;
	uint32_t random = 1;

	rig.plain = malloc(PLAIN_BYTES);
	rig.packed = malloc(PACKED_ROOM);
	if (!rig.plain || !rig.packed)
		return -1;
	for (size_t i = 0; i < PLAIN_BYTES; i++) {
		random = random * 1664525 + 1013904223;
		rig.plain[i] = i % 64 < 8 ? (uint8_t)(random >> 24) : (uint8_t)(i >> 12);
	}
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	free(rig->plain);
	free(rig->packed);
	return 0;
}

static void what_was_packed_comes_back(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		size_t len = packers[i].pack(rig->plain, PLAIN_BYTES, rig->packed, PACKED_ROOM);
		struct unpacked u;
		struct err e = { 0 };

		assert_string_equal(decompress_format(rig->packed, len), packers[i].name);
		if (decompress(rig->packed, len, PLAIN_BYTES, &u, &e) != 0)
			fail_msg("%zu: %s", i, e.msg);
		assert_int_equal(u.len_bytes, PLAIN_BYTES);
		assert_memory_equal(u.bytes, rig->plain, PLAIN_BYTES);
		unpacked_release(&u);
		unpacked_release(&u);
		assert_null(u.bytes);
	}
}

static void assert_refused(const uint8_t *packed, size_t len, uint64_t max, int code,
			   const char *message)
{
	struct unpacked u;
	struct err e = { 0 };
	int r = decompress(packed, len, max, &u, &e);

	test_assert_err(&e, code, r, message);
	assert_null(u.bytes);
}

static void one_byte_too_many_is_refused(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		size_t len = packers[i].pack(rig->plain, PLAIN_BYTES, rig->packed, PACKED_ROOM);

		assert_refused(rig->packed, len, PLAIN_BYTES - 1, -EFBIG,
			       "data unpack to more than the 8400952 bytes they may have");
		assert_refused(rig->packed, len, 1, -EFBIG, "more than the 1 bytes");
	}
}

static void every_truncation_of_small_data_is_refused(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		size_t len = packers[i].pack(rig->plain, 300, rig->packed, PACKED_ROOM);

		for (size_t cut = 6; cut < len; cut++)
			assert_refused(rig->packed, cut, 4096, -EBADMSG, "damaged, truncated");
	}
}

static void anything_behind_the_data_is_refused(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		size_t len = packers[i].pack(rig->plain, 300, rig->packed, PACKED_ROOM);
		struct unpacked u;
		struct err e = { 0 };

		memset(rig->packed + len, 0xee, 5);
		assert_true(decompress(rig->packed, len + 5, 4096, &u, &e) < 0);
		assert_null(u.bytes);
	}
}

/* Formats with a checksum see every flip; the others must stay inside their buffers. */
static void flipped_bits_do_no_harm(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		size_t len = packers[i].pack(rig->plain, 300, rig->packed, PACKED_ROOM);

		for (size_t bit = 0; bit < len * 8; bit++) {
			struct unpacked u;
			struct err e = { 0 };
			int r;

			rig->packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
			r = decompress(rig->packed, len, 4096, &u, &e);
			rig->packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_true(r == 0 ? u.len_bytes <= 4096 : u.bytes == NULL && e.code == r);
			if (r == 0 && packers[i].pack == pack_xz)
				assert_memory_equal(u.bytes, rig->plain, 300);
			unpacked_release(&u);
		}
	}
}

static long peak_kib(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

static void a_bomb_costs_what_it_may_and_no_more(void **state)
{
	struct rig *rig = *state;
	auto_free uint8_t *zeros = calloc(1, 16 * MIB);
	long before;

	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		size_t len = packers[i].pack(zeros, 16 * MIB, rig->packed, PACKED_ROOM);

		before = peak_kib();
		assert_refused(rig->packed, len, MIB, -EFBIG, "more than the 1048576 bytes");
		assert_true(peak_kib() - before < 24 * 1024);
	}
}

static void a_huge_xz_dictionary_is_refused(void **state)
{
	struct rig *rig = *state;
	lzma_stream_flags flags = { .check = LZMA_CHECK_NONE };
	uint8_t *at = rig->packed;
	uint32_t crc;

	memset(at, 0, 64);
	assert_int_equal(lzma_stream_header_encode(&flags, at), LZMA_OK);
	at += LZMA_STREAM_HEADER_SIZE;
	/*
	 * A block header of 12 bytes with LZMA2 and a dictionary of 4 GiB - 1 (xz format, 5.3.1).
	 */
	memcpy(at, "\x02\x00\x21\x01\x28\x00\x00\x00", 8);
	crc = lzma_crc32(at, 8, 0);
	memcpy(at + 8, &crc, sizeof(crc));
	assert_refused(rig->packed, 64, MIB, -ENOMEM, "a dictionary of at most 256 MiB");
}

static void unknown_data_are_refused(void **state)
{
	(void)state;
	assert_refused((const uint8_t *)"BZh91AY", 7, 4096, -ENOEXEC, "none of the formats known");
	assert_refused((const uint8_t *)"\x1f", 1, 4096, -ENOEXEC, "none of the formats known");
	assert_null(decompress_format((const uint8_t *)"\x28\xb5\x2f", 3));
}

static void only_what_the_file_has_is_read(void **state)
{
	struct rig *rig = *state;
	size_t len = pack_zstd(rig->plain, 300, rig->packed, PACKED_ROOM);
	auto_fd int fd = test_file(rig->packed, len);
	struct image image;
	struct unpacked u;
	struct err e = { 0 };
	int r;

	assert_int_equal(image_init(&image, fd, "kernel", &e), 0);
	assert_int_equal(decompress_image(&image, 0, len, 4096, &u, &e), 0);
	assert_int_equal(u.len_bytes, 300);
	unpacked_release(&u);
	r = decompress_image(&image, 1, len, 4096, &u, &e);
	test_assert_err(&e, -EFBIG, r, "the kernel is truncated or too large");
	r = decompress_image(&image, UINT64_MAX, 2, 4096, &u, &e);
	test_assert_err(&e, -EFBIG, r, "the kernel is truncated or too large");
	assert_null(u.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_packed_comes_back),
		cmocka_unit_test(one_byte_too_many_is_refused),
		cmocka_unit_test(every_truncation_of_small_data_is_refused),
		cmocka_unit_test(anything_behind_the_data_is_refused),
		cmocka_unit_test(flipped_bits_do_no_harm),
		cmocka_unit_test(a_bomb_costs_what_it_may_and_no_more),
		cmocka_unit_test(a_huge_xz_dictionary_is_refused),
		cmocka_unit_test(unknown_data_are_refused),
		cmocka_unit_test(only_what_the_file_has_is_read),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

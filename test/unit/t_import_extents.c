/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images from file systems with blocks of 1 KiB, where data begins and ends inside a block of ours:
 * lseek() is told (--wrap) where it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "test/unit/store_rig.h"

enum { SMALL_BYTES = 1024, SMALL_BLOCKS = 5 << 10, FULL_BLOCKS_MAX = 400 };

static bool is_data[SMALL_BLOCKS]; /* the blocks of the file; the last is half a block */
static const off_t file_bytes = SMALL_BLOCKS * SMALL_BYTES - SMALL_BYTES / 2;
static int sparse_fd = -1; /* which has these holes */

off_t __real_lseek64(int fd, off_t offset, int whence);
off_t __wrap_lseek64(int fd, off_t offset, int whence);
off_t __wrap_lseek64(int fd, off_t offset, int whence)
{
	struct stat st, sparse;

	if ((whence != SEEK_DATA && whence != SEEK_HOLE) || fstat(fd, &st) < 0 ||
	    fstat(sparse_fd, &sparse) < 0 || st.st_ino != sparse.st_ino)
		return __real_lseek64(fd, offset, whence);
	while (offset < file_bytes && is_data[offset / SMALL_BYTES] != (whence == SEEK_DATA))
		offset = (offset / SMALL_BYTES + 1) * SMALL_BYTES;
	if (offset < file_bytes)
		return offset;
	errno = ENXIO;
	return whence == SEEK_DATA ? -1 : file_bytes;
}

/* Runs of blocks, most of them short, whose data is not zero. The file itself has no holes. */
static int make_file(struct sequence *s)
{
	static uint8_t all[SMALL_BLOCKS * SMALL_BYTES];
	const int fd = store_rig_file((size_t)file_bytes);
	bool is_full = false;

	memset(all, 0, sizeof(all));
	for (size_t i = 0; i < SMALL_BLOCKS; is_full = !is_full) {
		size_t run = 1 + sequence_below(s, sequence_below(s, 4) ? 6 : FULL_BLOCKS_MAX);

		for (; run > 0 && i < SMALL_BLOCKS; run--, i++) {
			is_data[i] = is_full;
			for (size_t k = 0; is_full && k < SMALL_BYTES; k++)
				all[i * SMALL_BYTES + k] = (uint8_t)sequence_next(s) | 1;
		}
	}
	assert_int_equal(file_pwrite_full(fd, all, (size_t)file_bytes, 0), 0);
	return fd;
}

static void test_holes_do_not_move_cuts(void **state)
{
	static const char *const chunkings[] = { "fixed:4K",   "fixed:64K",   "fixed:4M",
						 "fastcdc:4K", "fastcdc:64K", "fastcdc:1M" };
	struct store_rig rig = { 0 };
	struct sequence s = { 5 };

	(void)state;
	store_rig_init(&rig, false);
	for (size_t i = 0; i < 5 * ARRAY_LEN(chunkings); i++) {
		struct import_options o = { .may_replace = true, .work = { .threads = 2 } };
		struct import_result dense, sparse;
		auto_fd int fd = make_file(&s), copy = -1;

		assert_done(
			chunk_params_parse(&o.chunking, chunkings[i % ARRAY_LEN(chunkings)], e));
		sparse_fd = -1;
		dense = store_rig_import(&rig, fd, "dense", &o);
		sparse_fd = fd;
		sparse = store_rig_import(&rig, fd, "sparse", &o);
		assert_true(id_equal(&sparse.root.image_id, &dense.root.image_id));
		assert_int_equal(sparse.new_chunks, 0);
		assert_int_equal(sparse.zero_bytes, dense.zero_bytes);
		copy = store_rig_export(&rig, "sparse");
		store_rig_assert_equal(fd, copy);
	}
	store_rig_remove(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holes_do_not_move_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

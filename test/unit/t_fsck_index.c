/* SPDX-License-Identifier: Apache-2.0 */
/* fsck: what it finds in a damaged index, and how it mends it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/abi.h"
#include "stellar/gc.h"
#include "stellar/index.h"
#include "stellar/lease.h"
#include "test/unit/fsck_store.h"

/* --- the index ----------------------------------------------------------------------------- */

static void remove_digest(void)
{
	char path[512];

	depot_path(&rig, "index/digest", path);
	assert_int_equal(unlink(path), 0);
}

static void test_index_digest(void **state)
{
	const struct depot_file *index = depot_find_file(&rig, "index/", "data.mdb", 0);
	char path[512];

	(void)state;
	depot_flip(&rig, "index/data.mdb", index->len * 8 - 5);
	expect_problem("'index/data.mdb' is not as it was left");
	expect_healed();
	depot_restore(&rig);
	depot_flip(&rig, "index/digest", 300);
	expect_problem("'index/digest' is damaged");
	expect_healed();
	/* One that was never written is none. */
	depot_path(&rig, "index/digest", path);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(access(path, F_OK), 0);
}

/* fsck leaves a digest when there was none. */
static void test_index_without_digest(void **state)
{
	char path[512];
	struct stat st;

	(void)state;
	remove_digest();
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	depot_path(&rig, "index/digest", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, sizeof(struct st_index_digest));
	depot_flip(&rig, "index/data.mdb", 4096 * 8 * 3 - 9);
	expect_problem("'index/data.mdb' is not as it was left");
}

/* Nor has it to be the index of a store that was written to. */
static void test_index_of_a_new_store(void **state)
{
	struct depot new;
	const struct depot_file *index;

	(void)state;
	depot_make(&new, NULL);
	depot_save(&new);
	index = depot_find_file(&new, "index/", "data.mdb", 0);
	for (size_t at = 100; at < index->len; at += 1000) {
		depot_restore(&new);
		depot_flip(&new, index->name, at * 8);
		assert_int_equal(depot_check(&new), 0);
		assert_true(depot_told(&new, "'index/data.mdb' is not as it was left"));
	}
	depot_remove(&new);
}

/* Whatever it is, fsck does not crash, and a repair heals it. */
static void test_index_garbage(void **state)
{
	struct depot_file *index = depot_find_file(&rig, "index/", "data.mdb", 0);
	uint8_t noise[4096];
	size_t missed = 0, flips = 0;

	(void)state;
	for (size_t bit = 3; bit < index->len * 8; bit += 503, flips++) {
		depot_restore(&rig);
		remove_digest();
		depot_flip(&rig, index->name, bit);
		assert_int_equal(depot_check(&rig), 0);
		missed += rig.result.problems == 0;
		assert_true(rig.result.problems == 0 || depot_told(&rig, "the index"));
	}
	print_message("%zu flips in an index without a digest, %zu in bytes that say nothing\n",
		      flips, missed);
	for (size_t page = 0; page < index->len / sizeof(noise); page++) {
		depot_restore(&rig);
		remove_digest();
		depot_noise(noise, sizeof(noise), page + 1);
		depot_write(&rig, index->name, page * sizeof(noise), noise, sizeof(noise));
		assert_int_equal(depot_check(&rig), 0);
		if (rig.result.problems > 0)
			expect_healed();
	}
}

static void test_index_missing(void **state)
{
	char path[512], gone[512];

	(void)state;
	depot_path(&rig, "index/data.mdb", path);
	assert_int_equal(unlink(path), 0);
	expect_problem("data.mdb");
	expect_healed();
	depot_restore(&rig);
	depot_path(&rig, "index/data.mdb", path);
	assert_int_equal(truncate(path, 5000), 0);
	expect_problem("the index is damaged");
	expect_healed();
	depot_restore(&rig);
	depot_path(&rig, "index", path);
	depot_path(&rig, "gone", gone);
	assert_int_equal(rename(path, gone), 0);
	expect_problem("the store has no folder 'index'");
	expect_healed();
}

static void test_index_of_another_store(void **state)
{
	struct depot other;
	const struct depot_file *index;

	(void)state;
	depot_make(&other, NULL);
	depot_import(&other, "a", image_a, LEN_A, "lz4", "fixed:16K");
	depot_save(&other);
	index = depot_find_file(&other, "index/", "data.mdb", 0);
	depot_write(&rig, index->name, 0, index->bytes, index->len);
	index = depot_find_file(&other, "index/", "digest", 0);
	depot_write(&rig, index->name, 0, index->bytes, index->len);
	depot_remove(&other);
	expect_problem("the index is");
	expect_healed();
}

static void drop_chunk(struct index_writer *w, struct err *e)
{
	const struct pack_entry entry = entry_of(pack_of('a'), CHUNK_KIND_DATA);

	assert_int_equal(index_remove_chunk(w, &entry.id, e), 0);
}

static void add_chunk(struct index_writer *w, struct err *e)
{
	struct pack_table t;
	const struct pack_id id = id_of(pack_of('a'));
	uint32_t number;

	read_table(pack_of('a'), &t);
	t.entries[2].id.bytes[5] ^= 1;
	assert_int_equal(
		index_add_pack(w, &id, pack_of('a')->len, t.entries, t.count, true, &number, e), 0);
	pack_table_release(&t);
}

static void move_chunk(struct index_writer *w, struct err *e)
{
	struct pack_table t;
	const struct pack_id id = id_of(pack_of('a'));
	uint32_t number;

	read_table(pack_of('a'), &t);
	t.entries[2].offset += 4096;
	assert_int_equal(
		index_add_pack(w, &id, pack_of('a')->len, t.entries, t.count, true, &number, e), 0);
	pack_table_release(&t);
}

static void claim_chunk(struct index_writer *w, struct err *e)
{
	struct pack_table t;
	const struct pack_id id = id_of(pack_of('b'));
	uint32_t number;

	read_table(pack_of('a'), &t);
	/* a's chunks are said to be in b's pack */
	assert_int_equal(
		index_add_pack(w, &id, pack_of('b')->len, t.entries, t.count, true, &number, e), 0);
	pack_table_release(&t);
}

static void add_pack(struct index_writer *w, struct err *e)
{
	const struct pack_id id = { { 1, 2, 3 } };
	uint32_t number;

	assert_int_equal(index_add_pack(w, &id, 10000, NULL, 0, false, &number, e), 0);
}

static void test_index_rows(void **state)
{
	static const struct {
		void (*change)(struct index_writer *w, struct err *e);
		const char *text;
	} changes[] = {
		{ drop_chunk, "1 chunks of packs are not in it" },
		{ add_chunk, "the index is damaged: 1 chunks are not where it says" },
		{ move_chunk, "the index is damaged: 1 chunks are not where it says" },
		{ claim_chunk, "chunks are not where it says" },
		{ add_pack, "is missing" },
		{ drop_pack_row, "chunks are not where it says" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		depot_restore(&rig);
		change_index(changes[i].change);
		expect_problem(changes[i].text);
		expect_healed();
	}
}

static void test_pack_not_entered(void **state)
{
	(void)state;
	change_index(forget_pack);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_true(depot_noted(&rig, "is not in the index"));
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.leftovers, 0);
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
}

static void test_rebuild(void **state)
{
	const struct fsck_options o = { .must_rebuild_index = true };

	(void)state;
	assert_int_equal(depot_fsck(&rig, &o), 0);
	assert_int_equal(rig.result.problems, 0);
	depot_restore(&rig);
	depot_flip(&rig, "index/data.mdb", 40000);
	assert_int_equal(depot_fsck(&rig, &o), 0);
	assert_int_equal(rig.result.problems, rig.result.repaired);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
	assert_true(depot_has_image(&rig, "b", image_b, LEN_B));
}

/* What a crash left of an index that was made anew is shown, and goes with gc or the next one. */
static void test_rebuild_cut_short(void **state)
{
	const struct fsck_options rebuild = { .must_rebuild_index = true };
	const struct gc_options all = { .live_percent = 50 };
	struct gc_result gc;
	struct err e = { 0 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		depot_write(&rig, "index/+tmp.data.mdb", 0, "some", 4);
		assert_int_equal(depot_check(&rig), 0);
		assert_int_equal(rig.result.problems, 0);
		assert_true(depot_noted(&rig, "'+tmp.data.mdb' in 'index' was left"));
		if (i == 0) {
			struct store *s = depot_open(&rig);

			assert_int_equal(gc_run(s, &all, &gc, &e), 0);
			assert_int_equal(gc.leftovers, 1);
			assert_int_equal(gc.freed_bytes, 4);
			store_close(s);
		} else {
			assert_int_equal(depot_fsck(&rig, &rebuild), 0);
		}
		assert_int_equal(depot_check(&rig), 0);
		assert_int_equal(rig.result.leftovers, 0);
	}
}

#define T(name) cmocka_unit_test_setup(test_##name, fsck_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(index_digest),	   T(index_without_digest),
		T(index_garbage),	   T(index_missing),
		T(index_of_another_store), T(index_rows),
		T(pack_not_entered),	   T(rebuild),
		T(rebuild_cut_short),	   T(index_of_a_new_store),
	};

	return cmocka_run_group_tests(tests, fsck_setup, fsck_teardown);
}

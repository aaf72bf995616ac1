/* SPDX-License-Identifier: Apache-2.0 */
/* fsck: what it finds in damaged packs, and what it saves of them. */
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
#include "stellar/index.h"
#include "stellar/lease.h"
#include "test/unit/fsck_store.h"

/* A failing disk: reads of this file at this place. */
static struct {
	ino_t inode; /* 0: none */
	off_t begin, end;
	unsigned count;
} bad_sector;

ssize_t pread(int fd, void *buf, size_t nbytes, off_t offset)
{
	struct stat st;

	if (bad_sector.inode && offset < bad_sector.end &&
	    offset + (off_t)nbytes > bad_sector.begin && fstat(fd, &st) == 0 &&
	    st.st_ino == bad_sector.inode) {
		bad_sector.count++;
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, buf, nbytes, offset);
}

static int reset(void **state)
{
	bad_sector.inode = 0;
	return fsck_reset(state);
}

/* --- packs --------------------------------------------------------------------------------- */

static void test_pack_frame(void **state)
{
	const struct depot_file *pack = pack_of('a');
	struct pack_table t;
	size_t table;

	(void)state;
	read_table(pack, &t);
	table = (pack->len - 2 * sizeof(struct st_pack_trailer) - t.table_offset) / 2;
	const struct {
		size_t byte;
		const char *text;
	} places[] = {
		{ 0, "does not begin as a pack" },
		{ 30, "its header is wrong" },
		{ 2000, "its header is wrong" },
		{ t.table_offset - 1, "unused bytes between chunks" },
		{ t.table_offset + 70, "one of the two copies of its table" },
		{ t.table_offset + table + 70, "one of the two copies of its table" },
		{ pack->len - 100, "one of the two copies of its end" },
		{ pack->len - 1, "one of the two copies of its end" },
	};
	pack_table_release(&t);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		depot_restore(&rig);
		depot_flip(&rig, pack->name, places[i].byte * 8);
		expect_problem(places[i].text);
		expect_healed();
		assert_int_equal(depot_count(&rig, "packs"), 2);
		assert_int_equal(depot_count(&rig, "quarantine"), 0);
	}
}

/* A pack without its tables: the index still tells where the chunks are. */
static void test_pack_tables(void **state)
{
	const struct depot_file *pack = pack_of('a');
	char path[512];

	(void)state;
	depot_path(&rig, pack->name, path);
	assert_int_equal(truncate(path, (off_t)pack->len - 60), 0);
	expect_problem("has no valid table");
	assert_int_equal(rig.result.damaged_images, 1);
	expect_healed();
	assert_int_equal(depot_count(&rig, "quarantine/packs"), 1);
}

static void test_pack_truncated(void **state)
{
	const struct depot_file *pack = pack_of('a');
	char path[512];

	(void)state;
	depot_path(&rig, pack->name, path);
	assert_int_equal(truncate(path, 4096 + 10000), 0);
	expect_problem("has no valid table");
	expect_lost('a');
	depot_restore(&rig);
	depot_path(&rig, pack->name, path);
	assert_int_equal(truncate(path, 0), 0);
	expect_problem("has no valid table");
	expect_lost('a');
}

static void test_pack_longer(void **state)
{
	const struct depot_file *pack = pack_of('a');

	(void)state;
	depot_write(&rig, pack->name, pack->len, "more", 4);
	expect_problem("has no valid table");
	expect_healed();
}

static void test_pack_missing(void **state)
{
	char path[512];

	(void)state;
	depot_path(&rig, pack_of('a')->name, path);
	assert_int_equal(unlink(path), 0);
	expect_problem("is missing");
	assert_int_equal(rig.result.damaged_images, 1);
	expect_lost('a');
}

static void test_chunk(void **state)
{
	static const enum chunk_kind kinds[] = { CHUNK_KIND_DATA, CHUNK_KIND_NODE,
						 CHUNK_KIND_IMAGE };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct pack_entry entry = entry_of(pack_of('b'), kinds[i]);

		depot_restore(&rig);
		depot_flip(&rig, pack_of('b')->name, (entry.offset + entry.stored_bytes / 2) * 8);
		expect_problem("image 'b' is damaged");
		assert_int_equal(rig.result.damaged_images, 1);
		expect_lost('b');
	}
}

/* A bit that does not change what comes out: zstd's frame says how much memory it takes. */
static void test_payload(void **state)
{
	const struct depot_file *pack = pack_of('b');
	struct pack_table t;
	unsigned found = 0;

	(void)state;
	read_table(pack, &t);
	for (uint32_t i = 0; i < t.count && found == 0; i++) {
		if (t.entries[i].codec != CODEC_ZSTD)
			continue;
		for (size_t bit = 32; bit < t.entries[i].stored_bytes * 8UL && found == 0; bit++) {
			depot_flip(&rig, pack->name, t.entries[i].offset * 8 + bit);
			assert_int_equal(depot_check(&rig), 0);
			assert_true(rig.result.problems > 0);
			found += depot_told(&rig, "its compressed bytes are not as they were");
			if (found == 0)
				depot_flip(&rig, pack->name, t.entries[i].offset * 8 + bit);
		}
	}
	pack_table_release(&t);
	assert_int_equal(found, 1);
	assert_int_equal(rig.result.damaged_images, 0);
	expect_healed();
}

static void test_io_error(void **state)
{
	const struct depot_file *pack = pack_of('b');
	const struct pack_entry entry = entry_of(pack, CHUNK_KIND_DATA);
	struct stat st;
	char path[512];

	(void)state;
	depot_path(&rig, pack->name, path);
	assert_int_equal(stat(path, &st), 0);
	bad_sector.begin = (off_t)entry.offset;
	bad_sector.end = bad_sector.begin + 512;
	bad_sector.inode = st.st_ino;
	expect_problem("Input/output error");
	assert_true(bad_sector.count > 0);
	assert_int_equal(rig.result.damaged_images, 1);
	assert_true(depot_told(&rig, "image 'b' is damaged"));
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.damaged_images, 1);
	bad_sector.inode = 0;
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
	/* What could not be read then is not thrown away. */
	assert_int_equal(depot_count(&rig, "quarantine/packs"), 1);
}

static void test_packs_swapped(void **state)
{
	const struct depot_file *a = pack_of('a'), *b = pack_of('b');
	char path[512], other[512], between[512];

	(void)state;
	depot_path(&rig, a->name, path);
	depot_path(&rig, b->name, other);
	depot_path(&rig, "between", between);
	assert_int_equal(rename(path, between), 0);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(rename(between, other), 0);
	expect_problem("holds another pack");
	expect_healed();
}

static void test_pack_copied(void **state)
{
	const struct depot_file *pack = pack_of('a');

	(void)state;
	depot_write(&rig, "packs/0123456789abcdef0123456789abcdef.pack", 0, pack->bytes, pack->len);
	expect_problem("holds another pack");
	assert_int_equal(rig.result.damaged_images, 0);
	expect_healed();
	assert_int_equal(depot_count(&rig, "packs"), 2);
}

static void test_pack_of_another_store(void **state)
{
	struct depot other;
	const struct depot_file *pack;

	(void)state;
	depot_make(&other, NULL);
	depot_import(&other, "a", image_a, LEN_A, "lz4", "fixed:16K");
	depot_save(&other);
	pack = depot_find_file(&other, "packs/", ".pack", 0);
	depot_write(&rig, pack->name, 0, pack->bytes, pack->len);
	depot_remove(&other);
	expect_problem("belongs to another store");
	expect_healed();
	assert_int_equal(depot_count(&rig, "quarantine/packs"), 1);
}

/* Damage in the headers of all packs is not another store. */
static void test_damaged_owners(void **state)
{
	const size_t byte = offsetof(struct st_pack_header, uuid) + 3;

	(void)state;
	depot_flip(&rig, pack_of('a')->name, byte * 8);
	depot_flip(&rig, pack_of('b')->name, byte * 8);
	expect_problem("header is wrong");
	expect_healed();
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
}

/* A pack that nobody relies on, as a crash before its sync leaves it. */
static void test_pack_unsynced(void **state)
{
	struct depot_file *pack = pack_of('a');
	const struct pack_entry entry = entry_of(pack, CHUNK_KIND_DATA);
	const size_t places[] = { 50, entry.offset + 1 };
	char path[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		depot_restore(&rig);
		change_index(forget_pack);
		depot_path(&rig, "roots/a", path);
		assert_int_equal(unlink(path), 0);
		depot_flip(&rig, pack->name, places[i] * 8);
		assert_int_equal(depot_check(&rig), 0);
		assert_int_equal(rig.result.problems, 0);
		assert_int_equal(rig.result.leftovers, 1);
		assert_int_equal(depot_repair(&rig), 0);
		assert_int_equal(rig.result.problems, rig.result.repaired);
		assert_int_equal(depot_check(&rig), 0);
		assert_int_equal(rig.result.problems + rig.result.leftovers, 0);
	}
}

/* --- tables that are wrong with right sums ------------------------------------------------- */

/* Writes the pack of an image anew with its table changed. */
static void forge(struct depot_file *pack,
		  void (*change)(struct st_pack_entry *list, uint32_t count))
{
	struct st_pack_trailer trailer;
	struct id_scheme scheme;
	uint8_t *table, *sum;
	size_t len;

	id_scheme_init(&scheme, NULL);
	memcpy(&trailer, pack->bytes + pack->len - sizeof(trailer), sizeof(trailer));
	len = le64_get(trailer.table_bytes);
	table = malloc(2 * len);
	assert_non_null(table);
	memcpy(table, pack->bytes + le64_get(trailer.table_offset), len);
	change((struct st_pack_entry *)(void *)(table + sizeof(struct st_pack_table)),
	       le32_get(trailer.count));
	sum = table + len - STORE_SUM_BYTES;
	id_sum(&scheme, table, len - STORE_SUM_BYTES, sum);
	memcpy(table + len, table, len);
	depot_write(&rig, pack->name, le64_get(trailer.table_offset), table, 2 * len);
	free(table);
}

static void swap_ids(struct st_pack_entry *list, uint32_t count)
{
	uint8_t id[CHUNK_ID_BYTES];

	assert_true(count > 3);
	memcpy(id, list[0].id, sizeof(id));
	memcpy(list[0].id, list[1].id, sizeof(id));
	memcpy(list[1].id, id, sizeof(id));
}

static void swap_entries(struct st_pack_entry *list, uint32_t count)
{
	const struct st_pack_entry first = list[0];

	assert_true(count > 3);
	list[0] = list[1];
	list[1] = first;
}

static void change_kind(struct st_pack_entry *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (list[i].kind == CHUNK_KIND_NODE)
			list[i].kind = CHUNK_KIND_IMAGE;
	}
}

static void test_forged_tables(void **state)
{
	(void)state;
	forge(pack_of('b'), swap_ids);
	expect_problem("is damaged");
	assert_int_equal(rig.result.damaged_images, 1);
	assert_true(depot_told(&rig, "the index is damaged"));
	expect_lost('b');
	depot_restore(&rig);
	forge(pack_of('b'), swap_entries);
	expect_problem("has no valid table");
	expect_healed();
	depot_restore(&rig);
	forge(pack_of('b'), change_kind);
	expect_problem("the index is damaged");
	assert_int_equal(depot_repair(&rig), 0);
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
}

#define T(name) cmocka_unit_test_setup(test_##name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pack_frame),	   T(pack_tables),   T(pack_truncated), T(pack_longer),
		T(pack_missing),   T(chunk),	     T(payload),	T(io_error),
		T(packs_swapped),  T(pack_copied),   T(pack_unsynced),	T(pack_of_another_store),
		T(damaged_owners), T(forged_tables),
	};

	return cmocka_run_group_tests(tests, fsck_setup, fsck_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What fsck finds, says and repairs, damage by damage. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/abi.h"
#include "stellar/index.h"
#include "stellar/lease.h"
#include "stellar/pack.h"
#include "test/unit/fsck_rig.h"

enum { LEN_A = 300 << 10, LEN_B = 200 << 10 };

static struct fsck_rig rig;
static uint8_t image_a[LEN_A], image_b[LEN_B];

/* A failing disk: reads of this file at this place. */
static struct {
	ino_t inode; /* 0: none */
	off_t begin, end;
	unsigned count;
} bad_sector;

ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
	struct stat st;

	if (bad_sector.inode && offset < bad_sector.end && offset + (off_t)len > bad_sector.begin &&
	    fstat(fd, &st) == 0 && st.st_ino == bad_sector.inode) {
		bad_sector.count++;
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, buf, len, offset);
}

/* --- the store of all tests ---------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	rig_make(&rig, NULL);
	rig_text(image_a, LEN_A, 1);
	rig_noise(image_a + (64 << 10), 64 << 10, 1);
	memset(image_a + (128 << 10), 0, 64 << 10);
	rig_noise(image_b, LEN_B, 2);
	rig_text(image_b, 50 << 10, 3);
	rig_import(&rig, "a", image_a, LEN_A, "lz4", "fixed:16K");
	rig_import(&rig, "b", image_b, LEN_B, "zstd", "fastcdc:8K");
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	rig_save(&rig);
	return 0;
}

static int reset(void **state)
{
	(void)state;
	bad_sector.inode = 0;
	rig_restore(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fsck_rig_remove(&rig);
	return 0;
}

/* The pack that holds the image, and its name. */
static struct rig_file *pack_of(char image)
{
	struct rig_file *first = rig_find_file(&rig, "packs/", ".pack", 0);
	struct rig_file *second = rig_find_file(&rig, "packs/", ".pack", 1);
	const bool is_first_longer = first->len > second->len;

	/* b is mostly noise, and longer so. */
	return (image == 'b') == is_first_longer ? first : second;
}

static struct rig_file *root_of(const char *name)
{
	return rig_find_file(&rig, "roots/", name, 0);
}

static struct pack_id id_of(const struct rig_file *pack)
{
	struct pack_id id;

	assert_int_equal(pack_id_from_name(&id, pack->name + strlen("packs/")), 0);
	return id;
}

static void read_table(const struct rig_file *pack, struct pack_table *t)
{
	struct id_scheme scheme;
	struct st_pack_trailer trailer;
	struct pack_id id = id_of(pack);
	struct err e = { 0 };
	uint64_t offset;

	id_scheme_init(&scheme, NULL);
	memcpy(&trailer, pack->bytes + pack->len - sizeof(trailer), sizeof(trailer));
	offset = le64_get(trailer.table_offset);
	*t = (struct pack_table){ 0 };
	if (pack_table_parse(pack->bytes + offset, le64_get(trailer.table_bytes), &scheme, &id,
			     offset, t, &e) < 0)
		fail_msg("%s", e.msg);
	t->table_offset = offset;
}

/* The first entry of @kind in the pack. */
static struct pack_entry entry_of(const struct rig_file *pack, enum chunk_kind kind)
{
	struct pack_table t;
	struct pack_entry found = { 0 };

	read_table(pack, &t);
	for (uint32_t i = 0; i < t.count && found.kind == 0; i++) {
		if (t.entries[i].kind == kind)
			found = t.entries[i];
	}
	pack_table_release(&t);
	assert_int_equal(found.kind, kind);
	return found;
}

static void expect_problem(const char *text)
{
	assert_int_equal(rig_check(&rig), 0);
	assert_true(rig.result.problems > 0);
	assert_int_equal(rig.result.repaired, 0);
	if (!rig_told(&rig, text))
		fail_msg("expected '%s', got '%s'", text, rig.lines[0]);
}

/* All is repaired and nothing is lost. */
static void expect_healed(void)
{
	assert_int_equal(rig_repair(&rig), 0);
	if (rig.result.problems != rig.result.repaired)
		fail_msg("not repaired: '%s'", rig.lines[rig.line_count - 1]);
	assert_true(rig.result.repaired > 0);
	assert_int_equal(rig.result.damaged_images, 0);
	assert_int_equal(rig_check(&rig), 0);
	if (rig.result.problems > 0)
		fail_msg("after the repair: '%s'", rig.lines[0]);
	assert_int_equal(rig.note_count, 0);
	assert_true(rig_has_image(&rig, "a", image_a, LEN_A));
	assert_true(rig_has_image(&rig, "b", image_b, LEN_B));
}

/* One image is lost, the other one stays; the index heals when it is imported again. */
static void expect_lost(char lost)
{
	assert_int_equal(rig_repair(&rig), 0);
	assert_int_equal(rig.result.damaged_images, 1);
	assert_true(rig_has_image(&rig, "a", image_a, LEN_A) == (lost != 'a'));
	assert_true(rig_has_image(&rig, "b", image_b, LEN_B) == (lost != 'b'));
	if (lost == 'a')
		rig_import(&rig, "a", image_a, LEN_A, "lz4", "fixed:16K");
	else
		rig_import(&rig, "b", image_b, LEN_B, "zstd", "fastcdc:8K");
	assert_int_equal(rig_check(&rig), 0);
	if (rig.result.problems > 0)
		fail_msg("after the import: '%s'", rig.lines[0]);
	assert_true(rig_has_image(&rig, "a", image_a, LEN_A));
	assert_true(rig_has_image(&rig, "b", image_b, LEN_B));
}

/* --- superblock, locks, strange files ------------------------------------------------------ */

static void test_clean(void **state)
{
	(void)state;
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.leftovers, 0);
	assert_int_equal(rig.result.images, 2);
	assert_int_equal(rig.result.packs, 2);
	assert_true(rig.result.chunks > 20);
	assert_int_equal(rig_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig_count(&rig, "packs"), 2);
	assert_int_equal(rig_count(&rig, "quarantine"), 0);
}

static void test_superblock(void **state)
{
	(void)state;
	for (unsigned copy = 0; copy < 2; copy++) {
		rig_flip(&rig, "superblock", copy * 2048 * 8 + 777);
		expect_problem("'superblock': one of its two copies is damaged");
		expect_healed();
	}
	rig_write(&rig, "superblock", 4096, "x", 1);
	expect_problem("'superblock'");
	expect_healed();
	rig_flip(&rig, "superblock", 100);
	rig_flip(&rig, "superblock", 2048 * 8 + 100);
	assert_int_equal(rig_check(&rig), -EBADMSG);
	assert_int_equal(rig_repair(&rig), -EBADMSG);
}

static void test_locks(void **state)
{
	char path[512];

	(void)state;
	rig_write(&rig, "gate", 0, "x", 1);
	expect_problem("'gate' of the store is not empty");
	expect_healed();
	rig_path(&rig, "gc", path);
	assert_int_equal(unlink(path), 0);
	assert_true(rig_check(&rig) < 0);
	assert_true(rig_told(&rig, "the store has no file 'gc'"));
	expect_healed();
}

static void test_strange_files(void **state)
{
	static const char *const names[] = { "notes",	 "packs/readme", "index/x",
					     "roots/+x", "roots/-",	 "leases/y" };
	char path[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		rig_write(&rig, names[i], 0, "precious", 8);
		expect_problem("is no");
		expect_healed();
	}
	rig_path(&rig, "quarantine/store/notes", path);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(rig_count(&rig, "quarantine/roots"), 2);
	/* Nothing in quarantine is replaced. */
	rig_write(&rig, "notes", 0, "precious", 8);
	expect_healed();
	assert_int_equal(rig_count(&rig, "quarantine/store"), 2);
	/* A folder where a file should be. */
	rig_path(&rig, "roots/c", path);
	assert_int_equal(mkdir(path, 0777), 0);
	expect_problem("'c' in 'roots' is no file");
	expect_healed();
}

static void test_leftovers(void **state)
{
	static const char lease[] = "leases/0123456789abcdef0123456789abcdef.lease";
	static const char pack[] = "packs/0123456789abcdef0123456789abcdef.pack";

	(void)state;
	rig_write(&rig, "roots/+tmp.a", 0, "half", 4);
	rig_write(&rig, "superblock.new", 0, "half", 4);
	rig_write(&rig, lease, 0, "half", 4);
	rig_write(&rig, pack, 0, "half", 4);
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.leftovers, 4);
	assert_int_equal(rig_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.leftovers, 0);
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.leftovers, 0);
	assert_int_equal(rig_count(&rig, "packs"), 2);
}

static void test_living(void **state)
{
	struct store *s = rig_open(&rig);
	struct lease *lease = NULL;
	struct root root;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_find(s, "a", &lease, &root, &e), 0);
	assert_int_equal(rig_repair(&rig), -EBUSY);
	lease_free(lease);
	store_close(s);
	assert_int_equal(rig_repair(&rig), 0);
}

/* --- roots --------------------------------------------------------------------------------- */

static void test_root_copy(void **state)
{
	(void)state;
	for (unsigned copy = 0; copy < 2; copy++) {
		rig_flip(&rig, "roots/a", copy * 512 * 8 + 200);
		expect_problem("the name of image 'a': one of the two copies");
		expect_healed();
	}
}

static void test_root_lost(void **state)
{
	(void)state;
	rig_flip(&rig, "roots/a", 200);
	rig_flip(&rig, "roots/a", 512 * 8 + 200);
	expect_problem("image 'a' is damaged: its checksum is wrong");
	assert_int_equal(rig_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 1);
	assert_int_equal(rig.result.repaired, 1);
	assert_int_equal(rig_count(&rig, "quarantine/roots"), 1);
	assert_int_equal(rig_count(&rig, "roots"), 1);
	assert_true(rig_has_image(&rig, "b", image_b, LEN_B));
}

static void test_roots_swapped(void **state)
{
	const struct rig_file *a = root_of("a"), *b = root_of("b");

	(void)state;
	rig_write(&rig, a->name, 0, b->bytes, b->len);
	expect_problem("its file belongs to an image of another name");
	assert_int_equal(rig_repair(&rig), 0);
	assert_int_equal(rig.result.repaired, 1);
	assert_true(rig_has_image(&rig, "b", image_b, LEN_B));
}

/* --- packs --------------------------------------------------------------------------------- */

static void test_pack_frame(void **state)
{
	const struct rig_file *pack = pack_of('a');
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
		rig_restore(&rig);
		rig_flip(&rig, pack->name, places[i].byte * 8);
		expect_problem(places[i].text);
		expect_healed();
		assert_int_equal(rig_count(&rig, "packs"), 2);
		assert_int_equal(rig_count(&rig, "quarantine"), 0);
	}
}

/* A pack without its tables: the index still tells where the chunks are. */
static void test_pack_tables(void **state)
{
	const struct rig_file *pack = pack_of('a');
	char path[512];

	(void)state;
	rig_path(&rig, pack->name, path);
	assert_int_equal(truncate(path, (off_t)pack->len - 60), 0);
	expect_problem("has no valid table");
	assert_int_equal(rig.result.damaged_images, 1);
	expect_healed();
	assert_int_equal(rig_count(&rig, "quarantine/packs"), 1);
}

static void test_pack_truncated(void **state)
{
	const struct rig_file *pack = pack_of('a');
	char path[512];

	(void)state;
	rig_path(&rig, pack->name, path);
	assert_int_equal(truncate(path, 4096 + 10000), 0);
	expect_problem("has no valid table");
	expect_lost('a');
	rig_restore(&rig);
	rig_path(&rig, pack->name, path);
	assert_int_equal(truncate(path, 0), 0);
	expect_problem("has no valid table");
	expect_lost('a');
}

static void test_pack_longer(void **state)
{
	const struct rig_file *pack = pack_of('a');

	(void)state;
	rig_write(&rig, pack->name, pack->len, "more", 4);
	expect_problem("has no valid table");
	expect_healed();
}

static void test_pack_missing(void **state)
{
	char path[512];

	(void)state;
	rig_path(&rig, pack_of('a')->name, path);
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

		rig_restore(&rig);
		rig_flip(&rig, pack_of('b')->name, (entry.offset + entry.stored_bytes / 2) * 8);
		expect_problem("image 'b' is damaged");
		assert_int_equal(rig.result.damaged_images, 1);
		expect_lost('b');
	}
}

/* A bit that does not change what comes out: zstd's frame says how much memory it takes. */
static void test_payload(void **state)
{
	const struct rig_file *pack = pack_of('b');
	struct pack_table t;
	unsigned found = 0;

	(void)state;
	read_table(pack, &t);
	for (uint32_t i = 0; i < t.count && found == 0; i++) {
		if (t.entries[i].codec != CODEC_ZSTD)
			continue;
		for (size_t bit = 32; bit < t.entries[i].stored_bytes * 8UL && found == 0; bit++) {
			rig_flip(&rig, pack->name, t.entries[i].offset * 8 + bit);
			assert_int_equal(rig_check(&rig), 0);
			assert_true(rig.result.problems > 0);
			found += rig_told(&rig, "its compressed bytes are not as they were");
			if (found == 0)
				rig_flip(&rig, pack->name, t.entries[i].offset * 8 + bit);
		}
	}
	pack_table_release(&t);
	assert_int_equal(found, 1);
	assert_int_equal(rig.result.damaged_images, 0);
	expect_healed();
}

static void test_io_error(void **state)
{
	const struct rig_file *pack = pack_of('b');
	const struct pack_entry entry = entry_of(pack, CHUNK_KIND_DATA);
	struct stat st;
	char path[512];

	(void)state;
	rig_path(&rig, pack->name, path);
	assert_int_equal(stat(path, &st), 0);
	bad_sector.begin = (off_t)entry.offset;
	bad_sector.end = bad_sector.begin + 512;
	bad_sector.inode = st.st_ino;
	expect_problem("Input/output error");
	assert_true(bad_sector.count > 0);
	assert_int_equal(rig.result.damaged_images, 1);
	assert_true(rig_told(&rig, "image 'b' is damaged"));
	assert_int_equal(rig_repair(&rig), 0);
	assert_int_equal(rig.result.damaged_images, 1);
	bad_sector.inode = 0;
	assert_true(rig_has_image(&rig, "a", image_a, LEN_A));
	/* What could not be read then is not thrown away. */
	assert_int_equal(rig_count(&rig, "quarantine/packs"), 1);
}

static void test_packs_swapped(void **state)
{
	const struct rig_file *a = pack_of('a'), *b = pack_of('b');
	char path[512], other[512], between[512];

	(void)state;
	rig_path(&rig, a->name, path);
	rig_path(&rig, b->name, other);
	rig_path(&rig, "between", between);
	assert_int_equal(rename(path, between), 0);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(rename(between, other), 0);
	expect_problem("holds another pack");
	expect_healed();
}

static void test_pack_copied(void **state)
{
	const struct rig_file *pack = pack_of('a');

	(void)state;
	rig_write(&rig, "packs/0123456789abcdef0123456789abcdef.pack", 0, pack->bytes, pack->len);
	expect_problem("holds another pack");
	assert_int_equal(rig.result.damaged_images, 0);
	expect_healed();
	assert_int_equal(rig_count(&rig, "packs"), 2);
}

static void test_pack_of_another_store(void **state)
{
	struct fsck_rig other;
	const struct rig_file *pack;

	(void)state;
	rig_make(&other, NULL);
	rig_import(&other, "a", image_a, LEN_A, "lz4", "fixed:16K");
	rig_save(&other);
	pack = rig_find_file(&other, "packs/", ".pack", 0);
	rig_write(&rig, pack->name, 0, pack->bytes, pack->len);
	fsck_rig_remove(&other);
	expect_problem("belongs to another store");
	expect_healed();
	assert_int_equal(rig_count(&rig, "quarantine/packs"), 1);
}

/* --- tables that are wrong with right sums ------------------------------------------------- */

/* Writes the pack of an image anew with its table changed. */
static void forge(struct rig_file *pack, void (*change)(struct st_pack_entry *list, uint32_t count))
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
	rig_write(&rig, pack->name, le64_get(trailer.table_offset), table, 2 * len);
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
	assert_true(rig_told(&rig, "the index is damaged"));
	expect_lost('b');
	rig_restore(&rig);
	forge(pack_of('b'), swap_entries);
	expect_problem("has no valid table");
	expect_healed();
	rig_restore(&rig);
	forge(pack_of('b'), change_kind);
	expect_problem("the index is damaged");
	assert_int_equal(rig_repair(&rig), 0);
	assert_true(rig_has_image(&rig, "a", image_a, LEN_A));
}

/* --- the index ----------------------------------------------------------------------------- */

static void remove_digest(void)
{
	char path[512];

	rig_path(&rig, "index/digest", path);
	assert_int_equal(unlink(path), 0);
}

static void test_index_digest(void **state)
{
	const struct rig_file *index = rig_find_file(&rig, "index/", "data.mdb", 0);
	char path[512];

	(void)state;
	rig_flip(&rig, "index/data.mdb", index->len * 8 - 5);
	expect_problem("'index/data.mdb' is not as it was left");
	expect_healed();
	rig_restore(&rig);
	rig_flip(&rig, "index/digest", 300);
	expect_problem("'index/digest' is damaged");
	expect_healed();
	/* One that was never written is none. */
	rig_path(&rig, "index/digest", path);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(rig_check(&rig), 0);
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
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	rig_path(&rig, "index/digest", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, sizeof(struct st_index_digest));
	rig_flip(&rig, "index/data.mdb", 4096 * 8 * 3 - 9);
	expect_problem("'index/data.mdb' is not as it was left");
}

/* Whatever it is, fsck does not crash, and a repair heals it. */
static void test_index_garbage(void **state)
{
	struct rig_file *index = rig_find_file(&rig, "index/", "data.mdb", 0);
	uint8_t noise[4096];
	size_t missed = 0, flips = 0;

	(void)state;
	for (size_t bit = 3; bit < index->len * 8; bit += 211, flips++) {
		rig_restore(&rig);
		remove_digest();
		rig_flip(&rig, index->name, bit);
		assert_int_equal(rig_check(&rig), 0);
		missed += rig.result.problems == 0;
		assert_true(rig.result.problems == 0 || rig_told(&rig, "the index"));
	}
	print_message("%zu flips in an index without a digest, %zu in bytes that say nothing\n",
		      flips, missed);
	for (size_t page = 0; page < index->len / sizeof(noise); page++) {
		rig_restore(&rig);
		remove_digest();
		rig_noise(noise, sizeof(noise), page + 1);
		rig_write(&rig, index->name, page * sizeof(noise), noise, sizeof(noise));
		assert_int_equal(rig_check(&rig), 0);
		if (rig.result.problems > 0)
			expect_healed();
	}
}

static void test_index_missing(void **state)
{
	char path[512];

	(void)state;
	rig_path(&rig, "index/data.mdb", path);
	assert_int_equal(unlink(path), 0);
	expect_problem("data.mdb");
	expect_healed();
	rig_restore(&rig);
	rig_path(&rig, "index/data.mdb", path);
	assert_int_equal(truncate(path, 5000), 0);
	expect_problem("the index is damaged");
	expect_healed();
}

static void test_index_of_another_store(void **state)
{
	struct fsck_rig other;
	const struct rig_file *index;

	(void)state;
	rig_make(&other, NULL);
	rig_import(&other, "a", image_a, LEN_A, "lz4", "fixed:16K");
	rig_save(&other);
	index = rig_find_file(&other, "index/", "data.mdb", 0);
	rig_write(&rig, index->name, 0, index->bytes, index->len);
	index = rig_find_file(&other, "index/", "digest", 0);
	rig_write(&rig, index->name, 0, index->bytes, index->len);
	fsck_rig_remove(&other);
	expect_problem("the index is");
	expect_healed();
}

/* Changes the index as its users do, wrongly. */
static void change_index(void (*change)(struct index_writer *w, struct err *e))
{
	struct superblock sb;
	struct index_writer *w;
	struct index *x;
	struct err e = { 0 };
	auto_fd int dir = open(rig.store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(superblock_read(dir, rig.store, &sb, &e), 0);
	assert_int_equal(index_open(&x, rig.store, sb.uuid, INDEX_READ_WRITE, &e), 0);
	assert_int_equal(index_begin(&w, x, &e), 0);
	change(w, &e);
	assert_int_equal(index_commit(w, &e), 0);
	index_close(x);
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

static void drop_pack(struct index_writer *w, struct err *e)
{
	const struct pack_id id = id_of(pack_of('a'));
	struct index_pack info;

	assert_int_equal(index_writer_find_pack_id(w, &id, &info, e), 1);
	assert_int_equal(index_remove_pack(w, info.number, e), 0);
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
		{ drop_pack, "chunks are not where it says" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		rig_restore(&rig);
		change_index(changes[i].change);
		expect_problem(changes[i].text);
		expect_healed();
	}
}

/* As after a crash between a pack's sync and its entry. */
static void forget_all(struct index_writer *w, struct err *e)
{
	struct pack_table t;

	read_table(pack_of('a'), &t);
	for (uint32_t i = 0; i < t.count; i++)
		assert_int_equal(index_remove_chunk(w, &t.entries[i].id, e), 0);
	pack_table_release(&t);
	drop_pack(w, e);
}

static void test_pack_not_entered(void **state)
{
	(void)state;
	change_index(forget_all);
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_true(rig_noted(&rig, "is not in the index"));
	assert_int_equal(rig_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.leftovers, 0);
	assert_true(rig_has_image(&rig, "a", image_a, LEN_A));
}

static void test_rebuild(void **state)
{
	const struct fsck_options o = { .must_rebuild_index = true };

	(void)state;
	assert_int_equal(rig_fsck(&rig, &o), 0);
	assert_int_equal(rig.result.problems, 0);
	rig_restore(&rig);
	rig_flip(&rig, "index/data.mdb", 40000);
	assert_int_equal(rig_fsck(&rig, &o), 0);
	assert_int_equal(rig.result.problems, rig.result.repaired);
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_true(rig_has_image(&rig, "a", image_a, LEN_A));
	assert_true(rig_has_image(&rig, "b", image_b, LEN_B));
}

/* --- several at once ----------------------------------------------------------------------- */

/* A damaged chunk of which another pack has a copy. */
static void test_other_copy(void **state)
{
	struct rig_file *pack = pack_of('a');
	const struct pack_entry entry = entry_of(pack, CHUNK_KIND_DATA);
	char path[512];

	(void)state;
	/* Written again while the index has lost its chunks. */
	change_index(forget_all);
	rig_path(&rig, pack->name, path);
	assert_int_equal(unlink(path), 0);
	rig_import(&rig, "a", image_a, LEN_A, "none", "fixed:16K");
	rig_write(&rig, pack->name, 0, pack->bytes, pack->len);
	store_close(rig_open(&rig)); /* enters it beside the other */
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	rig_flip(&rig, pack->name, (entry.offset + 5) * 8);
	assert_int_equal(rig_check(&rig), 0);
	assert_true(rig.result.problems > 0);
	assert_int_equal(rig.result.damaged_images, 0);
	expect_healed();
}

static void test_many(void **state)
{
	(void)state;
	rig_flip(&rig, "superblock", 1000);
	rig_flip(&rig, "roots/a", 1000);
	rig_flip(&rig, "index/data.mdb", 100000);
	rig_flip(&rig, pack_of('a')->name, 2000 * 8);
	rig_flip(&rig, pack_of('b')->name, (pack_of('b')->len - 5) * 8);
	rig_write(&rig, "packs/strange", 0, "x", 1);
	assert_int_equal(rig_check(&rig), 0);
	assert_true(rig.result.problems >= 6);
	expect_healed();
}

static void test_quick(void **state)
{
	const struct pack_entry entry = entry_of(pack_of('a'), CHUNK_KIND_DATA);

	(void)state;
	rig_flip(&rig, pack_of('a')->name, (entry.offset + 5) * 8);
	assert_int_equal(rig_fsck(&rig, &(const struct fsck_options){ .is_quick = true }), 0);
	assert_int_equal(rig.result.problems, 0);
	expect_problem("is damaged");
}

static void test_no_store(void **state)
{
	struct fsck_result result;
	struct err e = { 0 };
	const struct fsck_options o = { 0 };

	(void)state;
	assert_int_equal(fsck_run("/dev/shm/no-such-store", NULL, &o, &result, &e), -ENOENT);
	assert_true(e.msg[0] != '\0');
}

#define T(name) cmocka_unit_test_setup(test_##name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(clean),
		T(superblock),
		T(locks),
		T(strange_files),
		T(leftovers),
		T(living),
		T(root_copy),
		T(root_lost),
		T(roots_swapped),
		T(pack_frame),
		T(pack_tables),
		T(pack_truncated),
		T(pack_longer),
		T(pack_missing),
		T(chunk),
		T(payload),
		T(io_error),
		T(packs_swapped),
		T(pack_copied),
		T(pack_of_another_store),
		T(forged_tables),
		T(index_digest),
		T(index_without_digest),
		T(index_garbage),
		T(index_missing),
		T(index_of_another_store),
		T(index_rows),
		T(pack_not_entered),
		T(rebuild),
		T(other_copy),
		T(many),
		T(quick),
		T(no_store),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

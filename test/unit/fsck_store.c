/* SPDX-License-Identifier: Apache-2.0 */
/* A store with two images: see fsck_store.h. */
#include "test/unit/fsck_store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "stellar/abi.h"

struct depot rig;
uint8_t image_a[LEN_A], image_b[LEN_B];

int fsck_setup(void **state)
{
	(void)state;
	depot_make(&rig, NULL);
	depot_text(image_a, LEN_A, 1);
	depot_noise(image_a + (64 << 10), 64 << 10, 1);
	memset(image_a + (128 << 10), 0, 64 << 10);
	depot_noise(image_b, LEN_B, 2);
	depot_text(image_b, 50 << 10, 3);
	depot_import(&rig, "a", image_a, LEN_A, "lz4", "fixed:16K");
	depot_import(&rig, "b", image_b, LEN_B, "zstd", "fastcdc:8K");
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	depot_save(&rig);
	return 0;
}

int fsck_reset(void **state)
{
	(void)state;
	depot_restore(&rig);
	return 0;
}

int fsck_teardown(void **state)
{
	(void)state;
	depot_remove(&rig);
	return 0;
}

struct depot_file *pack_of(char image)
{
	struct depot_file *first = depot_find_file(&rig, "packs/", ".pack", 0);
	struct depot_file *second = depot_find_file(&rig, "packs/", ".pack", 1);
	const bool is_first_longer = first->len > second->len;

	/* b is mostly noise, and longer so. */
	return (image == 'b') == is_first_longer ? first : second;
}

struct depot_file *root_of(const char *name)
{
	return depot_find_file(&rig, "roots/", name, 0);
}

struct pack_id id_of(const struct depot_file *pack)
{
	struct pack_id id;

	assert_int_equal(pack_id_from_name(&id, pack->name + strlen("packs/")), 0);
	return id;
}

void read_table(const struct depot_file *pack, struct pack_table *t)
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

struct pack_entry entry_of(const struct depot_file *pack, enum chunk_kind kind)
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

void expect_problem(const char *text)
{
	assert_int_equal(depot_check(&rig), 0);
	assert_true(rig.result.problems > 0);
	assert_int_equal(rig.result.repaired, 0);
	if (!depot_told(&rig, text))
		fail_msg("expected '%s', got '%s'", text, rig.lines[0]);
}

void expect_healed(void)
{
	assert_int_equal(depot_repair(&rig), 0);
	if (rig.result.problems != rig.result.repaired)
		fail_msg("not repaired: '%s'", rig.lines[rig.line_count - 1]);
	assert_true(rig.result.repaired > 0);
	assert_int_equal(rig.result.damaged_images, 0);
	assert_int_equal(depot_check(&rig), 0);
	if (rig.result.problems > 0)
		fail_msg("after the repair: '%s'", rig.lines[0]);
	assert_int_equal(rig.note_count, 0);
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
	assert_true(depot_has_image(&rig, "b", image_b, LEN_B));
}

void expect_lost(char lost)
{
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.damaged_images, 1);
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A) == (lost != 'a'));
	assert_true(depot_has_image(&rig, "b", image_b, LEN_B) == (lost != 'b'));
	if (lost == 'a')
		depot_import(&rig, "a", image_a, LEN_A, "lz4", "fixed:16K");
	else
		depot_import(&rig, "b", image_b, LEN_B, "zstd", "fastcdc:8K");
	assert_int_equal(depot_check(&rig), 0);
	if (rig.result.problems > 0)
		fail_msg("after the import: '%s'", rig.lines[0]);
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
	assert_true(depot_has_image(&rig, "b", image_b, LEN_B));
}

void change_index(void (*change)(struct index_writer *w, struct err *e))
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

void drop_pack_row(struct index_writer *w, struct err *e)
{
	const struct pack_id id = id_of(pack_of('a'));
	struct index_pack info;

	assert_int_equal(index_writer_find_pack_id(w, &id, &info, e), 1);
	assert_int_equal(index_remove_pack(w, info.number, e), 0);
}

void forget_pack(struct index_writer *w, struct err *e)
{
	struct pack_table t;

	read_table(pack_of('a'), &t);
	for (uint32_t i = 0; i < t.count; i++)
		assert_int_equal(index_remove_chunk(w, &t.entries[i].id, e), 0);
	pack_table_release(&t);
	drop_pack_row(w, e);
}

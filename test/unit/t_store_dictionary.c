/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionaries: trained on what a store holds, used, and found again by who reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stellar/codec.h"
#include "stellar/fsck.h"
#include "stellar/index.h"
#include "stellar/reader.h"
#include "test/unit/store_rig.h"

enum { IMAGE_BYTES = 256 << 10, CHUNK_BYTES = 4096, DICTIONARY_BYTES = 4 << 10 };

/* Text of few words, so that a dictionary of other such text helps. */
static int make_text(uint64_t seed)
{
	static const char *const words[] = { "stored ",	   "verified ", "repeated ", "sealed ",
					     "forgotten ", "sorted ",	"counted ",  "found " };
	struct sequence s = { seed };
	char text[IMAGE_BYTES + 16];
	const int fd = store_rig_file(IMAGE_BYTES);
	size_t len = 0;

	while (len < IMAGE_BYTES) {
		const char *word = words[sequence_below(&s, ARRAY_LEN(words))];

		memcpy(text + len, word, strlen(word));
		len += strlen(word);
	}
	assert_int_equal(file_pwrite_full(fd, text, IMAGE_BYTES, 0), 0);
	return fd;
}

static void import_in_chunks(struct store_rig *rig, int fd, const char *name)
{
	struct import_options o = { .has_codec = true };

	assert_done(chunk_params_parse(&o.chunking, "fixed:4K", e));
	assert_done(codec_params_parse(&o.codec, "zstd", e));
	store_rig_import(rig, fd, name, &o);
}

struct count {
	size_t of[CODEC_ZSTD_DICTIONARY + 1];
};

static int count_codec(void *opaque, const struct chunk_id *id, const struct index_entry *entry)
{
	struct count *c = opaque;

	(void)id;
	c->of[entry->codec] += entry->kind == CHUNK_KIND_DATA;
	return 0;
}

static size_t chunks_with_dictionary(struct store_rig *rig)
{
	struct count count = { 0 };
	struct store_reader *r;

	assert_done(store_reader_new(&r, rig->store, e));
	assert_done(index_each_chunk(store_reader_index(r), count_codec, &count, e));
	store_reader_free(r);
	return count.of[CODEC_ZSTD_DICTIONARY];
}

static void export_and_compare(struct store_rig *rig, const char *name, int fd)
{
	const int exported = store_rig_export(rig, name);

	store_rig_assert_equal(fd, exported);
	close(exported);
}

static void run_dictionary(bool is_encrypted)
{
	const int before = make_text(1), after = make_text(2);
	struct store_rig rig = { 0 };

	store_rig_init(&rig, is_encrypted);
	import_in_chunks(&rig, before, "before");
	store_rig_close(&rig);
	store_rig_open(&rig, STORE_EXCLUSIVE, is_encrypted);
	assert_done(store_train_dictionary(rig.store, DICTIONARY_BYTES, e));
	store_rig_close(&rig);
	store_rig_open(&rig, STORE_READ_WRITE, is_encrypted);
	import_in_chunks(&rig, after, "after");
	assert_true(chunks_with_dictionary(&rig) > IMAGE_BYTES / CHUNK_BYTES / 2);
	/* By who has not loaded it yet. */
	store_rig_close(&rig);
	store_rig_open(&rig, STORE_READ_ONLY, is_encrypted);
	export_and_compare(&rig, "after", after);
	export_and_compare(&rig, "before", before);
	store_rig_close(&rig);
	store_rig_open(&rig, STORE_READ_WRITE, is_encrypted);
	store_rig_remove(&rig);
	close(before);
	close(after);
}

static void test_plain(void **state)
{
	(void)state;
	run_dictionary(false);
}

static void test_encrypted(void **state)
{
	(void)state;
	run_dictionary(true);
}

/* gc copies the chunks, and leaves the dictionary that they need. */
static void test_gc_keeps_it(void **state)
{
	const int before = make_text(1), after = make_text(2), other = make_text(3);
	const struct gc_options all = { .live_percent = 100 };
	struct store_rig rig = { 0 };
	struct gc_result result;

	(void)state;
	store_rig_init(&rig, true);
	import_in_chunks(&rig, before, "before");
	store_rig_close(&rig);
	store_rig_open(&rig, STORE_EXCLUSIVE, true);
	assert_done(store_train_dictionary(rig.store, DICTIONARY_BYTES, e));
	assert_done(store_train_dictionary(rig.store, DICTIONARY_BYTES / 2, e));
	store_rig_close(&rig);
	store_rig_open(&rig, STORE_READ_WRITE, true);
	import_in_chunks(&rig, after, "after");
	import_in_chunks(&rig, other, "other");
	assert_done(store_remove(rig.store, "other", e));
	assert_done(store_remove(rig.store, "before", e));
	assert_done(gc_run(rig.store, &all, &result, e));
	assert_true(result.packs_removed + result.packs_repacked >= 2);
	store_rig_close(&rig);
	store_rig_open(&rig, STORE_READ_ONLY, true);
	export_and_compare(&rig, "after", after);
	store_rig_close(&rig);
	store_rig_open(&rig, STORE_READ_WRITE, true);
	store_rig_remove(&rig);
	close(before);
	close(after);
	close(other);
}

/* --- a damaged one ------------------------------------------------------------------------- */

struct place {
	const struct chunk_id *id;
	struct index_entry entry;
};

static int find_dictionary(void *opaque, const struct chunk_id *id, const struct index_entry *entry)
{
	struct place *p = opaque;

	if (id_equal(id, p->id))
		p->entry = *entry;
	return 0;
}

/* Spoils the dictionary of the superblock. */
static void spoil_dictionary(struct store_rig *rig)
{
	struct place place = { &store_superblock(rig->store)->dictionary_id, { 0 } };
	struct index_pack pack;
	struct store_reader *r;
	char path[256], name[PACK_NAME_BYTES];
	auto_fd int fd = -1;

	assert_done(store_reader_new(&r, rig->store, e));
	assert_done(index_each_chunk(store_reader_index(r), find_dictionary, &place, e));
	assert_done(index_find_pack(store_reader_index(r), place.entry.pack, &pack, e));
	store_reader_free(r);
	pack_name(&pack.id, name);
	snprintf(path, sizeof(path), "%s/packs/%s", rig->path, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(file_pwrite_full(fd, "spoilt", 6, (off_t)place.entry.offset + 99), 0);
}

static void take_line(void *opaque, const char *text, bool is_repaired)
{
	char *told = opaque;

	if (strstr(text, "superblock"))
		snprintf(told, ERR_MSG_BYTES, "%s%s", text, is_repaired ? " (repaired)" : "");
}

/* The count of problems that are left; in @told what was said of the superblock. */
static uint64_t check(struct store_rig *rig, bool may_repair, char told[ERR_MSG_BYTES])
{
	const struct fsck_options o = {
		.may_repair = may_repair,
		.on_problem = take_line,
		.opaque = told,
	};
	struct fsck_result result;

	told[0] = '\0';
	assert_done(fsck_run(rig->path, NULL, &o, &result, e));
	return result.problems - result.repaired;
}

/* The store with a dictionary that @codec uses or not, and that is spoilt then. */
static void make_spoilt(struct store_rig *rig, const char *codec, int before, int after)
{
	struct import_options o = { .has_codec = true };

	store_rig_init(rig, false);
	import_in_chunks(rig, before, "before");
	store_rig_close(rig);
	store_rig_open(rig, STORE_EXCLUSIVE, false);
	assert_done(store_train_dictionary(rig->store, DICTIONARY_BYTES, e));
	store_rig_close(rig);
	store_rig_open(rig, STORE_READ_WRITE, false);
	assert_done(chunk_params_parse(&o.chunking, "fixed:4K", e));
	assert_done(codec_params_parse(&o.codec, codec, e));
	store_rig_import(rig, after, "after", &o);
	spoil_dictionary(rig);
	store_rig_close(rig);
}

/* Life goes on: imports, another dictionary, gc when what is lost was removed. */
static void go_on(struct store_rig *rig, const char *lost)
{
	const int later = make_text(3);
	const struct gc_options all = { .live_percent = 100 };
	struct gc_result result;

	store_rig_open(rig, STORE_EXCLUSIVE, false);
	assert_false(store_superblock(rig->store)->has_dictionary);
	if (lost)
		assert_done(store_remove(rig->store, lost, e));
	import_in_chunks(rig, later, "later");
	assert_done(store_train_dictionary(rig->store, DICTIONARY_BYTES, e));
	assert_done(gc_run(rig->store, &all, &result, e));
	export_and_compare(rig, "later", later);
	close(later);
}

/* fsck names it, and a repair goes on without it. What it was not needed for is kept. */
static void run_spoilt(const char *codec, bool is_needed)
{
	const int before = make_text(1), after = make_text(2);
	char told[ERR_MSG_BYTES], wanted[64], hex[CHUNK_ID_HEX_BYTES];
	struct store_rig rig = { 0 };

	make_spoilt(&rig, codec, before, after);
	store_rig_open(&rig, STORE_READ_ONLY, false);
	id_to_hex(&store_superblock(rig.store)->dictionary_id, hex);
	store_rig_close(&rig);
	snprintf(wanted, sizeof(wanted), "the superblock names the dictionary %.16s", hex);
	check(&rig, false, told);
	assert_non_null(strstr(told, wanted));
	assert_null(strstr(told, "(repaired)"));
	assert_true((check(&rig, true, told) > 0) == is_needed);
	assert_non_null(strstr(told, wanted));
	assert_non_null(strstr(told, "(repaired)"));
	go_on(&rig, is_needed ? "after" : NULL);
	export_and_compare(&rig, "before", before);
	if (!is_needed)
		export_and_compare(&rig, "after", after);
	store_rig_close(&rig);
	assert_int_equal(check(&rig, false, told), 0);
	store_rig_remove(&rig);
	close(before);
	close(after);
}

static void test_spoilt(void **state)
{
	(void)state;
	run_spoilt("none", false);
	run_spoilt("zstd", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_encrypted),
		cmocka_unit_test(test_gc_keeps_it),
		cmocka_unit_test(test_spoilt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

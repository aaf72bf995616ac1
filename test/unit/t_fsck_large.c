/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single bits flipped all over a large store, one at a time: some of each kind of region looked for by
 * a whole fsck, many at random places by fsck's own check of the part of the file they are in.
 *
 * FLIPS_MIB is the size of the store (24), FLIPS_WHOLE and FLIPS_PART are the numbers of flips, the
 * latter at places that FLIPS_SEED chooses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "stellar/fsck_impl.h"
#include "test/unit/depot.h"

enum { FILES_MAX = 256, IMAGES_MAX = 64 };

enum region {
	REGION_SUPERBLOCK,
	REGION_ROOT,
	REGION_INDEX,
	REGION_DIGEST,
	REGION_HEADER,
	REGION_RAW, /* payloads that are stored as they are */
	REGION_COMPRESSED,
	REGION_NODE, /* and images */
	REGION_GAP,
	REGION_TABLE, /* the first one */
	REGION_SECOND_TABLE,
	REGION_END,
	REGIONS,
};

static const char *const region_names[REGIONS] = {
	"superblock",	     "names",	  "index", "digest", "pack header",  "raw chunks",
	"compressed chunks", "manifests", "gaps",  "table",  "second table", "ends",
};

/* A file of the store; its table when it is a pack. */
struct target {
	char name[320];
	uint64_t bytes;
	bool is_pack;
	struct pack_id id;
	struct pack_table table; /* owned */
};

static struct depot rig;
static struct target targets[FILES_MAX];
static size_t target_count;
static uint64_t all_bytes;
static uint64_t seed;

static uint64_t number_of(const char *name, uint64_t usual)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : usual;
}

static uint64_t next_random(void)
{
	seed += UINT64_C(0x9E3779B97F4A7C15);

	uint64_t x = seed;

	x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
	return x ^ x >> 31;
}

/* --- the store ----------------------------------------------------------------------------- */

/* Text and noise in turns of a few pages, and some holes. */
static void mix(uint8_t *bytes, size_t len, unsigned number)
{
	for (size_t i = 0; i < len; i += 16384) {
		const size_t n = len - i < 16384 ? len - i : 16384;
		const uint64_t s = (uint64_t)number << 32 | i;

		if (number % 4 == 0 || s / 16384 % 3 == 0)
			depot_noise(bytes + i, n, s);
		else if (s / 16384 % 29 == 1)
			memset(bytes + i, 0, n);
		else
			depot_text(bytes + i, n, s);
	}
}

static void list_folder(const char *folder)
{
	for (unsigned i = 0;; i++) {
		const struct depot_file *file = depot_find_file(&rig, folder, "", i);
		struct target *t = &targets[target_count];

		if (!file)
			return;
		if (file->len == 0)
			continue;
		assert_true(target_count++ < FILES_MAX);
		snprintf(t->name, sizeof(t->name), "%s", file->name);
		t->bytes = file->len;
		all_bytes += file->len;
	}
}

/* Lists all files; tables as they are in the whole store. */
static void list_targets(struct store *s)
{
	struct err e = { 0 };

	list_folder("");
	for (size_t i = 0; i < target_count; i++) {
		struct target *t = &targets[i];
		struct pack *p;

		t->is_pack = strncmp(t->name, "packs/", 6) == 0;
		if (!t->is_pack)
			continue;
		assert_int_equal(pack_id_from_name(&t->id, t->name + 6), 0);
		assert_int_equal(pack_open(&p, &s->place, &t->id, &e), 0);
		assert_int_equal(pack_read_table(p, &s->scheme, &t->table, &e), 0);
		pack_close(p);
	}
}

static void make_store(uint64_t mib)
{
	static const char *const codecs[] = { "none", "lz4", "zstd", "auto" };
	static const char *const chunkings[] = { "fixed:64K", "fixed:4K", "fastcdc:32K",
						 "fixed:1M" };
	const size_t len = (size_t)(mib << 20) / 6;
	auto_free uint8_t *bytes = malloc(len);
	uint64_t stored = 0;

	assert_non_null(bytes);
	depot_make(&rig, NULL);
	for (unsigned i = 0; i < IMAGES_MAX && stored < mib << 20; i++) {
		struct store_stats stats;
		struct err e = { 0 };
		struct store *s;
		char name[32];

		mix(bytes, len, i);
		snprintf(name, sizeof(name), "image-%u", i);
		depot_import(&rig, name, bytes, len, codecs[i % 4], chunkings[i % 4]);
		s = depot_open(&rig);
		assert_int_equal(store_stats(s, &stats, &e), 0);
		store_close(s);
		stored = stats.pack_bytes;
	}
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	depot_save(&rig);
}

/* --- places -------------------------------------------------------------------------------- */

/* The entry that holds the byte or is the next one after it; count: none. */
static uint32_t entry_at(const struct pack_table *t, uint64_t byte)
{
	uint32_t low = 0, high = t->count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (t->entries[middle].offset + t->entries[middle].stored_bytes > byte)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static enum region region_of(const struct target *t, uint64_t byte)
{
	const struct pack_table *table = &t->table;
	const uint64_t end = t->bytes - 2 * sizeof(struct st_pack_trailer);
	uint32_t i;

	if (!t->is_pack && strncmp(t->name, "roots/", 6) == 0)
		return REGION_ROOT;
	if (!t->is_pack && strcmp(t->name, "index/digest") == 0)
		return REGION_DIGEST;
	if (!t->is_pack)
		return strncmp(t->name, "index/", 6) == 0 ? REGION_INDEX : REGION_SUPERBLOCK;
	if (byte < STORE_ALIGN)
		return REGION_HEADER;
	if (byte >= end)
		return REGION_END;
	if (byte >= table->table_offset)
		return byte - table->table_offset < (end - table->table_offset) / 2
			       ? REGION_TABLE
			       : REGION_SECOND_TABLE;
	i = entry_at(table, byte);
	if (i == table->count || byte < table->entries[i].offset)
		return REGION_GAP;
	if (table->entries[i].kind != CHUNK_KIND_DATA)
		return REGION_NODE;
	return table->entries[i].codec == CODEC_NONE ? REGION_RAW : REGION_COMPRESSED;
}

/* Any byte of the store, each as likely. */
static struct target *random_byte(uint64_t *byte)
{
	uint64_t at = next_random() % all_bytes;

	for (size_t i = 0; i < target_count; i++) {
		if (at < targets[i].bytes) {
			*byte = at;
			return &targets[i];
		}
		at -= targets[i].bytes;
	}
	return NULL;
}

/* One of this region, of which there may be few. */
static struct target *random_byte_of(enum region region, uint64_t *byte)
{
	for (unsigned tries = 0; tries < 1000000; tries++) {
		struct target *t = &targets[next_random() % target_count];
		const uint64_t back = next_random() % (t->bytes < 65536 ? t->bytes : 65536);

		/* Near the ends of a file are its tables, near its begin is its header. */
		switch (next_random() % 3) {
		case 0:
			*byte = back;
			break;
		case 1:
			*byte = t->bytes - 1 - back;
			break;
		default:
			*byte = next_random() % t->bytes;
		}
		if (region_of(t, *byte) == region)
			return t;
	}
	return NULL;
}

/* --- looking ------------------------------------------------------------------------------- */

static void on_fault(void *opaque, enum fsck_fault fault, uint32_t entry, const char *text)
{
	(void)fault;
	(void)entry;
	(void)text;
	*(bool *)opaque = true;
}

/* What a whole check does with the part of the pack that this byte is in. */
static bool part_is_damaged(struct fsck *f, struct fsck_reading *reading, const struct target *t,
			    uint64_t byte)
{
	struct fsck_pack p = { .id = t->id };
	struct pack *file = NULL;
	struct pack_table table = { 0 };
	struct err e = { 0 };
	bool is_damaged;

	assert_int_equal(fsck_check_frame(f, &p, &file, &table, &e), 0);
	is_damaged = p.has_flaw || p.state != FSCK_PACK_USABLE;
	for (uint32_t first = 0; !is_damaged && first < table.count;) {
		const struct fsck_span span = fsck_next_span(&table, first);

		first += span.count;
		if (byte < span.begin || byte >= span.end)
			continue;
		assert_int_equal(
			fsck_check_span(reading, file, &table, &span, on_fault, &is_damaged, &e),
			0);
		break;
	}
	pack_table_release(&table);
	pack_close(file);
	return is_damaged;
}

static bool whole_is_damaged(bool is_quick)
{
	const struct fsck_options o = { .is_quick = is_quick };
	const int r = depot_fsck(&rig, &o);

	return r < 0 || rig.result.problems > 0;
}

struct tally {
	unsigned flips[REGIONS], found[REGIONS];
};

static void count(struct tally *tally, const struct target *t, uint64_t byte, bool is_found)
{
	const enum region region = region_of(t, byte);

	tally->flips[region]++;
	tally->found[region] += is_found;
	if (!is_found)
		print_message("missed: byte %llu of %s\n", (unsigned long long)byte, t->name);
}

static void print_tally(const struct tally *tally, const char *what, double seconds)
{
	unsigned flips = 0, found = 0;

	for (size_t i = 0; i < REGIONS; i++) {
		flips += tally->flips[i];
		found += tally->found[i];
		print_message("  %-18s %6u flips, %6u found\n", region_names[i], tally->flips[i],
			      tally->found[i]);
	}
	print_message("%s: %u flips, %u found, in %.1f s\n", what, flips, found, seconds);
	assert_int_equal(flips, found);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- tests --------------------------------------------------------------------------------- */

static void test_whole(void **state)
{
	const uint64_t flips = number_of("FLIPS_WHOLE", REGIONS);
	struct tally tally = { 0 };
	const double begin = now();

	(void)state;
	for (uint64_t i = 0; i < flips; i++) {
		uint64_t byte;
		const struct target *t = random_byte_of((enum region)(i % REGIONS), &byte);
		size_t bit;

		if (!t)
			continue;
		bit = byte * 8 + next_random() % 8;
		depot_flip(&rig, t->name, bit);
		count(&tally, t, byte, whole_is_damaged(false));
		depot_flip(&rig, t->name, bit);
	}
	print_tally(&tally, "whole checks", now() - begin);
	assert_false(whole_is_damaged(false));
}

static void test_part(void **state)
{
	const uint64_t flips = number_of("FLIPS_PART", 600);
	struct fsck_result result = { 0 };
	struct fsck_options o = { 0 };
	struct fsck f = { .options = &o, .result = &result };
	struct fsck_reading *reading;
	struct tally tally = { 0 };
	struct err e = { 0 };
	const double begin = now();

	(void)state;
	assert_int_equal(store_open_bare(&f.store, rig.store, STORE_READ_ONLY, NULL, &e), 0);
	assert_int_equal(fsck_reading_new(&reading, f.store, &e), 0);
	for (uint64_t i = 0; i < flips; i++) {
		uint64_t byte;
		const struct target *t = random_byte(&byte);
		const size_t bit = byte * 8 + next_random() % 8;

		depot_flip(&rig, t->name, bit);
		count(&tally, t, byte,
		      t->is_pack ? part_is_damaged(&f, reading, t, byte) : whole_is_damaged(true));
		depot_flip(&rig, t->name, bit);
		assert_true(!t->is_pack || i % 100 != 0 || !part_is_damaged(&f, reading, t, byte));
	}
	fsck_reading_free(reading);
	store_close(f.store);
	print_tally(&tally, "checks of the part", now() - begin);
	assert_false(whole_is_damaged(false));
}

static int setup(void **state)
{
	struct err e = { 0 };
	struct store *s;
	size_t packs = 0;

	(void)state;
	seed = number_of("FLIPS_SEED", 1);
	make_store(number_of("FLIPS_MIB", 24));
	assert_int_equal(store_open_bare(&s, rig.store, STORE_READ_ONLY, NULL, &e), 0);
	list_targets(s);
	store_close(s);
	for (size_t i = 0; i < target_count; i++)
		packs += targets[i].is_pack;
	print_message("a store of %llu bytes, %zu packs, %llu chunks, %llu images\n",
		      (unsigned long long)all_bytes, packs, (unsigned long long)rig.result.chunks,
		      (unsigned long long)rig.result.images);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < target_count; i++)
		pack_table_release(&targets[i].table);
	depot_remove(&rig);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_part),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store's index takes: index-size FOLDER COUNT makes an index of COUNT chunks with random
 * ids in the empty FOLDER, as imports would, pack by pack, and prints bytes and time for a chunk, and
 * the memory that is the process's own; then the same of lookups. docs/format-store.md has figures.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <lmdb.h>

#include "base/bytes.h"
#include "stellar/index_impl.h"

enum {
	PACK_ENTRIES = 1 << 17, /* an import's pack has at most so many */
	CHUNK_STORED_BYTES = 32 << 10,
	LOOKUPS = 1 << 20,
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "index-size: %s: %s\n", what, why);
	exit(1);
}

static uint64_t mix(uint64_t v)
{
	v *= UINT64_C(0x9E3779B97F4A7C15);
	v = (v ^ (v >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	v = (v ^ (v >> 27)) * UINT64_C(0x94D049BB133111EB);
	return v ^ (v >> 31);
}

/* The id of chunk @i: the same on every run. */
static struct chunk_id id_of(uint64_t i)
{
	struct chunk_id id = { 0 };

	for (uint64_t k = 0; k < sizeof(id) / sizeof(uint64_t); k++) {
		const uint64_t part = mix(4 * i + k + 1);

		memcpy(id.bytes + k * sizeof(part), &part, sizeof(part));
	}
	return id;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A field of /proc/self/status in MiB, as RssAnon: the memory that cannot be given back. */
static double status_mib(const char *field)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	double kib = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtod(line + strlen(field) + 1, NULL);
	}
	if (f)
		fclose(f);
	return kib / 1024;
}

/* Returns the own memory in MiB just before the commit, when it is most. */
static double add_pack(struct index *x, uint64_t first, uint32_t count, struct pack_entry *entries)
{
	const struct chunk_id name = id_of(UINT64_MAX / 8 - first);
	struct index_writer *w;
	struct err e = { 0 };
	struct pack_id id;
	uint32_t number;
	double mib;

	memcpy(id.bytes, name.bytes, sizeof(id.bytes));
	for (uint32_t i = 0; i < count; i++)
		entries[i] = (struct pack_entry){
			.id = id_of(first + i),
			.offset = STORE_ALIGN + (uint64_t)i * CHUNK_STORED_BYTES,
			.stored_bytes = CHUNK_STORED_BYTES,
			.raw_bytes = 2 * CHUNK_STORED_BYTES,
			.kind = CHUNK_KIND_DATA,
			.codec = 2,
		};
	if (index_begin(&w, x, &e) < 0)
		die("cannot write", e.msg);
	if (index_add_pack(w, &id, STORE_ALIGN + (uint64_t)count * CHUNK_STORED_BYTES, entries,
			   count, false, &number, &e) < 0)
		die("cannot write", e.msg);
	mib = status_mib("RssAnon:");
	if (index_commit(w, &e) < 0)
		die("cannot write", e.msg);
	return mib;
}

/* Pages of the tree itself; the rest of the file is free, to be used by commits to come. */
static uint64_t tree_bytes(struct index *x)
{
	MDB_stat st;
	MDB_txn *txn;

	if (mdb_txn_begin(x->env, NULL, MDB_RDONLY, &txn) != 0 ||
	    mdb_stat(txn, x->chunks, &st) != 0)
		die("cannot read", "LMDB");
	mdb_txn_abort(txn);
	return (uint64_t)st.ms_psize * (st.ms_branch_pages + st.ms_leaf_pages);
}

static void fill(const char *folder, const uint8_t *uuid, uint64_t count)
{
	struct pack_entry *entries = calloc(PACK_ENTRIES, sizeof(*entries));
	struct index_reader *r;
	struct index_stats stats;
	struct err e = { 0 };
	struct index *x;
	double begin = now_s(), anon = 0;

	if (!entries)
		die("entries", "out of memory");
	if (index_open(&x, folder, uuid, INDEX_READ_WRITE, &e) < 0)
		die("cannot open", e.msg);
	for (uint64_t done = 0; done < count; done += PACK_ENTRIES) {
		const uint32_t some = (uint32_t)min_u64(PACK_ENTRIES, count - done);
		const double mib = add_pack(x, done, some, entries);

		anon = mib > anon ? mib : anon;
	}
	if (index_reader_new(&r, x, &e) < 0 || index_stats(r, &stats, &e) < 0)
		die("cannot read", e.msg);
	printf("written: %" PRIu64 " chunks, file %.1f B/chunk, tree %.1f B/chunk, %.2f us/chunk, "
	       "%.0f MiB of own memory at most\n",
	       stats.chunks, (double)stats.bytes / (double)stats.chunks,
	       (double)tree_bytes(x) / (double)stats.chunks,
	       (now_s() - begin) * 1e6 / (double)count, anon);
	index_reader_free(r);
	index_close(x);
	free(entries);
}

static void look_up(const char *folder, const uint8_t *uuid, uint64_t count)
{
	struct index_entry entry;
	struct index_reader *r;
	struct err e = { 0 };
	struct index *x;
	double begin;
	uint64_t found = 0;

	if (index_open(&x, folder, uuid, INDEX_READ_ONLY, &e) < 0 ||
	    index_reader_new(&r, x, &e) < 0)
		die("cannot open", e.msg);
	begin = now_s();
	for (uint64_t i = 0; i < LOOKUPS; i++) {
		const struct chunk_id id = id_of(mix(i) % count);
		const int n = index_find(r, &id, &entry, &e);

		if (n < 0)
			die("cannot read", e.msg);
		found += (uint64_t)n;
	}
	if (found != LOOKUPS)
		die("lookups", "not all were found");
	printf("looked up: %.2f us each, %.0f MiB of own memory, %.0f MiB of the file's pages\n",
	       (now_s() - begin) * 1e6 / LOOKUPS, status_mib("RssAnon:"),
	       status_mib("RssFile:") + status_mib("RssShmem:"));
	index_reader_free(r);
	index_close(x);
}

/* In a process of its own, so that memory is what this takes. */
static void run(void (*what)(const char *folder, const uint8_t *uuid, uint64_t count),
		const char *folder, const uint8_t *uuid, uint64_t count)
{
	const pid_t child = fork();
	int status;

	if (child == 0) {
		what(folder, uuid, count);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		die("it ended", "badly");
}

int main(int argc, char **argv)
{
	static const uint8_t uuid[STORE_UUID_BYTES] = "index-size";
	const uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	struct err e = { 0 };

	if (count == 0 || count > UINT32_MAX) {
		fprintf(stderr, "usage: index-size FOLDER COUNT\n");
		return 2;
	}
	if (index_remake(argv[1], uuid, &e) < 0)
		die("cannot make", e.msg);
	run(fill, argv[1], uuid, count);
	run(look_up, argv[1], uuid, count);
	return 0;
}

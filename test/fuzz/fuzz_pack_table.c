/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of packs, and whole packs. The first byte says what the rest is, an offset (8 bytes) and a
 * table, or a file, and which sums in it are made right, so that what is behind them is reached.
 *
 * The entries of a table that is taken are chunks that can be, one after the other, before its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "stellar/codec.h"
#include "stellar/crypt.h"
#include "stellar/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

enum {
	IS_TABLE = 1,
	SUM_HEADER = 2,
	SUM_TABLES = 4,
	SUM_FIRST_TRAILER = 8,
	SUM_LAST_TRAILER = 16,
	MAX_BYTES = 64 << 10,
};

static const uint8_t uuid[STORE_UUID_BYTES] = "uuid of a store";
static char folder[] = "/dev/shm/fuzz-pack-XXXXXX";
static char last_name[PACK_NAME_BYTES];
static int folder_fd = -1;

static void put_sum(const struct id_scheme *scheme, uint8_t *record, size_t len)
{
	id_sum(scheme, record, len - STORE_SUM_BYTES, record + len - STORE_SUM_BYTES);
}

static void check_table(const struct pack_table *t, uint64_t end_of_all)
{
	uint64_t end = STORE_ALIGN;

	REQUIRE(t->count <= PACK_MAX_ENTRIES && t->payload_end <= t->table_offset);
	for (uint32_t i = 0; i < t->count; i++) {
		const struct pack_entry *entry = &t->entries[i];

		REQUIRE(entry->offset >= end && entry->stored_bytes > 0);
		end = entry->offset + entry->stored_bytes;
		REQUIRE(end > entry->offset && end <= t->payload_end && end <= end_of_all);
		REQUIRE(entry->raw_bytes > 0 && entry->raw_bytes <= CHUNK_MAX_BYTES);
		REQUIRE(entry->kind >= CHUNK_KIND_DATA && entry->kind <= CHUNK_KIND_DICTIONARY);
		REQUIRE(entry->codec <= CODEC_ZSTD_DICTIONARY);
	}
}

static void try_table(const struct id_scheme *scheme, uint8_t flags, uint8_t *bytes, size_t len)
{
	struct pack_table t = { 0 };
	struct err e = { 0 };
	struct pack_id id = { 0 };
	le64 offset;
	int r;

	if (len < sizeof(offset))
		return;
	memcpy(&offset, bytes, sizeof(offset));
	bytes += sizeof(offset);
	len -= sizeof(offset);
	if (len >= sizeof(struct st_pack_table))
		memcpy(&id, bytes + offsetof(struct st_pack_table, id), sizeof(id));
	if (flags & SUM_TABLES && len >= STORE_SUM_BYTES)
		put_sum(scheme, bytes, len);
	r = pack_table_parse(bytes, len, scheme, &id, le64_get(offset), &t, &e);
	REQUIRE(r == 0 || (r == -EBADMSG && e.msg[0]));
	if (r == 0) {
		t.table_offset = le64_get(offset);
		check_table(&t, UINT64_MAX);
	}
	pack_table_release(&t);
}

/* Sums of the tables that the last trailer tells of. */
static void sum_tables(const struct id_scheme *scheme, uint8_t *file, size_t len)
{
	struct st_pack_trailer trailer;
	uint64_t at, bytes;

	if (len < sizeof(trailer))
		return;
	memcpy(&trailer, file + len - sizeof(trailer), sizeof(trailer));
	at = le64_get(trailer.table_offset);
	bytes = le64_get(trailer.table_bytes);
	if (bytes < STORE_SUM_BYTES || bytes > len || at > len || 2 * bytes > len - at)
		return;
	put_sum(scheme, file + at, bytes);
	put_sum(scheme, file + at + bytes, bytes);
}

static void put_sums(const struct id_scheme *scheme, uint8_t flags, uint8_t *file, size_t len)
{
	enum { TRAILER_BYTES = sizeof(struct st_pack_trailer) };

	if (flags & SUM_HEADER && len >= STORE_ALIGN)
		put_sum(scheme, file, STORE_ALIGN);
	if (flags & SUM_TABLES)
		sum_tables(scheme, file, len);
	if (flags & SUM_LAST_TRAILER && len >= TRAILER_BYTES)
		put_sum(scheme, file + len - TRAILER_BYTES, TRAILER_BYTES);
	if (flags & SUM_FIRST_TRAILER && len >= (size_t)2 * TRAILER_BYTES)
		put_sum(scheme, file + len - 2 * (size_t)TRAILER_BYTES, TRAILER_BYTES);
}

static void try_file(const struct pack_place *place, const uint8_t *file, size_t len)
{
	struct pack_table t = { 0 };
	struct pack_id id = { 0 };
	struct err e = { 0 };
	struct pack *p = NULL;
	uint8_t byte;
	int r, fd;

	if (len >= sizeof(struct st_pack_header))
		memcpy(&id, file + offsetof(struct st_pack_header, id), sizeof(id));
	pack_name(&id, last_name);
	fd = openat(folder_fd, last_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && file_pwrite_full(fd, file, len, 0) == 0);
	close(fd);
	r = pack_open(&p, place, &id, &e);
	REQUIRE(r == 0 || ((r == -EBADMSG || r == -EPROTONOSUPPORT) && e.msg[0]));
	if (r == 0) {
		r = pack_read_table(p, place->scheme, &t, &e);
		REQUIRE(r == 0 || (r == -EBADMSG && e.msg[0]));
		if (r == 0)
			check_table(&t, len);
		for (uint32_t i = 0; r == 0 && i < t.count; i++)
			REQUIRE(pack_read(p, &byte, 1,
					  t.entries[i].offset + t.entries[i].stored_bytes - 1,
					  &e) == 0);
		pack_table_release(&t);
		pack_close(p);
	}
	unlinkat(folder_fd, last_name, 0);
}

static void remove_folder(void)
{
	close(folder_fd);
	rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct id_scheme scheme;
	struct pack_place place = { .uuid = uuid, .scheme = &scheme };
	uint8_t *copy;

	if (size < 1 || size > MAX_BYTES)
		return 0;
	if (folder_fd < 0) {
		REQUIRE(mkdtemp(folder) && atexit(remove_folder) == 0);
		folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		REQUIRE(folder_fd >= 0);
	}
	copy = malloc(size);
	REQUIRE(copy);
	memcpy(copy, data + 1, size - 1);
	id_scheme_init(&scheme, NULL);
	place.packs_fd = folder_fd;
	if (data[0] & IS_TABLE) {
		try_table(&scheme, data[0], copy, size - 1);
	} else {
		put_sums(&scheme, data[0], copy, size - 1);
		try_file(&place, copy, size - 1);
	}
	free(copy);
	return 0;
}

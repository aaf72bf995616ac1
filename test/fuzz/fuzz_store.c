/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small store whose files are changed, all but LMDB's, then opened, listed, exported, collected
 * and exported again. The first byte says whether sums and ids are made right after the changes, so
 * that what is behind them is reached, and whether the index is made anew, so that packs are adopted.
 * Then follow changes of 6 bytes: which file, where (2), what, two values.
 *
 * As long as ids are not made right, what is exported without an error is one of the images that the
 * store was made with. What could be exported before gc can be after it, and is the same.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/gc.h"
#include "stellar/image.h"
#include "stellar/index.h"
#include "stellar/store_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

enum {
	SUMS_RIGHT = 1,
	IDS_RIGHT = 2,
	INDEX_ANEW = 4,
	CHANGE_BYTES = 6,
	CHANGES_MAX = 32,
	FILES_MAX = 16,
	FILE_MAX_BYTES = 256 << 10,
	IMAGES = 4,
	IMAGE_BYTES = 48 << 10,
	EXPORT_MAX_BYTES = 1 << 20, /* an image that was made may be as long as it likes */
};

enum change {
	CHANGE_FLIP,
	CHANGE_SET,
	CHANGE_CUT,
	CHANGE_SWAP,
	CHANGE_REMOVE,
	CHANGE_COPY,
	CHANGE_NUMBER,
	CHANGE_COUNT,
};

struct part {
	char path[96]; /* in the store */
	uint8_t *bytes; /* owned: FILE_MAX_BYTES */
	size_t len;
	bool is_there;
};

static char base[] = "/dev/shm/fuzz-store-XXXXXX";
static char path[64]; /* of the store */
static int store_fd;
static struct part made[FILES_MAX], now[FILES_MAX]; /* as it was made; as it is changed */
static size_t count, mutable_count; /* what lies behind is index/data.mdb */
static struct id_scheme scheme; /* of plain stores */
static struct chunk_id contents[IMAGES]; /* hashes */

/* --- the store ------------------------------------------------------------------------------- */

static void read_part(const char *name)
{
	struct part *p = &made[count];
	int fd;

	REQUIRE(count < FILES_MAX);
	snprintf(p->path, sizeof(p->path), "%s", name);
	fd = openat(store_fd, name, O_RDONLY | O_CLOEXEC);
	p->bytes = malloc(FILE_MAX_BYTES);
	REQUIRE(fd >= 0 && p->bytes);
	p->len = (size_t)file_pread_full(fd, p->bytes, FILE_MAX_BYTES, 0);
	REQUIRE(p->len < FILE_MAX_BYTES);
	close(fd);
	now[count] = *p;
	now[count].bytes = malloc(FILE_MAX_BYTES);
	REQUIRE(now[count].bytes);
	count++;
}

static void read_folder(const char *name)
{
	const struct dirent *entry;
	char full[128];
	DIR *dir;

	snprintf(full, sizeof(full), "%s/%s", path, name);
	dir = opendir(full);
	REQUIRE(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(full, sizeof(full), "%.16s/%.64s", name, entry->d_name);
		read_part(full);
	}
	closedir(dir);
}

/* By name, so that the same input changes the same file; names of packs are random, their order is not. */
static int by_first_bytes(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return x->len != y->len ? (x->len < y->len ? -1 : 1) : strcmp(x->path, y->path);
}

static void import(struct store *s, size_t i)
{
	static const char *const names[IMAGES] = { "a", "b/c", "twice", "empty" };
	static uint8_t image[IMAGE_BYTES];
	struct import_options o = { .has_codec = true, .work = { .threads = 1 } };
	const size_t len = i == 3 ? 0 : IMAGE_BYTES - 1000 * i;
	struct import_result result;
	const int fd = memfd_create("image", MFD_CLOEXEC);

	for (size_t k = 0; k < len; k++)
		image[k] = k < 20000 || k > 30000 ? (uint8_t)(k * k >> (7 + i)) : 0;
	chunk_params_parse(&o.chunking, i == 1 ? "fastcdc:4K" : "fixed:4K", NULL);
	codec_params_parse(&o.codec, i == 0 ? "none" : i == 1 ? "lz4" : "zstd", NULL);
	REQUIRE(fd >= 0 && file_pwrite_full(fd, image, len, 0) == 0);
	REQUIRE(import_image(s, fd, "image", names[i], &o, &result, NULL) == 0);
	id_of_data(&scheme, image, len, &contents[i]);
	close(fd);
}

static void remove_all(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	if (system(command) != 0)
		fprintf(stderr, "%s is left\n", base);
}

static void make_store(void)
{
	struct store_options o;
	struct store *s;

	id_scheme_init(&scheme, NULL);
	REQUIRE(mkdtemp(base) && atexit(remove_all) == 0);
	snprintf(path, sizeof(path), "%s/store", base);
	store_default_options(&o);
	REQUIRE(store_init(path, &o, NULL) == 0);
	REQUIRE(store_open(&s, path, STORE_READ_WRITE, NULL, NULL) == 0);
	for (size_t i = 0; i < IMAGES; i++)
		import(s, i);
	store_close(s);
	store_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(store_fd >= 0);
	read_part("superblock");
	read_folder("packs");
	read_folder("roots");
	qsort(made, count, sizeof(made[0]), by_first_bytes);
	read_part("index/digest");
	mutable_count = count;
	read_part("index/data.mdb");
	for (size_t i = 0; i < count; i++)
		memcpy(now[i].path, made[i].path, sizeof(made[i].path));
}

/* --- changes --------------------------------------------------------------------------------- */

static void change(const uint8_t *c)
{
	struct part *p = &now[c[0] % mutable_count], *other = &now[c[4] % mutable_count];
	const size_t at = p->len ? ((size_t)c[1] | (size_t)c[2] << 8) % p->len : 0;
	const le64 number = le64_put(UINT64_C(1) << (c[4] % 64) | c[5]);
	struct part kept;

	if (p->len == 0)
		return;
	switch ((enum change)(c[3] % CHANGE_COUNT)) {
	case CHANGE_FLIP:
		p->bytes[at] ^= (uint8_t)(1 << c[4] % 8);
		break;
	case CHANGE_SET:
		p->bytes[at] = c[4];
		break;
	case CHANGE_CUT:
		p->len = at;
		break;
	case CHANGE_SWAP:
		kept = *p;
		p->bytes = other->bytes;
		p->len = other->len;
		other->bytes = kept.bytes;
		other->len = kept.len;
		break;
	case CHANGE_REMOVE:
		p->is_there = false;
		break;
	case CHANGE_COPY:
		if (other->len >= 64 && p->len >= at + 64)
			memmove(p->bytes + at, other->bytes + (size_t)c[5] * 64 % (other->len - 63),
				64);
		break;
	case CHANGE_NUMBER:
		if (p->len >= at + sizeof(number))
			memcpy(p->bytes + at, &number, sizeof(number));
		break;
	case CHANGE_COUNT:
		break;
	}
}

static bool starts_with(const struct part *p, const char *text)
{
	return strncmp(p->path, text, strlen(text)) == 0;
}

static void put_sum(uint8_t *record, size_t len)
{
	id_sum(&scheme, record, len - STORE_SUM_BYTES, record + len - STORE_SUM_BYTES);
}

/* Where the tables of a pack are, if they can be. */
static bool find_tables(const struct part *p, uint64_t *at, uint64_t *bytes)
{
	struct st_pack_trailer trailer;

	if (p->len < STORE_ALIGN + sizeof(trailer))
		return false;
	memcpy(&trailer, p->bytes + p->len - sizeof(trailer), sizeof(trailer));
	*at = le64_get(trailer.table_offset);
	*bytes = le64_get(trailer.table_bytes);
	return *bytes >= sizeof(struct st_pack_table) + STORE_SUM_BYTES && *bytes <= p->len &&
	       *at <= p->len && 2 * *bytes <= p->len - *at;
}

/* Of both copies; the first table and trailer become the second too. */
static void make_sums_right(struct part *p)
{
	enum { TRAILER_BYTES = sizeof(struct st_pack_trailer) };
	const size_t copy = starts_with(p, "superblock") ? 2048 : 512;
	uint64_t at, bytes;

	if (!starts_with(p, "packs/") && p->len >= 2 * copy) {
		put_sum(p->bytes, copy);
		memcpy(p->bytes + copy, p->bytes, copy);
	}
	if (!starts_with(p, "packs/") || !find_tables(p, &at, &bytes))
		return;
	put_sum(p->bytes, STORE_ALIGN);
	put_sum(p->bytes + at, bytes);
	memcpy(p->bytes + at + bytes, p->bytes + at, bytes);
	put_sum(p->bytes + p->len - TRAILER_BYTES, TRAILER_BYTES);
	memcpy(p->bytes + p->len - 2 * (size_t)TRAILER_BYTES, p->bytes + p->len - TRAILER_BYTES,
	       TRAILER_BYTES);
}

static void replace_everywhere(const uint8_t *from, const uint8_t *to)
{
	uint8_t old[CHUNK_ID_BYTES];

	memcpy(old, from, sizeof(old));
	for (size_t i = 0; i < mutable_count; i++) {
		struct part *p = &now[i];
		uint8_t *found = memmem(p->bytes, p->len, old, sizeof(old));

		while (found) {
			memcpy(found, to, sizeof(old));
			found += sizeof(old);
			found = memmem(found, p->len - (size_t)(found - p->bytes), old,
				       sizeof(old));
		}
	}
}

/* Of the chunks of @kind that are stored as they are; who names them names them so then. */
static void make_ids_right(struct part *p, uint8_t kind)
{
	uint64_t at, bytes;

	if (!starts_with(p, "packs/") || !find_tables(p, &at, &bytes))
		return;
	for (uint64_t i = at + sizeof(struct st_pack_table);
	     i + sizeof(struct st_pack_entry) <= at + bytes; i += sizeof(struct st_pack_entry)) {
		struct st_pack_entry entry;
		struct chunk_id id;
		uint64_t offset;

		memcpy(&entry, p->bytes + i, sizeof(entry));
		offset = le64_get(entry.offset);
		if (entry.kind != kind || entry.codec != 0 || offset > p->len ||
		    le32_get(entry.raw_bytes) > p->len - offset)
			continue;
		if (kind == CHUNK_KIND_DATA)
			id_of_data(&scheme, p->bytes + offset, le32_get(entry.raw_bytes), &id);
		else
			id_of_node(&scheme, p->bytes + offset, le32_get(entry.raw_bytes), &id);
		if (memcmp(id.bytes, entry.id, sizeof(id.bytes)) != 0)
			replace_everywhere(entry.id, id.bytes);
	}
}

static void write_parts(void)
{
	for (size_t i = 0; i < count; i++) {
		const struct part *p = &now[i];
		int fd;

		unlinkat(store_fd, p->path, 0);
		if (!p->is_there)
			continue;
		fd = openat(store_fd, p->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		REQUIRE(fd >= 0 && file_pwrite_full(fd, p->bytes, p->len, 0) == 0);
		close(fd);
	}
}

/* What a run before has left: packs of gc. */
static void remove_strangers(void)
{
	char full[192];
	const struct dirent *entry;
	DIR *dir;

	snprintf(full, sizeof(full), "%s/packs", path);
	dir = opendir(full);
	REQUIRE(dir);
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* For the store that the superblock says it is. */
static void remake_index(void)
{
	for (size_t i = 0; i < mutable_count; i++) {
		if (starts_with(&now[i], "superblock"))
			REQUIRE(index_remake(path,
					     now[i].bytes + offsetof(struct st_superblock, uuid),
					     NULL) == 0);
	}
}

/* --- reading --------------------------------------------------------------------------------- */

/* The hash of the image's first bytes. False: it cannot be read, which was said. */
static bool export_one(struct store *s, const struct root *root, struct chunk_id *hash)
{
	static uint8_t bytes[EXPORT_MAX_BYTES];
	const struct export_options o = {
		.bytes = EXPORT_MAX_BYTES,
		.is_sparse = true,
		.work = { .threads = 1 },
	};
	auto_fd int fd = memfd_create("export", MFD_CLOEXEC);
	struct image_info info;
	struct err e = { 0 };
	int r = image_read_info(s, &root->image_id, &info, &e);

	REQUIRE(fd >= 0);
	if (r == 0 && info.bytes <= EXPORT_MAX_BYTES)
		r = export_image(s, &root->image_id, fd, "memory", &o, &e);
	else if (r == 0)
		return false;
	REQUIRE(r == 0 || (r < 0 && e.msg[0]));
	if (r < 0)
		return false;
	REQUIRE(file_pread_full(fd, bytes, info.bytes, 0) == (ssize_t)info.bytes);
	id_of_data(&scheme, bytes, info.bytes, hash);
	return true;
}

static bool is_known(const struct chunk_id *hash)
{
	for (size_t i = 0; i < IMAGES; i++) {
		if (id_equal(hash, &contents[i]))
			return true;
	}
	return false;
}

static void read_all(struct store *s, bool may_be_new)
{
	const struct gc_options options = { .live_percent = 100, .work = { .threads = 1 } };
	struct chunk_id before[FILES_MAX], after;
	bool was_read[FILES_MAX] = { false };
	struct root_list list = { 0 };
	struct gc_result result;
	struct err e = { 0 };

	if (store_list(s, &list, &e) < 0) {
		REQUIRE(e.msg[0]);
		return;
	}
	for (size_t i = 0; i < list.count; i++) {
		was_read[i] = export_one(s, &list.roots[i], &before[i]);
		REQUIRE(!was_read[i] || may_be_new || is_known(&before[i]));
	}
	REQUIRE(gc_run(s, &options, &result, &e) == 0 || e.msg[0]);
	for (size_t i = 0; i < list.count; i++) {
		const bool is_read = export_one(s, &list.roots[i], &after);

		REQUIRE(is_read || !was_read[i]);
		REQUIRE(!was_read[i] || id_equal(&before[i], &after));
	}
	root_list_release(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t kinds[] = { CHUNK_KIND_DATA, CHUNK_KIND_NODE, CHUNK_KIND_IMAGE };
	struct err e = { 0 };
	struct store *s;
	int r;

	if (count == 0)
		make_store();
	if (size < 1 || size > 1 + CHANGES_MAX * CHANGE_BYTES)
		return 0;
	for (size_t i = 0; i < count; i++) {
		memcpy(now[i].bytes, made[i].bytes, made[i].len);
		now[i].len = made[i].len;
		now[i].is_there = true;
	}
	for (size_t i = 1; i + CHANGE_BYTES <= size; i += CHANGE_BYTES)
		change(data + i);
	for (size_t k = 0; data[0] & IDS_RIGHT && k < ARRAY_LEN(kinds); k++) {
		for (size_t i = 0; i < mutable_count; i++)
			make_ids_right(&now[i], kinds[k]);
	}
	for (size_t i = 0; data[0] & SUMS_RIGHT && i < mutable_count; i++)
		make_sums_right(&now[i]);
	remove_strangers();
	write_parts();
	if (data[0] & INDEX_ANEW)
		remake_index();
	r = store_open(&s, path, STORE_READ_WRITE, NULL, &e);
	REQUIRE(r == 0 || (r < 0 && e.msg[0]));
	if (r == 0) {
		read_all(s, data[0] & IDS_RIGHT);
		store_close(s);
	}
	return 0;
}

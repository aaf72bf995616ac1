/* SPDX-License-Identifier: Apache-2.0 */
/* Writes packs: payloads by many threads at once, then the table that makes it a pack. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/pack.h"
#include "stellar/random.h"

enum {
	/* How much is written before the disk is asked to begin: the last sync then waits for little. */
	WRITE_BEHIND_BYTES = 8 << 20,
	FIRST_CAPACITY = 256,
};

struct pack_writer {
	const struct pack_place *place; /* borrowed: the store's */
	struct pack_id id;
	int fd; /* owned; locked */
	bool is_published;
	pthread_mutex_t lock; /* of what follows */
	uint64_t end; /* of what is given out */
	uint64_t behind; /* up to where the disk was asked to write */
	struct pack_entry *entries; /* owned; sorted when published */
	uint32_t count;
	uint32_t capacity;
};

static int write_header(struct pack_writer *w, struct err *e)
{
	struct st_pack_header h = {
		.version = le32_put(STORE_VERSION),
		.id = w->id,
	};

	memcpy(h.magic, PACK_MAGIC, sizeof(h.magic));
	memcpy(h.uuid, w->place->uuid, sizeof(h.uuid));
	memcpy(h.dictionary_id, w->place->dictionary_id.bytes, sizeof(h.dictionary_id));
	id_sum(w->place->scheme, &h, offsetof(struct st_pack_header, sum), h.sum);
	const int r = file_pwrite_full(w->fd, &h, sizeof(h), 0);

	return r < 0 ? err_errno(e, r, "cannot write a pack") : 0;
}

/* A new file, locked. -EAGAIN: gc saw it before it was locked, and took it for a dead writer's. */
static int make_file(struct pack_writer *w, struct err *e)
{
	char name[PACK_NAME_BYTES];
	int r = random_fill(w->id.bytes, sizeof(w->id.bytes), e);

	if (r < 0)
		return r;
	pack_name(&w->id, name);
	w->fd = openat(w->place->packs_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		       0666);
	if (w->fd < 0)
		return err_errno(e, -errno, "cannot make the pack 'packs/%s'", name);
	r = file_lock(w->fd, LOCK_EX | LOCK_NB);
	if (r == 0 && file_is_named(w->fd, w->place->packs_fd, name))
		return 0;
	if (r < 0 && r != -EWOULDBLOCK)
		return err_errno(e, r, "cannot lock the pack 'packs/%s'", name);
	cleanup_fd(&w->fd);
	return -EAGAIN;
}

int pack_writer_new(struct pack_writer **out, const struct pack_place *place, struct err *e)
{
	struct pack_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->place = place;
	w->end = w->behind = STORE_ALIGN;
	pthread_mutex_init(&w->lock, NULL);
	w->fd = -1;
	do {
		r = make_file(w, e);
	} while (r == -EAGAIN);
	if (r == 0)
		r = write_header(w, e);
	if (r == 0 && fsync(place->packs_fd) < 0)
		r = err_errno(e, -errno, "cannot sync the folder 'packs'");
	if (r < 0) {
		pack_writer_free(w);
		return r;
	}
	*out = w;
	return 0;
}

const struct pack_id *pack_writer_id(const struct pack_writer *w)
{
	return &w->id;
}

uint64_t pack_writer_bytes(struct pack_writer *w)
{
	pthread_mutex_lock(&w->lock);
	const uint64_t bytes = w->end;
	pthread_mutex_unlock(&w->lock);
	return bytes;
}

uint32_t pack_writer_count(struct pack_writer *w)
{
	pthread_mutex_lock(&w->lock);
	const uint32_t count = w->count;
	pthread_mutex_unlock(&w->lock);
	return count;
}

const struct pack_entry *pack_writer_entries(const struct pack_writer *w)
{
	return w->entries;
}

/* --- appending ----------------------------------------------------------------------------- */

/* A payload that can be mapped where it lies. */
static bool is_aligned(const struct pack_entry *entry)
{
	return entry->codec == 0 && !entry->is_sealed && entry->stored_bytes % STORE_ALIGN == 0;
}

/* Sets the offsets, counted from @base: first what lies anywhere, then what is aligned. */
static uint64_t lay_out(struct pack_entry *entries, size_t count, uint64_t base)
{
	uint64_t at = base;
	bool has_aligned = false;

	for (size_t i = 0; i < count; i++) {
		if (is_aligned(&entries[i])) {
			has_aligned = true;
			continue;
		}
		entries[i].offset = at;
		at += entries[i].stored_bytes;
	}
	if (has_aligned)
		at = align_up(at, STORE_ALIGN);
	for (size_t i = 0; i < count; i++) {
		if (!is_aligned(&entries[i]))
			continue;
		entries[i].offset = at;
		at += entries[i].stored_bytes;
	}
	return at;
}

static int make_room_locked(struct pack_writer *w, size_t count, struct err *e)
{
	uint64_t capacity = w->capacity ? w->capacity : FIRST_CAPACITY;
	struct pack_entry *grown;

	if (w->count + count > PACK_MAX_ENTRIES)
		return err_set(e, -ENOSPC, "a pack has no room for more than %d chunks",
			       PACK_MAX_ENTRIES);
	if (w->count + count <= w->capacity)
		return 0;
	while (capacity < w->count + count)
		capacity *= 2;
	grown = realloc(w->entries, capacity * sizeof(*grown));
	if (!grown)
		return err_set(e, -ENOMEM, "out of memory");
	w->entries = grown;
	w->capacity = (uint32_t)capacity;
	return 0;
}

/* Writes the pieces, one after the other, at @offset. */
static int write_pieces(int fd, struct iovec *pieces, size_t count, uint64_t offset)
{
	size_t done = 0;

	while (done < count) {
		const int some = count - done < IOV_MAX ? (int)(count - done) : IOV_MAX;
		ssize_t n = pwritev(fd, pieces + done, some, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		offset += (uint64_t)n;
		while (done < count && (size_t)n >= pieces[done].iov_len)
			n -= (ssize_t)pieces[done++].iov_len;
		if (n > 0) {
			pieces[done].iov_base = (char *)pieces[done].iov_base + n;
			pieces[done].iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Adds a piece; one that follows the last in memory makes that longer. */
static size_t add_piece(struct iovec *pieces, size_t count, void *base, size_t len)
{
	if (len == 0)
		return count;
	if (count > 0 && (char *)pieces[count - 1].iov_base + pieces[count - 1].iov_len == base) {
		pieces[count - 1].iov_len += len;
		return count;
	}
	pieces[count] = (struct iovec){ base, len };
	return count + 1;
}

static int write_payloads(int fd, const struct pack_entry *entries, const struct iovec *payloads,
			  size_t count, uint64_t base)
{
	static const uint8_t zeros[STORE_ALIGN];
	auto_free struct iovec *pieces = calloc(count + 1, sizeof(*pieces));
	uint64_t at = base;
	size_t n = 0;

	if (!pieces)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (is_aligned(&entries[i]))
			continue;
		n = add_piece(pieces, n, payloads[i].iov_base, payloads[i].iov_len);
		at += payloads[i].iov_len;
	}
	for (size_t i = 0; i < count; i++) {
		if (!is_aligned(&entries[i]))
			continue;
		if (entries[i].offset > at) /* once: before the first */
			n = add_piece(pieces, n, (void *)(uintptr_t)zeros, entries[i].offset - at);
		n = add_piece(pieces, n, payloads[i].iov_base, payloads[i].iov_len);
		at = entries[i].offset + payloads[i].iov_len;
	}
	return write_pieces(fd, pieces, n, base);
}

int pack_append(struct pack_writer *w, struct pack_entry *entries, const struct iovec *payloads,
		size_t count, struct err *e)
{
	uint64_t base, end, from = 0, bytes = 0;
	int r;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		entries[i].payload_sum =
			pack_payload_sum(w->place->scheme, &entries[i], payloads[i].iov_base);
	pthread_mutex_lock(&w->lock);
	base = w->end;
	end = lay_out(entries, count, base);
	r = make_room_locked(w, count, e);
	if (r == 0) {
		memcpy(w->entries + w->count, entries, count * sizeof(*entries));
		w->count += (uint32_t)count;
		w->end = end;
		if (end - w->behind >= WRITE_BEHIND_BYTES) {
			from = w->behind;
			bytes = base - w->behind;
			w->behind = base;
		}
	}
	pthread_mutex_unlock(&w->lock);
	if (r < 0)
		return r;
	r = write_payloads(w->fd, entries, payloads, count, base);
	if (r < 0)
		return err_errno(e, r, "cannot write a pack");
	if (bytes > 0) /* a hint: what it cannot do is done by the sync */
		sync_file_range(w->fd, (off_t)from, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
	return 0;
}

/* --- publishing ---------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b)
{
	const struct pack_entry *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void put_entry(struct st_pack_entry *out, const struct pack_entry *entry)
{
	*out = (struct st_pack_entry){
		.offset = le64_put(entry->offset),
		.stored_bytes = le32_put(entry->stored_bytes),
		.raw_bytes = le32_put(entry->raw_bytes),
		.kind = entry->kind,
		.codec = entry->codec,
		.is_sealed = entry->is_sealed,
		.payload_sum = le32_put(entry->payload_sum),
	};
	memcpy(out->id, entry->id.bytes, sizeof(out->id));
}

/* Two tables and two trailers, as they follow the payloads. NULL: no memory. */
static uint8_t *make_tables(const struct pack_writer *w, uint64_t table_offset, size_t *len)
{
	const size_t entries_bytes = w->count * sizeof(struct st_pack_entry);
	const size_t table_bytes = sizeof(struct st_pack_table) + entries_bytes + STORE_SUM_BYTES;
	struct st_pack_table table = {
		.version = le32_put(STORE_VERSION),
		.count = le32_put(w->count),
		.id = w->id,
		.payload_end = le64_put(w->end),
	};
	struct st_pack_trailer trailer = {
		.version = le32_put(STORE_VERSION),
		.count = le32_put(w->count),
		.table_offset = le64_put(table_offset),
		.table_bytes = le64_put(table_bytes),
	};
	uint8_t *bytes, *at;

	*len = 2 * table_bytes + 2 * sizeof(trailer);
	bytes = malloc(*len);
	if (!bytes)
		return NULL;
	memcpy(table.magic, PACK_TABLE_MAGIC, sizeof(table.magic));
	memcpy(bytes, &table, sizeof(table));
	for (uint32_t i = 0; i < w->count; i++) {
		struct st_pack_entry entry;

		put_entry(&entry, &w->entries[i]);
		memcpy(bytes + sizeof(table) + i * sizeof(entry), &entry, sizeof(entry));
	}
	at = bytes + table_bytes - STORE_SUM_BYTES;
	id_sum(w->place->scheme, bytes, (size_t)(at - bytes), at);
	memcpy(bytes + table_bytes, bytes, table_bytes);
	memcpy(trailer.magic, PACK_TRAILER_MAGIC, sizeof(trailer.magic));
	id_sum(w->place->scheme, &trailer, offsetof(struct st_pack_trailer, sum), trailer.sum);
	memcpy(bytes + 2 * table_bytes, &trailer, sizeof(trailer));
	memcpy(bytes + 2 * table_bytes + sizeof(trailer), &trailer, sizeof(trailer));
	return bytes;
}

int pack_writer_publish(struct pack_writer *w, struct err *e)
{
	const uint64_t table_offset = align_up(w->end, STORE_ALIGN);
	auto_free uint8_t *bytes = NULL;
	size_t len;
	int r;

	if (w->count > 1)
		qsort(w->entries, w->count, sizeof(*w->entries), by_offset);
	bytes = make_tables(w, table_offset, &len);
	if (!bytes)
		return err_set(e, -ENOMEM, "out of memory");
	r = file_pwrite_full(w->fd, bytes, len, (off_t)table_offset);
	if (r < 0)
		return err_errno(e, r, "cannot write a pack");
	if (fdatasync(w->fd) < 0)
		return err_errno(e, -errno, "cannot sync a pack: nothing of it is kept");
	w->is_published = true;
	w->end = table_offset + len;
	return 0;
}

void pack_writer_revoke(struct pack_writer *w)
{
	w->is_published = false;
}

void pack_writer_free(struct pack_writer *w)
{
	char name[PACK_NAME_BYTES];

	if (!w)
		return;
	if (w->fd >= 0 && !w->is_published) {
		pack_name(&w->id, name);
		unlinkat(w->place->packs_fd, name, 0);
	}
	cleanup_fd(&w->fd);
	pthread_mutex_destroy(&w->lock);
	free(w->entries);
	free(w);
}

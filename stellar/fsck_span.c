/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the payloads of a span of a pack and the bytes between them, read at once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/codec.h"
#include "stellar/crypt.h"
#include "stellar/fsck_impl.h"

enum { SPAN_BYTES = 4 << 20 }; /* more only when a single payload is longer */

struct fsck_reading {
	struct fsck_reading *next; /* in a list of idle ones */
	const struct id_scheme *scheme; /* borrowed: of the store */
	struct store_reader *reader; /* owned */
	uint8_t *buf; /* owned: CHUNK_MAX_BYTES, a chunk */
	uint8_t *bytes; /* owned: a span as it is on disk */
	size_t cap;
};

int fsck_reading_new(struct fsck_reading **out, struct store *s, struct err *e)
{
	struct fsck_reading *r = calloc(1, sizeof(*r));
	int code;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->scheme = &s->scheme;
	code = store_reader_new(&r->reader, s, e);
	r->buf = malloc(CHUNK_MAX_BYTES);
	if (code == 0 && !r->buf)
		code = err_set(e, -ENOMEM, "out of memory");
	if (code < 0) {
		fsck_reading_free(r);
		return code;
	}
	*out = r;
	return 0;
}

void fsck_reading_free(struct fsck_reading *r)
{
	if (!r)
		return;
	store_reader_free(r->reader);
	free(r->buf);
	free(r->bytes);
	free(r);
}

int fsck_take_reading(struct fsck *f, struct fsck_reading **out, struct err *e)
{
	pthread_mutex_lock(&f->lock);
	*out = f->idle;
	if (f->idle)
		f->idle = f->idle->next;
	pthread_mutex_unlock(&f->lock);
	return *out ? 0 : fsck_reading_new(out, f->store, e);
}

void fsck_give_reading(struct fsck *f, struct fsck_reading *r)
{
	pthread_mutex_lock(&f->lock);
	r->next = f->idle;
	f->idle = r;
	pthread_mutex_unlock(&f->lock);
}

void fsck_free_readings(struct fsck *f)
{
	while (f->idle) {
		struct fsck_reading *r = f->idle;

		f->idle = r->next;
		fsck_reading_free(r);
	}
}

/* --- spans --------------------------------------------------------------------------------- */

static uint64_t end_of(const struct pack_entry *entry)
{
	return entry->offset + entry->stored_bytes;
}

/* Where the bytes before entry @i begin that belong to it: a hole is not read. */
static uint64_t begin_of(const struct pack_table *t, uint32_t i)
{
	const uint64_t before = i ? end_of(&t->entries[i - 1]) : STORE_ALIGN;

	return t->entries[i].offset - before < STORE_ALIGN ? before : t->entries[i].offset;
}

struct fsck_span fsck_next_span(const struct pack_table *t, uint32_t first)
{
	struct fsck_span span = { .first = first, .begin = STORE_ALIGN, .end = STORE_ALIGN };
	uint32_t next = first;

	if (first < t->count) {
		span.begin = begin_of(t, first);
		span.end = end_of(&t->entries[next++]);
	}
	while (next < t->count && begin_of(t, next) == span.end &&
	       end_of(&t->entries[next]) - span.begin <= SPAN_BYTES)
		span.end = end_of(&t->entries[next++]);
	span.count = next - first;
	if (next == t->count && t->table_offset - span.end < 2 * STORE_ALIGN)
		span.end = t->table_offset;
	return span;
}

/* --- checking ------------------------------------------------------------------------------ */

struct look {
	struct fsck_reading *reading;
	const struct pack *pack;
	const struct pack_table *table;
	char name[PACK_NAME_BYTES];
	fsck_on_fault *on_fault;
	void *opaque;
};

static bool is_of_disk(int code)
{
	return code == -EBADMSG || code == -EIO || code == -ENOENT;
}

/* @stored: the payload, or NULL: it could not be read with the rest. */
static int check_entry(const struct look *l, uint32_t i, const uint8_t *stored, struct err *e)
{
	const struct pack_entry *entry = &l->table->entries[i];
	char hex[CHUNK_ID_HEX_BYTES], text[ERR_MSG_BYTES];
	struct err why = { 0 };
	int r = store_reader_check_stored(l->reading->reader, l->pack, entry, stored,
					  l->reading->buf, &why);

	if (r == -EIO && !stored)
		r = store_reader_check_stored(l->reading->reader, l->pack, entry, NULL,
					      l->reading->buf, &why);

	if (r < 0 && !is_of_disk(r))
		return err_set(e, r, "%s", why.msg);
	if (r < 0) {
		snprintf(text, sizeof(text), "%.400s (%u bytes at %llu)", why.msg,
			 entry->stored_bytes, (unsigned long long)entry->offset);
		l->on_fault(l->opaque, FSCK_FAULT_CHUNK, i, text);
	} else if (stored &&
		   pack_payload_sum(l->reading->scheme, entry, stored) != entry->payload_sum) {
		id_to_hex(&entry->id, hex);
		snprintf(text, sizeof(text),
			 "chunk %.16s in 'packs/%s' is right, but its compressed bytes are not "
			 "as they were written (%u bytes at %llu)",
			 hex, l->name, entry->stored_bytes, (unsigned long long)entry->offset);
		l->on_fault(l->opaque, FSCK_FAULT_PAYLOAD, i, text);
	}
	return 0;
}

static void check_zero(const struct look *l, uint32_t entry, const uint8_t *bytes, uint64_t len,
		       uint64_t offset)
{
	char text[ERR_MSG_BYTES];

	for (uint64_t i = 0; i < len; i++) {
		if (bytes[i] == 0)
			continue;
		snprintf(text, sizeof(text),
			 "'packs/%s': unused bytes between chunks are not zero, at %llu", l->name,
			 (unsigned long long)(offset + i));
		l->on_fault(l->opaque, FSCK_FAULT_GAP, entry, text);
		return;
	}
}

static int check_bytes(const struct look *l, const struct fsck_span *span, const uint8_t *bytes,
		       struct err *e)
{
	uint64_t at = span->begin;
	int r = 0;

	for (uint32_t i = span->first; i < span->first + span->count && r == 0; i++) {
		const struct pack_entry *entry = &l->table->entries[i];

		check_zero(l, i, bytes + (at - span->begin), entry->offset - at, at);
		r = check_entry(l, i, bytes + (entry->offset - span->begin), e);
		at = end_of(entry);
	}
	check_zero(l, span->first, bytes + (at - span->begin), span->end - at, at);
	return r;
}

/* One by one, to find those that can still be read. */
static int check_one_by_one(const struct look *l, const struct fsck_span *span,
			    const struct err *why, struct err *e)
{
	int r = 0;

	l->on_fault(l->opaque, FSCK_FAULT_GAP, span->first, why->msg);
	for (uint32_t i = span->first; i < span->first + span->count && r == 0; i++)
		r = check_entry(l, i, NULL, e);
	return r;
}

int fsck_check_span(struct fsck_reading *r, const struct pack *p, const struct pack_table *t,
		    const struct fsck_span *span, fsck_on_fault *on_fault, void *opaque,
		    struct err *e)
{
	struct look l = {
		.reading = r, .pack = p, .table = t, .on_fault = on_fault, .opaque = opaque
	};
	const size_t len = span->end - span->begin;
	struct err why = { 0 };
	int code;

	if (len > r->cap) {
		uint8_t *grown = realloc(r->bytes, len);

		if (!grown)
			return err_set(e, -ENOMEM, "out of memory");
		r->bytes = grown;
		r->cap = len;
	}
	pack_name(pack_get_id(p), l.name);
	if (len == 0)
		return 0;
	code = pack_read(p, r->bytes, len, span->begin, &why);
	if (code < 0 && !is_of_disk(code))
		return err_set(e, code, "%s", why.msg);
	return code < 0 ? check_one_by_one(&l, span, &why, e) : check_bytes(&l, span, r->bytes, e);
}

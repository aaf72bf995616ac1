/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at images: what they are, what they take, and how two of them differ. */
#include "stellar/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stellar/id_set.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"

int image_read_info(struct store *s, const struct chunk_id *image, struct image_info *out,
		    struct err *e)
{
	struct manifest_cursor *cursor = NULL;
	struct manifest_source source;
	struct store_reader *reader;
	int r = store_reader_new(&reader, s, e);

	if (r < 0)
		return r;
	source = store_reader_source(reader);
	r = manifest_open(&cursor, image, &source, e);
	if (r == 0)
		*out = *manifest_info(cursor);
	manifest_close(cursor);
	store_reader_free(reader);
	return r;
}

/* --- what it takes ------------------------------------------------------------------------- */

struct measure {
	struct store_reader *reader;
	struct id_set seen; /* owned */
	struct image_cost *out;
};

static int measure_one(void *opaque, enum chunk_kind kind, const struct chunk_id *id,
		       uint64_t offset, uint64_t bytes, struct err *e)
{
	struct measure *m = opaque;
	struct index_entry entry;
	int r = id_set_add(&m->seen, id);

	(void)offset;
	(void)bytes;
	if (r < 0)
		return err_set(e, r, "out of memory");
	if (r == 0)
		return 0;
	r = store_reader_find(m->reader, id, &entry, e);
	if (r < 0)
		return r;
	if (r == 0)
		return 1; /* missing: costs nothing */
	if (kind == CHUNK_KIND_DATA) {
		m->out->distinct_chunks++;
		m->out->raw_bytes += entry.raw_bytes;
		m->out->stored_bytes += entry.stored_bytes;
	} else {
		m->out->nodes++;
		m->out->node_bytes += entry.stored_bytes;
	}
	return 1;
}

int image_measure(struct store *s, const struct chunk_id *image, struct image_cost *out,
		  struct err *e)
{
	struct measure m = { .out = out };
	const struct manifest_visitor visitor = { .visit = measure_one, .opaque = &m };
	struct manifest_source source;
	int r;

	*out = (struct image_cost){ 0 };
	r = store_reader_new(&m.reader, s, e);
	if (r < 0)
		return r;
	source = store_reader_source(m.reader);
	r = manifest_walk(image, &source, &visitor, e);
	store_reader_free(m.reader);
	id_set_release(&m.seen);
	return r;
}

/* --- comparing ----------------------------------------------------------------------------- */

enum { COMPARE_BYTES = 64 << 10, SIDES = 2 };

/* Reads an image here and there; keeps the chunk that it read last. */
struct side {
	struct manifest_cursor *cursor; /* owned */
	uint64_t bytes; /* of the image */
	struct extent extent; /* the last one */
	bool has_chunk; /* buf has it */
	uint8_t *buf; /* owned: CHUNK_MAX_BYTES */
};

struct comparison {
	struct store_reader *reader; /* owned */
	struct side sides[SIDES];
	int (*on_range)(void *opaque, uint64_t offset, uint64_t bytes);
	void *opaque;
	const struct work_control *work;
	struct image_diff *out;
	uint64_t begin, end; /* of the range that is not told yet; equal: none */
	struct err *e;
};

/*
 * What the image has at @offset: up to @len bytes at *@bytes, or zeros when that is NULL. Returns how
 * many, 0 at the end, or -errno.
 */
static int64_t look(struct comparison *c, struct side *side, uint64_t offset, uint64_t len,
		    const uint8_t **bytes)
{
	const struct extent before = side->extent;
	int r = manifest_seek(side->cursor, offset, &side->extent, c->e);
	ssize_t n;

	if (r <= 0)
		return r;
	*bytes = NULL;
	if (!side->extent.is_zero) {
		if (!side->has_chunk || before.offset != side->extent.offset) {
			n = store_reader_get(c->reader, CHUNK_KIND_DATA, &side->extent.id,
					     side->buf, CHUNK_MAX_BYTES, c->e);
			if (n < 0)
				return n;
			if ((uint64_t)n != side->extent.bytes)
				return err_set(c->e, -EBADMSG,
					       "a chunk is not as long as the manifest says, at "
					       "%llu",
					       (unsigned long long)side->extent.offset);
		}
		*bytes = side->buf + (offset - side->extent.offset);
	}
	side->has_chunk = !side->extent.is_zero;
	return (int64_t)min_u64(len, side->extent.offset + side->extent.bytes - offset);
}

static int tell(struct comparison *c)
{
	int r = 0;

	if (c->begin < c->end) {
		c->out->ranges++;
		c->out->different_bytes += c->end - c->begin;
		if (c->on_range)
			r = c->on_range(c->opaque, c->begin, c->end - c->begin);
	}
	c->begin = c->end;
	return r;
}

static int add_range(struct comparison *c, uint64_t offset, uint64_t bytes)
{
	int r = 0;

	if (offset != c->end || c->begin == c->end) {
		r = tell(c);
		c->begin = offset;
	}
	c->end = offset + bytes;
	return r;
}

static uint8_t byte_at(const uint8_t *bytes, size_t i)
{
	return bytes ? bytes[i] : 0;
}

/* Adds the ranges in which @len bytes differ; NULL is zeros. */
static int compare_bytes(struct comparison *c, const uint8_t *a, const uint8_t *b, size_t len,
			 uint64_t offset)
{
	size_t at = 0;
	int r = 0;

	if ((!a && !b) || (a && b && memcmp(a, b, len) == 0))
		return 0;
	while (at < len && r == 0) {
		size_t end;

		while (at < len && byte_at(a, at) == byte_at(b, at))
			at++;
		end = at;
		while (end < len && byte_at(a, end) != byte_at(b, end))
			end++;
		if (end > at)
			r = add_range(c, offset + at, end - at);
		at = end;
	}
	return r;
}

/* A range that may differ, by manifest_diff_ranges(). */
static int compare_range(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct comparison *c = opaque;
	const uint64_t common = min_u64(c->sides[0].bytes, c->sides[1].bytes);
	const uint64_t end = offset + bytes;
	int r = 0;

	while (offset < min_u64(end, common) && r == 0) {
		const uint8_t *a, *b;
		int64_t n = look(c, &c->sides[0], offset, min_u64(end, common) - offset, &a);

		if (n > 0)
			n = look(c, &c->sides[1], offset, (uint64_t)n, &b);
		if (n <= 0)
			return n < 0 ? (int)n : err_set(c->e, -EBADMSG, "an image ends too soon");
		if (a || b)
			r = compare_bytes(c, a, b, (size_t)n, offset);
		offset += (uint64_t)n;
		if (c->work->is_cancelled && atomic_load(c->work->is_cancelled))
			return err_set(c->e, -ECANCELED, "cancelled");
		if (c->work->on_progress)
			c->work->on_progress(c->work->opaque, offset,
					     max_u64(c->sides[0].bytes, c->sides[1].bytes));
	}
	if (r == 0 && offset < end) /* what only one of them has */
		r = add_range(c, offset, end - offset);
	return r;
}

static int open_side(struct comparison *c, struct side *side, const struct chunk_id *image)
{
	const struct manifest_source source = store_reader_source(c->reader);
	int r = manifest_open(&side->cursor, image, &source, c->e);

	if (r < 0)
		return r;
	side->bytes = manifest_info(side->cursor)->bytes;
	side->buf = malloc(CHUNK_MAX_BYTES);
	return side->buf ? 0 : err_set(c->e, -ENOMEM, "out of memory");
}

int image_diff(struct store *s, const struct chunk_id *a, const struct chunk_id *b,
	       int (*on_range)(void *opaque, uint64_t offset, uint64_t bytes), void *opaque,
	       const struct work_control *work, struct image_diff *out, struct err *e)
{
	static const struct work_control quiet;
	struct comparison c = {
		.on_range = on_range,
		.opaque = opaque,
		.work = work ? work : &quiet,
		.out = out,
		.e = e,
	};
	struct manifest_source source;
	int r = store_reader_new(&c.reader, s, e);

	*out = (struct image_diff){ 0 };
	if (r < 0)
		return r;
	source = store_reader_source(c.reader);
	r = manifest_diff_chunks(a, b, &source, &out->chunks, e);
	if (r == 0)
		r = open_side(&c, &c.sides[0], a);
	if (r == 0)
		r = open_side(&c, &c.sides[1], b);
	if (r == 0)
		r = manifest_diff_ranges(a, b, &source, compare_range, &c, e);
	if (r == 0)
		r = tell(&c);
	for (size_t i = 0; i < SIDES; i++) {
		manifest_close(c.sides[i].cursor);
		free(c.sides[i].buf);
	}
	store_reader_free(c.reader);
	return r;
}

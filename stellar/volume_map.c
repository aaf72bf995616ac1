/* SPDX-License-Identifier: Apache-2.0 */
/* Where the parts of an image lie: see volume_map.h. */
#include "stellar/volume_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "stellar/codec.h"
#include "stellar/store_impl.h"

enum {
	WINDOW_BITS = 24,
	WINDOWS = 4096, /* 64 GiB of an image; a power of two */
	DECODED_BYTES = 64 << 20, /* of chunks */
	DECODED_MIN = 4,
	DECODED_MAX = 1024,
	TRIES = 8,
};

struct window {
	uint64_t number; /* place in the image >> WINDOW_BITS */
	struct place *places; /* owned; NULL: not listed */
	size_t count;
	size_t last; /* the one found last: reads often go on where they were */
};

struct decoded {
	struct chunk_id id;
	size_t len; /* 0: empty */
	uint8_t *bytes; /* owned */
	size_t cap;
};

struct mapping {
	struct mapping *next;
	uint32_t pack; /* number */
	uint8_t *bytes; /* owned: mapped */
	uint64_t len;
};

struct volume_map {
	struct store *store; /* borrowed */
	struct manifest_cursor *cursor; /* borrowed */
	struct store_reader *reader; /* borrowed */
	struct window windows[WINDOWS];
	struct decoded decoded[DECODED_MAX];
	size_t decoded_count; /* of them in use */
	struct mapping *mappings; /* owned: a list */
};

int volume_map_new(struct volume_map **out, struct store *s, struct manifest_cursor *cursor,
		   struct store_reader *reader, struct err *e)
{
	const size_t average = manifest_info(cursor)->chunking.max_bytes;
	struct volume_map *m = calloc(1, sizeof(*m));

	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	m->store = s;
	m->cursor = cursor;
	m->reader = reader;
	m->decoded_count = DECODED_BYTES / (average ? average : CHUNK_MAX_BYTES);
	if (m->decoded_count < DECODED_MIN)
		m->decoded_count = DECODED_MIN;
	if (m->decoded_count > DECODED_MAX)
		m->decoded_count = DECODED_MAX;
	*out = m;
	return 0;
}

void volume_map_free(struct volume_map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < WINDOWS; i++)
		free(m->windows[i].places);
	for (size_t i = 0; i < DECODED_MAX; i++)
		free(m->decoded[i].bytes);
	while (m->mappings) {
		struct mapping *mapping = m->mappings;

		m->mappings = mapping->next;
		munmap(mapping->bytes, mapping->len);
		free(mapping);
	}
	free(m);
}

/* --- windows ------------------------------------------------------------------------------- */

static int add_place(struct window *w, size_t *room, const struct extent *extent, struct err *e)
{
	if (w->count == *room) {
		const size_t more = *room ? 2 * *room : 64;
		struct place *grown = reallocarray(w->places, more, sizeof(*grown));

		if (!grown)
			return err_set(e, -ENOMEM, "out of memory");
		w->places = grown;
		*room = more;
	}
	w->places[w->count++] = (struct place){
		.offset = extent->offset,
		.bytes = extent->bytes,
		.state = extent->is_zero ? PLACE_ZERO : PLACE_UNKNOWN,
		.id = extent->id,
	};
	return 0;
}

/* All extents that have a part in the window. */
static int list_window(struct volume_map *m, struct window *w, uint64_t number, struct err *e)
{
	const uint64_t begin = number << WINDOW_BITS, end = (number + 1) << WINDOW_BITS;
	struct extent extent;
	size_t room = 0;
	int r = manifest_seek(m->cursor, begin, &extent, e);

	free(w->places);
	*w = (struct window){ .number = number };
	while (r > 0 && extent.offset < end) {
		r = add_place(w, &room, &extent, e);
		if (r == 0)
			r = manifest_next(m->cursor, &extent, e);
	}
	if (r < 0) {
		free(w->places);
		*w = (struct window){ 0 };
	}
	return r < 0 ? r : 0;
}

static bool holds(const struct place *p, uint64_t offset)
{
	return offset >= p->offset && offset - p->offset < p->bytes;
}

struct place *volume_map_find(struct volume_map *m, uint64_t offset, struct err *e)
{
	const uint64_t number = offset >> WINDOW_BITS;
	struct window *w = &m->windows[number % WINDOWS];
	size_t low = 0, high;

	if ((!w->places || w->number != number) && list_window(m, w, number, e) < 0)
		return NULL;
	if (w->count > 0 && holds(&w->places[w->last], offset))
		return &w->places[w->last];
	for (high = w->count; low + 1 < high;) {
		const size_t middle = low + (high - low) / 2;

		if (w->places[middle].offset <= offset)
			low = middle;
		else
			high = middle;
	}
	if (w->count == 0 || !holds(&w->places[low], offset)) {
		err_set(e, -EBADMSG, "the image ends too soon");
		return NULL;
	}
	w->last = low;
	return &w->places[low];
}

/* --- chunks -------------------------------------------------------------------------------- */

static struct decoded *slot_for(struct volume_map *m, const struct place *p, struct err *e)
{
	uint32_t hash;
	struct decoded *d;

	memcpy(&hash, p->id.bytes, sizeof(hash));
	d = &m->decoded[hash % m->decoded_count];
	if (d->cap < p->bytes) {
		uint8_t *grown = realloc(d->bytes, (size_t)p->bytes);

		if (!grown) {
			err_set(e, -ENOMEM, "out of memory");
			return NULL;
		}
		d->bytes = grown;
		d->cap = (size_t)p->bytes;
		d->len = 0;
	}
	return d;
}

/* The whole pack, mapped once. NULL: it cannot be, so its chunks are read. */
static const struct mapping *map_pack(struct volume_map *m, uint32_t number, const struct pack *p)
{
	struct mapping *mapping = m->mappings;

	while (mapping && mapping->pack != number)
		mapping = mapping->next;
	if (mapping)
		return mapping;
	mapping = calloc(1, sizeof(*mapping));
	if (!mapping)
		return NULL;
	mapping->pack = number;
	mapping->len = pack_file_bytes(p);
	mapping->bytes = mmap(NULL, mapping->len, PROT_READ, MAP_SHARED, pack_fd(p), 0);
	if (mapping->bytes == MAP_FAILED) {
		free(mapping);
		return NULL;
	}
	mapping->next = m->mappings;
	m->mappings = mapping;
	return mapping;
}

/* A raw chunk: verified where it lies, and from then on read there. 0: it is not one, or it moved. */
static int load_raw(struct volume_map *m, struct place *p, struct decoded *d, struct err *e)
{
	const struct mapping *mapping;
	struct index_entry found;
	struct pack_entry entry;
	struct index_pack info;
	struct cached_pack *pack;
	int r = store_reader_find(m->reader, &p->id, &found, e);

	if (r <= 0 || found.codec != CODEC_NONE || found.is_sealed || found.raw_bytes != p->bytes)
		return r < 0 ? r : 0;
	r = index_find_pack(store_reader_index(m->reader), found.pack, &info, e);
	if (r <= 0)
		return r;
	pack = store_take_pack(m->store, &info, NULL);
	if (!pack)
		return 0;
	entry = (struct pack_entry){
		.id = p->id,
		.offset = found.offset,
		.stored_bytes = found.stored_bytes,
		.raw_bytes = found.raw_bytes,
		.kind = found.kind,
	};
	r = store_reader_check(m->reader, cached_pack_of(pack), &entry, d->bytes, e);
	mapping = r == 0 ? map_pack(m, found.pack, cached_pack_of(pack)) : NULL;
	if (mapping) {
		p->bytes_at = mapping->bytes + found.offset;
		p->state = PLACE_DIRECT;
	}
	store_give_pack(m->store, pack);
	return r < 0 ? r : 1;
}

int volume_map_load(struct volume_map *m, struct place *p, const uint8_t **bytes, struct err *e)
{
	struct decoded *d = slot_for(m, p, e);
	ssize_t n;
	int r;

	if (!d)
		return -ENOMEM;
	*bytes = d->bytes;
	if (d->len == p->bytes && id_equal(&d->id, &p->id))
		return 0;
	d->len = 0;
	r = load_raw(m, p, d, e);
	if (r < 0)
		return r;
	if (r == 0) {
		n = store_reader_get(m->reader, CHUNK_KIND_DATA, &p->id, d->bytes, (size_t)p->bytes,
				     e);
		if (n < 0)
			return (int)n;
		if ((uint64_t)n != p->bytes)
			return err_set(e, -EBADMSG,
				       "a chunk is not as long as the manifest says, at %llu",
				       (unsigned long long)p->offset);
	}
	d->id = p->id;
	d->len = (size_t)p->bytes;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that take a store for themselves: another key around its secret, a trained dictionary. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"
#include "stellar/txn.h"

enum {
	SAMPLES_MAX = 4096,
	SAMPLES_MAX_BYTES = 64 << 20,
	SAMPLE_MAX_BYTES = 128 << 10, /* of one chunk: its begin */
	SAMPLES_MIN = 16,
	DICTIONARY_MIN_BYTES = 1 << 10,
};

static int check_exclusive(const struct store *s, struct err *e)
{
	return s->mode == STORE_EXCLUSIVE
		       ? 0
		       : err_set(e, -EINVAL, "the store %s must be opened alone for this",
				 quote(s->path).text);
}

int store_change_key(struct store *s, const struct key_input *key, struct err *e)
{
	struct superblock changed = s->superblock;
	int r = check_exclusive(s, e);

	if (r < 0)
		return r;
	if (!changed.is_encrypted)
		return err_set(e, -EINVAL, "the store %s is not encrypted: it has no key",
			       quote(s->path).text);
	r = crypt_wrap(&changed.envelope, changed.uuid, s->master, key, e);
	if (r == 0)
		r = superblock_write(s->dir_fd, s->path, &changed, e);
	if (r == 0)
		s->superblock = changed;
	return r;
}

/* --- dictionary ---------------------------------------------------------------------------- */

struct sampling {
	struct store_reader *reader; /* borrowed */
	uint8_t *bytes; /* owned: SAMPLES_MAX_BYTES */
	size_t *sizes; /* owned: SAMPLES_MAX */
	size_t used, count;
	uint8_t *chunk; /* owned: CHUNK_MAX_BYTES */
	uint64_t seen, step; /* every step-th chunk of data is a sample */
};

/* Chunks come by rising id, which is as good as at random. */
static int take_sample(void *opaque, const struct chunk_id *id, const struct index_entry *entry)
{
	struct sampling *s = opaque;
	size_t len;

	if (entry->kind != CHUNK_KIND_DATA || s->seen++ % s->step != 0)
		return 0;
	if (s->count == SAMPLES_MAX || s->used + SAMPLE_MAX_BYTES > SAMPLES_MAX_BYTES)
		return 1;
	if (store_reader_get(s->reader, CHUNK_KIND_DATA, id, s->chunk, CHUNK_MAX_BYTES, NULL) < 0)
		return 0; /* a damaged one is no sample */
	len = (size_t)min_u64(entry->raw_bytes, SAMPLE_MAX_BYTES);
	memcpy(s->bytes + s->used, s->chunk, len);
	s->used += len;
	s->sizes[s->count++] = len;
	return 0;
}

static int train(struct store *s, struct sampling *g, uint8_t *dictionary, size_t cap,
		 struct err *e)
{
	struct index_reader *index;
	struct index_stats stats;
	int r = index_reader_new(&index, s->index, e);

	if (r < 0)
		return r;
	r = index_stats(index, &stats, e);
	if (r == 0) {
		g->step = stats.chunks / SAMPLES_MAX + 1;
		r = index_each_chunk(index, take_sample, g, e);
	}
	index_reader_free(index);
	if (r < 0)
		return r;
	if (g->count < SAMPLES_MIN)
		return err_set(e, -ENODATA,
			       "the store %s has %zu chunks to train a dictionary on; it takes %d",
			       quote(s->path).text, g->count, SAMPLES_MIN);
	return codec_dictionary_train(g->bytes, g->sizes, g->count, dictionary, cap, e);
}

/* Puts the dictionary, durably, and then says in the superblock that it is used. */
static int adopt(struct store *s, const uint8_t *dictionary, size_t len, struct err *e)
{
	struct txn_item item = { .kind = CHUNK_KIND_DICTIONARY, .bytes = dictionary, .len = len };
	struct superblock changed = s->superblock;
	struct txn_worker *w = NULL;
	struct txn *t;
	int r = txn_begin(&t, s, &s->superblock.codec, e);

	if (r < 0)
		return r;
	r = txn_worker_new(&w, t, e);
	if (r == 0)
		r = txn_put(w, &item, 1, e);
	if (r == 0)
		r = txn_publish(t, e);
	if (r == 0) {
		changed.dictionary_id = item.id;
		changed.has_dictionary = true;
		r = superblock_write(s->dir_fd, s->path, &changed, e);
	}
	if (r == 0) {
		s->superblock = changed;
		s->place.dictionary_id = item.id;
	}
	txn_worker_free(w);
	txn_free(t);
	return r;
}

int store_train_dictionary(struct store *s, size_t dictionary_bytes, struct err *e)
{
	struct sampling g = { 0 };
	auto_free uint8_t *dictionary = malloc(dictionary_bytes);
	int r = check_exclusive(s, e);

	if (r == 0 && (dictionary_bytes < DICTIONARY_MIN_BYTES ||
		       dictionary_bytes > CODEC_DICTIONARY_MAX_BYTES))
		r = err_set(e, -EINVAL, "a dictionary has %d to %d bytes, not %zu",
			    DICTIONARY_MIN_BYTES, CODEC_DICTIONARY_MAX_BYTES, dictionary_bytes);
	if (r < 0)
		return r;
	g.bytes = malloc(SAMPLES_MAX_BYTES);
	g.sizes = calloc(SAMPLES_MAX, sizeof(*g.sizes));
	g.chunk = malloc(CHUNK_MAX_BYTES);
	if (!dictionary || !g.bytes || !g.sizes || !g.chunk)
		r = err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = store_reader_new(&g.reader, s, e);
	if (r == 0)
		r = train(s, &g, dictionary, dictionary_bytes, e);
	if (r > 0)
		r = adopt(s, dictionary, (size_t)r, e);
	store_reader_free(g.reader);
	free(g.bytes);
	free(g.sizes);
	free(g.chunk);
	return r;
}

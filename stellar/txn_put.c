/* SPDX-License-Identifier: Apache-2.0 */
/* Puts chunks: their ids, what the store has of them, and the rest encoded and written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/crypt.h"
#include "stellar/reader.h"
#include "stellar/txn_impl.h"

enum { LOOKUPS = 8 }; /* more only when gc moves a chunk each time */

struct txn_worker {
	struct txn *txn; /* borrowed: freed after its workers */
	struct store_reader *reader; /* owned */
	struct codec_coder *coder; /* owned */
	size_t capacity; /* of the four arrays */
	struct index_entry *found; /* owned; pack 0: the store does not have it */
	bool *is_new; /* owned */
	struct pack_entry *entries; /* owned */
	struct iovec *payloads; /* owned */
	uint8_t *encoded; /* owned: payloads that are not the items' own bytes */
	size_t encoded_cap;
	uint8_t *scratch; /* owned: a payload before it is sealed */
	size_t scratch_cap;
};

int txn_worker_new(struct txn_worker **out, struct txn *t, struct err *e)
{
	struct txn_worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->txn = t;
	r = store_reader_new(&w->reader, t->store, e);
	if (r == 0)
		r = codec_coder_new(&w->coder, &t->codec, t->dictionary, e);
	if (r < 0) {
		txn_worker_free(w);
		return r;
	}
	*out = w;
	return 0;
}

void txn_worker_free(struct txn_worker *w)
{
	if (!w)
		return;
	store_reader_free(w->reader);
	codec_coder_free(w->coder);
	free(w->found);
	free(w->is_new);
	free(w->entries);
	free(w->payloads);
	free(w->encoded);
	free(w->scratch);
	free(w);
}

/* --- room ---------------------------------------------------------------------------------- */

static bool grow(void *array, size_t bytes)
{
	void **p = array;
	void *grown = realloc(*p, bytes);

	if (grown)
		*p = grown;
	return grown != NULL;
}

static int make_room(struct txn_worker *w, const struct txn_item *items, size_t count,
		     struct err *e)
{
	size_t encoded = 0, longest = 0;
	bool is_ok = true;

	for (size_t i = 0; i < count; i++) {
		encoded += items[i].len + SEAL_EXTRA_BYTES;
		longest = items[i].len > longest ? items[i].len : longest;
	}
	if (count > w->capacity) {
		is_ok = grow(&w->found, count * sizeof(*w->found)) &&
			grow(&w->is_new, count * sizeof(*w->is_new)) &&
			grow(&w->entries, count * sizeof(*w->entries)) &&
			grow(&w->payloads, count * sizeof(*w->payloads));
		w->capacity = is_ok ? count : w->capacity;
	}
	if (is_ok && encoded > w->encoded_cap) {
		is_ok = grow(&w->encoded, encoded);
		w->encoded_cap = is_ok ? encoded : w->encoded_cap;
	}
	if (is_ok && w->txn->store->sealer && longest > w->scratch_cap) {
		is_ok = grow(&w->scratch, longest);
		w->scratch_cap = is_ok ? longest : w->scratch_cap;
	}
	return is_ok ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* --- what the store has -------------------------------------------------------------------- */

static int look_up(struct txn_worker *w, const struct txn_item *items, size_t count, struct err *e)
{
	int r = store_reader_renew(w->reader, e);

	for (size_t i = 0; i < count && r >= 0; i++) {
		r = index_find(store_reader_index(w->reader), &items[i].id, &w->found[i], e);
		if (r == 0)
			w->found[i].pack = 0;
	}
	return r < 0 ? r : 0;
}

/* Looks up until all that is found is pinned, so that it stays. */
static int look_up_and_pin(struct txn_worker *w, const struct txn_item *items, size_t count,
			   struct err *e)
{
	for (unsigned i = 0; i < LOOKUPS; i++) {
		int r = look_up(w, items, count, e);

		if (r == 0)
			r = txn_pin(w->txn, store_reader_index(w->reader), w->found, count, e);
		if (r <= 0)
			return r;
	}
	/* Pinned too late each time: those are written again. */
	for (size_t i = 0; i < count; i++) {
		if (w->found[i].pack && !txn_is_pinned(w->txn, w->found[i].pack))
			w->found[i].pack = 0;
	}
	return 0;
}

/* Which of them are to be written: new to the store, and not on the way in this transaction. */
static int choose(struct txn_worker *w, const struct txn_item *items, size_t count, struct err *e)
{
	struct txn *t = w->txn;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < count && r >= 0; i++) {
		w->is_new[i] = false;
		if (w->found[i].pack)
			continue;
		r = id_set_add(&t->pending, &items[i].id);
		w->is_new[i] = r > 0;
	}
	pthread_mutex_unlock(&t->lock);
	return r < 0 ? err_set(e, r, "out of memory") : 0;
}

/* --- encoding ------------------------------------------------------------------------------ */

/* Fills entry and payload @n from @item; uses up what it takes of w->encoded. */
static void encode(struct txn_worker *w, const struct txn_item *item, size_t n, size_t *used)
{
	const struct sealer *sealer = w->txn->store->sealer;
	struct pack_entry *entry = &w->entries[n];
	uint8_t *out = w->encoded + *used;
	const void *payload = item->bytes;
	enum codec codec = CODEC_NONE;
	size_t len = item->len;

	if (item->kind != CHUNK_KIND_DICTIONARY) {
		uint8_t *target = sealer ? w->scratch : out;

		len = codec_encode(w->coder, item->bytes, item->len, target, item->len, &codec);
		if (codec != CODEC_NONE)
			payload = target;
	}
	if (sealer) {
		const struct seal_facts facts = { item->id, (uint8_t)item->kind, (uint8_t)codec,
						  (uint32_t)item->len };

		sealer_seal(sealer, &facts, payload, len, out);
		payload = out;
		len += SEAL_EXTRA_BYTES;
	}
	if (payload == out)
		*used += len;
	*entry = (struct pack_entry){
		.id = item->id,
		.stored_bytes = (uint32_t)len,
		.raw_bytes = (uint32_t)item->len,
		.kind = (uint8_t)item->kind,
		.codec = (uint8_t)codec,
		.is_sealed = sealer != NULL,
	};
	w->payloads[n] = (struct iovec){ (void *)(uintptr_t)payload, len };
}

static void count_new(struct txn *t, const struct pack_entry *entries, size_t count)
{
	pthread_mutex_lock(&t->lock);
	t->stats.new_chunks += count;
	for (size_t i = 0; i < count; i++) {
		t->stats.new_raw_bytes += entries[i].raw_bytes;
		t->stats.new_stored_bytes += entries[i].stored_bytes;
	}
	pthread_mutex_unlock(&t->lock);
}

int txn_put(struct txn_worker *w, struct txn_item *items, size_t count, struct err *e)
{
	size_t n = 0, used = 0;
	int r = make_room(w, items, count, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		store_id_of(w->txn->store, items[i].kind, items[i].bytes, items[i].len,
			    &items[i].id);
	r = look_up_and_pin(w, items, count, e);
	if (r == 0)
		r = choose(w, items, count, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (w->is_new[i])
			encode(w, &items[i], n++, &used);
	}
	if (n == 0)
		return 0;
	count_new(w->txn, w->entries, n);
	return txn_append(w->txn, w->entries, w->payloads, n, e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: their packs, from the first chunk to the name. */
#include "stellar/txn.h"
#include "base/quote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/txn_impl.h"

enum {
	PACK_TARGET_BYTES = 256 << 20, /* a pack is published when it has this much */
	PACK_TARGET_ENTRIES = 1 << 17,
};

/* --- life ---------------------------------------------------------------------------------- */

static int load_dictionary(struct txn *t, struct err *e)
{
	const struct superblock *sb = &t->store->superblock;

	if (!sb->has_dictionary ||
	    (t->codec.choice != CODEC_CHOICE_ZSTD && t->codec.choice != CODEC_CHOICE_AUTO))
		return 0;
	t->dictionary = store_dictionary(t->store, &sb->dictionary_id, e);
	return t->dictionary ? 0 : -EBADMSG;
}

int txn_begin(struct txn **out, struct store *s, const struct codec_params *codec, struct err *e)
{
	struct txn *t;
	int r;

	if (s->mode == STORE_READ_ONLY)
		return err_set(e, -EROFS, "the store %s is open for reading only",
			       quote(s->path).text);
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	t->store = s;
	t->codec = *codec;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->calm, NULL);
	r = lease_new(&t->lease, s->leases_fd, e);
	if (r == 0)
		r = load_dictionary(t, e);
	if (r < 0) {
		txn_free(t);
		return r;
	}
	*out = t;
	return 0;
}

void txn_free(struct txn *t)
{
	if (!t)
		return;
	pack_writer_free(t->pack);
	lease_free(t->lease);
	id_set_release(&t->pending);
	free(t->pinned);
	pthread_cond_destroy(&t->calm);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void txn_get_stats(struct txn *t, struct txn_stats *out)
{
	pthread_mutex_lock(&t->lock);
	*out = t->stats;
	pthread_mutex_unlock(&t->lock);
}

/* --- pins ---------------------------------------------------------------------------------- */

static bool is_pinned_locked(const struct txn *t, uint32_t number)
{
	return number / 64 < t->pinned_words && t->pinned[number / 64] >> number % 64 & 1;
}

bool txn_is_pinned(struct txn *t, uint32_t number)
{
	bool is_pinned;

	pthread_mutex_lock(&t->lock);
	is_pinned = is_pinned_locked(t, number);
	pthread_mutex_unlock(&t->lock);
	return is_pinned;
}

static int set_pinned(struct txn *t, uint32_t number, struct err *e)
{
	const size_t words = number / 64 + 1;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (words > t->pinned_words) {
		uint64_t *grown = realloc(t->pinned, words * sizeof(*grown));

		if (grown) {
			memset(grown + t->pinned_words, 0,
			       (words - t->pinned_words) * sizeof(*grown));
			t->pinned = grown;
			t->pinned_words = words;
		} else {
			r = err_set(e, -ENOMEM, "out of memory");
		}
	}
	if (r == 0)
		t->pinned[number / 64] |= UINT64_C(1) << number % 64;
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int pin_pack(struct txn *t, struct index_reader *index, uint32_t number, struct err *e)
{
	struct index_pack info;
	int r = index_find_pack(index, number, &info, e);

	if (r == 0)
		return err_set(e, -EUCLEAN,
			       "the index names a pack that it does not know; 'fsck "
			       "--rebuild-index' makes it anew");
	if (r > 0)
		r = lease_add_pack(t->lease, &info.id, e);
	return r < 0 ? r : set_pinned(t, number, e);
}

int txn_pin(struct txn *t, struct index_reader *index, const struct index_entry *found,
	    size_t count, struct err *e)
{
	bool has_gate = false;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		if (found[i].pack == 0 || txn_is_pinned(t, found[i].pack))
			continue;
		if (!has_gate)
			r = store_enter_gate(t->store, false, e);
		has_gate = r == 0;
		if (r == 0)
			r = pin_pack(t, index, found[i].pack, e);
	}
	if (has_gate)
		store_leave_gate(t->store);
	return r < 0 ? r : has_gate;
}

/* --- packs --------------------------------------------------------------------------------- */

static int enter_pack(struct txn *t, struct pack_writer *p, struct err *e)
{
	struct index_writer *w;
	uint32_t number;
	int r = index_begin(&w, t->store->index, e);

	if (r < 0)
		return r;
	r = index_add_pack(w, pack_writer_id(p), pack_writer_bytes(p), pack_writer_entries(p),
			   pack_writer_count(p), false, &number, e);
	if (r < 0) {
		index_abort(w);
		return r;
	}
	r = index_commit(w, e);
	return r < 0 ? r : set_pinned(t, number, e);
}

/* Publishes the pack in work. Nobody writes to it, and nobody begins to. */
static int publish(struct txn *t, struct err *e)
{
	int r = pack_writer_publish(t->pack, e);

	if (r == 0) {
		r = enter_pack(t, t->pack, e);
		if (r < 0)
			pack_writer_revoke(t->pack);
	}
	pack_writer_free(t->pack);
	t->pack = NULL;
	return r;
}

/* The pack in work, which may be written to until leave(). */
static int enter(struct txn *t, struct pack_writer **out, struct err *e)
{
	int r;

	pthread_mutex_lock(&t->lock);
	while (t->is_publishing)
		pthread_cond_wait(&t->calm, &t->lock);
	if (t->failure < 0) {
		err_set(e, t->failure, "the import has failed before");
	} else if (!t->pack) {
		t->failure = pack_writer_new(&t->pack, &t->store->place, e);
		/* Before the index knows it, and so before gc could look at it. */
		if (t->failure == 0)
			t->failure = lease_add_pack(t->lease, pack_writer_id(t->pack), e);
	}
	r = t->failure;
	*out = t->pack;
	t->writers += r == 0;
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* Publishes the pack when it is full, as the last one out or after waiting for the others. */
static int leave(struct txn *t, int result, struct err *e)
{
	bool is_full;

	pthread_mutex_lock(&t->lock);
	t->writers--;
	if (result < 0 && t->failure == 0)
		t->failure = result;
	is_full = t->failure == 0 && !t->is_publishing &&
		  (pack_writer_bytes(t->pack) >= PACK_TARGET_BYTES ||
		   pack_writer_count(t->pack) >= PACK_TARGET_ENTRIES);
	if (is_full)
		t->is_publishing = true;
	while (is_full && t->writers > 0)
		pthread_cond_wait(&t->calm, &t->lock);
	pthread_mutex_unlock(&t->lock);
	if (is_full)
		result = publish(t, e);
	pthread_mutex_lock(&t->lock);
	if (is_full) {
		t->is_publishing = false;
		id_set_release(&t->pending);
		if (result < 0 && t->failure == 0)
			t->failure = result;
	}
	pthread_cond_broadcast(&t->calm);
	pthread_mutex_unlock(&t->lock);
	return result;
}

int txn_append(struct txn *t, struct pack_entry *entries, const struct iovec *payloads,
	       size_t count, struct err *e)
{
	struct pack_writer *p;
	const int r = enter(t, &p, e);

	if (r < 0)
		return r;
	return leave(t, pack_append(p, entries, payloads, count, e), e);
}

/* --- the end ------------------------------------------------------------------------------- */

int txn_publish(struct txn *t, struct err *e)
{
	int r = t->failure;

	if (r < 0)
		return err_set(e, r, "the import has failed before");
	if (t->pack)
		r = publish(t, e);
	if (r < 0)
		t->failure = r;
	id_set_release(&t->pending);
	return r;
}

int txn_commit(struct txn *t, const struct root *root, bool may_replace, struct err *e)
{
	int r = txn_publish(t, e);

	if (r == 0)
		r = store_enter_gate(t->store, false, e);
	if (r < 0)
		return r;
	r = root_write(t->store->roots_fd, &t->store->scheme, root, may_replace, e);
	store_leave_gate(t->store);
	return r;
}

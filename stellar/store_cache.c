/* SPDX-License-Identifier: Apache-2.0 */
/* What an open store keeps at hand for all its threads: open packs and dictionaries. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"

enum { OPEN_PACKS_MAX = 128 };

struct cached_pack {
	struct cached_pack *next;
	struct pack *pack; /* owned */
	uint32_t number;
	unsigned users;
};

struct loaded_dictionary {
	struct loaded_dictionary *next;
	struct chunk_id id;
	struct codec_dictionary *dictionary; /* owned */
};

/* --- packs --------------------------------------------------------------------------------- */

/* Closes the one that was not used for longest, if nobody uses it now. */
static void make_room_locked(struct store *s)
{
	struct cached_pack **last = NULL;

	for (struct cached_pack **c = &s->packs; *c; c = &(*c)->next) {
		if ((*c)->users == 0)
			last = c;
	}
	if (last) {
		struct cached_pack *gone = *last;

		*last = gone->next;
		pack_close(gone->pack);
		free(gone);
		s->pack_count--;
	}
}

static struct cached_pack *find_locked(struct store *s, uint32_t number)
{
	for (struct cached_pack **c = &s->packs; *c; c = &(*c)->next) {
		struct cached_pack *found = *c;

		if (found->number != number)
			continue;
		*c = found->next;
		found->next = s->packs;
		s->packs = found;
		return found;
	}
	return NULL;
}

static struct cached_pack *open_locked(struct store *s, const struct index_pack *info,
				       struct err *e)
{
	struct cached_pack *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	if (pack_open(&c->pack, &s->place, &info->id, e) < 0) {
		free(c);
		return NULL;
	}
	c->number = info->number;
	if (s->pack_count >= OPEN_PACKS_MAX)
		make_room_locked(s);
	c->next = s->packs;
	s->packs = c;
	s->pack_count++;
	return c;
}

struct cached_pack *store_take_pack(struct store *s, const struct index_pack *info, struct err *e)
{
	struct cached_pack *c;

	pthread_mutex_lock(&s->lock);
	c = find_locked(s, info->number);
	if (!c)
		c = open_locked(s, info, e);
	if (c)
		c->users++;
	pthread_mutex_unlock(&s->lock);
	return c;
}

struct pack *cached_pack_of(struct cached_pack *c)
{
	return c->pack;
}

void store_give_pack(struct store *s, struct cached_pack *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&s->lock);
	c->users--;
	pthread_mutex_unlock(&s->lock);
}

void store_close_packs(struct store *s)
{
	while (s->packs) {
		struct cached_pack *c = s->packs;

		s->packs = c->next;
		pack_close(c->pack);
		free(c);
	}
	s->pack_count = 0;
}

/* --- dictionaries -------------------------------------------------------------------------- */

static const struct codec_dictionary *find_dictionary(struct store *s, const struct chunk_id *id)
{
	const struct codec_dictionary *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (struct loaded_dictionary *d = s->dictionaries; d && !found; d = d->next) {
		if (id_equal(&d->id, id))
			found = d->dictionary;
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

int store_add_dictionary(struct store *s, const struct chunk_id *id, const void *bytes, size_t len,
			 struct err *e)
{
	const int level = s->superblock.codec.level;
	struct loaded_dictionary *d = calloc(1, sizeof(*d));
	int code;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	code = codec_dictionary_new(&d->dictionary, bytes, len, level ? level : CODEC_LEVEL_DEFAULT,
				    e);
	if (code < 0) {
		free(d);
		return code;
	}
	d->id = *id;
	pthread_mutex_lock(&s->lock);
	d->next = s->dictionaries; /* twice when two threads came at once: harmless */
	s->dictionaries = d;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* With a reader of its own: who asks is in the middle of reading a chunk, and its buffers are in use. */
static ssize_t read_dictionary(struct store *s, const struct chunk_id *id, uint8_t *bytes,
			       struct err *e)
{
	struct store_reader *r;
	ssize_t len = store_reader_new(&r, s, e);

	if (len < 0)
		return len;
	len = store_reader_get(r, CHUNK_KIND_DICTIONARY, id, bytes, CODEC_DICTIONARY_MAX_BYTES, e);
	store_reader_free(r);
	return len;
}

const struct codec_dictionary *store_dictionary(struct store *s, const struct chunk_id *id,
						struct err *e)
{
	const struct codec_dictionary *found = find_dictionary(s, id);
	auto_free uint8_t *bytes = NULL;
	ssize_t len;

	if (found)
		return found;
	bytes = malloc(CODEC_DICTIONARY_MAX_BYTES);
	if (!bytes) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	len = read_dictionary(s, id, bytes, e);
	if (len < 0 || store_add_dictionary(s, id, bytes, (size_t)len, e) < 0)
		return NULL;
	return find_dictionary(s, id);
}

void store_free_dictionaries(struct store *s)
{
	while (s->dictionaries) {
		struct loaded_dictionary *d = s->dictionaries;

		s->dictionaries = d->next;
		codec_dictionary_free(d->dictionary);
		free(d);
	}
}

/* --- ids ----------------------------------------------------------------------------------- */

void store_id_of(const struct store *s, enum chunk_kind kind, const void *bytes, size_t len,
		 struct chunk_id *id)
{
	if (kind == CHUNK_KIND_DATA)
		id_of_data(&s->scheme, bytes, len, id);
	else
		id_of_node(&s->scheme, bytes, len, id);
}

bool store_id_is_zero(const struct chunk_id *id)
{
	static const struct chunk_id zero;

	return id_equal(id, &zero);
}

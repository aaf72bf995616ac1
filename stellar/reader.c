/* SPDX-License-Identifier: Apache-2.0 */
/* Reads chunks and verifies them: see reader.h. */
#include "stellar/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stellar/codec.h"
#include "stellar/crypt.h"
#include "stellar/store_impl.h"

enum { TRIES = 8, CODERS = 4 };

struct store_reader {
	struct store *store; /* borrowed: closed after its readers */
	struct index_reader *index; /* owned; NULL: the store has no index (fsck) */
	struct cached_pack *pack; /* taken: the last one used */
	uint32_t pack_number; /* of it */
	uint8_t *stored, *opened; /* owned: a payload as it is on disk, and without its seal */
	size_t stored_cap, opened_cap;
	struct {
		const struct codec_dictionary *dictionary; /* borrowed of the store; NULL: none */
		struct codec_coder *coder; /* owned */
	} coders[CODERS];
};

int store_reader_new(struct store_reader **out, struct store *s, struct err *e)
{
	struct store_reader *r = calloc(1, sizeof(*r));
	int code = 0;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->store = s;
	if (s->index)
		code = index_reader_new(&r->index, s->index, e);
	if (code < 0) {
		free(r);
		return code;
	}
	*out = r;
	return 0;
}

void store_reader_free(struct store_reader *r)
{
	if (!r)
		return;
	store_give_pack(r->store, r->pack);
	index_reader_free(r->index);
	for (size_t i = 0; i < CODERS; i++)
		codec_coder_free(r->coders[i].coder);
	free(r->stored);
	free(r->opened);
	free(r);
}

int store_reader_renew(struct store_reader *r, struct err *e)
{
	return index_reader_renew(r->index, e);
}

struct index_reader *store_reader_index(struct store_reader *r)
{
	return r->index;
}

int store_reader_find(struct store_reader *r, const struct chunk_id *id, struct index_entry *out,
		      struct err *e)
{
	int found = r->index ? index_find(r->index, id, out, e) : 0;

	if (found == 0 && r->index) {
		found = index_reader_renew(r->index, e);
		if (found == 0)
			found = index_find(r->index, id, out, e);
	}
	return found;
}

/* --- one payload --------------------------------------------------------------------------- */

static int grow(uint8_t **buf, size_t *cap, size_t len, struct err *e)
{
	uint8_t *grown;

	if (len <= *cap)
		return 0;
	grown = realloc(*buf, len);
	if (!grown)
		return err_set(e, -ENOMEM, "out of memory");
	*buf = grown;
	*cap = len;
	return 0;
}

/* The coder that knows @dictionary. NULL with @e filled. */
static struct codec_coder *coder_for(struct store_reader *r,
				     const struct codec_dictionary *dictionary, struct err *e)
{
	static const struct codec_params params = { .choice = CODEC_CHOICE_NONE };
	size_t i = 0;

	while (i < CODERS - 1 && r->coders[i].coder && r->coders[i].dictionary != dictionary)
		i++;
	if (r->coders[i].coder && r->coders[i].dictionary == dictionary)
		return r->coders[i].coder;
	codec_coder_free(r->coders[i].coder);
	r->coders[i].coder = NULL;
	r->coders[i].dictionary = dictionary;
	return codec_coder_new(&r->coders[i].coder, &params, dictionary, e) == 0
		       ? r->coders[i].coder
		       : NULL;
}

static int decode(struct store_reader *r, const struct pack *p, const struct pack_entry *entry,
		  const uint8_t *bytes, size_t len, void *buf, struct err *e)
{
	const struct codec_dictionary *dictionary = NULL;
	struct codec_coder *coder;

	/* Or one could need itself. */
	if (entry->kind == CHUNK_KIND_DICTIONARY && entry->codec != CODEC_NONE)
		return err_set(e, -EBADMSG, "it is a dictionary, and compressed");
	if (entry->codec == CODEC_ZSTD_DICTIONARY) {
		dictionary = store_dictionary(r->store, pack_dictionary_id(p), e);
		if (!dictionary)
			return e && e->code ? e->code : -EBADMSG;
	}
	coder = coder_for(r, dictionary, e);
	if (!coder)
		return -ENOMEM;
	return codec_decode(coder, entry->codec, bytes, len, buf, entry->raw_bytes, e);
}

/* Opens the seal: gives what is inside. */
static int unseal(struct store_reader *r, const struct pack_entry *entry, const uint8_t **bytes,
		  size_t *len, struct err *e)
{
	const struct seal_facts facts = { entry->id, entry->kind, entry->codec, entry->raw_bytes };
	int code;

	if (*len <= SEAL_EXTRA_BYTES)
		return err_set(e, -EBADMSG, "it is too short");
	code = grow(&r->opened, &r->opened_cap, *len, e);
	if (code < 0)
		return code;
	code = sealer_open(r->store->sealer, &facts, *bytes, *len, r->opened);
	if (code < 0)
		return err_set(e, code, "its seal is broken");
	*bytes = r->opened;
	*len -= SEAL_EXTRA_BYTES;
	return 0;
}

/* The payload as it was before it was stored, from @stored or, when that is NULL, from the disk. */
static int restore(struct store_reader *r, const struct pack *p, const struct pack_entry *entry,
		   const uint8_t *stored, void *buf, struct err *e)
{
	const bool is_plain = entry->codec == CODEC_NONE && !entry->is_sealed;
	size_t len = entry->stored_bytes;
	int code = 0;

	if (entry->is_sealed != (r->store->sealer != NULL))
		return err_set(e, -EBADMSG,
			       entry->is_sealed ? "it is sealed, and the store is not"
						: "it is not sealed");
	if (is_plain && entry->stored_bytes != entry->raw_bytes)
		return err_set(e, -EBADMSG, "its lengths do not agree");
	if (is_plain && stored) {
		memcpy(buf, stored, len);
		return 0;
	}
	if (is_plain)
		return pack_read(p, buf, len, entry->offset, e);
	if (!stored) {
		code = grow(&r->stored, &r->stored_cap, len, e);
		if (code == 0)
			code = pack_read(p, r->stored, len, entry->offset, e);
		stored = r->stored;
	}
	if (code == 0 && entry->is_sealed)
		code = unseal(r, entry, &stored, &len, e);
	return code < 0 ? code : decode(r, p, entry, stored, len, buf, e);
}

int store_reader_check_stored(struct store_reader *r, const struct pack *p,
			      const struct pack_entry *entry, const void *stored, void *buf,
			      struct err *e)
{
	char name[PACK_NAME_BYTES], hex[CHUNK_ID_HEX_BYTES];
	struct err why = { 0 };
	struct chunk_id id;
	int code = restore(r, p, entry, stored, buf, &why);

	if (code == 0) {
		store_id_of(r->store, entry->kind, buf, entry->raw_bytes, &id);
		if (!id_equal(&id, &entry->id))
			code = err_set(&why, -EBADMSG, "its content is not what its id says");
	}
	if (code == 0)
		return 0;
	pack_name(pack_get_id(p), name);
	id_to_hex(&entry->id, hex);
	return err_set(e, code, "chunk %.16s in 'packs/%s' is damaged: %s", hex, name, why.msg);
}

int store_reader_check(struct store_reader *r, const struct pack *p, const struct pack_entry *entry,
		       void *buf, struct err *e)
{
	return store_reader_check_stored(r, p, entry, NULL, buf, e);
}

/* --- by id --------------------------------------------------------------------------------- */

/* The pack of @entry, taken. 0: it is gone; the index must be read again. */
static int take_pack(struct store_reader *r, const struct index_entry *entry, struct err *e)
{
	struct index_pack info;
	struct err why = { 0 };
	int found;

	if (r->pack && r->pack_number == entry->pack)
		return 1;
	store_give_pack(r->store, r->pack);
	r->pack = NULL;
	found = index_find_pack(r->index, entry->pack, &info, e);
	if (found <= 0)
		return found == 0 ? err_set(e, -EUCLEAN,
					    "the index names a pack that it does not know; 'fsck "
					    "--rebuild-index' makes it anew")
				  : found;
	r->pack = store_take_pack(r->store, &info, &why);
	if (!r->pack && why.code == -ENOENT)
		return 0;
	if (!r->pack)
		return err_set(e, why.code, "%s", why.msg);
	r->pack_number = entry->pack;
	return 1;
}

static ssize_t read_entry(struct store_reader *r, enum chunk_kind kind, const struct chunk_id *id,
			  const struct index_entry *found, void *buf, size_t cap, struct err *e)
{
	const struct pack_entry entry = {
		.id = *id,
		.offset = found->offset,
		.stored_bytes = found->stored_bytes,
		.raw_bytes = found->raw_bytes,
		.kind = found->kind,
		.codec = found->codec,
		.is_sealed = found->is_sealed,
	};
	char hex[CHUNK_ID_HEX_BYTES];
	int code;

	id_to_hex(id, hex);
	if (entry.kind != kind)
		return err_set(e, -EBADMSG, "chunk %.16s is of kind %u, not %d", hex, entry.kind,
			       kind);
	if (entry.raw_bytes > cap)
		return err_set(e, -EBADMSG, "chunk %.16s is longer than it should be", hex);
	code = store_reader_check(r, cached_pack_of(r->pack), &entry, buf, e);
	return code < 0 ? code : (ssize_t)entry.raw_bytes;
}

ssize_t store_reader_get(struct store_reader *r, enum chunk_kind kind, const struct chunk_id *id,
			 void *buf, size_t cap, struct err *e)
{
	char hex[CHUNK_ID_HEX_BYTES];
	struct index_entry found;
	int code;

	for (unsigned i = 0; i < TRIES; i++) {
		code = store_reader_find(r, id, &found, e);
		if (code < 0)
			return code;
		if (code == 0)
			break;
		code = take_pack(r, &found, e);
		if (code < 0)
			return code;
		if (code > 0)
			return read_entry(r, kind, id, &found, buf, cap, e);
		code = index_reader_renew(r->index, e);
		if (code < 0)
			return code;
	}
	id_to_hex(id, hex);
	return err_set(e, -ENOENT, "the store has no chunk %.16s", hex);
}

static ssize_t get(void *opaque, enum chunk_kind kind, const struct chunk_id *id, void *buf,
		   size_t cap, struct err *e)
{
	return store_reader_get(opaque, kind, id, buf, cap, e);
}

struct manifest_source store_reader_source(struct store_reader *r)
{
	return (struct manifest_source){ .get = get, .opaque = r };
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Marks what is needed: images of roots and leases, their nodes and chunks, and dictionaries. */
#include <errno.h>
#include <stdlib.h>

#include "base/quote.h"
#include "stellar/gc_impl.h"

/* Marks the chunk. 1: it was not marked; 0: it was; -errno. */
static int mark_chunk(struct gc *g, enum chunk_kind kind, const struct chunk_id *id, struct err *e)
{
	struct index_entry entry;
	struct gc_pack *p;
	int r = store_reader_find(g->reader, id, &entry, e);

	if (r < 0)
		return r;
	if (r == 0) {
		char hex[CHUNK_ID_HEX_BYTES];

		if (kind == CHUNK_KIND_DATA)
			return 0; /* fsck's business; there is nothing to keep */
		id_to_hex(id, hex);
		return err_set(e, -ENOENT, "the store has no chunk %.16s", hex);
	}
	p = gc_find_pack(g, entry.pack);
	if (!p || entry.number >= p->info.count)
		return 1; /* in a pack that came later, which stays */
	if (gc_is_marked(p, entry.number))
		return 0;
	p->marks[entry.number / 64] |= UINT64_C(1) << entry.number % 64;
	g->result->live_chunks++;
	g->result->live_bytes += entry.stored_bytes;
	return 1;
}

static int visit(void *opaque, enum chunk_kind kind, const struct chunk_id *id, uint64_t offset,
		 uint64_t bytes, struct err *e)
{
	struct gc *g = opaque;

	(void)offset;
	(void)bytes;
	if (gc_is_cancelled(g, e))
		return -ECANCELED;
	return mark_chunk(g, kind, id, e);
}

/* 1: it was not marked before; 0: it was; -errno. */
static int mark_image(struct gc *g, const struct chunk_id *image, const char *name, struct err *e)
{
	const struct manifest_source source = store_reader_source(g->reader);
	const struct manifest_visitor visitor = { .visit = visit, .opaque = g };
	struct err why = { 0 };
	int r;

	if (id_set_has(&g->images, image))
		return 0;
	r = manifest_walk(image, &source, &visitor, &why);
	if (r == -ECANCELED)
		return err_set(e, r, "%s", why.msg);
	if (r < 0)
		return err_set(e, r, "image '%s' cannot be read, so nothing can go: %s", name,
			       why.msg);
	r = id_set_add(&g->images, image);
	if (r < 0)
		return err_set(e, r, "out of memory");
	g->result->images++;
	return 1;
}

static int mark_dictionaries(struct gc *g, struct err *e)
{
	int r = 0;

	if (g->store->superblock.has_dictionary)
		r = mark_chunk(g, CHUNK_KIND_DICTIONARY, &g->store->superblock.dictionary_id, e);
	for (size_t i = 0; i < g->pack_count && r >= 0; i++) {
		if (!store_id_is_zero(&g->packs[i].dictionary_id))
			r = mark_chunk(g, CHUNK_KIND_DICTIONARY, &g->packs[i].dictionary_id, e);
	}
	return r < 0 ? r : 0;
}

static int mark_roots(struct gc *g, struct err *e)
{
	struct root_list roots = { 0 };
	int r = root_list_read(g->store->roots_fd, &g->store->scheme, &roots, e), found = 0;

	if (r == 0 && roots.bad_count > 0)
		r = err_set(
			e, -EBADMSG,
			"%s in 'roots' cannot be read, so nothing can go; see 'stellarium fsck'",
			quote(roots.bad[0]).text);
	for (size_t i = 0; i < roots.count && r >= 0; i++) {
		r = mark_image(g, &roots.roots[i].image_id, roots.roots[i].name, e);
		found |= r > 0;
	}
	root_list_release(&roots);
	return r < 0 ? r : found;
}

int gc_mark(struct gc *g, struct lease_set *leases, struct err *e)
{
	char hex[CHUNK_ID_HEX_BYTES];
	int r = lease_set_read(leases, g->store->leases_fd, true, e), found = 0;

	if (r == 0)
		r = mark_dictionaries(g, e);
	if (r == 0)
		found = r = mark_roots(g, e);
	for (size_t i = 0; i < leases->image_count && r >= 0; i++) {
		id_to_hex(&leases->images[i], hex);
		r = mark_image(g, &leases->images[i], hex, e);
		found |= r > 0;
	}
	return r < 0 ? r : found;
}

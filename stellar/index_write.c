/* SPDX-License-Identifier: Apache-2.0 */
/* The index: writing it. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stellar/index_impl.h"

int index_begin(struct index_writer **out, struct index *x, struct err *e)
{
	struct index_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->index = x;
	r = mdb_txn_begin(x->env, NULL, 0, &w->txn);
	if (r != 0) {
		free(w);
		return index_error(r, e, "write");
	}
	r = x->is_aside ? 0 : index_digest_drop(x, e);
	if (r < 0) {
		index_abort(w);
		return r;
	}
	x->is_dirty = !x->is_aside;
	*out = w;
	return 0;
}

int index_commit(struct index_writer *w, struct err *e)
{
	const int r = mdb_txn_commit(w->txn);

	if (r != 0)
		w->index->is_doubtful = true;
	free(w);
	return r == 0 ? 0 : index_error(r, e, "write");
}

void index_abort(struct index_writer *w)
{
	if (!w)
		return;
	mdb_txn_abort(w->txn);
	free(w);
}

int index_writer_find(struct index_writer *w, const struct chunk_id *id, struct index_entry *out,
		      struct err *e)
{
	return index_get_chunk(w->index, w->txn, id, out, e);
}

int index_writer_find_pack_id(struct index_writer *w, const struct pack_id *id,
			      struct index_pack *out, struct err *e)
{
	return index_get_pack_id(w->index, w->txn, id, out, e);
}

/* --- packs --------------------------------------------------------------------------------- */

/* The next number, which is used up. */
static int take_number(struct index_writer *w, uint32_t *number, struct err *e)
{
	MDB_val key = { sizeof(INDEX_KEY_NEXT), (void *)(uintptr_t)INDEX_KEY_NEXT }, value;
	le32 next = le32_put(1);
	int r = mdb_get(w->txn, w->index->meta, &key, &value);

	if (r == 0 && value.mv_size == sizeof(next))
		memcpy(&next, value.mv_data, sizeof(next));
	else if (r != MDB_NOTFOUND)
		return index_error(r ? r : MDB_CORRUPTED, e, "read");
	*number = le32_get(next);
	if (*number == UINT32_MAX)
		return err_set(e, -ENOSPC, "the index has no numbers left: rebuild it");
	next = le32_put(*number + 1);
	value = (MDB_val){ sizeof(next), &next };
	r = mdb_put(w->txn, w->index->meta, &key, &value, 0);
	return r == 0 ? 0 : index_error(r, e, "write");
}

static int put_pack(struct index_writer *w, uint32_t number, const struct pack_id *id,
		    uint64_t bytes, uint32_t count, struct err *e)
{
	struct index_pack_row row = {
		.id = *id,
		.bytes = le64_put(bytes),
		.count = le32_put(count),
	};
	le32 little = le32_put(number);
	uint32_t wire = htobe32(number);
	MDB_val key = { sizeof(wire), &wire }, value = { sizeof(row), &row };
	int r = mdb_put(w->txn, w->index->packs, &key, &value, 0);

	if (r == 0) {
		key = (MDB_val){ sizeof(*id), (void *)(uintptr_t)id->bytes };
		value = (MDB_val){ sizeof(little), &little };
		r = mdb_put(w->txn, w->index->numbers, &key, &value, 0);
	}
	return r == 0 ? 0 : index_error(r, e, "write");
}

struct numbered {
	const struct pack_entry *entry;
	uint32_t number;
};

static int by_id(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return id_compare(&x->entry->id, &y->entry->id);
}

static int put_chunk(struct index_writer *w, uint32_t pack, const struct numbered *n,
		     bool is_better, struct err *e)
{
	const struct pack_entry *entry = n->entry;
	struct index_row row = {
		.pack = le32_put(pack),
		.number = le32_put(n->number),
		.place = le64_put(entry->offset | (uint64_t)entry->kind << 48 |
				  (uint64_t)entry->codec << 52 | (uint64_t)entry->is_sealed << 56),
		.stored_bytes = le32_put(entry->stored_bytes),
		.raw_bytes = le32_put(entry->raw_bytes),
	};
	MDB_val key = { sizeof(entry->id), (void *)(uintptr_t)entry->id.bytes };
	MDB_val value = { sizeof(row), &row };
	const int r =
		mdb_put(w->txn, w->index->chunks, &key, &value, is_better ? 0 : MDB_NOOVERWRITE);

	return r == 0 || r == MDB_KEYEXIST ? 0 : index_error(r, e, "write");
}

int index_add_pack(struct index_writer *w, const struct pack_id *id, uint64_t bytes,
		   const struct pack_entry *entries, uint32_t count, bool is_better,
		   uint32_t *number, struct err *e)
{
	auto_free struct numbered *sorted = calloc((size_t)count + 1, sizeof(*sorted));
	struct index_pack known;
	int r = index_writer_find_pack_id(w, id, &known, e);

	if (!sorted)
		return err_set(e, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	*number = known.number;
	if (r == 0)
		r = take_number(w, number, e);
	if (r >= 0)
		r = put_pack(w, *number, id, bytes, count, e);
	for (uint32_t i = 0; i < count; i++)
		sorted[i] = (struct numbered){ &entries[i], i };
	if (count > 1) /* LMDB takes rising keys faster */
		qsort(sorted, count, sizeof(*sorted), by_id);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		if (sorted[i].entry->kind != 0)
			r = put_chunk(w, *number, &sorted[i], is_better, e);
	}
	return r < 0 ? r : 0;
}

int index_remove_pack(struct index_writer *w, uint32_t number, struct err *e)
{
	uint32_t wire = htobe32(number);
	MDB_val key = { sizeof(wire), &wire }, value;
	struct index_pack_row row;
	int r = mdb_get(w->txn, w->index->packs, &key, &value);

	if (r == MDB_NOTFOUND)
		return 0;
	if (r == 0 && value.mv_size != sizeof(row))
		r = MDB_CORRUPTED;
	if (r == 0) {
		memcpy(&row, value.mv_data, sizeof(row));
		r = mdb_del(w->txn, w->index->packs, &key, NULL);
	}
	if (r == 0) {
		key = (MDB_val){ sizeof(row.id), row.id.bytes };
		r = mdb_del(w->txn, w->index->numbers, &key, NULL);
	}
	return r == 0 ? 0 : index_error(r, e, "write");
}

int index_remove_chunk(struct index_writer *w, const struct chunk_id *id, struct err *e)
{
	MDB_val key = { sizeof(*id), (void *)(uintptr_t)id->bytes };
	const int r = mdb_del(w->txn, w->index->chunks, &key, NULL);

	return r == 0 || r == MDB_NOTFOUND ? 0 : index_error(r, e, "write");
}

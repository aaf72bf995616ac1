/* SPDX-License-Identifier: Apache-2.0 */
/* The index: reading it. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/index_impl.h"

int index_reader_new(struct index_reader **out, struct index *x, struct err *e)
{
	struct index_reader *r = calloc(1, sizeof(*r));
	int code;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->index = x;
	code = mdb_txn_begin(x->env, NULL, MDB_RDONLY, &r->txn);
	if (code != 0) {
		free(r);
		return index_error(code, e, "read");
	}
	*out = r;
	return 0;
}

int index_reader_renew(struct index_reader *r, struct err *e)
{
	int code;

	mdb_txn_reset(r->txn);
	code = mdb_txn_renew(r->txn);
	return code == 0 ? 0 : index_error(code, e, "read");
}

void index_reader_free(struct index_reader *r)
{
	if (!r)
		return;
	mdb_txn_abort(r->txn);
	free(r);
}

/* --- chunks -------------------------------------------------------------------------------- */

static int get_row(const MDB_val *value, struct index_entry *out, struct err *e)
{
	struct index_row row;
	uint64_t place;

	if (value->mv_size != sizeof(row))
		return index_error(MDB_CORRUPTED, e, "read");
	memcpy(&row, value->mv_data, sizeof(row));
	place = le64_get(row.place);
	*out = (struct index_entry){
		.pack = le32_get(row.pack),
		.number = le32_get(row.number),
		.offset = place & ((UINT64_C(1) << 48) - 1),
		.stored_bytes = le32_get(row.stored_bytes),
		.raw_bytes = le32_get(row.raw_bytes),
		.kind = place >> 48 & 15,
		.codec = place >> 52 & 15,
		.is_sealed = place >> 56 & 1,
	};
	/* What readers take for the length of a buffer. */
	if (out->raw_bytes == 0 || out->raw_bytes > CHUNK_MAX_BYTES || out->stored_bytes == 0 ||
	    out->stored_bytes > CHUNK_MAX_BYTES + STORE_ALIGN)
		return index_error(MDB_CORRUPTED, e, "read");
	return 1;
}

int index_get_chunk(struct index *x, MDB_txn *txn, const struct chunk_id *id,
		    struct index_entry *out, struct err *e)
{
	MDB_val key = { sizeof(*id), (void *)(uintptr_t)id->bytes }, value;
	const int code = mdb_get(txn, x->chunks, &key, &value);

	if (code == MDB_NOTFOUND)
		return 0;
	if (code != 0)
		return index_error(code, e, "read");
	return get_row(&value, out, e);
}

int index_find(struct index_reader *r, const struct chunk_id *id, struct index_entry *out,
	       struct err *e)
{
	return index_get_chunk(r->index, r->txn, id, out, e);
}

int index_each_chunk(struct index_reader *r,
		     int (*visit)(void *opaque, const struct chunk_id *id,
				  const struct index_entry *entry),
		     void *opaque, struct err *e)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	struct index_entry entry;
	struct chunk_id id;
	int code = mdb_cursor_open(r->txn, r->index->chunks, &cursor), result = 0;

	if (code != 0)
		return index_error(code, e, "read");
	while (result == 0 && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != sizeof(id)) {
			code = MDB_CORRUPTED;
			break;
		}
		memcpy(id.bytes, key.mv_data, sizeof(id));
		result = get_row(&value, &entry, e);
		if (result > 0)
			result = visit(opaque, &id, &entry);
	}
	mdb_cursor_close(cursor);
	if (result != 0)
		return result;
	return code == MDB_NOTFOUND ? 0 : index_error(code, e, "read");
}

/* --- packs --------------------------------------------------------------------------------- */

static int get_pack_row(const MDB_val *key, const MDB_val *value, struct index_pack *out,
			struct err *e)
{
	struct index_pack_row row;
	uint32_t number;

	if (value->mv_size != sizeof(row) || key->mv_size != sizeof(number))
		return index_error(MDB_CORRUPTED, e, "read");
	memcpy(&row, value->mv_data, sizeof(row));
	memcpy(&number, key->mv_data, sizeof(number));
	*out = (struct index_pack){
		.number = be32toh(number),
		.id = row.id,
		.bytes = le64_get(row.bytes),
		.count = le32_get(row.count),
	};
	return 1;
}

static int get_pack(struct index *x, MDB_txn *txn, uint32_t number, struct index_pack *out,
		    struct err *e)
{
	uint32_t wire = htobe32(number);
	MDB_val key = { sizeof(wire), &wire }, value;
	const int code = mdb_get(txn, x->packs, &key, &value);

	if (code == MDB_NOTFOUND)
		return 0;
	if (code != 0)
		return index_error(code, e, "read");
	return get_pack_row(&key, &value, out, e);
}

int index_get_pack_id(struct index *x, MDB_txn *txn, const struct pack_id *id,
		      struct index_pack *out, struct err *e)
{
	MDB_val key = { sizeof(*id), (void *)(uintptr_t)id->bytes }, value;
	const int code = mdb_get(txn, x->numbers, &key, &value);
	le32 number;

	if (code == MDB_NOTFOUND)
		return 0;
	if (code != 0)
		return index_error(code, e, "read");
	if (value.mv_size != sizeof(number))
		return index_error(MDB_CORRUPTED, e, "read");
	memcpy(&number, value.mv_data, sizeof(number));
	return get_pack(x, txn, le32_get(number), out, e);
}

int index_find_pack(struct index_reader *r, uint32_t number, struct index_pack *out, struct err *e)
{
	return get_pack(r->index, r->txn, number, out, e);
}

int index_find_pack_id(struct index_reader *r, const struct pack_id *id, struct index_pack *out,
		       struct err *e)
{
	return index_get_pack_id(r->index, r->txn, id, out, e);
}

int index_next_pack(struct index_reader *r, uint32_t number, struct index_pack *out, struct err *e)
{
	uint32_t wire = htobe32(number);
	MDB_val key = { sizeof(wire), &wire }, value;
	MDB_cursor *cursor;
	int code = mdb_cursor_open(r->txn, r->index->packs, &cursor);

	if (code != 0)
		return index_error(code, e, "read");
	code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	if (code == 0)
		code = get_pack_row(&key, &value, out, e);
	else
		code = code == MDB_NOTFOUND ? 0 : index_error(code, e, "read");
	mdb_cursor_close(cursor);
	return code;
}

int index_stats(struct index_reader *r, struct index_stats *out, struct err *e)
{
	MDB_stat chunks, packs;
	MDB_envinfo info;
	int code = mdb_stat(r->txn, r->index->chunks, &chunks);

	if (code == 0)
		code = mdb_stat(r->txn, r->index->packs, &packs);
	if (code == 0)
		code = mdb_env_info(r->index->env, &info);
	if (code != 0)
		return index_error(code, e, "read");
	out->chunks = chunks.ms_entries;
	out->packs = packs.ms_entries;
	out->bytes = (info.me_last_pgno + 1) * (uint64_t)chunks.ms_psize;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Checks what frames the payloads of a pack: its header, its tables, its ends, and its holes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stellar/fsck_impl.h"

enum { TRIES = 2 };

static int check_twins(struct fsck *f, struct fsck_pack *p, const struct pack *file,
		       const struct pack_table *t, const char *name, struct err *e)
{
	const size_t trailer = sizeof(struct st_pack_trailer);
	const uint64_t len = p->bytes - t->table_offset;
	const uint64_t table = (len - 2 * trailer) / 2;
	auto_free uint8_t *tail = malloc(len);
	struct err why = { 0 };

	if (!tail)
		return err_set(e, -ENOMEM, "out of memory");
	if (pack_read(file, tail, len, t->table_offset, &why) < 0)
		return fsck_tell_pack(f, p, "%s", why.msg);
	if (memcmp(tail, tail + table, table) != 0)
		return fsck_tell_pack(f, p,
				      "'packs/%s': one of the two copies of its table is "
				      "damaged",
				      name);
	if (memcmp(tail + 2 * table, tail + 2 * table + trailer, trailer) != 0)
		return fsck_tell_pack(f, p,
				      "'packs/%s': one of the two copies of its end is "
				      "damaged",
				      name);
	if (t->is_damaged)
		return fsck_tell_pack(f, p, "'packs/%s': its table or its end is damaged", name);
	return 0;
}

/* Between payloads there is at most what aligns one. */
static int check_gaps(struct fsck *f, struct fsck_pack *p, const struct pack_table *t,
		      const char *name)
{
	uint64_t end = STORE_ALIGN;
	int r = 0;

	for (uint32_t i = 0; i < t->count && r == 0; i++) {
		if (t->entries[i].offset - end >= STORE_ALIGN)
			r = fsck_tell_pack(f, p, "'packs/%s': there is a hole before entry %u",
					   name, i);
		end = t->entries[i].offset + t->entries[i].stored_bytes;
	}
	if (r == 0 && t->payload_end != end)
		r = fsck_tell_pack(f, p, "'packs/%s': its table tells another end of its payloads",
				   name);
	return r;
}

/* A pack whose table cannot be read. */
static int lose_pack(struct fsck *f, struct fsck_pack *p, struct pack *file, const struct err *why,
		     struct err *e)
{
	p->has_io_error = why->code == -EIO;
	if (p->has_io_error && f->is_pass_to_repair && fsck_probe_disk(f, e) < 0)
		return -EIO;
	if (why->code == -ENOMEM)
		return err_set(e, -ENOMEM, "%s", why->msg);
	if (pack_is_being_written(file)) {
		p->state = FSCK_PACK_IN_WORK;
		return 0;
	}
	/* Whether the index knows it tells them apart: a problem is told when that was asked. */
	p->state = FSCK_PACK_UNFINISHED;
	return 0;
}

/* An error of the disk may be there once and not again; a repair must not act on such a one. */
static int open_pack(struct fsck *f, const struct pack_id *id, struct pack **file,
		     struct pack_table *t, struct err *fault, struct err *why)
{
	int r = -EIO;

	for (unsigned i = 0; i < TRIES; i++) {
		pack_table_release(t);
		pack_close(*file);
		*file = NULL;
		*why = (struct err){ 0 };
		r = pack_open_damaged(file, &f->store->place, id, fault, why);
		if (r == -EIO || (r == 0 && fault->code == -EIO))
			continue;
		if (r < 0 || fault->code == -EXDEV || fault->code == -EPROTONOSUPPORT)
			return r;
		why->code = pack_read_table(*file, &f->store->scheme, t, why);
		if (why->code != -EIO)
			return 0;
	}
	return r;
}

/* What cannot be opened: not a file, or not now. */
static int check_closed(struct fsck *f, struct fsck_pack *p, int code, const struct err *why,
			struct err *e)
{
	if (code == -ENOENT) {
		p->state = FSCK_PACK_IN_WORK;
		return 0;
	}
	if (code == -EBADMSG || code == -ELOOP || code == -ENXIO) {
		p->state = FSCK_PACK_FOREIGN;
		return fsck_tell_pack(f, p, "%s", why->msg);
	}
	if (code != -EIO || f->is_pass_to_repair)
		return err_set(e, code, "%s", why->msg);
	p->state = FSCK_PACK_CLOSED;
	return fsck_tell_pack(f, p, "%s", why->msg);
}

/* gc keeps what a header names, so it does not run without. */
static int check_dictionary(struct fsck *f, struct fsck_pack *p, const struct pack *file,
			    const char *name, struct err *e)
{
	char hex[CHUNK_ID_HEX_BYTES];
	const int r = fsck_has_dictionary(f, pack_dictionary_id(file), e);

	if (r != 0)
		return r < 0 ? r : 0;
	id_to_hex(pack_dictionary_id(file), hex);
	return fsck_tell_pack(f, p,
			      "'packs/%s' names the dictionary %.16s, which is missing or damaged",
			      name, hex);
}

int fsck_check_frame(struct fsck *f, struct fsck_pack *p, struct pack **file, struct pack_table *t,
		     struct err *e)
{
	char name[PACK_NAME_BYTES];
	struct err why = { 0 }, fault = { 0 };
	int r;

	*t = (struct pack_table){ 0 };
	*file = NULL;
	pack_name(&p->id, name);
	r = open_pack(f, &p->id, file, t, &fault, &why);
	if (r < 0)
		return check_closed(f, p, r, &why, e);
	p->bytes = pack_file_bytes(*file);
	if (fault.code == -EXDEV || fault.code == -EPROTONOSUPPORT) {
		p->state = fault.code == -EXDEV ? FSCK_PACK_FOREIGN : FSCK_PACK_CLOSED;
		return fsck_tell_pack(f, p, "%s", fault.msg);
	}
	if (why.code < 0)
		return lose_pack(f, p, *file, &why, e);
	p->count = t->count;
	p->state = fault.code == 0 ? FSCK_PACK_USABLE : FSCK_PACK_UNREADABLE;
	p->is_misnamed = pack_is_misnamed(*file);
	if (fault.code < 0)
		r = fsck_tell_pack(f, p, "%s", fault.msg);
	else
		r = check_dictionary(f, p, *file, name, e);
	if (r == 0)
		r = check_twins(f, p, *file, t, name, e);
	return r == 0 ? check_gaps(f, p, t, name) : r;
}

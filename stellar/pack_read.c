/* SPDX-License-Identifier: Apache-2.0 */
/* Reads packs: header, table, payloads. Believes nothing without its sum. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/codec.h"
#include "stellar/crypt.h"
#include "stellar/pack.h"

struct pack {
	int fd; /* owned */
	struct pack_id id; /* of its name */
	struct pack_id inner_id; /* of its header; the same but when it has another pack's name */
	struct chunk_id dictionary_id;
	uint64_t bytes; /* of the file */
};

/* --- names --------------------------------------------------------------------------------- */

void pack_id_to_hex(const struct pack_id *id, char hex[static PACK_ID_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < PACK_ID_BYTES; i++) {
		hex[2 * i] = digits[id->bytes[i] >> 4];
		hex[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	hex[PACK_ID_HEX_BYTES - 1] = '\0';
}

void pack_name(const struct pack_id *id, char name[static PACK_NAME_BYTES])
{
	pack_id_to_hex(id, name);
	memcpy(name + PACK_ID_HEX_BYTES - 1, ".pack", sizeof(".pack"));
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int pack_id_from_name(struct pack_id *id, const char *name)
{
	if (strlen(name) != PACK_NAME_BYTES - 1 ||
	    strcmp(name + PACK_ID_HEX_BYTES - 1, ".pack") != 0)
		return -EINVAL;
	for (size_t i = 0; i < PACK_ID_BYTES; i++) {
		const int high = digit_of(name[2 * i]), low = digit_of(name[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		id->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* --- header -------------------------------------------------------------------------------- */

static bool is_zero(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

static int check_header(struct pack *p, const struct pack_place *place, const char *name,
			struct err *e)
{
	struct st_pack_header h;
	uint8_t sum[STORE_SUM_BYTES];
	const ssize_t n = file_pread_full(p->fd, &h, sizeof(h), 0);

	if (n < 0)
		return err_errno(e, (int)n, "cannot read 'packs/%s'", name);
	if ((size_t)n < sizeof(h) || memcmp(h.magic, PACK_MAGIC, sizeof(h.magic)) != 0)
		return err_set(e, -EBADMSG, "'packs/%s' is damaged: it does not begin as a pack",
			       name);
	/* Every version keeps the sum where it is, so damage is not taken for a newer one. */
	id_sum(place->scheme, &h, offsetof(struct st_pack_header, sum), sum);
	if (memcmp(sum, h.sum, sizeof(sum)) != 0)
		return err_set(e, -EBADMSG, "'packs/%s' is damaged: its header is wrong", name);
	if (le32_get(h.version) > STORE_VERSION)
		return err_set(e, -EPROTONOSUPPORT,
			       "'packs/%s' is of version %u; this program knows versions up to %d",
			       name, le32_get(h.version), STORE_VERSION);
	if (le32_get(h.version) != STORE_VERSION || le32_get(h.zero) != 0 ||
	    !is_zero(h.zeros, sizeof(h.zeros)))
		return err_set(e, -EBADMSG, "'packs/%s' is damaged: its header is wrong", name);
	if (memcmp(h.uuid, place->uuid, sizeof(h.uuid)) != 0)
		return err_set(e, -EXDEV, "'packs/%s' belongs to another store", name);
	memcpy(p->dictionary_id.bytes, h.dictionary_id, sizeof(h.dictionary_id));
	p->inner_id = h.id;
	if (memcmp(&h.id, &p->id, sizeof(h.id)) != 0)
		return err_set(e, -EBADMSG, "'packs/%s' holds another pack", name);
	return 0;
}

int pack_open_damaged(struct pack **out, const struct pack_place *place, const struct pack_id *id,
		      struct err *fault, struct err *e)
{
	char name[PACK_NAME_BYTES];
	struct pack *p = calloc(1, sizeof(*p));
	struct stat st = { 0 };
	int r;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->id = p->inner_id = *id;
	p->dictionary_id = place->dictionary_id;
	pack_name(id, name);
	p->fd = openat(place->packs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (p->fd < 0 && errno != ELOOP)
		r = err_errno(e, -errno, "cannot open 'packs/%s'", name);
	else if (p->fd >= 0 && fstat(p->fd, &st) < 0)
		r = err_errno(e, -errno, "cannot read 'packs/%s'", name);
	else if (!S_ISREG(st.st_mode)) /* or a link: not opened, and zero */
		r = err_set(e, -EBADMSG, "'packs/%s' is not a file", name);
	else
		r = 0;
	if (r < 0) {
		pack_close(p);
		return r;
	}
	p->bytes = (uint64_t)st.st_size;
	*fault = (struct err){ 0 };
	fault->code = check_header(p, place, name, fault);
	*out = p;
	return 0;
}

bool pack_is_misnamed(const struct pack *p)
{
	return memcmp(&p->id, &p->inner_id, sizeof(p->id)) != 0;
}

int pack_open(struct pack **out, const struct pack_place *place, const struct pack_id *id,
	      struct err *e)
{
	struct err fault;
	int r = pack_open_damaged(out, place, id, &fault, e);

	if (r < 0 || fault.code == 0)
		return r;
	pack_close(*out);
	*out = NULL;
	return err_set(e, fault.code == -EXDEV ? -EBADMSG : fault.code, "%s", fault.msg);
}

void pack_close(struct pack *p)
{
	if (!p)
		return;
	cleanup_fd(&p->fd);
	free(p);
}

const struct pack_id *pack_get_id(const struct pack *p)
{
	return &p->id;
}

uint64_t pack_file_bytes(const struct pack *p)
{
	return p->bytes;
}

int pack_fd(const struct pack *p)
{
	return p->fd;
}

const struct chunk_id *pack_dictionary_id(const struct pack *p)
{
	return &p->dictionary_id;
}

bool pack_is_foreign(const struct pack_place *place, const struct pack_id *id, int fd)
{
	struct st_pack_header h;

	return file_pread_full(fd, &h, sizeof(h), 0) == sizeof(h) &&
	       memcmp(h.magic, PACK_MAGIC, sizeof(h.magic)) == 0 &&
	       (memcmp(h.uuid, place->uuid, sizeof(h.uuid)) != 0 ||
		memcmp(&h.id, id, sizeof(*id)) != 0);
}

bool pack_is_being_written(const struct pack *p)
{
	if (flock(p->fd, LOCK_EX | LOCK_NB) < 0)
		return true;
	flock(p->fd, LOCK_UN);
	return false;
}

bool pack_lock(struct pack *p, const struct pack_place *place)
{
	char name[PACK_NAME_BYTES];

	pack_name(&p->id, name);
	return file_lock(p->fd, LOCK_EX | LOCK_NB) == 0 &&
	       file_is_named(p->fd, place->packs_fd, name);
}

/* --- table --------------------------------------------------------------------------------- */

/* The offset and length of a table, as a valid trailer says. */
struct announcement {
	uint32_t count;
	uint64_t table_offset;
	uint64_t table_bytes;
};

static bool read_trailer(const struct st_pack_trailer *raw, const struct id_scheme *scheme,
			 uint64_t file_bytes, struct announcement *a)
{
	const uint64_t trailers = 2 * sizeof(*raw);
	uint8_t sum[STORE_SUM_BYTES];

	id_sum(scheme, raw, offsetof(struct st_pack_trailer, sum), sum);
	if (memcmp(raw->magic, PACK_TRAILER_MAGIC, sizeof(raw->magic)) != 0 ||
	    memcmp(sum, raw->sum, sizeof(sum)) != 0 || le32_get(raw->version) != STORE_VERSION)
		return false;
	a->count = le32_get(raw->count);
	a->table_offset = le64_get(raw->table_offset);
	a->table_bytes = le64_get(raw->table_bytes);
	return a->count <= PACK_MAX_ENTRIES && a->table_offset >= STORE_ALIGN &&
	       a->table_offset % STORE_ALIGN == 0 && a->table_offset < file_bytes &&
	       a->table_bytes == sizeof(struct st_pack_table) +
					 a->count * sizeof(struct st_pack_entry) +
					 STORE_SUM_BYTES &&
	       2 * a->table_bytes + trailers == file_bytes - a->table_offset;
}

uint32_t pack_payload_sum(const struct id_scheme *scheme, const struct pack_entry *entry,
			  const void *payload)
{
	uint8_t sum[STORE_SUM_BYTES];
	le32 begin;

	if (entry->codec == CODEC_NONE || entry->is_sealed)
		return 0;
	id_sum(scheme, payload, entry->stored_bytes, sum);
	memcpy(&begin, sum, sizeof(begin));
	return le32_get(begin);
}

/* An entry that makes sense and follows what ends at @end. */
static bool get_entry(const struct st_pack_entry *raw, uint64_t end, uint64_t payload_end,
		      struct pack_entry *out)
{
	uint64_t after;

	memcpy(out->id.bytes, raw->id, sizeof(raw->id));
	out->offset = le64_get(raw->offset);
	out->stored_bytes = le32_get(raw->stored_bytes);
	out->raw_bytes = le32_get(raw->raw_bytes);
	out->kind = raw->kind;
	out->codec = raw->codec;
	out->is_sealed = raw->is_sealed != 0;
	out->payload_sum = le32_get(raw->payload_sum);
	if (!ck_add(out->offset, out->stored_bytes, &after) || out->offset < end ||
	    after > payload_end)
		return false;
	if (out->raw_bytes == 0 || out->raw_bytes > CHUNK_MAX_BYTES || out->stored_bytes == 0 ||
	    out->stored_bytes > CHUNK_MAX_BYTES + SEAL_EXTRA_BYTES)
		return false;
	if (raw->is_sealed > 1 || raw->zero != 0)
		return false;
	if (out->payload_sum != 0 && (out->codec == CODEC_NONE || out->is_sealed))
		return false;
	return out->kind >= CHUNK_KIND_DATA && out->kind <= CHUNK_KIND_DICTIONARY &&
	       out->codec <= CODEC_ZSTD_DICTIONARY;
}

int pack_table_parse(const void *bytes, size_t len, const struct id_scheme *scheme,
		     const struct pack_id *id, uint64_t table_offset, struct pack_table *t,
		     struct err *e)
{
	const size_t sum_at = len - STORE_SUM_BYTES;
	struct st_pack_table h;
	uint8_t sum[STORE_SUM_BYTES];
	uint64_t end = STORE_ALIGN;

	if (len < sizeof(h) + STORE_SUM_BYTES)
		return err_set(e, -EBADMSG, "the table of a pack is too short");
	memcpy(&h, bytes, sizeof(h));
	id_sum(scheme, bytes, sum_at, sum);
	if (memcmp(sum, (const uint8_t *)bytes + sum_at, sizeof(sum)) != 0 ||
	    memcmp(h.magic, PACK_TABLE_MAGIC, sizeof(h.magic)) != 0 ||
	    le32_get(h.version) != STORE_VERSION || memcmp(&h.id, id, sizeof(*id)) != 0 ||
	    !is_zero(h.zero, sizeof(h.zero)))
		return err_set(e, -EBADMSG, "the table of a pack is damaged");
	t->count = le32_get(h.count);
	t->payload_end = le64_get(h.payload_end);
	if ((sum_at - sizeof(h)) / sizeof(struct st_pack_entry) != t->count ||
	    (sum_at - sizeof(h)) % sizeof(struct st_pack_entry) != 0 ||
	    t->payload_end > table_offset || t->payload_end < STORE_ALIGN ||
	    table_offset - t->payload_end >= STORE_ALIGN)
		return err_set(e, -EBADMSG, "the table of a pack makes no sense");
	t->entries = calloc((size_t)t->count + 1, sizeof(*t->entries));
	if (!t->entries)
		return err_set(e, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < t->count; i++) {
		struct st_pack_entry raw;

		memcpy(&raw, (const uint8_t *)bytes + sizeof(h) + i * sizeof(raw), sizeof(raw));
		if (!get_entry(&raw, end, t->payload_end, &t->entries[i]))
			return err_set(e, -EBADMSG, "entry %u of a pack's table makes no sense", i);
		end = t->entries[i].offset + t->entries[i].stored_bytes;
	}
	return 0;
}

/* Reads one of the two tables. */
static int read_one(const struct pack *p, const struct id_scheme *scheme,
		    const struct announcement *a, unsigned copy, struct pack_table *t,
		    struct err *e)
{
	auto_free uint8_t *bytes = malloc(a->table_bytes);
	int r;

	if (!bytes)
		return err_set(e, -ENOMEM, "out of memory");
	r = pack_read(p, bytes, a->table_bytes, a->table_offset + copy * a->table_bytes, e);
	if (r == 0)
		r = pack_table_parse(bytes, a->table_bytes, scheme, &p->inner_id, a->table_offset,
				     t, e);
	if (r < 0)
		pack_table_release(t);
	return r;
}

int pack_read_table(const struct pack *p, const struct id_scheme *scheme, struct pack_table *t,
		    struct err *e)
{
	struct st_pack_trailer raw[2];
	struct announcement a[2] = { 0 };
	bool is_valid[2];
	char name[PACK_NAME_BYTES];
	int r = -EBADMSG, second;

	*t = (struct pack_table){ 0 };
	pack_name(&p->id, name);
	if (p->bytes < STORE_ALIGN + sizeof(raw))
		return err_set(e, -EBADMSG, "'packs/%s' is incomplete", name);
	r = pack_read(p, raw, sizeof(raw), p->bytes - sizeof(raw), e);
	if (r < 0)
		return r;
	is_valid[0] = read_trailer(&raw[0], scheme, p->bytes, &a[0]);
	is_valid[1] = read_trailer(&raw[1], scheme, p->bytes, &a[1]);
	if (!is_valid[0])
		a[0] = a[1];
	if (!is_valid[0] && !is_valid[1])
		return err_set(e, -EBADMSG, "'packs/%s' is incomplete or damaged: it has no end",
			       name);
	r = read_one(p, scheme, a, 0, t, e);
	if (r == 0) {
		struct pack_table other = { 0 };

		second = read_one(p, scheme, a, 1, &other, NULL);
		pack_table_release(&other);
	} else {
		second = r;
		if (r == -EBADMSG || r == -EIO)
			r = read_one(p, scheme, a, 1, t, e);
	}
	t->table_offset = a[0].table_offset;
	t->is_damaged = second < 0 || !is_valid[0] || !is_valid[1];
	if (r == -EBADMSG)
		return err_set(e, r, "'packs/%s' is damaged: its table is wrong", name);
	return r;
}

void pack_table_release(struct pack_table *t)
{
	free(t->entries);
	*t = (struct pack_table){ 0 };
}

int pack_read(const struct pack *p, void *buf, size_t len, uint64_t offset, struct err *e)
{
	char name[PACK_NAME_BYTES];
	const ssize_t n = file_pread_full(p->fd, buf, len, (off_t)offset);

	if (n >= 0 && (size_t)n == len)
		return 0;
	pack_name(&p->id, name);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read 'packs/%s'", name);
	return err_set(e, -EBADMSG, "'packs/%s' is truncated", name);
}

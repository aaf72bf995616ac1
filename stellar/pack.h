/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs: files of chunks, written once and then never changed (layout in abi.h).
 *
 * A pack is published by one fdatasync after its table; until then it is nobody's. Its writer holds
 * a lock on the file (flock) until the index knows it, so a pack that has no lock and is not in the
 * index belongs to a writer that died: its table proves nothing about its payloads, which may not
 * have reached the disk, so each chunk is verified before it is believed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "stellar/abi.h"
#include "stellar/id.h"

enum {
	PACK_MAX_ENTRIES = 1 << 20,
	PACK_NAME_BYTES = PACK_ID_HEX_BYTES + 5, /* "<32 digits>.pack" */
};

/* Where packs are and what is common to them. All borrowed: of the store, which outlives them. */
struct pack_place {
	int packs_fd; /* the open directory packs/ */
	const uint8_t *uuid;
	const struct id_scheme *scheme;
	struct chunk_id dictionary_id; /* for new packs; zero: none */
};

struct pack_entry {
	struct chunk_id id;
	uint64_t offset;
	uint32_t stored_bytes;
	uint32_t raw_bytes;
	uint8_t kind; /* enum chunk_kind */
	uint8_t codec; /* enum codec */
	bool is_sealed;
	uint32_t payload_sum; /* of tables; pack_append() makes it itself */
};

/* What the table says of such a payload (struct st_pack_entry). */
uint32_t pack_payload_sum(const struct id_scheme *scheme, const struct pack_entry *entry,
			  const void *payload);

void pack_id_to_hex(const struct pack_id *id, char hex[static PACK_ID_HEX_BYTES]);
void pack_name(const struct pack_id *id, char name[static PACK_NAME_BYTES]);
/* 0, or -EINVAL: not a pack's file name. */
int pack_id_from_name(struct pack_id *id, const char *name);

/* --- writing ------------------------------------------------------------------------------- */

struct pack_writer;

/* Makes the file, locked, its name durable, its header written. 0 or -errno with @e filled. */
int pack_writer_new(struct pack_writer **out, const struct pack_place *place, struct err *e);

const struct pack_id *pack_writer_id(const struct pack_writer *w);
/* So far, tables not counted until it is published. Thread: any. */
uint64_t pack_writer_bytes(struct pack_writer *w);
uint32_t pack_writer_count(struct pack_writer *w);

/*
 * Appends the payloads of @count entries, whose other fields are set, and sets their offsets. Raw
 * payloads of whole blocks begin at STORE_ALIGN and lie together in the order given. Thread: any, at
 * the same time; but none during pack_writer_publish().
 */
int pack_append(struct pack_writer *w, struct pack_entry *entries, const struct iovec *payloads,
		size_t count, struct err *e);

/* Writes table and trailer and makes all of it durable. After an error it cannot be published. */
int pack_writer_publish(struct pack_writer *w, struct err *e);

/* What it holds, by rising offset; valid after publishing, until it is freed. */
const struct pack_entry *pack_writer_entries(const struct pack_writer *w);

/* Lets go of the lock; removes the file when it was not published. Accepts NULL. */
void pack_writer_free(struct pack_writer *w);

/* Takes the file of a published pack back (the index would not have it). Then free it. */
void pack_writer_revoke(struct pack_writer *w);

/* --- reading ------------------------------------------------------------------------------- */

struct pack;

/*
 * Opens it and checks its header. -ENOENT: there is none; -EBADMSG: damaged, or another pack under
 * this name, or another store's; -EPROTONOSUPPORT: of a newer version.
 */
int pack_open(struct pack **out, const struct pack_place *place, const struct pack_id *id,
	      struct err *e);
/*
 * The same whatever its header says, for fsck: what is wrong with that is in @fault (code 0: nothing;
 * -EXDEV: another store's). The table of another pack under this name can be read then.
 */
int pack_open_damaged(struct pack **out, const struct pack_place *place, const struct pack_id *id,
		      struct err *fault, struct err *e);
/* Whether its header, which is right, is that of a pack of another name. */
bool pack_is_misnamed(const struct pack *p);
void pack_close(struct pack *p); /* accepts NULL */

const struct pack_id *pack_get_id(const struct pack *p);
uint64_t pack_file_bytes(const struct pack *p);
int pack_fd(const struct pack *p); /* borrowed */
const struct chunk_id *pack_dictionary_id(const struct pack *p); /* zero: none */

/*
 * Whether the file @fd begins as a pack of another store or of another id than @id. Its sums may be of
 * a key that is not this store's, so it is asked of what looks torn, before that is removed.
 */
bool pack_is_foreign(const struct pack_place *place, const struct pack_id *id, int fd);

/* Whether its writer lives: holds the lock. Takes and gives back the lock otherwise. */
bool pack_is_being_written(const struct pack *p);

/*
 * Takes the lock of a pack that has no writer, until pack_close(): who enters it into the index or
 * removes it holds it, so that no two do both. False: somebody has it, or the file is gone.
 */
bool pack_lock(struct pack *p, const struct pack_place *place);

struct pack_table {
	struct pack_entry *entries; /* owned; checked: within the file, rising, not overlapping */
	uint32_t count;
	uint64_t payload_end;
	uint64_t table_offset;
	bool is_damaged; /* one copy of the table or the trailer was not valid, or the bytes between */
};

/* -EBADMSG: no valid table (not published, truncated or damaged). Release it also then. */
int pack_read_table(const struct pack *p, const struct id_scheme *scheme, struct pack_table *t,
		    struct err *e);
void pack_table_release(struct pack_table *t); /* accepts a zeroed table */

/* The parser of pack_read_table(), for tests: a table of @len bytes that trailers announce. */
int pack_table_parse(const void *bytes, size_t len, const struct id_scheme *scheme,
		     const struct pack_id *id, uint64_t table_offset, struct pack_table *t,
		     struct err *e);

/* Exactly @len bytes at @offset; -EBADMSG: the file ends before. */
int pack_read(const struct pack *p, void *buf, size_t len, uint64_t offset, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of fsck share: what is known of each pack, and how problems are told. */
#pragma once

#include "stellar/fsck.h"
#include "stellar/index.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"

enum fsck_pack_state {
	FSCK_PACK_USABLE, /* header, name and a table are right: its chunks can be read */
	FSCK_PACK_UNREADABLE, /* not; its chunks may still be salvaged */
	FSCK_PACK_FOREIGN, /* another store's, or no file */
	FSCK_PACK_CLOSED, /* a newer version's, or cannot be opened: left as it is */
	FSCK_PACK_UNFINISHED, /* has no end: its writer died before, if the index does not know it */
	FSCK_PACK_IN_WORK, /* its writer lives, or it went meanwhile */
	FSCK_PACK_MISSING, /* the index knows it, but there is no file */
};

struct fsck_pack {
	struct pack_id id; /* of its name */
	enum fsck_pack_state state;
	bool has_flaw; /* something in it is wrong: it is to be replaced */
	bool is_mended; /* it was */
	bool is_misnamed; /* its header is right, and another pack's */
	bool is_noted; /* told as left behind */
	bool has_io_error; /* its table could not be read, whatever is in it */
	bool is_checked; /* its payloads were read */
	uint32_t number; /* in the index; 0: not there */
	uint64_t bytes; /* of the file */
	uint32_t count; /* of its table's entries */
	uint64_t *bad; /* owned: a bit for each entry whose chunk cannot be had; NULL: none */
	uint64_t lost; /* how many */
};

/* A chunk of a pack that the index does not know yet. */
struct fsck_spare {
	struct chunk_id id;
	size_t pack; /* place in fsck.packs */
	uint32_t number; /* in its table */
};

/* One that waits for the index, or for its repair. */
struct fsck_problem {
	char *text; /* owned */
	struct pack_id pack;
	bool is_of_index; /* else of the pack */
};

struct index_child;

struct fsck {
	const struct fsck_options *options;
	struct fsck_result *result;
	struct store *store; /* owned; without an index */
	struct store_reader *reader; /* owned; of this thread */
	uint8_t *buf; /* owned: CHUNK_MAX_BYTES */
	pthread_mutex_t lock; /* of what follows */
	struct fsck_reading *idle; /* owned: a list, of threads that ended */
	/* What follows is this thread's. */
	struct fsck_pack *packs; /* owned; by rising id */
	size_t pack_count;
	size_t *by_number; /* owned: places in packs by rising number; numbered_count of them */
	size_t numbered_count;
	struct fsck_spare *spares; /* owned; by rising id */
	size_t spare_count;
	struct index_child *child; /* owned; NULL: there is no index to ask */
	struct root_list roots; /* owned: those that can be read */
	uint64_t own_packs, foreign_packs; /* as their headers say */
	uint8_t foreign_uuid[STORE_UUID_BYTES]; /* of one of these */
	bool is_index_bad;
	bool is_index_mended;
	bool has_digest; /* a valid one lies there */
	bool is_pass_to_repair; /* problems of packs and index are kept until they are repaired */
	struct fsck_problem *problems; /* owned: these */
	size_t problem_count;
	uint64_t work_done, work_total; /* bytes of packs */
};

/* --- telling ------------------------------------------------------------------------------- */

/* A problem that is done with: it has been repaired, or will not be. */
void fsck_tell(struct fsck *f, bool is_repaired, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * One of a pack or of the index, which get marked. Of a pack it is told when it is known whether the
 * index relies on that, before a repair of either after that. 0 or -ENOMEM.
 */
int fsck_tell_pack(struct fsck *f, struct fsck_pack *p, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int fsck_tell_index(struct fsck *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What a dead process left behind: harmless. */
void fsck_note(struct fsck *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void fsck_progress(struct fsck *f, uint64_t bytes);
int fsck_is_cancelled(const struct fsck *f, struct err *e); /* -ECANCELED or 0 */

/* After an error of the disk: 0 when other places can be read; else a repair must not go on. */
int fsck_probe_disk(struct fsck *f, struct err *e);

/* --- files --------------------------------------------------------------------------------- */

/* What is there before the store is opened: superblock, lock files, folders. Mends what opening needs. */
int fsck_check_parts(struct fsck *f, const char *path, struct err *e);
/* Whether a repair may act on what the superblock says: 0 or -EXDEV, when most packs are another store's. */
int fsck_check_owner(struct fsck *f, struct err *e);
/* Names in all folders, leases; fills f->roots. With f->is_pass_to_repair it mends what it can. */
int fsck_check_files(struct fsck *f, struct err *e);
int fsck_check_roots(struct fsck *f, struct err *e);

/* Calls @visit for each name in the folder but "." and "..", which may go meanwhile. */
int fsck_each_name(int dir_fd, const char *folder,
		   int (*visit)(struct fsck *f, int dir_fd, const char *name, struct err *e),
		   struct fsck *f, struct err *e);

/* A file that does not belong there: told, and moved away before a repair. */
int fsck_remove_strange(struct fsck *f, int dir_fd, const char *folder, const char *name,
			const char *what, struct err *e);
/* One that a dead process left: told, or taken away before a repair. */
int fsck_remove_leftover(struct fsck *f, int dir_fd, const char *folder, const char *name);

/* Moves @name of @dir_fd, which is @folder, to quarantine/. Durable. 0 or -errno with @e filled. */
int fsck_quarantine(struct fsck *f, int dir_fd, const char *folder, const char *name,
		    struct err *e);

/* --- packs --------------------------------------------------------------------------------- */

/* Lists packs/ and checks each pack. What was checked without a flaw before is not read again. */
int fsck_check_packs(struct fsck *f, struct err *e);
/* Checks one, all of it; adds it when it is new. */
int fsck_check_pack(struct fsck *f, struct fsck_pack *p, struct err *e);
struct fsck_pack *fsck_find_pack(struct fsck *f, const struct pack_id *id);
struct fsck_pack *fsck_add_pack(struct fsck *f, const struct pack_id *id, struct err *e);
struct fsck_pack *fsck_pack_of_number(struct fsck *f, uint32_t number);
void fsck_free_packs(struct fsck *f);
/* Whether the dictionary can be had, or @id is zero: 1, 0, or -ENOMEM. */
int fsck_has_dictionary(struct fsck *f, const struct chunk_id *id, struct err *e);

static inline bool fsck_is_bad(const struct fsck_pack *p, uint32_t number)
{
	return p->bad && p->bad[number / 64] >> number % 64 & 1;
}

/* The parts of the check of a pack, for tests too. */
struct fsck_span {
	uint32_t first, count; /* entries */
	uint64_t begin, end; /* bytes: from the end of what is before to the end of the last one, */
	/* or to the table */
};

/* The span from entry @first on; the last one ends at the table. */
struct fsck_span fsck_next_span(const struct pack_table *t, uint32_t first);

struct fsck_reading; /* what a thread needs to check payloads */
int fsck_reading_new(struct fsck_reading **out, struct store *s, struct err *e);
void fsck_reading_free(struct fsck_reading *r); /* accepts NULL */
/* One of f->idle or a new one, and back. Thread: any. */
int fsck_take_reading(struct fsck *f, struct fsck_reading **out, struct err *e);
void fsck_give_reading(struct fsck *f, struct fsck_reading *r);
void fsck_free_readings(struct fsck *f);

/* What is wrong with an entry, or with the bytes before it. */
enum fsck_fault {
	FSCK_FAULT_CHUNK, /* cannot be had */
	FSCK_FAULT_PAYLOAD, /* its chunk is right, but it is not stored as it was */
	FSCK_FAULT_GAP, /* bytes that should be zero are not, from an offset on */
};
typedef void fsck_on_fault(void *opaque, enum fsck_fault fault, uint32_t entry, const char *text);

/* Reads the span and checks each byte. 0, or -errno of what is not the disk's fault. */
int fsck_check_span(struct fsck_reading *r, const struct pack *p, const struct pack_table *t,
		    const struct fsck_span *span, fsck_on_fault *on_fault, void *opaque,
		    struct err *e);

/* Header, tables and trailers of @p. Opens it and reads its table when that is possible. */
int fsck_check_frame(struct fsck *f, struct fsck_pack *p, struct pack **file, struct pack_table *t,
		     struct err *e);

/* --- index --------------------------------------------------------------------------------- */

/* Checks it against the packs; sets is_index_bad or leaves f->child to ask. */
int fsck_check_index(struct fsck *f, struct err *e);

struct fsck_row {
	struct chunk_id id;
	struct index_entry entry;
	bool is_found;
};

/* Where the index has these chunks, whose ids are set. -EUCLEAN: it is damaged. */
int fsck_find(struct fsck *f, struct fsck_row *rows, size_t count, struct err *e);

/* A spare chunk, or NULL. */
const struct fsck_spare *fsck_find_spare(const struct fsck *f, const struct chunk_id *id);

enum { FSCK_FIND_MAX = 1024 };

/* --- images -------------------------------------------------------------------------------- */

int fsck_check_images(struct fsck *f, struct err *e);

/* --- repair -------------------------------------------------------------------------------- */

/* Replaces packs with flaws and the index when it is bad. */
int fsck_repair(struct fsck *f, struct err *e);

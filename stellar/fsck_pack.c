/* SPDX-License-Identifier: Apache-2.0 */
/* Checks packs: which there are, and all their payloads by all threads. See fsck_frame.c for the rest. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "stellar/codec.h"
#include "stellar/fsck_impl.h"
#include "stellar/pipeline.h"

enum { FAULTS_MAX = 64 }; /* of a pack that are told one by one */

/* --- the packs there are ------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pack_id)); /* the first member */
}

static int by_id_of_pack(const void *a, const void *b)
{
	const struct fsck_pack *x = a, *y = b;

	return by_id(&x->id, &y->id);
}

struct fsck_pack *fsck_find_pack(struct fsck *f, const struct pack_id *id)
{
	const struct fsck_pack key = { .id = *id };

	if (f->pack_count == 0)
		return NULL;
	return bsearch(&key, f->packs, f->pack_count, sizeof(key), by_id_of_pack);
}

/* At the end, not in order. */
static struct fsck_pack *append_pack(struct fsck *f, const struct pack_id *id, struct err *e)
{
	if ((f->pack_count & (f->pack_count - 1)) == 0) { /* at powers of two */
		const size_t room = f->pack_count ? 2 * f->pack_count : 1;
		struct fsck_pack *grown = reallocarray(f->packs, room, sizeof(*grown));

		if (!grown) {
			err_set(e, -ENOMEM, "out of memory");
			return NULL;
		}
		f->packs = grown;
	}
	f->packs[f->pack_count] = (struct fsck_pack){ .id = *id };
	return &f->packs[f->pack_count++];
}

struct fsck_pack *fsck_add_pack(struct fsck *f, const struct pack_id *id, struct err *e)
{
	if (!append_pack(f, id, e))
		return NULL;
	qsort(f->packs, f->pack_count, sizeof(*f->packs), by_id_of_pack);
	return fsck_find_pack(f, id);
}

void fsck_free_packs(struct fsck *f)
{
	for (size_t i = 0; i < f->pack_count; i++)
		free(f->packs[i].bad);
	free(f->packs);
	free(f->by_number);
	free(f->spares);
	f->packs = NULL;
	f->by_number = NULL;
	f->spares = NULL;
	f->pack_count = f->numbered_count = f->spare_count = 0;
}

static int list_packs(struct fsck *f, struct err *e)
{
	const int copy = openat(f->store->packs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	struct stat st;
	int r = 0;

	if (!dir) {
		r = err_errno(e, -errno, "cannot read the folder '%s/packs'", f->store->path);
		if (copy >= 0)
			close(copy);
		return r;
	}
	while (r == 0) {
		struct pack_id id;

		errno = 0;
		entry = readdir(dir);
		if (!entry && errno) /* one that is not listed would be taken for lost */
			r = err_errno(e, -errno, "cannot read the folder '%s/packs'",
				      f->store->path);
		if (!entry)
			break;
		if (pack_id_from_name(&id, entry->d_name) < 0)
			continue; /* fsck_check_files() tells of it */
		if (!append_pack(f, &id, e))
			r = -ENOMEM;
		else if (fstatat(copy, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			f->work_total += (uint64_t)st.st_size;
	}
	closedir(dir);
	if (f->pack_count > 1)
		qsort(f->packs, f->pack_count, sizeof(*f->packs), by_id_of_pack);
	return r;
}

/* --- payloads ------------------------------------------------------------------------------ */

/* A slot of the pipeline: a span, and what was found. */
struct fault {
	enum fsck_fault kind;
	uint32_t entry;
	char text[ERR_MSG_BYTES];
};

struct job {
	struct fsck_span span;
	struct fault *faults; /* owned: of FAULTS_MAX */
	size_t fault_count;
	uint64_t *bad; /* owned: a bit for each of bad_room entries, the span's first is bit 0 */
	uint32_t bad_room;
};

struct check {
	struct fsck *fsck;
	struct fsck_pack *pack;
	const struct pack *file;
	const struct pack_table *table;
	uint64_t faults;
};

struct worker {
	const struct check *check;
	struct fsck_reading *reading; /* owned */
};

static int begin(void *opaque, void **state, struct err *e)
{
	struct check *c = opaque;
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->check = c;
	r = fsck_take_reading(c->fsck, &w->reading, e);
	if (r < 0) {
		free(w);
		return r;
	}
	*state = w;
	return 0;
}

static void end(void *state)
{
	struct worker *w = state;

	fsck_give_reading(w->check->fsck, w->reading);
	free(w);
}

static void on_fault(void *opaque, enum fsck_fault kind, uint32_t entry, const char *text)
{
	struct job *j = opaque;
	const uint32_t bit = entry - j->span.first;

	if (kind == FSCK_FAULT_CHUNK && bit < j->bad_room)
		j->bad[bit / 64] |= UINT64_C(1) << bit % 64;
	if (j->fault_count < FAULTS_MAX) {
		struct fault *fault = &j->faults[j->fault_count];

		fault->kind = kind;
		fault->entry = entry;
		strncpy(fault->text, text, sizeof(fault->text) - 1);
	}
	j->fault_count++;
}

static int work(void *state, void *slot, struct err *e)
{
	struct worker *w = state;
	struct job *j = slot;

	if (!j->faults)
		j->faults = calloc(FAULTS_MAX, sizeof(*j->faults));
	if (j->span.count > j->bad_room) {
		free(j->bad);
		j->bad = malloc(((size_t)j->span.count / 64 + 1) * sizeof(*j->bad));
		j->bad_room = j->bad ? j->span.count : 0;
	}
	if (!j->faults || (j->span.count > 0 && !j->bad))
		return err_set(e, -ENOMEM, "out of memory");
	if (j->bad)
		memset(j->bad, 0, ((size_t)j->bad_room / 64 + 1) * sizeof(*j->bad));
	j->fault_count = 0;
	return fsck_check_span(w->reading, w->check->file, w->check->table, &j->span, on_fault, j,
			       e);
}

static int mark_bad(struct fsck_pack *p, uint32_t entry)
{
	if (!p->bad)
		p->bad = calloc((size_t)p->count / 64 + 1, sizeof(*p->bad));
	if (!p->bad)
		return -ENOMEM;
	p->bad[entry / 64] |= UINT64_C(1) << entry % 64;
	p->lost++;
	return 0;
}

static int retire(void *opaque, void *slot, struct err *e)
{
	struct check *c = opaque;
	const struct job *j = slot;
	int r = 0;

	for (uint32_t i = 0; i < j->span.count && j->fault_count > 0 && r == 0; i++) {
		if (j->bad[i / 64] >> i % 64 & 1)
			r = mark_bad(c->pack, j->span.first + i);
	}
	for (size_t i = 0; i < j->fault_count && r == 0; i++) {
		c->pack->has_flaw = true;
		if (i < FAULTS_MAX && c->faults < FAULTS_MAX)
			r = fsck_tell_pack(c->fsck, c->pack, "%s", j->faults[i].text);
		c->faults++;
	}
	c->fsck->result->chunks += j->span.count;
	fsck_progress(c->fsck, j->span.end - j->span.begin);
	return r < 0 ? err_set(e, r, "out of memory") : fsck_is_cancelled(c->fsck, e);
}

static void release_job(void *slot)
{
	struct job *j = slot;

	free(j->faults);
	free(j->bad);
}

static int check_payloads(struct fsck *f, struct fsck_pack *p, const struct pack *file,
			  const struct pack_table *t, struct err *e)
{
	struct check c = { .fsck = f, .pack = p, .file = file, .table = t };
	const struct pipeline_job job = {
		.begin = begin,
		.end = end,
		.work = work,
		.retire = retire,
		.opaque = &c,
		.slot_bytes = sizeof(struct job),
	};
	struct pipeline *pipeline = NULL;
	struct job *slot;
	uint32_t next = 0;
	char name[PACK_NAME_BYTES];
	int r = pipeline_new(&pipeline, &job, f->options->work.threads, e);

	if (r < 0)
		return r;
	do {
		slot = pipeline_slot(pipeline, e);
		if (!slot)
			break;
		slot->span = fsck_next_span(t, next);
		next += slot->span.count;
		pipeline_submit(pipeline);
	} while (next < t->count);
	r = pipeline_finish(pipeline, e);
	pipeline_free(pipeline, release_job);
	if (r == 0 && c.faults > FAULTS_MAX) {
		pack_name(&p->id, name);
		r = fsck_tell_pack(f, p, "'packs/%s' has %llu more such damages", name,
				   (unsigned long long)(c.faults - FAULTS_MAX));
	}
	p->is_checked = r == 0;
	return r;
}

/* --- all of it ----------------------------------------------------------------------------- */

int fsck_check_pack(struct fsck *f, struct fsck_pack *p, struct err *e)
{
	const bool is_known = p->is_checked && !p->has_flaw;
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	int r = fsck_check_frame(f, p, &file, &t, e);

	if (r == 0 && t.entries && !is_known && !f->options->is_quick)
		r = check_payloads(f, p, file, &t, e);
	else if (r == 0)
		f->result->chunks += t.count;
	f->result->packs += p->state != FSCK_PACK_IN_WORK;
	f->result->bytes += p->bytes;
	pack_table_release(&t);
	pack_close(file);
	return r;
}

/* Dictionaries first: other packs need them. */
static int load_dictionaries(struct fsck *f, const struct fsck_pack *p, struct err *e)
{
	struct pack *file = NULL;
	struct pack_table t = { 0 };
	struct err why = { 0 };
	int r = pack_open(&file, &f->store->place, &p->id, &why);

	if (r == 0)
		r = pack_read_table(file, &f->store->scheme, &t, &why);
	for (uint32_t i = 0; i < t.count && r == 0; i++) {
		const struct pack_entry *entry = &t.entries[i];

		if (entry->kind == CHUNK_KIND_DICTIONARY &&
		    entry->raw_bytes <= CODEC_DICTIONARY_MAX_BYTES &&
		    store_reader_check(f->reader, file, entry, f->buf, &why) == 0)
			r = store_add_dictionary(f->store, &entry->id, f->buf, entry->raw_bytes,
						 &why);
	}
	pack_table_release(&t);
	pack_close(file);
	/* Without a dictionary much that is right looks damaged. */
	if (why.code == -ENOMEM || (why.code == -EIO && f->is_pass_to_repair))
		return err_set(e, why.code, "%s", why.msg);
	return 0;
}

int fsck_has_dictionary(struct fsck *f, const struct chunk_id *id, struct err *e)
{
	struct err why = { 0 };

	if (store_id_is_zero(id) || store_dictionary(f->store, id, &why))
		return 1;
	return why.code == -ENOMEM ? err_set(e, -ENOMEM, "%s", why.msg) : 0;
}

/* New chunks can do without; packs name theirs themselves. */
static int check_dictionary(struct fsck *f, struct err *e)
{
	struct store *s = f->store;
	struct superblock changed = s->superblock;
	char hex[CHUNK_ID_HEX_BYTES];
	int r = fsck_has_dictionary(f, &changed.dictionary_id, e);

	if (r != 0 || (f->is_pass_to_repair && !f->options->may_repair))
		return r < 0 ? r : 0;
	id_to_hex(&changed.dictionary_id, hex);
	if (f->is_pass_to_repair) {
		changed.dictionary_id = (struct chunk_id){ 0 };
		changed.has_dictionary = false;
		r = superblock_write(s->dir_fd, s->path, &changed, e);
		if (r < 0)
			return r;
		s->superblock = changed;
	}
	fsck_tell(f, f->is_pass_to_repair,
		  "the superblock names the dictionary %.16s, which is missing or damaged: put its "
		  "pack back, or 'fsck --repair' goes on without it",
		  hex);
	return 0;
}

int fsck_check_packs(struct fsck *f, struct err *e)
{
	struct fsck_pack *before = f->packs;
	const size_t before_count = f->pack_count;
	int r;

	f->packs = NULL;
	f->pack_count = 0;
	f->work_done = f->work_total = 0;
	r = list_packs(f, e);
	for (size_t i = 0; i < f->pack_count && r == 0; i++) {
		const struct fsck_pack *old = before_count
						      ? bsearch(&f->packs[i], before, before_count,
								sizeof(*before), by_id_of_pack)
						      : NULL;

		f->packs[i].is_checked = old && old->is_checked && !old->has_flaw;
		r = load_dictionaries(f, &f->packs[i], e);
	}
	for (size_t i = 0; i < before_count; i++)
		free(before[i].bad);
	free(before);
	if (r == 0)
		r = check_dictionary(f, e);
	for (size_t i = 0; i < f->pack_count && r == 0; i++)
		r = fsck_check_pack(f, &f->packs[i], e);
	return r;
}

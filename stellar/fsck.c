/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a check, and how its problems are told: see fsck.h. */
#include "stellar/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/fsck_child.h"

/* --- telling ------------------------------------------------------------------------------- */

static void tell(struct fsck *f, bool is_repaired, const char *text)
{
	f->result->problems++;
	f->result->repaired += is_repaired;
	if (f->options->on_problem)
		f->options->on_problem(f->options->opaque, text, is_repaired);
}

void fsck_tell(struct fsck *f, bool is_repaired, const char *fmt, ...)
{
	char text[ERR_MSG_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	tell(f, is_repaired, text);
}

void fsck_note(struct fsck *f, const char *fmt, ...)
{
	char text[ERR_MSG_BYTES];
	va_list args;

	if (f->is_pass_to_repair)
		return; /* it is told when it is still there afterwards */
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	f->result->leftovers++;
	if (f->options->on_leftover)
		f->options->on_leftover(f->options->opaque, text);
}

/* Tells it, or keeps it until it is known whether it is repaired. @p NULL: of the index. */
static int tell_or_keep(struct fsck *f, const struct fsck_pack *p, const char *text)
{
	struct fsck_problem *grown;

	if (!f->is_pass_to_repair && !p) {
		tell(f, false, text);
		return 0;
	}
	grown = reallocarray(f->problems, f->problem_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	f->problems = grown;
	grown[f->problem_count] = (struct fsck_problem){ .text = strdup(text), .is_of_index = !p };
	if (p)
		grown[f->problem_count].pack = p->id;
	return grown[f->problem_count++].text ? 0 : -ENOMEM;
}

int fsck_tell_pack(struct fsck *f, struct fsck_pack *p, const char *fmt, ...)
{
	char text[ERR_MSG_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	p->has_flaw = true;
	return tell_or_keep(f, p, text);
}

int fsck_tell_index(struct fsck *f, const char *fmt, ...)
{
	char text[ERR_MSG_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	f->is_index_bad = true;
	return tell_or_keep(f, NULL, text);
}

/*
 * A writer that died, or a host that did, before a pack was synced may leave any part of it; nothing
 * relies on a pack that the index does not know. (What an image needs of it is told of the image.)
 */
static bool is_left_behind(const struct fsck *f, const struct fsck_pack *p)
{
	return f->child && p->number == 0 && !p->is_misnamed &&
	       (p->state == FSCK_PACK_USABLE || p->state == FSCK_PACK_UNREADABLE);
}

/* The problems of packs: those of packs that the index does not know were left behind by a crash. */
static void settle_packs(struct fsck *f)
{
	char name[PACK_NAME_BYTES];
	size_t kept = 0;

	for (size_t i = 0; i < f->problem_count; i++) {
		struct fsck_problem *problem = &f->problems[i];
		struct fsck_pack *p = problem->is_of_index ? NULL
							   : fsck_find_pack(f, &problem->pack);

		if (p && is_left_behind(f, p)) {
			pack_name(&p->id, name);
			if (!p->is_noted)
				fsck_note(f, "'packs/%s' was not finished by who wrote it", name);
			p->is_noted = true;
		} else if (f->is_pass_to_repair) {
			f->problems[kept++] = *problem;
			continue;
		} else if (problem->text) {
			tell(f, false, problem->text);
		}
		free(problem->text);
	}
	f->problem_count = kept;
}

/* What was kept: told when it is repaired (else the check that follows finds it again) or @is_all. */
static void tell_kept(struct fsck *f, bool is_all)
{
	for (size_t i = 0; i < f->problem_count; i++) {
		const struct fsck_problem *problem = &f->problems[i];
		const struct fsck_pack *p =
			problem->is_of_index ? NULL : fsck_find_pack(f, &problem->pack);
		const bool is_mended = p ? p->is_mended : f->is_index_mended;

		if (problem->text && (is_mended || is_all))
			tell(f, is_mended, problem->text);
		free(problem->text);
	}
	free(f->problems);
	f->problems = NULL;
	f->problem_count = 0;
}

void fsck_progress(struct fsck *f, uint64_t bytes)
{
	const struct work_control *work = &f->options->work;

	f->work_done += bytes;
	if (work->on_progress)
		work->on_progress(work->opaque, f->work_done, f->work_total);
}

int fsck_is_cancelled(const struct fsck *f, struct err *e)
{
	const atomic_bool *flag = f->options->work.is_cancelled;

	return flag && atomic_load(flag) ? err_set(e, -ECANCELED, "cancelled") : 0;
}

int fsck_probe_disk(struct fsck *f, struct err *e)
{
	struct superblock sb;

	return superblock_read(f->store->dir_fd, f->store->path, &sb, e);
}

/* --- the order ----------------------------------------------------------------------------- */

static void forget_child(struct fsck *f)
{
	index_child_free(f->child);
	f->child = NULL;
}

/*
 * Roots before the index: what they name is in the index then. Packs before it too: what it names is
 * there, or came since.
 */
static int check_all(struct fsck *f, struct err *e)
{
	int r;

	f->result->packs = f->result->chunks = f->result->bytes = 0;
	r = fsck_check_files(f, e);
	if (r == 0)
		r = fsck_check_packs(f, e);
	if (r == 0)
		r = fsck_check_index(f, e);
	settle_packs(f);
	return r;
}

static int repair(struct fsck *f, struct err *e)
{
	int r = fsck_check_owner(f, e);

	if (r < 0)
		return r;
	f->is_pass_to_repair = true;
	r = check_all(f, e);
	forget_child(f);
	if (r == 0)
		r = fsck_repair(f, e);
	tell_kept(f, r < 0);
	f->is_pass_to_repair = false;
	return r;
}

/* A digest of the index, now that it is known to be right. What cannot be done is not missed. */
static void leave_digest(struct fsck *f)
{
	struct store *s = f->store;
	struct index *x;

	if (f->has_digest || f->is_index_bad || f->options->is_quick || s->is_frozen ||
	    f->result->problems != f->result->repaired ||
	    faccessat(s->dir_fd, "index/data.mdb", W_OK, 0) < 0)
		return;
	if (index_open(&x, s->path, s->superblock.uuid, INDEX_READ_WRITE, NULL) < 0)
		return;
	index_leave_digest(x, NULL);
	index_close(x);
}

static int run(struct fsck *f, struct err *e)
{
	int r = 0;

	if (f->store->mode == STORE_EXCLUSIVE)
		r = repair(f, e);
	if (r == 0)
		r = check_all(f, e);
	if (r == 0)
		r = fsck_check_images(f, e);
	forget_child(f);
	if (r == 0)
		leave_digest(f);
	return r;
}

/* gc takes chunks and packs away, so it does not run meanwhile. */
static int lock_gc(const struct store *s, int *fd, struct err *e)
{
	int r;

	*fd = file_open_regular(s->dir_fd, "gc", O_RDONLY);
	if (*fd < 0)
		return err_errno(e, *fd, "cannot open '%s/gc'", s->path);
	r = file_lock(*fd, LOCK_EX | LOCK_NB);
	if (r == -EWOULDBLOCK)
		return err_set(e, -EBUSY, "a gc runs in the store '%s'; try again when it is done",
			       s->path);
	return r < 0 ? err_errno(e, r, "cannot lock '%s/gc'", s->path) : 0;
}

static int open_all(struct fsck *f, const char *path, const struct key_input *key, struct err *e)
{
	const bool is_exclusive = f->options->may_repair || f->options->must_rebuild_index;
	int r = fsck_check_parts(f, path, e);

	if (r == 0)
		r = store_open_bare(&f->store, path,
				    is_exclusive ? STORE_EXCLUSIVE : STORE_READ_ONLY, key, e);
	if (r == 0)
		r = store_reader_new(&f->reader, f->store, e);
	f->buf = malloc(CHUNK_MAX_BYTES + STORE_ALIGN);
	if (r == 0 && !f->buf)
		r = err_set(e, -ENOMEM, "out of memory");
	return r;
}

int fsck_run(const char *path, const struct key_input *key, const struct fsck_options *o,
	     struct fsck_result *out, struct err *e)
{
	struct fsck_options options = *o;
	struct fsck f = { .options = &options, .result = out };
	struct err own = { 0 };
	auto_fd int gc = -1;
	int r;

	e = e ? e : &own;
	*out = (struct fsck_result){ 0 };
	pthread_mutex_init(&f.lock, NULL);
	if (o->may_repair || o->must_rebuild_index)
		options.is_quick = false;
	r = open_all(&f, path, key, e);
	if (r == 0)
		r = lock_gc(f.store, &gc, e);
	if (r == 0)
		r = run(&f, e);
	forget_child(&f);
	tell_kept(&f, true); /* after an error */
	if (r < 0 && e->msg[0] == '\0')
		err_errno(e, r, "cannot check the store '%s'", path);
	fsck_free_readings(&f);
	pthread_mutex_destroy(&f.lock);
	store_reader_free(f.reader);
	fsck_free_packs(&f);
	root_list_release(&f.roots);
	store_close(f.store);
	free(f.buf);
	return r;
}

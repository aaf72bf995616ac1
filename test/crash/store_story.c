/* SPDX-License-Identifier: Apache-2.0 */
/* Stories: their steps done, and what must be true of the store at any point: see store_story.h. */
#include "test/crash/store_story.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/fsck.h"
#include "test/crash/store_pack_size.h"

enum {
	NAMES_MAX = 16,
	FURTHER_IMAGE = 77,
	DICTIONARY_BYTES = 4096,
	SPOIL_BYTES = 64,
};

/* --- what the names are ---------------------------------------------------------------------- */

struct model {
	struct {
		const char *name;
		unsigned number; /* of the image */
	} names[NAMES_MAX];
	size_t nr;
	unsigned key;
};

static unsigned *number_of(struct model *m, const char *name)
{
	for (size_t i = 0; i < m->nr; i++) {
		if (strcmp(m->names[i].name, name) == 0)
			return &m->names[i].number;
	}
	return NULL;
}

static void set_name(struct model *m, const char *name, unsigned number)
{
	unsigned *known = number_of(m, name);

	if (known) {
		*known = number;
		return;
	}
	m->names[m->nr].name = name;
	m->names[m->nr++].number = number;
}

static void model_step(struct model *m, const struct step *step)
{
	const unsigned *from;

	switch (step->kind) {
	case STEP_IMPORT:
		set_name(m, step->name, step->number);
		break;
	case STEP_TAG:
		from = number_of(m, step->name);
		if (from)
			set_name(m, step->name2, *from);
		break;
	case STEP_REMOVE:
		for (size_t i = 0; i < m->nr; i++) {
			if (strcmp(m->names[i].name, step->name) == 0)
				m->names[i--] = m->names[--m->nr];
		}
		break;
	case STEP_KEY:
		m->key = step->number;
		break;
	default:
		break;
	}
}

/* The names after the steps before and @nr of act. */
static struct model model_after(const struct story *s, size_t nr)
{
	struct model m = { 0 };

	for (const struct step *step = s->before; step->kind != STEP_END; step++)
		model_step(&m, step);
	for (size_t i = 0; i < nr && s->act[i].kind != STEP_END; i++)
		model_step(&m, &s->act[i]);
	return m;
}

/* --- steps ----------------------------------------------------------------------------------- */

struct session {
	const struct story *story;
	const char *dir;
	struct store *store; /* owned; NULL: not open */
	unsigned key;
	bool is_helped; /* it had to be made or rebuilt to be opened */
};

static int reopen(struct session *s, enum store_mode mode, struct err *e)
{
	store_close(s->store);
	s->store = NULL;
	return story_open(&s->store, s->dir, s->story, s->key, mode, e);
}

static void close_session(struct session *s)
{
	store_close(s->store);
	s->store = NULL;
}

static int copy_file(const char *from, const char *to, struct err *e)
{
	auto_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	auto_fd int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	struct stat st;
	auto_free uint8_t *buf = NULL;

	if (in < 0 || out < 0 || fstat(in, &st) < 0)
		return err_errno(e, -errno, "cannot copy '%s'", from);
	buf = malloc((size_t)st.st_size + 1);
	if (!buf || file_pread_full(in, buf, (size_t)st.st_size, 0) != st.st_size ||
	    file_write_full(out, buf, (size_t)st.st_size) < 0)
		return err_set(e, -EIO, "cannot copy '%s'", from);
	return 0;
}

/* The copy is beside the store. */
static int copy_index(const char *dir, bool is_back, struct err *e)
{
	char index[PATH_MAX];
	char copy[PATH_MAX];
	char digest[PATH_MAX];
	int r;

	snprintf(index, sizeof(index), "%s/index/data.mdb", dir);
	snprintf(copy, sizeof(copy), "%s.index", dir);
	snprintf(digest, sizeof(digest), "%s/index/digest", dir);
	r = is_back ? copy_file(copy, index, e) : copy_file(index, copy, e);
	if (is_back) {
		unlink(digest);
		unlink(copy);
	}
	return r;
}

static int spoil_index(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	char bytes[SPOIL_BYTES];
	auto_fd int fd = -1;

	memset(bytes, 0x5a, sizeof(bytes));
	snprintf(path, sizeof(path), "%s/index/data.mdb", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (off_t at = 0; fd >= 0 && at < 4 * 4096; at += 2048)
		file_pwrite_full(fd, bytes, sizeof(bytes), at);
	return fd < 0 ? err_errno(e, -errno, "cannot spoil '%s'", path) : 0;
}

static int leave_pack(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	auto_fd int fd = -1;

	snprintf(path, sizeof(path), "%s/packs/00112233445566778899aabbccddeeff.pack", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	return fd < 0 || file_write_full(fd, path, sizeof(path)) < 0
		       ? err_errno(e, -errno, "cannot make '%s'", path)
		       : 0;
}

static struct key_input key_number(unsigned number, uint8_t bytes[static 32])
{
	memset(bytes, 'k' + (int)number, 32);
	return (struct key_input){ .kind = KEY_BYTES, .bytes = bytes, .len = 32 };
}

static int rebuild(struct session *s, struct err *e)
{
	const struct fsck_options o = { .may_repair = true,
					.must_rebuild_index = true,
					.work = { .threads = 1 } };
	uint8_t bytes[32];
	struct key_input key = key_number(s->key, bytes);
	struct fsck_result result = { 0 };

	if (!s->story->is_encrypted)
		key = (struct key_input){ .kind = KEY_NONE };
	return fsck_run(s->dir, &key, &o, &result, e);
}

static int change_key(struct session *s, unsigned number, struct err *e)
{
	uint8_t bytes[32];
	const struct key_input key = key_number(number, bytes);
	int r = reopen(s, STORE_EXCLUSIVE, e);

	if (r == -EKEYREJECTED) { /* it was changed before */
		s->key = number;
		r = reopen(s, STORE_EXCLUSIVE, e);
	}
	if (r == 0)
		r = store_change_key(s->store, &key, e);
	close_session(s);
	if (r == 0)
		s->key = number;
	return r;
}

static int train(struct session *s, struct err *e)
{
	int r = reopen(s, STORE_EXCLUSIVE, e);

	if (r == 0)
		r = store_train_dictionary(s->store, DICTIONARY_BYTES, e);
	close_session(s);
	return r;
}

/* Steps that need the store open. */
static int do_open_step(struct session *s, const struct step *step, struct err *e)
{
	int r = s->store ? 0 : reopen(s, STORE_READ_WRITE, e);

	if (r < 0)
		return r;
	switch (step->kind) {
	case STEP_IMPORT:
		return story_import(s->store, step->name, step->number, e);
	case STEP_TAG:
		return store_tag(s->store, step->name, step->name2, true, e);
	case STEP_REMOVE:
		r = store_remove(s->store, step->name, e);
		return r == -ENOENT ? 0 : r;
	default:
		return story_gc(s->store, e);
	}
}

static int do_step(struct session *s, const struct step *step, struct err *e)
{
	int r;

	switch (step->kind) {
	case STEP_IMPORT:
	case STEP_TAG:
	case STEP_REMOVE:
	case STEP_GC:
		return do_open_step(s, step, e);
	default:
		close_session(s);
	}
	switch (step->kind) {
	case STEP_INIT:
		r = story_init(s->dir, s->story, e);
		return r == -EEXIST ? 0 : r;
	case STEP_REBUILD:
		return rebuild(s, e);
	case STEP_KEY:
		return change_key(s, step->number, e);
	case STEP_TRAIN:
		return train(s, e);
	case STEP_SAVE_INDEX:
		return copy_index(s->dir, false, e);
	case STEP_OLD_INDEX:
		return copy_index(s->dir, true, e);
	case STEP_SPOIL_INDEX:
		return spoil_index(s->dir, e);
	case STEP_LEFTOVER:
		return leave_pack(s->dir, e);
	default:
		return 0;
	}
}

static int do_steps(struct session *s, const struct step *steps, bool is_noted, struct err *e)
{
	int r = 0;

	pack_size_limit(s->story->pack_bytes);
	for (size_t i = 0; steps[i].kind != STEP_END && r == 0; i++) {
		r = do_step(s, &steps[i], e);
		if (r == 0 && is_noted)
			crash_note("step %zu", i);
	}
	close_session(s);
	return r;
}

static int setup(const char *dir, const void *opaque, struct err *e)
{
	struct session s = { .story = opaque, .dir = dir };

	return do_steps(&s, s.story->before, false, e);
}

static int act(const char *dir, const void *opaque, struct err *e)
{
	struct session s = { .story = opaque, .dir = dir };

	return do_steps(&s, s.story->act, true, e);
}

static bool has_step(const struct story *s, enum step_kind kind)
{
	for (const struct step *step = s->act; step->kind != STEP_END; step++) {
		if (step->kind == kind)
			return true;
	}
	return false;
}

/*
 * Opens it as a user would: with the first key or another, after one more init or rebuild if it asks
 * for that, which it may only in stories of these.
 */
static int open_somehow(struct session *s, struct err *e)
{
	int r = reopen(s, STORE_READ_WRITE, e);

	if (r == -EKEYREJECTED && has_step(s->story, STEP_KEY)) {
		s->key = 1 - s->key;
		r = reopen(s, STORE_READ_WRITE, e);
	}
	if (r == -ENOENT && has_step(s->story, STEP_INIT)) {
		s->is_helped = true;
		r = story_init(s->dir, s->story, e);
		if (r == 0)
			r = reopen(s, STORE_READ_WRITE, e);
	}
	if ((r == -ENOENT || r == -EUCLEAN) && has_step(s->story, STEP_REBUILD)) {
		s->is_helped = true;
		r = rebuild(s, e);
		if (r == 0)
			r = reopen(s, STORE_READ_WRITE, e);
	}
	return r;
}

/* What a user does after a crash: opens it, as often as it needs, and makes room. */
static int recover(const char *dir, const void *opaque, struct err *e)
{
	struct session s = { .story = opaque, .dir = dir };
	int r = open_somehow(&s, e);

	if (r == 0)
		r = story_gc(s.store, e);
	close_session(&s);
	return r;
}

/* --- check ----------------------------------------------------------------------------------- */

/* Whether @name is image @a or @b; NULL: it may not be there. */
static int check_name(struct store *s, const char *name, const unsigned *a, const unsigned *b,
		      struct err *e)
{
	unsigned number;
	const int r = story_identify(s, name, &number, e);

	if (r < 0 || (a && number == *a) || (b && number == *b))
		return r;
	return err_set(e, -EILSEQ, "there is a name '%s', for image %u", name, number);
}

/* Whether all is as @now says, but for names in which @next differs, which may be as that says. */
static int check_names(struct store *s, struct model *now, struct model *next, struct err *e)
{
	struct root_list list = { 0 };
	int r = store_list(s, &list, e);

	if (r == 0 && list.bad_count > 0)
		r = err_set(e, -EILSEQ, "there is a bad root '%s'", list.bad[0]);
	for (size_t i = 0; i < list.count && r == 0; i++) {
		const char *name = list.roots[i].name;

		r = check_name(s, name, number_of(now, name), number_of(next, name), e);
	}
	root_list_release(&list);
	for (size_t i = 0; i < now->nr && r == 0; i++) {
		const char *name = now->names[i].name;
		struct root root;

		r = store_find(s, name, NULL, &root, e);
		if (r == -ENOENT && !number_of(next, name))
			r = 0;
	}
	return r;
}

/* Life goes on. */
static int check_further(struct session *s, struct model *now, struct model *next, struct err *e)
{
	int r = reopen(s, STORE_READ_WRITE, e);

	if (r == 0)
		r = story_import(s->store, "further", FURTHER_IMAGE, e);
	if (r == 0)
		r = story_gc(s->store, e);
	if (r == 0)
		r = story_verify(s->store, "further", FURTHER_IMAGE, e);
	if (r == 0)
		r = store_remove(s->store, "further", e);
	if (r == 0)
		r = check_names(s->store, now, next, e);
	if (r == 0)
		r = story_gc(s->store, e);
	close_session(s);
	return r < 0 ? r : story_fsck(s->dir, s->story, s->key, true, e);
}

/* The key that was changed away opens nothing. */
static int check_old_key(const struct session *s, unsigned old_key, struct err *e)
{
	struct store *store;
	int r = story_open(&store, s->dir, s->story, old_key, STORE_READ_ONLY, NULL);

	if (r == 0)
		store_close(store);
	return r == -EKEYREJECTED ? 0 : err_set(e, -EINVAL, "the old key gave %d", r);
}

static int check(const char *dir, const struct crash_acks *acks, const void *opaque, struct err *e)
{
	struct session s = { .story = opaque, .dir = dir };
	const struct crash_acks newest = { .log = acks->log, .prefix = acks->prefix };
	struct model now, next;
	size_t done = 0;
	int r;

	while (s.story->act[done].kind != STEP_END && crash_acked(&newest, "step %zu", done))
		done++;
	now = model_after(s.story, done);
	next = model_after(s.story, done + 1);
	s.key = now.key;
	r = open_somehow(&s, e);
	if (r == 0 && s.key != now.key && s.key != next.key)
		r = err_set(e, -EKEYREJECTED, "key %u opens it", s.key);
	/* What was acknowledged needs no help. */
	if (r == 0 && s.is_helped && s.story->act[done].kind == STEP_END)
		r = err_set(e, -EUCLEAN, "it had to be rebuilt");
	if (r == 0)
		r = check_names(s.store, &now, &next, e);
	close_session(&s);
	if (r == 0 && s.key != 0)
		r = check_old_key(&s, 0, e);
	if (r == 0)
		r = story_fsck(dir, s.story, s.key, false, e);
	return r < 0 ? r : check_further(&s, &now, &next, e);
}

struct crash_scenario story_scenario(const struct story *s)
{
	return (struct crash_scenario){ .name = s->name,
					.setup = setup,
					.act = act,
					.check = check,
					.recover = recover,
					.opaque = s };
}

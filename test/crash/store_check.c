/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true of a store at any point of its story: see store_story.h. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test/crash/store_session.h"

enum {
	NAMES_MAX = 16,
	FURTHER_IMAGE = 77,
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

/* --- after a crash --------------------------------------------------------------------------- */

static bool has_step(const struct step *steps, enum step_kind kind)
{
	for (const struct step *step = steps; step->kind != STEP_END; step++) {
		if (step->kind == kind)
			return true;
	}
	return false;
}

/*
 * Opens it as a user would: with the first key or another, after one more init or rebuild if it asks
 * for that, which it may only in stories of an init or of an index that was spoilt before.
 */
static int open_somehow(struct session *s, struct err *e)
{
	int r = session_reopen(s, STORE_READ_WRITE, e);

	if (r == -EKEYREJECTED && has_step(s->story->act, STEP_KEY)) {
		s->key = 1 - s->key;
		r = session_reopen(s, STORE_READ_WRITE, e);
	}
	if (r == -ENOENT && has_step(s->story->act, STEP_INIT)) {
		s->is_helped = true;
		r = story_init(s->dir, s->story, e);
		if (r == 0)
			r = session_reopen(s, STORE_READ_WRITE, e);
	}
	if ((r == -ENOENT || r == -EUCLEAN) && has_step(s->story->before, STEP_SPOIL_INDEX)) {
		s->is_helped = true;
		r = session_rebuild(s, e);
		if (r == 0)
			r = session_reopen(s, STORE_READ_WRITE, e);
	}
	return r;
}

/* What a user does after a crash: opens it, as often as it needs, and makes room. */
int story_recover(const char *dir, const void *opaque, struct err *e)
{
	struct session s = { .story = opaque, .dir = dir };
	int r = open_somehow(&s, e);

	if (r == 0)
		r = story_gc(s.store, e);
	session_close(&s);
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
	int r = session_reopen(s, STORE_READ_WRITE, e);

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
	session_close(s);
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

/*
 * What a user does whose disk could not be read for a while when the index was rebuilt: what fsck
 * put aside goes back, for one more rebuild.
 */
static void take_back(const char *dir)
{
	char from[PATH_MAX];
	char to[PATH_MAX];
	DIR *quarantine;
	const struct dirent *entry;

	snprintf(from, sizeof(from), "%s/quarantine/packs", dir);
	quarantine = opendir(from);
	while (quarantine && (entry = readdir(quarantine))) {
		snprintf(from, sizeof(from), "%s/quarantine/packs/%s", dir, entry->d_name);
		snprintf(to, sizeof(to), "%s/packs/%s", dir, entry->d_name);
		if (strstr(entry->d_name, ".pack") && access(to, F_OK) < 0)
			rename(from, to);
	}
	if (quarantine)
		closedir(quarantine);
}

int story_check(const char *dir, const struct crash_acks *acks, const void *opaque, struct err *e)
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
	if (crash_acked(&newest, "incomplete") && done == 0) {
		take_back(dir);
		session_rebuild(&s, e);
	}
	r = open_somehow(&s, e);
	if (r == 0 && s.key != now.key && s.key != next.key)
		r = err_set(e, -EKEYREJECTED, "key %u opens it", s.key);
	/* What was acknowledged needs no help. */
	if (r == 0 && s.is_helped && s.story->act[done].kind == STEP_END)
		r = err_set(e, -EUCLEAN, "it had to be rebuilt");
	if (r == 0)
		r = check_names(s.store, &now, &next, e);
	session_close(&s);
	if (r == 0 && s.key != 0)
		r = check_old_key(&s, 0, e);
	/* It may have been cut short, but what was acknowledged needs no help. */
	if (r == 0 && has_step(s.story->act, STEP_REPAIR) && s.story->act[done].kind != STEP_END)
		r = session_repair(&s, e);
	if (r == 0)
		r = story_fsck(dir, s.story, s.key, false, e);
	return r < 0 || acks->is_brief ? r : check_further(&s, &now, &next, e);
}

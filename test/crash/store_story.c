/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of stories, done: see store_story.h. */
#include <dirent.h>
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
#include "test/crash/store_session.h"

enum {
	DICTIONARY_BYTES = 4096,
	SPOIL_BYTES = 64,
};

int session_reopen(struct session *s, enum store_mode mode, struct err *e)
{
	store_close(s->store);
	s->store = NULL;
	return story_open(&s->store, s->dir, s->story, s->key, mode, e);
}

void session_close(struct session *s)
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

/* A byte at the end of each file of a folder. */
static int spoil_ends(const char *dir, const char *folder, struct err *e)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *list;

	snprintf(path, sizeof(path), "%s/%s", dir, folder);
	list = opendir(path);
	while (list && (entry = readdir(list))) {
		auto_fd int fd = openat(dirfd(list), entry->d_name, O_RDWR | O_CLOEXEC);
		struct stat st;
		char byte;

		if (entry->d_name[0] == '.' || fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0 ||
		    file_pread_full(fd, &byte, 1, st.st_size - 1) != 1)
			continue;
		byte ^= 1;
		file_pwrite_full(fd, &byte, 1, st.st_size - 1);
	}
	if (!list)
		return err_errno(e, -errno, "cannot spoil '%s'", path);
	closedir(list);
	return 0;
}

static int repair(struct session *s, bool must_rebuild, struct err *e)
{
	const struct fsck_options o = { .may_repair = true,
					.must_rebuild_index = must_rebuild,
					.work = { .threads = 1 } };
	uint8_t bytes[32];
	struct key_input key = key_number(s->key, bytes);
	struct fsck_result result = { 0 };
	int r;

	if (!s->story->is_encrypted)
		key = (struct key_input){ .kind = KEY_NONE };
	r = fsck_run(s->dir, &key, &o, &result, e);
	if (r == 0 && result.problems > result.repaired) {
		crash_note("incomplete"); /* the user was told, and will do it again */
		r = err_set(e, -EIO, "not all was rebuilt");
	}
	return r;
}

int session_rebuild(struct session *s, struct err *e)
{
	return repair(s, true, e);
}

int session_repair(struct session *s, struct err *e)
{
	return repair(s, false, e);
}

static int change_key(struct session *s, unsigned number, struct err *e)
{
	uint8_t bytes[32];
	const struct key_input key = key_number(number, bytes);
	int r = session_reopen(s, STORE_EXCLUSIVE, e);

	if (r == -EKEYREJECTED) { /* it was changed before */
		s->key = number;
		r = session_reopen(s, STORE_EXCLUSIVE, e);
	}
	if (r == 0)
		r = store_change_key(s->store, &key, e);
	session_close(s);
	if (r == 0)
		s->key = number;
	return r;
}

static int train(struct session *s, struct err *e)
{
	int r = session_reopen(s, STORE_EXCLUSIVE, e);

	if (r == 0)
		r = store_train_dictionary(s->store, DICTIONARY_BYTES, e);
	session_close(s);
	return r;
}

/* Steps that need the store open. */
static int do_open_step(struct session *s, const struct step *step, struct err *e)
{
	int r = s->store ? 0 : session_reopen(s, STORE_READ_WRITE, e);

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
		session_close(s);
	}
	switch (step->kind) {
	case STEP_INIT:
		r = story_init(s->dir, s->story, e);
		return r == -EEXIST ? 0 : r;
	case STEP_REBUILD:
		return session_rebuild(s, e);
	case STEP_KEY:
		return change_key(s, step->number, e);
	case STEP_TRAIN:
		return train(s, e);
	case STEP_SAVE_INDEX:
		return copy_index(s->dir, false, e);
	case STEP_OLD_INDEX:
		return copy_index(s->dir, true, e);
	case STEP_REPAIR:
		return session_repair(s, e);
	case STEP_SPOIL_COPIES:
		r = spoil_ends(s->dir, "packs", e);
		return r < 0 ? r : spoil_ends(s->dir, "roots", e);
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
	session_close(s);
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

struct crash_scenario story_scenario(const struct story *s)
{
	return (struct crash_scenario){ .name = s->name,
					.setup = setup,
					.act = act,
					.check = story_check,
					.recover = story_recover,
					.opaque = s };
}

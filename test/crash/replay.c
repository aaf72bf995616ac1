/* SPDX-License-Identifier: Apache-2.0 */
/* What directories hold after a crash, and the folder made of it: see replay.h. */
#include "test/crash/replay.h"

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
#include "test/crash/content.h"

enum { DEPTH_MAX = 16 };

/* A place for a name: one of a directory's. */
struct slot {
	uint32_t dir;
	const char *name;
	uint32_t object; /* what is there in the state, or CRASH_NONE */
};

/* Something that can be reached from the watched directory. */
struct found {
	uint32_t parent; /* index of its directory in found[]; CRASH_NONE: the watched one */
	uint32_t slot;
};

struct replay {
	const struct crash_log *log; /* borrowed */
	struct content content;
	struct slot *slots; /* owned */
	size_t nr_slots;
	uint32_t *slot_of; /* owned: of each op on a directory, the place of its name */
	uint32_t *slot2_of; /* owned */
	size_t *floor; /* owned: of each directory, ops before that are durable */
	size_t *cut; /* owned: and those before that are there */
	struct found *found; /* owned */
	size_t nr_found;
	size_t prefix; /* of the state */
	struct crash_choice choice;
};

/* --- preparation ----------------------------------------------------------------------------- */

static bool is_rename(const struct crash_op *op)
{
	return op->kind == CRASH_RENAME || op->kind == CRASH_EXCHANGE;
}

static bool is_dir_op(const struct crash_op *op)
{
	return op->kind == CRASH_LINK || op->kind == CRASH_UNLINK || is_rename(op);
}

static uint32_t slot_for(struct replay *r, uint32_t dir, const char *name)
{
	for (size_t i = 0; i < r->nr_slots; i++) {
		if (r->slots[i].dir == dir && strcmp(r->slots[i].name, name) == 0)
			return (uint32_t)i;
	}
	r->slots[r->nr_slots] = (struct slot){ dir, name, CRASH_NONE };
	return (uint32_t)r->nr_slots++;
}

static bool allocate(struct replay *r, size_t nr_ops, size_t nr_objects)
{
	r->slots = calloc(2 * nr_ops + 1, sizeof(*r->slots));
	r->slot_of = calloc(nr_ops + 1, sizeof(*r->slot_of));
	r->slot2_of = calloc(nr_ops + 1, sizeof(*r->slot2_of));
	r->floor = calloc(nr_objects + 1, sizeof(*r->floor));
	r->cut = calloc(nr_objects + 1, sizeof(*r->cut));
	r->found = calloc(2 * nr_ops + 1, sizeof(*r->found));
	return r->slots && r->slot_of && r->slot2_of && r->floor && r->cut && r->found;
}

struct replay *replay_new(const struct crash_log *log)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->log = log;
	if (!allocate(r, log->nr_ops, log->nr_objects) || content_init(&r->content, log) < 0) {
		replay_free(r);
		return NULL;
	}
	for (size_t i = 0; i < log->nr_ops; i++) {
		const struct crash_op *op = &log->ops[i];

		if (is_dir_op(op))
			r->slot_of[i] = slot_for(r, op->object, op->name);
		if (is_rename(op))
			r->slot2_of[i] = slot_for(r, op->object2, op->name2);
	}
	return r;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	content_release(&r->content);
	free(r->slots);
	free(r->slot_of);
	free(r->slot2_of);
	free(r->floor);
	free(r->cut);
	free(r->found);
	free(r);
}

bool replay_is_loose_data(const struct replay *r, size_t prefix, size_t op)
{
	return content_is_data(r->log->ops[op].kind) && r->content.durable_at[op] > prefix;
}

bool replay_is_loose_dir(const struct replay *r, size_t prefix, size_t op)
{
	return is_dir_op(&r->log->ops[op]) && r->content.durable_at[op] > prefix;
}

/* --- how much of each directory's changes ---------------------------------------------------- */

static void raise_to(size_t *value, size_t least)
{
	if (*value < least)
		*value = least;
}

/* Durable changes are there, with all that precede them in their directories. */
static void find_floors(struct replay *r, size_t prefix)
{
	bool has_changed = true;

	memset(r->floor, 0, r->log->nr_objects * sizeof(*r->floor));
	for (size_t i = 0; i < prefix; i++) {
		const struct crash_op *op = &r->log->ops[i];

		if (!is_dir_op(op) || r->content.durable_at[i] > prefix)
			continue;
		raise_to(&r->floor[op->object], i + 1);
		if (is_rename(op))
			raise_to(&r->floor[op->object2], i + 1);
	}
	while (has_changed) {
		has_changed = false;
		for (size_t i = 0; i < prefix; i++) {
			const struct crash_op *op = &r->log->ops[i];

			if (is_rename(op) &&
			    (i < r->floor[op->object]) != (i < r->floor[op->object2])) {
				raise_to(&r->floor[op->object], i + 1);
				raise_to(&r->floor[op->object2], i + 1);
				has_changed = true;
			}
		}
	}
}

/* Where a directory's changes end if it is one that the choice's op is about, or not. */
static size_t wanted_cut(const struct replay *r, uint32_t dir, size_t prefix,
			 const struct crash_choice *c)
{
	const struct crash_op *op = &r->log->ops[c->dir_op];
	bool is_its = op->object == dir || (is_rename(op) && op->object2 == dir);
	uint64_t h = crash_mix(c->seed ^ 0x646972, dir);
	size_t floor = r->floor[dir];

	switch (c->dirs) {
	case DIRS_KEPT:
		return prefix;
	case DIRS_LOST:
		return floor;
	case DIRS_CUT:
		return is_its ? c->dir_op : prefix;
	case DIRS_ONLY:
		return is_its ? c->dir_op + 1 : floor;
	case DIRS_RANDOM:
		if (h % 4 == 0)
			return floor;
		return h % 4 == 1 || floor >= prefix ? prefix : floor + (h >> 8) % (prefix - floor);
	}
	return prefix;
}

/* A rename between directories is in both or in none. */
static void agree_on_renames(struct replay *r, size_t prefix)
{
	bool has_changed = true;

	while (has_changed) {
		has_changed = false;
		for (size_t i = 0; i < prefix; i++) {
			const struct crash_op *op = &r->log->ops[i];
			size_t *a = &r->cut[op->object];
			size_t *b = &r->cut[op->object2];

			if (!is_rename(op) || (i < *a) == (i < *b))
				continue;
			*(i < *a ? a : b) = i;
			has_changed = true;
		}
	}
}

static void change_names(struct replay *r, size_t i)
{
	const struct crash_op *op = &r->log->ops[i];
	struct slot *slot = &r->slots[r->slot_of[i]];
	struct slot *slot2 = &r->slots[r->slot2_of[i]];

	switch (op->kind) {
	case CRASH_LINK:
		slot->object = op->target;
		break;
	case CRASH_UNLINK:
		slot->object = CRASH_NONE;
		break;
	case CRASH_RENAME:
		slot->object = CRASH_NONE;
		slot2->object = op->target;
		break;
	case CRASH_EXCHANGE:
		slot->object = op->target2;
		slot2->object = op->target;
		break;
	default:
		break;
	}
}

/* --- the state ------------------------------------------------------------------------------- */

/* Fills found[] from what the slots hold: directories before what is in them. */
static void find_all(struct replay *r)
{
	uint32_t dir = CRASH_ROOT;
	uint32_t parent = CRASH_NONE;

	r->nr_found = 0;
	for (size_t next = 0;; next++) {
		for (size_t i = 0; i < r->nr_slots; i++) {
			if (r->slots[i].dir == dir && r->slots[i].object != CRASH_NONE)
				r->found[r->nr_found++] = (struct found){ parent, (uint32_t)i };
		}
		while (next < r->nr_found &&
		       !r->log->objects[r->slots[r->found[next].slot].object].is_dir)
			next++;
		if (next == r->nr_found)
			return;
		dir = r->slots[r->found[next].slot].object;
		parent = (uint32_t)next;
	}
}

uint64_t replay_state(struct replay *r, size_t prefix, const struct crash_choice *choice)
{
	uint64_t hash = 0;

	r->prefix = prefix;
	r->choice = *choice;
	find_floors(r, prefix);
	for (uint32_t dir = 0; dir < r->log->nr_objects; dir++) {
		r->cut[dir] = wanted_cut(r, dir, prefix, choice);
		raise_to(&r->cut[dir], r->floor[dir]);
	}
	agree_on_renames(r, prefix);
	for (size_t i = 0; i < r->nr_slots; i++)
		r->slots[i].object = CRASH_NONE;
	for (size_t i = 0; i < prefix; i++) {
		const struct crash_op *op = &r->log->ops[i];

		if (is_dir_op(op) && r->cut[op->object] > i)
			change_names(r, i);
	}
	find_all(r);
	for (size_t i = 0; i < r->nr_found; i++) {
		const struct slot *slot = &r->slots[r->found[i].slot];
		uint64_t what = r->log->objects[slot->object].is_dir
					? 2
					: content_hash(&r->content, slot->object, prefix, choice);

		/* A slot is a directory and a name; the directory's own name is in its slot. */
		hash += crash_mix(crash_mix(r->found[i].slot, r->found[i].parent), what);
	}
	return hash;
}

/* The path of found[@i] below @dir; false: it is too long. */
static bool path_of(const struct replay *r, size_t i, const char *dir, char path[static PATH_MAX])
{
	const char *parts[DEPTH_MAX];
	size_t nr = 0;
	int len = snprintf(path, PATH_MAX, "%s", dir);

	for (uint32_t f = (uint32_t)i; f != CRASH_NONE; f = r->found[f].parent) {
		if (nr == DEPTH_MAX)
			return false;
		parts[nr++] = r->slots[r->found[f].slot].name;
	}
	while (nr > 0 && len >= 0 && len < PATH_MAX)
		len += snprintf(path + len, (size_t)(PATH_MAX - len), "/%s", parts[--nr]);
	return len >= 0 && len < PATH_MAX;
}

/* An earlier name of the same file, CRASH_NONE if there is none. */
static uint32_t earlier_name(const struct replay *r, size_t i)
{
	uint32_t object = r->slots[r->found[i].slot].object;

	for (uint32_t f = 0; f < i; f++) {
		if (r->slots[r->found[f].slot].object == object)
			return f;
	}
	return CRASH_NONE;
}

static int make_one(struct replay *r, size_t i, const char *dir, const char *path)
{
	uint32_t object = r->slots[r->found[i].slot].object;
	const struct crash_object *o = &r->log->objects[object];
	uint32_t earlier = earlier_name(r, i);
	auto_fd int fd = -1;
	char first[PATH_MAX];

	if (o->is_dir)
		return mkdir(path, o->mode | S_IRWXU) < 0 ? -errno : 0;
	if (earlier != CRASH_NONE) {
		if (!path_of(r, earlier, dir, first))
			return -ENAMETOOLONG;
		return link(first, path) < 0 ? -errno : 0;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, o->mode);
	if (fd < 0)
		return -errno;
	content_build(&r->content, object, r->prefix, &r->choice);
	return file_pwrite_full(fd, r->content.buf, r->content.buf_len, 0);
}

int replay_make(struct replay *r, const char *dir, struct err *e)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < r->nr_found; i++) {
		int result = path_of(r, i, dir, path) ? make_one(r, i, dir, path) : -ENAMETOOLONG;

		if (result < 0)
			return err_errno(e, result, "cannot make '%s'", path);
	}
	return 0;
}

/* --- whether the log tells all --------------------------------------------------------------- */

static int compare_one(struct replay *r, size_t i, const char *path, struct err *e)
{
	uint32_t object = r->slots[r->found[i].slot].object;
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_free uint8_t *buf = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "the log has '%s', but it cannot be opened", path);
	if (r->log->objects[object].is_dir)
		return S_ISDIR(st.st_mode) ? 0 : err_set(e, -EPROTO, "'%s' is no folder", path);
	content_build(&r->content, object, r->prefix, &r->choice);
	if ((uint64_t)st.st_size != r->content.buf_len)
		return err_set(e, -EPROTO, "'%s' has %lld bytes, in the log %zu", path,
			       (long long)st.st_size, r->content.buf_len);
	if (r->log->objects[object].is_mapped)
		return 0;
	buf = malloc(r->content.buf_len + 1);
	if (!buf || file_pread_full(fd, buf, r->content.buf_len, 0) != st.st_size)
		return err_set(e, -EIO, "cannot read '%s'", path);
	if (memcmp(buf, r->content.buf, r->content.buf_len) != 0)
		return err_set(e, -EPROTO, "'%s' holds other bytes than the log has", path);
	return 0;
}

/* How many names there are below @path, which has room for more; a negative errno. */
static int count_names(char path[static PATH_MAX], unsigned depth)
{
	size_t len = strlen(path);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int nr = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		nr++;
		if (entry->d_type != DT_DIR || depth == DEPTH_MAX)
			continue;
		snprintf(path + len, PATH_MAX - len, "/%s", entry->d_name);
		nr += count_names(path, depth + 1);
		path[len] = '\0';
	}
	closedir(dir);
	return nr;
}

int replay_explains(struct replay *r, const char *dir, struct err *e)
{
	char path[PATH_MAX];
	int nr;

	for (size_t i = 0; i < r->nr_found; i++) {
		int result = path_of(r, i, dir, path) ? compare_one(r, i, path, e) : -ENAMETOOLONG;

		if (result < 0)
			return result;
	}
	snprintf(path, sizeof(path), "%s", dir);
	nr = count_names(path, 0);
	if (nr != (int)r->nr_found)
		return err_set(e, -EPROTO, "'%s' has %d names, in the log %zu", dir, nr,
			       r->nr_found);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removal of a folder: see tree.h.
 *
 * Folders are not walked down. What a folder inside holds is moved up: each folder of it becomes one of
 * the top folder, under a new name, so that there are two open folders at any time, and all come to
 * their turn.
 */
#include "jail/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "jail/path.h"

/* More entries than this, or passes over the top, mean that somebody makes them while we remove. */
enum {
	ENTRIES_MAX = 4 << 20,
	PASSES_MAX = 1 << 20,
};

struct removal {
	int top;
	unsigned int nr_moved; /* names the folders that were moved up */
	unsigned int nr_entries;
};

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int refuse(struct err *e, int code, const char *name)
{
	if (code == -EBUSY)
		return err_set(e, code, "cannot remove %s: something is mounted there",
			       quote(name).text);
	return err_set(e, code, "cannot remove %s: %s", quote(name).text, path_reason(code));
}

/* A name that the top folder does not have yet. The one who filled it may have guessed some. */
static int move_up(struct removal *rm, int from, const char *name)
{
	char above[32];

	while (rm->nr_entries++ < ENTRIES_MAX) {
		snprintf(above, sizeof(above), ".removed-%u", rm->nr_moved++);
		if (renameat2(from, name, rm->top, above, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EDQUOT;
}

/* Takes what is in a folder of the top folder out of it. */
static int empty(struct removal *rm, DIR *stream, struct err *e)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(stream)) != NULL) {
		int r = 0;

		if (is_dots(entry->d_name))
			continue;
		if (rm->nr_entries++ >= ENTRIES_MAX)
			return refuse(e, -EDQUOT, entry->d_name);
		if (unlinkat(dirfd(stream), entry->d_name, 0) < 0)
			r = errno == EISDIR ? move_up(rm, dirfd(stream), entry->d_name) : -errno;
		if (r < 0 && r != -ENOENT)
			return refuse(e, r, entry->d_name);
	}
	return errno ? refuse(e, -errno, "a folder") : 0;
}

static int open_stream(int dir, const char *name, DIR **stream, struct err *e)
{
	auto_fd int fd = path_open(dir, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return refuse(e, fd, name);
	*stream = fdopendir(fd);
	if (!*stream)
		return refuse(e, -ENOMEM, name);
	take_fd(&fd);
	return 0;
}

static int remove_folder(struct removal *rm, const char *name, struct err *e)
{
	DIR *stream;
	int r;

	if (unlinkat(rm->top, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY)
		return refuse(e, -errno, name);
	r = open_stream(rm->top, name, &stream, e);
	if (r < 0)
		return r;
	r = empty(rm, stream, e);
	closedir(stream);
	if (r == 0 && unlinkat(rm->top, name, AT_REMOVEDIR) < 0)
		r = refuse(e, -errno, name);
	return r;
}

/* One pass over the top folder. *@has_more: there was something in it. */
static int pass(struct removal *rm, DIR *stream, bool *has_more, struct err *e)
{
	const struct dirent *entry;

	*has_more = false;
	rewinddir(stream);
	while (errno = 0, (entry = readdir(stream)) != NULL) {
		int r = 0;

		if (is_dots(entry->d_name))
			continue;
		*has_more = true;
		if (rm->nr_entries++ >= ENTRIES_MAX)
			return refuse(e, -EDQUOT, entry->d_name);
		if (unlinkat(rm->top, entry->d_name, 0) < 0)
			r = errno == EISDIR ? remove_folder(rm, entry->d_name, e)
					    : refuse(e, -errno, entry->d_name);
		if (r < 0)
			return r;
	}
	return errno ? refuse(e, -errno, "a folder") : 0;
}

int tree_remove(int dir, const char *name, struct err *e)
{
	struct removal rm = { 0 };
	bool has_more = true;
	DIR *stream;
	int r = open_stream(dir, name, &stream, e);

	if (r < 0)
		return r;
	rm.top = dirfd(stream);
	for (unsigned int i = 0; r == 0 && has_more; i++)
		r = i < PASSES_MAX ? pass(&rm, stream, &has_more, e) : refuse(e, -EDQUOT, name);
	closedir(stream);
	if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		r = refuse(e, -errno, name);
	return r;
}

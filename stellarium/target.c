/* SPDX-License-Identifier: Apache-2.0 */
/* Where an export goes: see target.h. */
#include "stellarium/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"

static int open_stdout(struct target *t, struct err *e)
{
	t->kind = TARGET_STREAM;
	if (isatty(STDOUT_FILENO))
		return err_set(e, -EINVAL,
			       "standard output is a terminal, which an image would upset; "
			       "connect it to a file or a pipe");
	t->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return t->fd < 0 ? err_errno(e, -errno, "cannot use standard output") : 0;
}

static int open_device(struct target *t, const char *path, bool is_forced, struct err *e)
{
	t->kind = TARGET_DEVICE;
	if (!is_forced)
		return err_set(e, -EEXIST, "%s is a block device; --force overwrites what is on it",
			       quote(path).text);
	/* O_EXCL: not while it is mounted. */
	t->fd = open(path, O_WRONLY | O_EXCL | O_CLOEXEC);
	if (t->fd < 0 && errno == EBUSY)
		return err_set(e, -EBUSY, "block device %s is in use; unmount it first",
			       quote(path).text);
	return t->fd < 0 ? err_errno(e, -errno, "cannot open block device %s", quote(path).text)
			 : 0;
}

/* Splits @path and opens its folder. */
static int open_folder(struct target *t, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	t->name = strdup(name);
	t->folder = slash == path ? strdup("/")
		    : slash	  ? strndup(path, (size_t)(slash - path))
				  : strdup(".");
	if (!t->name || !t->folder)
		return err_set(e, -ENOMEM, "out of memory");
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, -EISDIR, "%s does not end in a file's name", quote(path).text);
	t->folder_fd = open(t->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->folder_fd < 0)
		return err_errno(e, -errno, "cannot open the folder of %s", quote(path).text);
	return 0;
}

static int name_temporarily(struct target *t)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EIO;
	snprintf(t->temporary, sizeof(t->temporary), ".stellarium-%016llx.tmp",
		 (unsigned long long)number);
	return 0;
}

static int make_file(struct target *t, const char *path, struct err *e)
{
	int r;

	t->kind = TARGET_FILE;
	t->fd = openat(t->folder_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
	if (t->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return err_errno(e, -errno, "cannot make a file in the folder of %s",
				 quote(path).text);
	r = name_temporarily(t);
	if (r == 0) {
		t->fd = openat(t->folder_fd, t->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			       0666);
		r = t->fd < 0 ? -errno : 0;
	}
	if (r < 0) {
		t->temporary[0] = '\0';
		return err_errno(e, r, "cannot make a file in the folder of %s", quote(path).text);
	}
	return 0;
}

/* A file that is there: what it leads to is replaced. */
static int replace_file(struct target *t, const char *path, mode_t mode, struct err *e)
{
	auto_free char *real = realpath(path, NULL);
	int r;

	if (!real)
		return err_errno(e, -errno, "cannot find %s", quote(path).text);
	r = open_folder(t, real, e);
	if (r == 0)
		r = make_file(t, path, e);
	if (r == 0 && fchmod(t->fd, mode & 0777) < 0)
		r = err_errno(e, -errno, "cannot give the new %s its permissions",
			      quote(path).text);
	return r;
}

static int open_existing(struct target *t, const char *path, const struct stat *st, bool is_forced,
			 struct err *e)
{
	if (S_ISBLK(st->st_mode))
		return open_device(t, path, is_forced, e);
	if (S_ISDIR(st->st_mode))
		return err_set(e, -EISDIR, "%s is a folder; give the name of a file",
			       quote(path).text);
	if (S_ISREG(st->st_mode)) {
		if (!is_forced)
			return err_set(e, -EEXIST, "%s is there already; --force replaces it",
				       quote(path).text);
		return replace_file(t, path, st->st_mode, e);
	}
	/* A FIFO or /dev/null, say. */
	t->kind = TARGET_STREAM;
	t->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return t->fd < 0 ? err_errno(e, -errno, "cannot open %s", quote(path).text) : 0;
}

int target_open(struct target *t, const char *path, bool is_forced, struct err *e)
{
	struct stat st;
	int r;

	*t = (struct target){ .fd = -1, .folder_fd = -1, .may_replace = is_forced };
	if (strcmp(path, "-") == 0) {
		r = open_stdout(t, e);
	} else if (stat(path, &st) == 0) {
		r = open_existing(t, path, &st, is_forced, e);
	} else if (errno != ENOENT) {
		r = err_errno(e, -errno, "cannot open %s", quote(path).text);
	} else {
		r = open_folder(t, path, e);
		if (r == 0)
			r = make_file(t, path, e);
	}
	if (r < 0)
		target_close(t);
	return r;
}

int target_check_length(const struct target *t, const char *path, uint64_t bytes, struct err *e)
{
	uint64_t room;

	if (t->kind != TARGET_DEVICE)
		return 0;
	if (ioctl(t->fd, BLKGETSIZE64, &room) < 0)
		return err_errno(e, -errno, "cannot get the length of block device %s",
				 quote(path).text);
	if (room < bytes)
		return err_set(e, -ENOSPC, "block device %s has %llu bytes, and the image has %llu",
			       quote(path).text, (unsigned long long)room,
			       (unsigned long long)bytes);
	return 0;
}

/* Gives a file without a name the name @name. 0 or -errno. */
static int link_nameless(const struct target *t, const char *name)
{
	char self[32];

	/* By its descriptor it works since Linux 6.10, or for those who may read everything. */
	if (linkat(t->fd, "", t->folder_fd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno == EEXIST)
		return -EEXIST;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, self, t->folder_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int give_name(struct target *t)
{
	int r;

	if (t->temporary[0] == '\0') {
		r = link_nameless(t, t->name);
		if (r != -EEXIST || !t->may_replace)
			return r;
		/* rename() replaces, link() does not: so it gets another name first. */
		r = name_temporarily(t);
		if (r == 0)
			r = link_nameless(t, t->temporary);
		if (r < 0) {
			t->temporary[0] = '\0';
			return r;
		}
	}
	if (renameat2(t->folder_fd, t->temporary, t->folder_fd, t->name,
		      t->may_replace ? 0 : RENAME_NOREPLACE) < 0)
		return -errno;
	t->temporary[0] = '\0';
	return 0;
}

int target_commit(struct target *t, const char *path, bool must_sync, struct err *e)
{
	int r;

	/* A stream has nothing to sync, or is a file that the caller may sync. */
	if (must_sync && t->kind != TARGET_STREAM && fsync(t->fd) < 0)
		return err_errno(e, -errno, "cannot bring %s to the disk", quote(path).text);
	if (t->kind != TARGET_FILE)
		return 0;
	r = give_name(t);
	if (r == -EEXIST)
		return err_set(e, r, "%s has come to be there meanwhile; --force replaces it",
			       quote(path).text);
	if (r < 0)
		return err_errno(e, r, "cannot give the file the name %s", quote(path).text);
	if (must_sync && fsync(t->folder_fd) < 0)
		return err_errno(e, -errno, "cannot bring the name %s to the disk",
				 quote(path).text);
	return 0;
}

void target_close(struct target *t)
{
	if (t->temporary[0] != '\0')
		unlinkat(t->folder_fd, t->temporary, 0);
	cleanup_fd(&t->fd);
	cleanup_fd(&t->folder_fd);
	free(t->folder);
	free(t->name);
	*t = (struct target){ .fd = -1, .folder_fd = -1 };
}

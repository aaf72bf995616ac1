/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a store: its folders, an empty index, and last the superblock, which makes it one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/random.h"
#include "stellar/store_impl.h"

static const char *const folders[] = { "packs", "index", "roots", "leases" };
static const char *const locks[] = { "lock", "gate", "gc" };
static const char *const index_files[] = { "data.mdb", "lock.mdb", "digest" };

void store_default_options(struct store_options *o)
{
	*o = (struct store_options){ 0 };
	chunk_params_parse(&o->chunking, "fastcdc:32K", NULL);
	codec_params_parse(&o->codec, "auto", NULL);
}

/* What an init that was killed may have left counts as nothing. */
static bool is_of_init(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		if (strcmp(name, folders[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(locks); i++) {
		if (strcmp(name, locks[i]) == 0)
			return true;
	}
	return strcmp(name, "+tmp.superblock") == 0;
}

static int check_empty(int dir_fd, const char *path, struct err *e)
{
	const int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = err_errno(e, -errno, "cannot read the folder %s", quote(path).text);
		if (copy >= 0)
			close(copy);
		return r;
	}
	while (r == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (strcmp(name, "superblock") == 0)
			r = err_set(e, -EEXIST, "there is a store in %s already", quote(path).text);
		else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !is_of_init(name))
			r = err_set(e, -ENOTEMPTY,
				    "the folder %s is not empty; a store needs one of its own",
				    quote(path).text);
	}
	closedir(dir);
	return r;
}

static int make_parts(int dir_fd, const char *path, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		if (mkdirat(dir_fd, folders[i], 0777) < 0 && errno != EEXIST)
			return err_errno(e, -errno, "cannot make '%s/%s'", path, folders[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(locks); i++) {
		auto_fd int fd =
			openat(dir_fd, locks[i], O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);

		if (fd < 0)
			return err_errno(e, -errno, "cannot make '%s/%s'", path, locks[i]);
	}
	return 0;
}

/* Only what an init makes: a store that appeared meanwhile has packs and roots, which stay. */
static void remove_parts(int dir_fd)
{
	auto_fd int index_fd = openat(dir_fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; index_fd >= 0 && i < ARRAY_LEN(index_files); i++)
		unlinkat(index_fd, index_files[i], 0);
	unlinkat(dir_fd, "superblock", 0);
	unlinkat(dir_fd, "+tmp.superblock", 0);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		unlinkat(dir_fd, folders[i], AT_REMOVEDIR);
	for (size_t i = 0; i < ARRAY_LEN(locks); i++)
		unlinkat(dir_fd, locks[i], 0);
}

static int make_superblock(int dir_fd, const char *path, const struct store_options *o,
			   struct superblock *sb, struct err *e)
{
	uint8_t master[MASTER_KEY_BYTES];
	int r = random_fill(sb->uuid, sizeof(sb->uuid), e);

	sb->chunking = o->chunking;
	sb->codec = o->codec;
	sb->is_encrypted = o->key.kind != KEY_NONE;
	if (r == 0 && sb->is_encrypted) {
		r = random_fill(master, sizeof(master), e);
		if (r == 0)
			r = crypt_wrap(&sb->envelope, sb->uuid, master, &o->key, e);
		explicit_bzero(master, sizeof(master));
	}
	if (r == 0)
		r = index_remake(path, sb->uuid, e);
	if (r == 0)
		r = superblock_write(dir_fd, path, sb, e);
	return r;
}

static int sync_parent(int dir_fd, const char *path, struct err *e)
{
	auto_fd int parent = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0 || fsync(parent) < 0)
		return err_errno(e, -errno, "cannot sync the folder above %s", quote(path).text);
	return 0;
}

int store_init(const char *path, const struct store_options *o, struct err *e)
{
	struct superblock sb = { 0 };
	const bool is_new = mkdir(path, 0777) == 0;
	auto_fd int dir_fd = -1, lock_fd = -1;
	int r;

	if (!is_new && errno != EEXIST)
		return err_errno(e, -errno, "cannot make the folder %s", quote(path).text);
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_errno(e, -errno, "cannot open the folder %s", quote(path).text);
	r = check_empty(dir_fd, path, e);
	if (r < 0)
		return r;
	r = make_parts(dir_fd, path, e);
	if (r == 0) {
		lock_fd = file_open_regular(dir_fd, "lock", O_RDONLY);
		r = lock_fd < 0 ? lock_fd : file_lock(lock_fd, LOCK_EX | LOCK_NB);
		if (r < 0) /* another init: what is there is its own */
			return err_set(e, -EBUSY, "another process makes a store in %s",
				       quote(path).text);
		r = check_empty(dir_fd, path, e);
		if (r < 0)
			return r;
		r = make_superblock(dir_fd, path, o, &sb, e);
	}
	if (r == 0)
		r = sync_parent(dir_fd, path, e);
	if (r < 0) {
		remove_parts(dir_fd);
		if (is_new)
			rmdir(path);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Checks which files a store has beside packs and roots, and keeps what does not belong there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/fsck_impl.h"
#include "stellar/lease_impl.h"

#define QUARANTINE "quarantine"

enum { QUARANTINE_TRIES = 10000 };

static const char *const folders[] = { "packs", "index", "roots", "leases" };
static const char *const locks[] = { "lock", "gate", "gc" };
static const char *const index_files[] = { "data.mdb", "lock.mdb", "digest" };

static bool is_one_of(const char *name, const char *const *all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, all[i]) == 0)
			return true;
	}
	return false;
}

/* --- folders ------------------------------------------------------------------------------- */

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static int collect(DIR *dir, char ***names, size_t *count)
{
	const struct dirent *entry;

	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if ((*count & (*count - 1)) == 0) {
			const size_t room = *count ? 2 * *count : 1;
			char **grown = reallocarray(*names, room, sizeof(*grown));

			if (!grown)
				return -ENOMEM;
			*names = grown;
		}
		(*names)[*count] = strdup(entry->d_name);
		if (!(*names)[*count])
			return -ENOMEM;
		(*count)++;
	}
}

int fsck_each_name(int dir_fd, const char *folder,
		   int (*visit)(struct fsck *f, int dir_fd, const char *name, struct err *e),
		   struct fsck *f, struct err *e)
{
	const int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	char **names = NULL;
	size_t count = 0;
	int r;

	if (!dir) {
		r = err_errno(e, -errno, "cannot read the folder '%s'", folder);
		if (copy >= 0)
			close(copy);
		return r;
	}
	r = collect(dir, &names, &count);
	closedir(dir);
	if (r < 0)
		err_errno(e, r, "cannot read the folder '%s'", folder);
	for (size_t i = 0; i < count && r == 0; i++)
		r = visit(f, dir_fd, names[i], e);
	free_names(names, count);
	return r;
}

/* --- what does not belong there ------------------------------------------------------------ */

static int make_folder(int dir_fd, const char *name)
{
	int fd;

	if (mkdirat(dir_fd, name, 0777) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int move(int dir_fd, const char *name, int to_fd)
{
	char target[NAME_MAX + 1];

	for (unsigned i = 0; i < QUARANTINE_TRIES; i++) {
		if (i == 0)
			snprintf(target, sizeof(target), "%s", name);
		else
			snprintf(target, sizeof(target), "%.240s.%u", name, i);
		if (renameat2(dir_fd, name, to_fd, target, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return -errno;
}

int fsck_quarantine(struct fsck *f, int dir_fd, const char *folder, const char *name, struct err *e)
{
	auto_fd int top = make_folder(f->store->dir_fd, QUARANTINE);
	auto_fd int to = top < 0 ? top : make_folder(top, folder);
	int r = to < 0 ? to : move(dir_fd, name, to);

	if (r == 0 &&
	    (fsync(to) < 0 || fsync(top) < 0 || fsync(f->store->dir_fd) < 0 || fsync(dir_fd) < 0))
		r = -errno;
	return r < 0 ? err_errno(e, r, "cannot move %s of '%s' to '" QUARANTINE "'",
				 quote(name).text, folder)
		     : 0;
}

int fsck_remove_strange(struct fsck *f, int dir_fd, const char *folder, const char *name,
			const char *what, struct err *e)
{
	int r = 0;

	if (f->is_pass_to_repair)
		r = fsck_quarantine(f, dir_fd, folder, name, e);
	if (r < 0)
		return r;
	fsck_tell(f, f->is_pass_to_repair, "%s in '%s' %s", quote(name).text, folder, what);
	return 0;
}

int fsck_remove_leftover(struct fsck *f, int dir_fd, const char *folder, const char *name)
{
	if (f->is_pass_to_repair && unlinkat(dir_fd, name, 0) == 0)
		return 0;
	fsck_note(f, "%s in '%s' was left by a process that died", quote(name).text, folder);
	return 0;
}

/* --- the store's own folder ---------------------------------------------------------------- */

static int visit_top(struct fsck *f, int dir_fd, const char *name, struct err *e)
{
	if (strcmp(name, "superblock") == 0 || strcmp(name, QUARANTINE) == 0 ||
	    is_one_of(name, folders, ARRAY_LEN(folders)) ||
	    is_one_of(name, locks, ARRAY_LEN(locks)))
		return 0;
	if (strcmp(name, "superblock.new") == 0 || strncmp(name, "+tmp.", 5) == 0)
		return fsck_remove_leftover(f, dir_fd, "store", name);
	return fsck_remove_strange(f, dir_fd, "store", name, "is no file of a store", e);
}

/* Lock files are empty. */
static int check_lock(struct fsck *f, const char *name)
{
	auto_fd int fd = file_open_regular(f->store->dir_fd, name, O_RDONLY);
	struct stat st;
	bool is_mended = false;

	if (fd < 0) {
		fsck_tell(f, false, "'%s' of the store cannot be opened", name);
		return 0;
	}
	if (fstat(fd, &st) < 0 || st.st_size == 0)
		return 0;
	if (f->is_pass_to_repair) {
		auto_fd int writable = file_open_regular(f->store->dir_fd, name, O_WRONLY);

		is_mended = writable >= 0 && ftruncate(writable, 0) == 0;
	}
	if (!f->is_pass_to_repair || is_mended)
		fsck_tell(f, is_mended, "'%s' of the store is not empty", name);
	return 0;
}

static int check_superblock(struct fsck *f, struct err *e)
{
	struct store *s = f->store;
	struct superblock sb;
	int r = superblock_read(s->dir_fd, s->path, &sb, e);

	if (r < 0 || !sb.is_damaged)
		return r;
	if (f->is_pass_to_repair)
		r = superblock_write(s->dir_fd, s->path, &sb, e);
	if (r == 0)
		fsck_tell(f, f->is_pass_to_repair,
			  "'superblock': one of its two copies is damaged");
	return r;
}

int fsck_check_parts(struct fsck *f, const char *path, struct err *e)
{
	auto_fd int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd int superblock = -1;
	const bool may_repair = f->options->may_repair;
	struct stat st;
	int r = 0;

	if (dir_fd < 0)
		return 0; /* whoever opens the store says why */
	superblock = file_open_regular(dir_fd, "superblock", O_RDONLY);
	if (superblock < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(locks) && r == 0; i++) {
		auto_fd int fd = -1;

		if (fstatat(dir_fd, locks[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (may_repair)
			fd = openat(dir_fd, locks[i], O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
				    0666);
		r = may_repair && fd < 0 ? -errno : 0;
		fsck_tell(f, fd >= 0, "the store has no file '%s'", locks[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(folders) && r == 0; i++) {
		/* A missing index is told, and made anew, where indexes are checked. */
		if (strcmp(folders[i], "index") == 0 ||
		    fstatat(dir_fd, folders[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (may_repair && mkdirat(dir_fd, folders[i], 0777) < 0)
			r = -errno;
		fsck_tell(f, may_repair && r == 0, "the store has no folder '%s'", folders[i]);
	}
	if (r == 0 && may_repair && fsync(dir_fd) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "cannot mend the folder '%s'", path) : 0;
}

/* --- another store's superblock ------------------------------------------------------------ */

/* Two uuids differ in some 64 bits; one that is damaged differs in few from what it was. */
static bool is_another_uuid(const uint8_t *uuid, const uint8_t *ours)
{
	unsigned bits = 0;

	for (size_t i = 0; i < STORE_UUID_BYTES; i++)
		bits += (unsigned)__builtin_popcount(uuid[i] ^ ours[i]);
	return bits > 16;
}

/* Not by the header's sum, for which the key of this store may not be the right one. */
static int visit_owner(struct fsck *f, int dir_fd, const char *name, struct err *e)
{
	struct st_pack_header h;
	struct pack_id id;

	(void)e;
	if (pack_id_from_name(&id, name) < 0 ||
	    file_read_head(dir_fd, name, &h, sizeof(h)) != sizeof(h) ||
	    memcmp(h.magic, PACK_MAGIC, sizeof(h.magic)) != 0)
		return 0;
	if (!is_another_uuid(h.uuid, f->store->superblock.uuid)) {
		f->own_packs++;
		return 0;
	}
	f->foreign_packs++;
	memcpy(f->foreign_uuid, h.uuid, sizeof(h.uuid));
	return 0;
}

int fsck_check_owner(struct fsck *f, struct err *e)
{
	char ours[STORE_UUID_TEXT_BYTES], other[STORE_UUID_TEXT_BYTES];
	const int r = fsck_each_name(f->store->packs_fd, "packs", visit_owner, f, e);
	const unsigned long long foreign = f->foreign_packs, all = foreign + f->own_packs;

	if (r < 0 || f->foreign_packs <= f->own_packs)
		return r;
	store_uuid_text(f->store->superblock.uuid, ours);
	store_uuid_text(f->foreign_uuid, other);
	return err_set(e, -EXDEV,
		       "%llu of %llu packs are of the store %s, but 'superblock' says that this is "
		       "%s; nothing was changed: put back what is the store's own",
		       foreign, all, other, ours);
}

/* --- packs/, index/, leases/ --------------------------------------------------------------- */

static int visit_packs(struct fsck *f, int dir_fd, const char *name, struct err *e)
{
	struct pack_id id;

	if (pack_id_from_name(&id, name) == 0)
		return 0;
	if (strncmp(name, "+tmp.", 5) == 0)
		return fsck_remove_leftover(f, dir_fd, "packs", name);
	return fsck_remove_strange(f, dir_fd, "packs", name, "is no pack", e);
}

static int visit_index(struct fsck *f, int dir_fd, const char *name, struct err *e)
{
	if (is_one_of(name, index_files, ARRAY_LEN(index_files)))
		return 0;
	if (strncmp(name, "+tmp.", 5) == 0)
		return fsck_remove_leftover(f, dir_fd, "index", name);
	return fsck_remove_strange(f, dir_fd, "index", name, "is no file of an index", e);
}

static bool is_lease_name(const char *name)
{
	return strlen(name) == LEASE_FILE_NAME_BYTES - 1 &&
	       strspn(name, "0123456789abcdef") == LEASE_NAME_DIGITS &&
	       strcmp(name + LEASE_NAME_DIGITS, LEASE_SUFFIX) == 0;
}

static int visit_leases(struct fsck *f, int dir_fd, const char *name, struct err *e)
{
	auto_fd int fd = -1;

	if (!is_lease_name(name))
		return fsck_remove_strange(f, dir_fd, "leases", name, "is no lease", e);
	fd = file_open_regular(dir_fd, name, O_RDONLY);
	if (fd < 0 && fd != -EINVAL)
		return 0;
	if (fd < 0)
		return fsck_remove_strange(f, dir_fd, "leases", name, "is no file", e);
	if (file_lock(fd, LOCK_EX | LOCK_NB) < 0 || !file_is_named(fd, dir_fd, name))
		return 0; /* somebody's, or gone */
	return fsck_remove_leftover(f, dir_fd, "leases", name);
}

static int check_living_leases(struct fsck *f, struct err *e)
{
	struct lease_set set = { 0 };
	struct err why = { 0 };
	const int r = lease_set_read(&set, f->store->leases_fd, false, &why);

	lease_set_release(&set);
	if (r == -EBADMSG) {
		fsck_tell(f, false, "%s", why.msg);
		return 0;
	}
	return r < 0 ? err_set(e, r, "%s", why.msg) : 0;
}

int fsck_check_files(struct fsck *f, struct err *e)
{
	struct store *s = f->store;
	auto_fd int index_fd =
		openat(s->dir_fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r = check_superblock(f, e);

	for (size_t i = 0; i < ARRAY_LEN(locks) && r == 0; i++)
		r = check_lock(f, locks[i]);
	if (r == 0)
		r = fsck_each_name(s->dir_fd, "store", visit_top, f, e);
	if (r == 0)
		r = fsck_each_name(s->packs_fd, "packs", visit_packs, f, e);
	if (r == 0 && index_fd >= 0)
		r = fsck_each_name(index_fd, "index", visit_index, f, e);
	if (r == 0)
		r = fsck_each_name(s->leases_fd, "leases", visit_leases, f, e);
	if (r == 0 && !f->is_pass_to_repair)
		r = check_living_leases(f, e);
	return r == 0 ? fsck_check_roots(f, e) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts the file systems every Linux program expects, and takes mounts down at shutdown. */
#include "init/mounts.h"

#include "base/bytes.h"
#include "init/say.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* More mounts than this are left to the read-only remount of the root. */
#define MOUNTS_MAX 512

struct mount_point {
	const char *target;
	const char *type;
	const char *options;
	unsigned long flags;
	bool is_made; /* the directory is created if it is missing; otherwise the mount is left out */
};

static const struct mount_point proc_mount = {
	"/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, true,
};

static const struct mount_point kernel_mounts[] = {
	{ "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, true },
	{ "/dev", "devtmpfs", "mode=0755", MS_NOSUID, true },
};

static const struct mount_point user_mounts[] = {
	{ "/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC, true },
	{ "/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, true },
	{ "/run", "tmpfs", "mode=0755", MS_NOSUID | MS_NODEV, false },
	{ "/tmp", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, false },
};

/* Every target lies one level below a directory of another file system, or is not mounted. */
static bool is_mount_point(const char *path)
{
	char above[64];
	struct stat here, parent;

	snprintf(above, sizeof(above), "%s/..", path);
	return stat(path, &here) == 0 && stat(above, &parent) == 0 && here.st_dev != parent.st_dev;
}

/* Returns 1 if it was mounted now, 0 if there was nothing to do, -errno on failure. */
static int mount_one(const struct mount_point *m)
{
	int r;

	if (m->is_made)
		mkdir(m->target, 0755); /* it may exist, and on a read-only root it must */
	if (is_mount_point(m->target))
		return 0;
	if (mount(m->type, m->target, m->type, m->flags, m->options) == 0)
		return 1;
	r = -errno;
	if (r == -EBUSY || (r == -ENOENT && !m->is_made))
		return 0;
	say("cannot mount %s on %s: %s", m->type, m->target, strerror(-r));
	return r;
}

bool mounts_first(void)
{
	return mount_one(&proc_mount) == 1;
}

void mounts_kernel(void)
{
	for (size_t i = 0; i < ARRAY_LEN(kernel_mounts); i++)
		mount_one(&kernel_mounts[i]);
}

void mounts_user(void)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (size_t i = 0; i < ARRAY_LEN(user_mounts); i++)
		mount_one(&user_mounts[i]);
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			say_debug("cannot link %s: %s", links[i][1], strerror(errno));
	}
}

void mounts_root_writable(void)
{
	struct statvfs st;

	if (statvfs("/", &st) < 0 || !(st.f_flag & ST_RDONLY))
		return;
	/* A disk that is itself read-only refuses; that is as it should be. */
	if (mount(NULL, "/", NULL, MS_REMOUNT, NULL) < 0)
		say_debug("the root stays read-only: %s", strerror(errno));
}

/* Those that hold nothing and that this process still needs. */
static bool is_kernel_type(const char *type)
{
	static const char *const types[] = { "proc", "sysfs", "devtmpfs", "devpts", "rootfs" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

/* Fills paths (owned by the caller) with the mount points to take down, oldest first. */
static size_t list_mounts(char *paths[static MOUNTS_MAX])
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	const struct mntent *entry;
	size_t nr = 0;

	if (!f)
		return 0;
	while (nr < MOUNTS_MAX && (entry = getmntent(f))) {
		if (is_kernel_type(entry->mnt_type))
			continue;
		paths[nr] = strdup(entry->mnt_dir);
		if (!paths[nr])
			break;
		nr++;
	}
	endmntent(f);
	return nr;
}

void mounts_end(void)
{
	static char *paths[MOUNTS_MAX];
	size_t nr = list_mounts(paths);

	for (size_t i = nr; i > 0; i--) {
		const char *path = paths[i - 1];
		bool is_root = strcmp(path, "/") == 0;

		if (!is_root && umount2(path, UMOUNT_NOFOLLOW) == 0)
			continue;
		if (mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
			say_debug("%s stays writable: %s", path, strerror(errno));
	}
}

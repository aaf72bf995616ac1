/* SPDX-License-Identifier: Apache-2.0 */
/* Moves PID 1 from the initramfs into the root disk and frees the memory of the initramfs. */
#include "init/switch.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "init/say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders nested deeper than this stay in memory. */
#define DEPTH_MAX 32

static void move_mounts(const char *new_root)
{
	static const char *const mounts[] = { "/dev", "/proc", "/sys" };
	char target[64];

	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		snprintf(target, sizeof(target), "%s%s", new_root, mounts[i]);
		mkdir(target, 0755); /* an image may lack it; a read-only one stays without */
		if (mount(mounts[i], target, NULL, MS_MOVE, NULL) == 0)
			continue;
		say("cannot move %s to the root disk: %s", mounts[i], strerror(errno));
		umount2(mounts[i], MNT_DETACH);
	}
}

/* Deletes one entry; a folder is opened instead. Returns that descriptor, or -1. */
static int delete_entry(int dir_fd, const char *name, dev_t dev)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev)
		return -1;
	if (S_ISDIR(st.st_mode))
		return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	unlinkat(dir_fd, name, 0);
	return -1;
}

/* Deletes what is below the folder fd, which it closes; entries of other devices stay. */
static void delete_below(int fd, dev_t dev, int depth)
{
	DIR *dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		int child;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		child = delete_entry(fd, entry->d_name, dev);
		if (child < 0)
			continue;
		delete_below(child, dev, depth + 1);
		unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

int switch_root(const char *new_root)
{
	auto_fd int old_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat old;
	int r;

	move_mounts(new_root);
	if (chdir(new_root) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0) {
		r = -errno;
		say("cannot make the root disk the root: %s", strerror(-r));
		return r;
	}
	if (old_fd >= 0 && fstat(old_fd, &old) == 0)
		delete_below(take_fd(&old_fd), old.st_dev, 0);
	return 0;
}

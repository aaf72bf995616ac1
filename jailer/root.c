/* SPDX-License-Identifier: Apache-2.0 */
/* The jail as the root: see root.h. */
#include "jailer/root.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

static int write_proc(const char *path, const char *text)
{
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return file_write_full(fd, text, strlen(text));
}

static int map_own(const char *path, unsigned int id)
{
	char text[32];

	snprintf(text, sizeof(text), "%u %u 1", id, id);
	return write_proc(path, text);
}

static int own_mounts_rootless(uid_t uid, gid_t gid, struct err *e)
{
	const uid_t our_uid = geteuid();
	const gid_t our_gid = getegid();
	int r;

	if (uid != our_uid || gid != our_gid)
		return err_set(e, -EPERM,
			       "without root, --uid and --gid must be the caller's own, %u and %u",
			       (unsigned int)our_uid, (unsigned int)our_gid);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return err_errno(e, -errno,
				 "without root a user namespace is needed, and there is none");
	r = write_proc("/proc/self/setgroups", "deny");
	if (r == 0)
		r = map_own("/proc/self/uid_map", our_uid);
	if (r == 0)
		r = map_own("/proc/self/gid_map", our_gid);
	if (r < 0)
		return err_errno(e, r, "cannot set up the user namespace");
	return 0;
}

int root_own_mounts(uid_t uid, gid_t gid, bool *is_rootless, struct err *e)
{
	int r = unshare(CLONE_NEWNS) < 0 ? -errno : 0;

	*is_rootless = r == -EPERM;
	if (*is_rootless)
		r = own_mounts_rootless(uid, gid, e);
	else if (r < 0)
		err_errno(e, r, "cannot get mounts of our own");
	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_errno(e, -errno, "cannot keep mounts to ourselves");
	return 0;
}

int root_mount(int *root, struct undo *undo, struct err *e)
{
	auto_fd int tree = open_tree(
		*root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0 ||
	    move_mount(tree, "", *root, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_errno(e, -errno, "cannot mount the jail");
	if (undo_note(undo, tree, ".", UNDO_MOUNT) < 0)
		return err_set(e, -ENOSPC, "too much to take back");
	close(*root);
	*root = take_fd(&tree);
	/* An O_PATH descriptor opens nothing and is no folder for fchown(2). */
	tree = openat(*root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree < 0)
		return err_errno(e, -errno, "cannot open the jail");
	close(*root);
	*root = take_fd(&tree);
	return 0;
}

int root_enter(int root, struct err *e)
{
	/* The old root comes to lie below the new one, on the same place, and is let go from there. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_errno(e, -errno, "cannot make the jail the root of the file system");
	return 0;
}

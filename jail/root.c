/* SPDX-License-Identifier: Apache-2.0 */
/* An empty root directory: see root.h. */
#include "jail/root.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The empty file system is put on top of "/", which every system has. That hides the old root but
 * does not remove it; pivot_root(".", ".") makes the new one the root and stacks the old one over
 * it, where it can be detached as a whole (pivot_root(2), "pivot_root(".", ".")").
 */
int jail_empty_root(struct err *e)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	/* What we do here may not reach the mounts of others. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, -errno, "cannot take the mounts for its own");
	if (mount("volt-empty", "/", "tmpfs", flags, "mode=555,size=4k,nr_inodes=1") < 0)
		return err_errno(e, -errno, "cannot mount an empty root");
	/* "/" is still the old root; the path to what is mounted on it leads through "..". */
	if (chdir("/..") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_errno(e, -errno, "cannot change to an empty root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_errno(e, -errno, "cannot let go of the old root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0 ||
	    chdir("/") < 0)
		return err_errno(e, -errno, "cannot make the empty root read-only");
	return 0;
}

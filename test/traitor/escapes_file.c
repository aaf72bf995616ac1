/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to the host's files. The folder of the test is open to all users, so are the files in it. */
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/traitor/traitor.h"

enum { FDS_MAX = 64, PATH_BYTES = 300, RENAME_TRIES = 50 };

static int root_fd = -1; /* of "/", left open before confinement */
static struct io_uring early_ring; /* made before confinement, without restrictions */
static struct file_handle *handle;
static int handle_mount_fd = -1;

/* Reads a byte, so that a descriptor that is good for nothing does not count. */
static long read_and_close(int fd)
{
	char byte;
	long r = fd < 0 ? -errno : outcome(read(fd, &byte, 1));

	if (fd >= 0)
		close(fd);
	return r;
}

static long try_openat(void)
{
	return read_and_close((int)syscall(SYS_openat, AT_FDCWD, loot.file, O_RDONLY));
}

static long try_open(void)
{
	return read_and_close((int)syscall(SYS_open, loot.file, O_RDONLY));
}

static long try_openat2(void)
{
	struct open_how how = { .flags = O_RDONLY };

	return read_and_close((int)syscall(SYS_openat2, AT_FDCWD, loot.file, &how, sizeof(how)));
}

static long try_open_to_write(void)
{
	return outcome(syscall(SYS_openat, AT_FDCWD, loot.file, O_WRONLY));
}

static long try_create(void)
{
	const char *path = loot_new_path("created");
	long r = outcome(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0600));

	if (r >= 0)
		unlink(path);
	return r;
}

static long try_mkdir(void)
{
	const char *path = loot_new_path("made");
	long r = outcome(syscall(SYS_mkdir, path, 0700));

	if (r == 0)
		rmdir(path);
	return r;
}

static long try_symlink(void)
{
	const char *path = loot_new_path("link");
	long r = outcome(syscall(SYS_symlink, "file", path));

	if (r == 0)
		unlink(path);
	return r;
}

static long try_truncate(void)
{
	return outcome(syscall(SYS_truncate, loot_path("cut"), 1));
}

static long try_rename(void)
{
	const char *path = loot_path("moved");
	char other[PATH_BYTES];
	long r = -ENOENT;

	snprintf(other, sizeof(other), "%s/other", loot.folder);
	/* Another attempt may have it at the moment. */
	for (int i = 0; r == -ENOENT && i < RENAME_TRIES; i++) {
		if (i > 0)
			usleep(1000);
		r = outcome(syscall(SYS_rename, path, other));
	}
	if (r == 0)
		rename(other, path);
	return r;
}

static long try_stat(void)
{
	struct stat st;

	return outcome(syscall(SYS_stat, loot.file, &st));
}

static long try_statx(void)
{
	struct statx st;

	return outcome(syscall(SYS_statx, AT_FDCWD, loot.file, 0, STATX_BASIC_STATS, &st));
}

/* Flags as for a descriptor, and yet a path. */
static long try_stat_by_flag(void)
{
	struct stat st;

	return outcome(syscall(SYS_newfstatat, AT_FDCWD, loot.file, &st, AT_EMPTY_PATH));
}

static long try_chdir(void)
{
	return outcome(syscall(SYS_chdir, loot.folder));
}

static long try_inotify(void)
{
	const int fd = (int)syscall(SYS_inotify_init1, 0);

	return fd < 0 ? -errno : outcome(syscall(SYS_inotify_add_watch, fd, loot.file, IN_MODIFY));
}

/* --- by what was left open ------------------------------------------------------------------- */

static bool open_root(void)
{
	root_fd = open("/", O_RDONLY | O_DIRECTORY);
	return root_fd >= 0;
}

static long try_folder_descriptor(void)
{
	return read_and_close((int)syscall(SYS_openat, root_fd, loot.file + 1, O_RDONLY));
}

/* The classic: out by a folder that is not below the root, and further up. */
static long try_chroot(void)
{
	if (syscall(SYS_fchdir, root_fd) < 0 || syscall(SYS_chroot, ".") < 0)
		return -errno;
	return try_openat();
}

static bool take_handle(void)
{
	int mount_id;

	handle = calloc(1, sizeof(*handle) + MAX_HANDLE_SZ);
	handle->handle_bytes = MAX_HANDLE_SZ;
	handle_mount_fd = open(loot_path("disk"), O_RDONLY);
	return handle_mount_fd >= 0 &&
	       name_to_handle_at(AT_FDCWD, loot.file, handle, &mount_id, 0) == 0;
}

/* Some descriptor of the file system will do: that of a drive. */
static long try_handle(void)
{
	long r = -EBADF;

	for (int fd = 3; fd < FDS_MAX && r < 0; fd++)
		r = read_and_close((int)syscall(SYS_open_by_handle_at, fd, handle, O_RDONLY));
	return r;
}

/* --- by /proc -------------------------------------------------------------------------------- */

static long try_own_memory(void)
{
	return outcome(syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR));
}

/* A drive that is open for reading only, once more for writing. */
static long try_reopen(void)
{
	char path[PATH_BYTES];
	long r = -EBADF;

	for (int fd = 3; fd < FDS_MAX && r < 0; fd++) {
		struct stat st;
		const int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY || fstat(fd, &st) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		r = outcome(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY));
	}
	return r;
}

/* --- by a ring ------------------------------------------------------------------------------- */

static long open_by_ring(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int r;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_openat(sqe, AT_FDCWD, loot.file, O_RDONLY, 0);
	r = io_uring_submit_and_wait(ring, 1);
	if (r >= 0)
		r = io_uring_peek_cqe(ring, &cqe);
	if (r < 0)
		return r;
	r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return r;
}

int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);

static bool make_early_ring(void)
{
	return __real_io_uring_queue_init(4, &early_ring, 0) == 0;
}

static long try_early_ring(void)
{
	return open_by_ring(&early_ring);
}

/* The iothread is not told, or it would take the answer for one of its own. */
static long try_own_ring(void)
{
	if (!loot.own_ring)
		return -ENXIO;
	io_uring_cq_eventfd_toggle(loot.own_ring, false);
	return open_by_ring(loot.own_ring);
}

static long try_new_ring(void)
{
	static struct io_uring ring;
	const int r = __real_io_uring_queue_init(4, &ring, 0);

	return r < 0 ? r : open_by_ring(&ring);
}

/* --- by mounts ------------------------------------------------------------------------------- */

static long try_mount(void)
{
	const char *path = loot_path("mount");
	long r = outcome(syscall(SYS_mount, "none", path, "tmpfs", 0, NULL));

	if (r == 0)
		umount2(path, MNT_DETACH);
	return r;
}

static long try_open_tree(void)
{
	const int fd = (int)syscall(SYS_open_tree, AT_FDCWD, loot.folder, OPEN_TREE_CLONE);

	return fd < 0 ? -errno : read_and_close((int)syscall(SYS_openat, fd, "file", O_RDONLY));
}

/* A new /proc, mounted nowhere: it shows the processes of our namespace and their files. */
static long try_new_proc(void)
{
	const int fs = (int)syscall(SYS_fsopen, "proc", 0);
	int mount_fd;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount_fd = (int)syscall(SYS_fsmount, fs, 0, 0);
	return mount_fd < 0 ? -errno
			    : read_and_close(
				      (int)syscall(SYS_openat, mount_fd, "self/status", O_RDONLY));
}

const struct escape file_escapes[] = {
	{ "open", try_open, NULL },
	{ "openat", try_openat, NULL },
	{ "openat2", try_openat2, NULL },
	{ "open-to-write", try_open_to_write, NULL },
	{ "create-file", try_create, NULL },
	{ "mkdir", try_mkdir, NULL },
	{ "symlink", try_symlink, NULL },
	{ "truncate", try_truncate, NULL },
	{ "rename", try_rename, NULL },
	{ "stat", try_stat, NULL },
	{ "newfstatat", try_stat_by_flag, NULL },
	{ "statx", try_statx, NULL },
	{ "chdir", try_chdir, NULL },
	{ "inotify", try_inotify, NULL },
	{ "folder-descriptor", try_folder_descriptor, open_root },
	{ "chroot", try_chroot, open_root },
	{ "open-by-handle", try_handle, take_handle },
	{ "proc-self-mem", try_own_memory, NULL },
	{ "proc-self-fd", try_reopen, NULL },
	{ "ring-of-a-drive", try_own_ring, NULL },
	{ "ring-made-before", try_early_ring, make_early_ring },
	{ "ring-made-after", try_new_ring, NULL },
	{ "mount", try_mount, NULL },
	{ "open-tree", try_open_tree, NULL },
	{ "new-proc", try_new_proc, NULL },
	{ 0 },
};

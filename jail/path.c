/* SPDX-License-Identifier: Apache-2.0 */
/* Files below a folder that is not trusted: see path.h. */
#include "jail/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool path_is_name(const char *text)
{
	return *text && !strchr(text, '/') && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

int path_open(int dir, const char *path, int flags, mode_t mode)
{
	const struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	/* EAGAIN: somebody renames folders, and the kernel cannot tell whether the path left ours. */
	for (int tries = 0; tries < 64; tries++) {
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

int path_make_folder(int dir, const char *name, mode_t mode, bool *is_new)
{
	int fd;

	*is_new = mkdirat(dir, name, mode) == 0;
	if (!*is_new && errno != EEXIST)
		return -errno;
	fd = path_open(dir, name, O_RDONLY | O_DIRECTORY, 0);
	/* O_DIRECTORY is looked at first; that it is a link says more. */
	if (fd == -ENOTDIR) {
		struct stat st;

		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
			return -ELOOP;
	}
	return fd;
}

const char *path_reason(int code)
{
	switch (code) {
	case -ELOOP:
		return "this is a symbolic link, or leads over one, and none is followed here";
	case -EXDEV:
		return "this leads to another place";
	case -ENOTDIR:
		return "this is no folder";
	default:
		return strerrordesc_np(-code);
	}
}

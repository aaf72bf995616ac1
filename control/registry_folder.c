/* SPDX-License-Identifier: Apache-2.0 */
/* Finds, makes and checks the folder of the registry: see registry_folder.h. */
#include "control/registry_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"

static const char name[] = "volt-vmm";

/* The folder that the system has made for this user. */
static bool has_user_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static int find(char *path, size_t size, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char user[64];
	int len;

	snprintf(user, sizeof(user), "/run/user/%u", (unsigned)geteuid());
	/* The specification says that other than absolute paths are to be ignored. */
	if (runtime && runtime[0] == '/')
		len = snprintf(path, size, "%s/%s", runtime, name);
	else if (has_user_folder(user))
		len = snprintf(path, size, "%s/%s", user, name);
	else
		len = snprintf(path, size, "/tmp/%s-%u", name, (unsigned)geteuid());
	if ((size_t)len >= size)
		return err_set(e, -ENAMETOOLONG, "XDG_RUNTIME_DIR %s is too long",
			       quote(runtime).text);
	return 0;
}

int registry_folder_open(char *path, size_t size, struct err *e)
{
	struct stat st;
	int r = find(path, size, e);

	if (r < 0)
		return r;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, -errno, "cannot make the folder %s", quote(path).text);
	auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open the folder %s", quote(path).text);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot examine the folder %s", quote(path).text);
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return err_set(e, -EPERM,
			       "the folder %s is not this user's alone (owner %u, mode %04o); "
			       "remove it",
			       quote(path).text, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
	return take_fd(&fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a cgroup: see cgroup_file.h. */
#include "jail/cgroup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "jail/path.h"

int cgroup_file_read(int folder, const char *file, char *text, size_t size)
{
	auto_fd int fd = path_open(folder, file, O_RDONLY, 0);
	ssize_t len;

	if (fd < 0)
		return fd;
	len = file_pread_full(fd, text, size - 1, 0);
	if (len < 0)
		return (int)len;
	text[len] = '\0';
	return (int)len;
}

int cgroup_file_write(int folder, const char *file, const char *value, struct err *e)
{
	char text[4096];
	int len = snprintf(text, sizeof(text), "%s\n", value);
	auto_fd int fd = -1;

	if (len < 0 || (size_t)len >= sizeof(text))
		return err_set(e, -E2BIG, "the value for the cgroup's file %s is too long",
			       quote(file).text);
	fd = path_open(folder, file, O_WRONLY, 0);
	if (fd == -ENOENT)
		return err_set(e, -ENOENT, "a cgroup has no file %s here", quote(file).text);
	if (fd < 0)
		return err_set(e, fd, "cannot open the cgroup's file %s: %s", quote(file).text,
			       path_reason(fd));
	if (write(fd, text, (size_t)len) < 0)
		return err_errno(e, -errno, "cannot write %s to the cgroup's file %s",
				 quote(value).text, quote(file).text);
	return 0;
}

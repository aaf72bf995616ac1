/* SPDX-License-Identifier: Apache-2.0 */
/* Reads small text files in one piece. */
#include "init/file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int file_read(const char *path, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n == 0) {
			buf[len] = '\0';
			return (int)len;
		}
		if (n < 0) {
			buf[0] = '\0';
			return -errno;
		}
		len += (size_t)n;
	}
	buf[0] = '\0';
	return -E2BIG;
}

int file_read_line(const char *path, char *buf, size_t size)
{
	int len = file_read(path, buf, size);

	while (len > 0 && strchr(" \t\r\n", buf[len - 1]))
		buf[--len] = '\0';
	return len;
}

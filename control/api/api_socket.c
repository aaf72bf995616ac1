/* SPDX-License-Identifier: Apache-2.0 */
/* The socket that clients connect to: see api_socket.h. */
#include "control/api/api_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/quote.h"

enum {
	BACKLOG = 128,
	HIDDEN_NAME_LEN = 12, /* shorter where the path is nearly too long */
	HIDDEN_NAME_TRIES = 64,
	INHERITED_FD_MIN = 3,
};

static int in_use(const char *path, struct err *e)
{
	return err_set(e, -EADDRINUSE,
		       "Failed to open the API socket at: %s. Check that it is not already used.",
		       path);
}

/* ".xxxxxxxxxxx" beside @path, which fits, so a name of its length or shorter fits too. */
static int hidden_name(const char *path, char hidden[static API_SOCKET_PATH_BYTES])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	const char *slash = strrchr(path, '/');
	const size_t folder_len = slash ? (size_t)(slash - path) + 1 : 0;
	size_t len = API_SOCKET_PATH_BYTES - 1 - folder_len;
	unsigned char random[HIDDEN_NAME_LEN];

	if (len > HIDDEN_NAME_LEN)
		len = HIDDEN_NAME_LEN;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	memcpy(hidden, path, folder_len);
	for (size_t i = 0; i < len; i++)
		hidden[folder_len + i] = letters[random[i] % (sizeof(letters) - 1)];
	if (len > 1)
		hidden[folder_len] = '.';
	hidden[folder_len + len] = '\0';
	return 0;
}

/* Binds to a name that nobody knows. Sets s->hidden_path when that is done. */
static int bind_hidden(struct api_socket *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r = -EADDRINUSE;

	/* Linux gives the path the mode of the socket: there is no moment of another mode. */
	if (fchmod(s->fd, 0600) < 0)
		return -errno;
	for (int i = 0; i < HIDDEN_NAME_TRIES && r == -EADDRINUSE; i++) {
		r = hidden_name(s->path, address.sun_path);
		if (r < 0)
			return r;
		r = bind(s->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno
											: 0;
	}
	if (r == 0)
		memcpy(s->hidden_path, address.sun_path, sizeof(s->hidden_path));
	return r;
}

static int open_path(struct api_socket *s, const char *path, struct err *e)
{
	struct stat st;
	int r;

	if (!*path || strlen(path) >= sizeof(s->path))
		return err_set(e, -ENAMETOOLONG,
			       "the API socket's path %s has %zu bytes; 1 to %zu are possible",
			       quote(path).text, strlen(path), sizeof(s->path) - 1);
	if (lstat(path, &st) == 0)
		return in_use(path, e);
	memcpy(s->path, path, strlen(path) + 1);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return err_errno(e, -errno, "cannot make the API socket");
	r = bind_hidden(s);
	if (r < 0)
		return err_errno(e, r, "cannot make the API socket %s", quote(path).text);
	if (listen(s->fd, BACKLOG) < 0)
		return err_errno(e, -errno, "cannot listen at the API socket %s", quote(path).text);
	return 0;
}

static int socket_option(int fd, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return getsockopt(fd, SOL_SOCKET, name, value, &len) < 0 ? -errno : 0;
}

static int open_inherited(struct api_socket *s, const char *number, struct err *e)
{
	int domain = 0, type = 0, is_listening = 0, r;
	uint64_t fd;

	if (parse_u64(number, &fd) < 0 || fd < INHERITED_FD_MIN || fd > INT_MAX)
		return err_set(e, -EINVAL,
			       "the API socket %s is no descriptor; try a number from %d up",
			       quote(number).text, INHERITED_FD_MIN);
	r = socket_option((int)fd, SO_DOMAIN, &domain);
	if (r == 0)
		r = socket_option((int)fd, SO_TYPE, &type);
	if (r == 0)
		r = socket_option((int)fd, SO_ACCEPTCONN, &is_listening);
	if (r < 0)
		return err_errno(e, r, "cannot use descriptor %d as the API socket", (int)fd);
	if (domain != AF_UNIX || type != SOCK_STREAM || !is_listening)
		return err_set(e, -EINVAL,
			       "descriptor %d is no listening Unix stream socket, which the API"
			       " needs",
			       (int)fd);
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl((int)fd, F_SETFL, O_NONBLOCK) < 0)
		return err_errno(e, -errno, "cannot use descriptor %d as the API socket", (int)fd);
	s->fd = (int)fd;
	return 0;
}

int api_socket_open(struct api_socket *s, const char *where, struct err *e)
{
	int r;

	*s = (struct api_socket){ .fd = -1 };
	if (strncmp(where, "fd:", 3) == 0)
		return open_inherited(s, where + 3, e);
	r = open_path(s, where, e);
	if (r < 0)
		api_socket_close(s, false);
	return r;
}

/*
 * link(2) makes the name and refuses one that exists, in one step; watchers of the folder see it
 * created. Where a file system has no links, a rename that does not replace will do.
 */
int api_socket_publish(struct api_socket *s, struct err *e)
{
	struct stat st;
	int r = 0;

	if (!s->hidden_path[0])
		return 0;
	if (lstat(s->hidden_path, &st) < 0)
		return err_errno(e, -errno, "cannot make the API socket %s", quote(s->path).text);
	if (link(s->hidden_path, s->path) < 0)
		r = -errno;
	if (r == -EPERM || r == -EOPNOTSUPP || r == -ENOSYS)
		r = renameat2(AT_FDCWD, s->hidden_path, AT_FDCWD, s->path, RENAME_NOREPLACE) < 0
			    ? -errno
			    : 0;
	if (r == -EEXIST)
		return in_use(s->path, e);
	if (r < 0)
		return err_errno(e, r, "cannot make the API socket %s", quote(s->path).text);
	unlink(s->hidden_path);
	s->hidden_path[0] = '\0';
	s->is_published = true;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

void api_socket_close(struct api_socket *s, bool is_unlinked)
{
	struct stat st;

	if (s->fd < 0)
		return;
	if (s->hidden_path[0])
		unlink(s->hidden_path);
	if (is_unlinked && s->is_published && lstat(s->path, &st) == 0 && st.st_dev == s->dev &&
	    st.st_ino == s->ino)
		unlink(s->path);
	cleanup_fd(&s->fd);
	*s = (struct api_socket){ .fd = -1 };
}

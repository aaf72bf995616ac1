/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket that clients connect to. They take the appearance of its path as "ready", so the path
 * appears last: bound under a temporary name in the same folder, listening, then linked. Never
 * replaces what is there; the temporary name is gone whatever happens, short of being killed.
 *
 *	api_socket_open(&s, "/run/vm.sock", &e)		nobody can connect yet
 *	http_server_new(&server, base, s.fd, ...)
 *	api_socket_publish(&s, &e)			now they can
 *
 * "fd:N" names a listening socket that we inherited (systemd.socket(5) and the like).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

enum { API_SOCKET_PATH_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path) };

struct api_socket {
	int fd; /* owned: listening, non-blocking, close-on-exec; -1 when closed */
	char path[API_SOCKET_PATH_BYTES]; /* "" for an inherited one */
	char hidden_path[API_SOCKET_PATH_BYTES]; /* the temporary name, "" when it is gone */
	bool is_published;
	dev_t dev; /* of the published path, to know it again */
	ino_t ino;
};

/*
 * Listens at @where: a path, or "fd:N" with N >= 3. The path's owner alone may connect (mode
 * 0600). 0 or -errno with @e; -EADDRINUSE when the path exists.
 */
int api_socket_open(struct api_socket *s, const char *where, struct err *e);

/* Lets the path appear; does nothing for an inherited socket. 0 or -errno with @e, as above. */
int api_socket_publish(struct api_socket *s, struct err *e);

/*
 * Closes it; with @is_unlinked also removes the path, if it still is ours. Firecracker leaves it.
 * Accepts a closed object.
 */
void api_socket_close(struct api_socket *s, bool is_unlinked);

/* SPDX-License-Identifier: Apache-2.0 */
/* Peer credentials: see peer.h. */
#include "control/api/peer.h"

#include <sys/socket.h>

struct peer peer_of(int fd)
{
	struct ucred cred = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return (struct peer){ .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	return (struct peer){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
}

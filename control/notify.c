/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams to the service manager: see notify.h. */
#include "control/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/quote.h"

static int send_text(const char *where, const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t len = strlen(where);
	socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);

	if (where[0] != '/' && where[0] != '@')
		return -EAFNOSUPPORT;
	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, where, len);
	/* An abstract name is what is behind its NUL, to the end of the address: unix(7). */
	if (where[0] == '@')
		address.sun_path[0] = '\0';
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, address_len) <
	    0)
		return -errno;
	return 0;
}

static void notify(const char *text)
{
	const char *where = getenv("NOTIFY_SOCKET");
	int r;

	if (!where || !*where)
		return;
	r = send_text(where, text);
	if (r < 0)
		log_warn("cannot notify the service manager at %s: %s", quote(where).text,
			 strerror(-r));
}

void notify_ready(void)
{
	char text[64];

	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d\n", (int)getpid());
	notify(text);
}

void notify_stopping(void)
{
	notify("STOPPING=1\n");
}

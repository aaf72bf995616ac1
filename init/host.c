/* SPDX-License-Identifier: Apache-2.0 */
/* Names the machine and brings its loopback interface up. */
#include "init/host.h"

#include "base/cleanup.h"
#include "init/file.h"
#include "init/say.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_NAME_SIZE 65 /* the kernel's limit of 64, and a NUL */

void host_set_name(const char *name)
{
	char from_file[HOST_NAME_SIZE];

	if (!name || !*name) {
		int len = file_read_line("/etc/hostname", from_file, sizeof(from_file));

		name = len > 0 ? from_file : "volt";
	}
	if (sethostname(name, strlen(name)) < 0)
		say("cannot set the host name '%s': %s", name, strerror(errno));
}

void host_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		say_debug("no network: %s", strerror(errno));
		return;
	}
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		say_debug("lo stays down: %s", strerror(errno));
}

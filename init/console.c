/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the console and its tty, and waits for it to drain. */
#include "init/console.h"

#include "base/cleanup.h"
#include "init/file.h"
#include "init/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool console_is_open(void)
{
	return fcntl(STDIN_FILENO, F_GETFD) >= 0 && fcntl(STDOUT_FILENO, F_GETFD) >= 0 &&
	       fcntl(STDERR_FILENO, F_GETFD) >= 0;
}

void console_open(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	/* A directory is always there; writing to it fails, which is all that is asked of it. */
	if (fd < 0)
		fd = open("/", O_RDONLY | O_DIRECTORY);
	for (int std = STDIN_FILENO; fd >= 0 && std <= STDERR_FILENO; std++) {
		if (fd != std)
			dup2(fd, std);
	}
	if (fd > STDERR_FILENO)
		close(fd);
}

int console_take(void)
{
	char active[256], path[272];
	const char *name;
	int r;

	r = file_read_line("/sys/class/tty/console/active", active, sizeof(active));
	if (r < 0)
		return r;
	/* Of several consoles the last one is /dev/console. */
	name = strrchr(active, ' ');
	snprintf(path, sizeof(path), "/dev/%s", name ? name + 1 : active);
	auto_fd int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	setsid(); /* fails only if this process leads its session already */
	if (ioctl(fd, TIOCSCTTY, 1) < 0)
		return -errno;
	return take_fd(&fd);
}

void console_drain(int limit_ms)
{
	int left = 0;

	/* Not tcdrain: it would wait for ever on a console that was stopped with ^S. */
	for (int ms = 0; ms < limit_ms; ms++) {
		if (ioctl(STDOUT_FILENO, TIOCOUTQ, &left) < 0 || left <= 0)
			return;
		wait_ms(1);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Raw mode and its keeper: see terminal.h. */
#include "control/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOODBYE 'q'

/* The keeper's whole life. Async-signal-safe calls only: it is forked from a running program. */
static _Noreturn void keep(int terminal_fd, int pipe_fd, const struct termios *before)
{
	sigset_t all;
	ssize_t n;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "volt-tty-keeper", 0, 0, 0);
	/* A session of its own: no job control, and no kill of the process group, reaches it. */
	setsid();
	dup2(terminal_fd, 0);
	dup2(pipe_fd, 1);
	close_range(2, ~0u, 0);
	do {
		n = read(1, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n != 1)
		tcsetattr(0, TCSANOW, before);
	_exit(0);
}

static int start_keeper(struct terminal *terminal, struct err *e)
{
	int pipes[2];
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make the pipe to the terminal keeper");
	pid = fork();
	if (pid == 0) {
		/* Clear of descriptors 0 and 1, which the keeper overwrites. */
		int terminal_fd = fcntl(terminal->fd, F_DUPFD_CLOEXEC, 3);
		int pipe_fd = fcntl(pipes[0], F_DUPFD_CLOEXEC, 3);

		keep(terminal_fd, pipe_fd, &terminal->before);
	}
	close(pipes[0]);
	if (pid < 0) {
		int r = -errno;

		close(pipes[1]);
		return err_errno(e, r, "cannot start the terminal keeper");
	}
	terminal->keeper = pid;
	terminal->keeper_pipe = pipes[1];
	return 0;
}

static void make_raw(struct terminal *terminal)
{
	struct termios raw = terminal->before;

	cfmakeraw(&raw);
	terminal->is_raw = tcsetattr(terminal->fd, TCSANOW, &raw) == 0;
}

int terminal_open(struct terminal *terminal, int fd, struct err *e)
{
	int r;

	*terminal = (struct terminal){ .fd = -1, .keeper_pipe = -1 };
	if (!isatty(fd))
		return 0;
	terminal->fd = fd;
	if (tcgetattr(fd, &terminal->before) < 0) {
		terminal->fd = -1;
		return err_errno(e, -errno, "cannot read the terminal's settings");
	}
	r = start_keeper(terminal, e);
	if (r < 0) {
		terminal->fd = -1;
		return r;
	}
	make_raw(terminal);
	return 0;
}

void terminal_suspend(struct terminal *terminal)
{
	if (terminal->is_raw)
		tcsetattr(terminal->fd, TCSANOW, &terminal->before);
}

void terminal_resume(struct terminal *terminal)
{
	if (terminal->is_raw)
		make_raw(terminal);
}

void terminal_close(struct terminal *terminal)
{
	const char goodbye = GOODBYE;
	ssize_t n;

	if (terminal->is_raw)
		tcsetattr(terminal->fd, TCSANOW, &terminal->before);
	if (terminal->keeper > 0) {
		n = write(terminal->keeper_pipe, &goodbye, 1);
		(void)n; /* it can only be gone already */
		close(terminal->keeper_pipe);
		while (waitpid(terminal->keeper, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*terminal = (struct terminal){ .fd = -1, .keeper_pipe = -1 };
}

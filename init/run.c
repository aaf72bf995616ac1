/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the main program, reaps all children and takes the signals sent to PID 1. */
#include "init/run.h"

#include "base/bytes.h"
#include "init/say.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void own_signals(sigset_t *set)
{
	static const int signals[] = { SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2, SIGPWR, SIGINT };

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(set, signals[i]);
}

void run_prepare(void)
{
	sigset_t set;

	own_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The kernel sets HOME=/ and TERM=linux; its command line may set more, which is kept. */
static void set_environment(void)
{
	const char *home = getenv("HOME");
	struct stat st;

	setenv("PATH", DEFAULT_PATH, 0);
	setenv("TERM", "linux", 0);
	if (!home || strcmp(home, "/") == 0)
		setenv("HOME", stat("/root", &st) == 0 && S_ISDIR(st.st_mode) ? "/root" : "/", 1);
}

static _Noreturn void become(char *const argv[], int tty_fd)
{
	sigset_t set;
	int reason;

	setpgid(0, 0);
	if (tty_fd >= 0) {
		/* A background process may do this only while SIGTTOU is blocked. */
		sigemptyset(&set);
		sigaddset(&set, SIGTTOU);
		sigprocmask(SIG_BLOCK, &set, NULL);
		tcsetpgrp(tty_fd, getpid());
		for (int std = STDIN_FILENO; std <= STDERR_FILENO; std++)
			dup2(tty_fd, std);
	}
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	set_environment();
	execvp(argv[0], argv);
	reason = errno;
	say("cannot start %s: %s", argv[0], strerror(reason));
	_exit(reason == ENOENT ? 127 : 126);
}

pid_t run_start(char *const argv[], int tty_fd)
{
	pid_t pid = fork();

	if (pid == 0)
		become(argv, tty_fd);
	if (pid < 0)
		return -errno;
	setpgid(pid, pid); /* both sides, so that it is done whoever comes first */
	return pid;
}

/* Reaps every child that has ended. Returns true if the main program is among them. */
static bool reap(pid_t main_pid, int *status)
{
	bool is_over = false;
	int how;
	pid_t pid;

	while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
		if (pid != main_pid)
			continue;
		*status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
		is_over = true;
	}
	return is_over;
}

enum run_end run_wait(pid_t main_pid, int *status)
{
	sigset_t set;

	own_signals(&set);
	for (;;) {
		/* A signal that came before stays pending, so none is missed. */
		switch (sigwaitinfo(&set, NULL)) {
		case SIGCHLD:
			if (reap(main_pid, status))
				return RUN_EXITED;
			break;
		case SIGTERM:
		case SIGUSR1:
		case SIGUSR2:
		case SIGPWR:
			return RUN_POWER_OFF;
		case SIGINT:
			return RUN_REBOOT;
		default: /* interrupted */
			break;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ends all processes, then all mounts, each within a limit. */
#include "init/shutdown.h"

#include "init/file.h"
#include "init/mounts.h"
#include "init/say.h"
#include "init/wait.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TERM_LIMIT_MS 2000
#define KILL_LIMIT_MS 1000
#define STORAGE_LIMIT_MS 30000 /* without any progress */
#define DISKSTATS_SIZE 65536

/*
 * Reaps until the child pid has ended, or with -1 until there is no child left: every process
 * descends from PID 1, so then there is no process left either. False if that takes too long.
 */
static bool reap_within(pid_t pid, int limit_ms)
{
	int64_t end_ms = now_ms() + limit_ms;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		pid_t ended = waitpid(pid, NULL, WNOHANG);
		int64_t left_ms = end_ms - now_ms();
		struct timespec left = { .tv_sec = left_ms / 1000,
					 .tv_nsec = (long)(left_ms % 1000) * 1000000 };

		if (ended < 0 || (ended > 0 && pid > 0))
			return true;
		if (left_ms <= 0)
			return false;
		if (ended == 0)
			sigtimedwait(&set, NULL, &left);
	}
}

void shutdown_processes(pid_t shell)
{
	/* Nobody there is the usual case: the main program has ended and had no others. */
	if (kill(-1, SIGTERM) < 0 && errno == ESRCH)
		return;
	kill(-1, SIGCONT); /* stopped processes hear nothing before */
	/* An interactive shell ignores SIGTERM. Others would die of SIGHUP with work to do. */
	if (shell > 0)
		kill(shell, SIGHUP);
	if (reap_within(-1, TERM_LIMIT_MS))
		return;
	kill(-1, SIGKILL);
	if (!reap_within(-1, KILL_LIMIT_MS))
		say("some processes did not end");
}

static void end_storage(void)
{
	sync();
	mounts_end();
}

/* How many writes all disks have completed so far (Documentation/admin-guide/iostats.rst). */
static uint64_t writes_completed(void)
{
	static char text[DISKSTATS_SIZE];
	char *next = text;
	const char *line;
	uint64_t sum = 0;

	if (file_read("/proc/diskstats", text, sizeof(text)) < 0)
		return 0;
	while ((line = strsep(&next, "\n"))) {
		uint64_t writes;

		/* major minor name, then 4 numbers about reads */
		if (sscanf(line, "%*u %*u %*s %*u %*u %*u %*u %" SCNu64, &writes) == 1)
			sum += writes;
	}
	return sum;
}

void shutdown_storage(void)
{
	uint64_t before, written = writes_completed();
	/* In a child, because a disk that does not answer would hold PID 1 for ever. */
	pid_t pid = fork();

	if (pid <= 0)
		end_storage();
	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return;
	/* A slow disk gets its time as long as it moves on. */
	do {
		before = written;
		if (reap_within(pid, STORAGE_LIMIT_MS))
			return;
		written = writes_completed();
	} while (written != before);
	say("the disks did not answer; the last writes may be lost");
}

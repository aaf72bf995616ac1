/* SPDX-License-Identifier: Apache-2.0 */
/* Work done in a child: see child.h. */
#include "test/crash/child.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

enum {
	FTW_FDS = 16,
	TAIL_BYTES = 1500,
};

int crash_child_start(struct crash_child *c, int (*work)(void *opaque), void *opaque,
		      unsigned timeout_s)
{
	int status;

	fflush(NULL);
	c->timeout_s = timeout_s;
	c->out = memfd_create("crash-child", MFD_CLOEXEC);
	if (c->out < 0)
		return -errno;
	c->pid = fork();
	if (c->pid < 0) {
		c->pid = 0;
		close(c->out);
		return -errno;
	}
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_DUMPABLE, 0); /* no core files */
		signal(SIGALRM, SIG_DFL);
		alarm(timeout_s);
		dup2(c->out, STDOUT_FILENO);
		dup2(c->out, STDERR_FILENO);
		status = work(opaque);
		fflush(NULL);
		_exit(status);
	}
	return 0;
}

int crash_child_ended(struct crash_child *c, int status, char reason[static CHILD_REASON_BYTES])
{
	char tail[TAIL_BYTES + 1];
	off_t len = lseek(c->out, 0, SEEK_END);
	off_t from = len > TAIL_BYTES ? len - TAIL_BYTES : 0;
	ssize_t n = file_pread_full(c->out, tail, TAIL_BYTES, from);

	close(c->out);
	c->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	while (n > 0 && tail[n - 1] == '\n')
		n--;
	tail[n > 0 ? n : 0] = '\0';
	if (WIFEXITED(status))
		snprintf(reason, CHILD_REASON_BYTES, "%s", tail);
	else if (WTERMSIG(status) == SIGALRM)
		snprintf(reason, CHILD_REASON_BYTES, "no end after %u s; %s", c->timeout_s, tail);
	else
		snprintf(reason, CHILD_REASON_BYTES, "died of signal %d (%s); %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)), tail);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int crash_child_wait(struct crash_child *c, char reason[static CHILD_REASON_BYTES])
{
	int status;

	while (waitpid(c->pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return crash_child_ended(c, status, reason);
}

int crash_child_run(int (*work)(void *opaque), void *opaque, unsigned timeout_s,
		    char reason[static CHILD_REASON_BYTES])
{
	struct crash_child c;
	int r = crash_child_start(&c, work, opaque, timeout_s);

	if (r < 0) {
		snprintf(reason, CHILD_REASON_BYTES, "cannot start a child: %s", strerror(-r));
		return -1;
	}
	return crash_child_wait(&c, reason);
}

void crash_give_up(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("crash: cannot go on: ", stdout);
	vprintf(fmt, args);
	putchar('\n');
	va_end(args);
	exit(1);
}

void crash_folder_new(char path[static PATH_MAX])
{
	const char *below = getenv("TMPDIR");

	snprintf(path, PATH_MAX, "%s/volt-crash-XXXXXX", below ? below : "/dev/shm");
	if (!mkdtemp(path))
		crash_give_up("cannot make a folder '%s': %s", path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
	(void)st;
	(void)place;
	if (kind == FTW_DP)
		rmdir(path);
	else
		unlink(path);
	return 0;
}

void crash_folder_remove(const char *path)
{
	nftw(path, remove_one, FTW_FDS, FTW_DEPTH | FTW_PHYS);
}

int crash_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int nr = 0;

	if (!dir)
		return -errno;
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

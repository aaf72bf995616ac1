/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program and tells what it cost, for bench/stellar.py. A small process of its own, because
 * the peak of memory that the kernel reports for a child counts what its parent had at the fork.
 *
 *   --sync DIR   makes DIR's file system durable afterwards, as part of the time
 *   --no-sync    the program's own calls that wait for the disk succeed at once and do nothing
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(125);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* An answer of "error 0" is success without the call. */
static void forbid_waiting(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_msync, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_syncfs, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
	};
	struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		die("seccomp");
}

static void make_durable(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		die(folder);
	close(fd);
}

int main(int argc, char **argv)
{
	const char *folder = NULL;
	int has_no_sync = 0, next = 1, status;
	struct rusage usage;
	double begin, end;
	pid_t child;

	for (; next < argc && !strncmp(argv[next], "--", 2); next++) {
		if (!strcmp(argv[next], "--no-sync"))
			has_no_sync = 1;
		else if (!strcmp(argv[next], "--sync") && next + 1 < argc)
			folder = argv[++next];
		else
			break;
	}
	if (next + 1 >= argc) {
		fprintf(stderr, "usage: stellar-run [--sync DIR] [--no-sync] RESULT COMMAND...\n");
		return 125;
	}
	begin = now_s();
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		if (has_no_sync)
			forbid_waiting();
		execvp(argv[next + 1], argv + next + 1);
		die(argv[next + 1]);
	}
	if (wait4(child, &status, 0, &usage) < 0)
		die("wait4");
	if (folder)
		make_durable(folder);
	end = now_s();

	FILE *result = fopen(argv[next], "we");

	if (!result)
		die(argv[next]);
	fprintf(result, "{\"seconds\": %.6f, \"cpu\": %.6f, \"peak_kib\": %ld}\n", end - begin,
		seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
	if (fclose(result) != 0)
		die(argv[next]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

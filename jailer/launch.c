/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps: see launch.h. */
#include "jailer/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"

enum { NO_FILE_DEFAULT = 2048 };

uint64_t launch_clock_us(int clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- the program ----------------------------------------------------------------------------- */

static int set_limit(int resource, const char *name, uint64_t value, struct err *e)
{
	const struct rlimit limit = { value, value };

	if (setrlimit(resource, &limit) < 0)
		return err_errno(e, -errno, "cannot set --resource-limit %s=%llu", name,
				 (unsigned long long)value);
	return 0;
}

static int set_limits(const struct jailer_options *o, struct err *e)
{
	uint64_t no_file = o->no_file;
	struct rlimit now;
	int r = 0;

	/* Our own number gives way to a lower limit that we may not raise. */
	if (!o->has_no_file)
		no_file = getrlimit(RLIMIT_NOFILE, &now) == 0
				  ? min_u64(NO_FILE_DEFAULT, now.rlim_max)
				  : NO_FILE_DEFAULT;
	if (o->has_fsize)
		r = set_limit(RLIMIT_FSIZE, "fsize", o->fsize, e);
	return r == 0 ? set_limit(RLIMIT_NOFILE, "no-file", no_file, e) : r;
}

/*
 * The saved user and group stay ours, so that a failure to execute can be cleaned up after; execution
 * itself makes them the new ones (execve(2)).
 */
static int become_user(const struct launch *l, struct err *e)
{
	const struct jailer_options *o = l->options;

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if ((!l->is_rootless && setgroups(0, NULL) < 0) ||
	    setresgid(o->gid, o->gid, (gid_t)-1) < 0 || setresuid(o->uid, o->uid, (uid_t)-1) < 0)
		return err_errno(e, -errno, "cannot become user %u, group %u", (unsigned int)o->uid,
				 (unsigned int)o->gid);
	return 0;
}

/* A signal that would have ended us came while we could not be ended. */
static bool was_interrupted(const struct launch *l)
{
	static const int kinds[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	sigset_t pending;

	sigpending(&pending);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (sigismember(&pending, kinds[i]) && !sigismember(&l->signals, kinds[i]))
			return true;
	}
	return false;
}

static int execute(const struct launch *l, struct err *e)
{
	enum { OWN_WORDS = 9, WORDS_MAX = 4096 };
	static char *argv[WORDS_MAX];
	const struct jailer_options *o = l->options;
	char path[JAILER_NAME_MAX + 2], id[80], start[32], start_cpu[32], parent_cpu[32];
	char *const envp[] = { NULL };
	size_t nr = 0;

	if (o->nr_arguments > WORDS_MAX - OWN_WORDS - 1)
		return err_set(e, -E2BIG, "too many arguments behind --");
	snprintf(path, sizeof(path), "/%s", o->program_name);
	snprintf(id, sizeof(id), "%s", o->id);
	snprintf(start, sizeof(start), "%llu", (unsigned long long)l->start_us);
	snprintf(start_cpu, sizeof(start_cpu), "%llu",
		 (unsigned long long)launch_clock_us(CLOCK_PROCESS_CPUTIME_ID));
	snprintf(parent_cpu, sizeof(parent_cpu), "%llu", (unsigned long long)l->parent_cpu_us);
	char *const own[OWN_WORDS] = { path,	  (char[]){ "--id" },
				       id,	  (char[]){ "--start-time-us" },
				       start,	  (char[]){ "--start-time-cpu-us" },
				       start_cpu, (char[]){ "--parent-cpu-time-us" },
				       parent_cpu };
	for (size_t i = 0; i < OWN_WORDS; i++)
		argv[nr++] = own[i];
	for (size_t i = 0; i < o->nr_arguments; i++)
		argv[nr++] = o->arguments[i];
	if (was_interrupted(l))
		return err_set(e, -EINTR, "interrupted");
	sigprocmask(SIG_SETMASK, &l->signals, NULL);
	execve(path, argv, envp);
	return err_errno(e, -errno, "cannot execute the jail's %s", quote(path).text);
}

/* Returns only on failure, and as who it was called. */
static int become_program(const struct launch *l, struct err *e)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	int r = set_limits(l->options, e);

	if (r == 0)
		r = become_user(l, e);
	if (r == 0)
		r = execute(l, e);
	if (setresuid((uid_t)-1, uid, (uid_t)-1) < 0 || setresgid((gid_t)-1, gid, (gid_t)-1) < 0)
		return err_errno(e, -errno, "cannot take back what was made");
	return r;
}

/* --- the pid file ---------------------------------------------------------------------------- */

static int write_pid(const struct launch *l, pid_t pid, struct err *e)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%d", (int)pid);
	auto_fd int fd = openat(l->root, l->pid_name,
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot make the jail's %s", quote(l->pid_name).text);
	r = file_write_full(fd, text, (size_t)len);
	if (r < 0) {
		unlinkat(l->root, l->pid_name, 0);
		return err_errno(e, r, "cannot write the jail's %s", quote(l->pid_name).text);
	}
	return 0;
}

static int start_here(const struct launch *l, struct err *e)
{
	int r = write_pid(l, getpid(), e);

	if (r < 0)
		return r;
	r = become_program(l, e);
	unlinkat(l->root, l->pid_name, 0);
	return r;
}

/* --- other processes ------------------------------------------------------------------------- */

/* A process tells another why it failed; the end that is written to closes when it is executed. */
struct report {
	int read_fd, write_fd;
};

struct failure {
	struct err why;
	pid_t pid; /* of who tells */
};

static int report_open(struct report *report, struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	*report = (struct report){ ends[0], ends[1] };
	return 0;
}

static void report_close(struct report *report)
{
	cleanup_fd(&report->read_fd);
	cleanup_fd(&report->write_fd);
}

_Noreturn static void report_failure(const struct report *report, const struct err *why)
{
	const struct failure failure = { *why, getpid() };

	/* A pipe takes as much at once. */
	if (write(report->write_fd, &failure, sizeof(failure)) < 0)
		_exit(2);
	_exit(1);
}

static void wait_for(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* 0: the program has been executed; else what was reported. @child is our child. */
static int report_wait(struct report *report, pid_t child, struct err *e)
{
	struct failure failure = { 0 };
	ssize_t n;

	cleanup_fd(&report->write_fd);
	do {
		n = read(report->read_fd, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	/* What failed must be gone before its cgroup can be removed. */
	wait_for(child);
	if (n != (ssize_t)sizeof(failure) || failure.why.code >= 0)
		return err_set(e, -EIO, "the program's process failed, and did not say why");
	wait_for(failure.pid);
	return err_set(e, failure.why.code, "%.*s", (int)sizeof(failure.why.msg) - 1,
		       failure.why.msg);
}

static int start_in_namespace(const struct launch *l, struct err *e)
{
	const bool is_leader = getsid(0) == getpid();
	struct report report;
	int go[2];
	pid_t pid;
	int r = report_open(&report, e);

	if (r < 0)
		return r;
	if (pipe2(go, O_CLOEXEC) < 0) {
		report_close(&report);
		return err_errno(e, -errno, "cannot make a pipe");
	}
	auto_fd int go_read = go[0];
	auto_fd int go_write = go[1];
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0UL);
	if (pid == 0) {
		char byte;

		cleanup_fd(&report.read_fd);
		cleanup_fd(&go_write);
		/* The leader of a session takes it along when it ends (setsid(2)). */
		if (is_leader)
			setsid();
		/* Who finds the program running finds the pid file too. */
		if (read(go_read, &byte, 1) != 1)
			_exit(1);
		become_program(l, e);
		report_failure(&report, e);
	}
	r = pid < 0 ? err_errno(e, -errno, "cannot make a PID namespace") : write_pid(l, pid, e);
	cleanup_fd(&go_read);
	if (r == 0) {
		if (write(go_write, "", 1) < 0)
			r = err_errno(e, -errno, "cannot start the program's process");
		else
			r = report_wait(&report, pid, e);
		if (r < 0)
			unlinkat(l->root, l->pid_name, 0);
	}
	report_close(&report);
	if (r == 0)
		_exit(0);
	return r;
}

static int start(const struct launch *l, struct err *e)
{
	return l->options->has_pid_namespace ? start_in_namespace(l, e) : start_here(l, e);
}

/* In the process that is to be the daemon, neither leader of a session nor child of its user. */
_Noreturn static void run_daemon(const struct launch *l, const struct report *report)
{
	struct err e = { 0 };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (dup2(l->null, fd) < 0) {
			err_errno(&e, -errno, "cannot let go of the standard streams");
			report_failure(report, &e);
		}
	}
	start(l, &e);
	report_failure(report, &e);
}

static int start_daemon(const struct launch *l, struct err *e)
{
	struct report report;
	pid_t pid;
	int r = report_open(&report, e);

	if (r < 0)
		return r;
	/* To wait for a grandchild that fails. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid = fork();
	if (pid == 0) {
		cleanup_fd(&report.read_fd);
		setsid();
		pid = fork();
		if (pid == 0)
			run_daemon(l, &report);
		if (pid < 0) {
			err_errno(e, -errno, "cannot make the daemon's process");
			report_failure(&report, e);
		}
		_exit(0);
	}
	r = pid < 0 ? err_errno(e, -errno, "cannot make a process") : report_wait(&report, pid, e);
	report_close(&report);
	if (r == 0)
		_exit(0);
	return r;
}

int launch(struct launch *l, struct err *e)
{
	l->parent_cpu_us = launch_clock_us(CLOCK_PROCESS_CPUTIME_ID) - l->start_cpu_us;
	snprintf(l->pid_name, sizeof(l->pid_name), "%s.pid", l->options->program_name);
	return l->options->is_daemon ? start_daemon(l, e) : start(l, e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to other processes of the host: control, and one more of the same user. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/traitor/traitor.h"

enum { BOMB = 64, PATH_BYTES = 64 };

static int namespace_fd = -1, terminal_fd = -1;

static long try_kill(void)
{
	return outcome(syscall(SYS_kill, loot.victim_pid, 0));
}

static long try_kill_control(void)
{
	return outcome(syscall(SYS_kill, loot.control_pid, 0));
}

static long try_tgkill(void)
{
	return outcome(syscall(SYS_tgkill, loot.control_pid, loot.control_pid, 0));
}

static long try_queue_signal(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return outcome(syscall(SYS_rt_sigqueueinfo, loot.victim_pid, 0, &info));
}

static long try_pidfd(void)
{
	const int fd = (int)syscall(SYS_pidfd_open, loot.victim_pid, 0);

	return fd < 0 ? -errno : outcome(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

/* A descriptor of control's. */
static long try_pidfd_getfd(void)
{
	const int fd = (int)syscall(SYS_pidfd_open, loot.control_pid, 0);

	return fd < 0 ? -errno : outcome(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

/* SIGIO for whom it is not meant. */
static long try_owner(void)
{
	return outcome(syscall(SYS_fcntl, STDERR_FILENO, F_SETOWN, loot.victim_pid));
}

static long try_ptrace(void)
{
	return outcome(syscall(SYS_ptrace, PTRACE_SEIZE, loot.control_pid, 0, 0));
}

/* What was there is written, so control lives on where this goes through. */
static long copy_word(long number, uint64_t value)
{
	struct iovec ours = { &value, sizeof(value) };
	struct iovec theirs = { (void *)loot.control_address, sizeof(value) };
	const long r = syscall(number, loot.control_pid, &ours, 1, &theirs, 1, 0);

	return r < 0 ? -errno : r == sizeof(value) ? r : -EFAULT;
}

static long try_read_memory(void)
{
	return copy_word(SYS_process_vm_readv, 0);
}

static long try_write_memory(void)
{
	return copy_word(SYS_process_vm_writev, 0x1122334455667788);
}

static long try_memory_file(void)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/mem", loot.control_pid);
	return outcome(syscall(SYS_openat, AT_FDCWD, path, O_RDWR));
}

static long try_prlimit(void)
{
	struct rlimit limit;

	return outcome(syscall(SYS_prlimit64, loot.victim_pid, RLIMIT_NOFILE, NULL, &limit));
}

static long try_affinity(void)
{
	unsigned long set[16];

	return outcome(syscall(SYS_sched_getaffinity, loot.victim_pid, sizeof(set), set));
}

/* To what the victim has already, as it was started with us: to ask for more needs privilege. */
static long try_priority(void)
{
	return outcome(syscall(SYS_setpriority, PRIO_PROCESS, loot.victim_pid, loot.nice));
}

static long try_process_madvise(void)
{
	const int fd = (int)syscall(SYS_pidfd_open, loot.control_pid, 0);
	struct iovec theirs = { (void *)(loot.control_address & ~0xffful), 4096 };

	return fd < 0 ? -errno
		      : outcome(syscall(SYS_process_madvise, fd, &theirs, 1, MADV_COLD, 0));
}

static long try_shared_memory(void)
{
	return outcome(syscall(SYS_shmget, loot.segment, 0, 0));
}

/* --- new processes --------------------------------------------------------------------------- */

/* More processes than machine ever needs, all at once. */
static long try_fork_bomb(void)
{
	long pids[BOMB], r = 0;
	int nr = 0;

	while (nr < BOMB) {
		r = outcome(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0));
		if (r == 0) {
			for (;;)
				pause();
		}
		if (r < 0)
			break;
		pids[nr++] = r;
	}
	for (int i = 0; i < nr; i++) {
		syscall(SYS_kill, pids[i], SIGKILL);
		waitpid((pid_t)pids[i], NULL, 0);
	}
	return r < 0 ? r : nr;
}

static long try_execve(void)
{
	static char name[] = "executed";
	char *const argv[] = { name, NULL };

	return outcome(syscall(SYS_execve, loot_path("executed"), argv, argv + 1));
}

static long try_execveat(void)
{
	static char name[] = "executed";
	char *const argv[] = { name, NULL };
	const int fd = (int)syscall(SYS_openat, AT_FDCWD, loot_path("executed"), O_PATH);

	return fd < 0 ? -errno
		      : outcome(syscall(SYS_execveat, fd, "", argv, argv + 1, AT_EMPTY_PATH));
}

/* --- by what was left open ------------------------------------------------------------------- */

static bool open_namespace(void)
{
	namespace_fd = open("/proc/self/ns/net", O_RDONLY);
	return namespace_fd >= 0;
}

static long try_setns(void)
{
	return outcome(syscall(SYS_setns, namespace_fd, CLONE_NEWNET));
}

static bool open_terminal(void)
{
	const int parent = posix_openpt(O_RDWR | O_NOCTTY);

	if (parent < 0 || grantpt(parent) < 0 || unlockpt(parent) < 0)
		return false;
	terminal_fd = open(ptsname(parent), O_RDWR | O_NOCTTY);
	return terminal_fd >= 0;
}

/* As if somebody typed it. */
static long try_type(void)
{
	return outcome(syscall(SYS_ioctl, terminal_fd, TIOCSTI, "x"));
}

const struct escape process_escapes[] = {
	{ "kill", try_kill, NULL },
	{ "kill-control", try_kill_control, NULL },
	{ "tgkill", try_tgkill, NULL },
	{ "rt_sigqueueinfo", try_queue_signal, NULL },
	{ "pidfd-signal", try_pidfd, NULL },
	{ "pidfd-getfd", try_pidfd_getfd, NULL },
	{ "sigio", try_owner, NULL },
	{ "ptrace", try_ptrace, NULL },
	{ "process_vm_readv", try_read_memory, NULL },
	{ "process_vm_writev", try_write_memory, NULL },
	{ "proc-pid-mem", try_memory_file, NULL },
	{ "prlimit", try_prlimit, NULL },
	{ "sched_getaffinity", try_affinity, NULL },
	{ "setpriority", try_priority, NULL },
	{ "process_madvise", try_process_madvise, NULL },
	{ "shared-memory", try_shared_memory, NULL },
	{ "execve", try_execve, NULL },
	{ "execveat", try_execveat, NULL },
	{ "setns", try_setns, open_namespace },
	{ "tiocsti", try_type, open_terminal },
	{ "fork-bomb", try_fork_bomb, NULL },
	{ 0 },
};

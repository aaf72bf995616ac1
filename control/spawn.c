/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the machine process: see spawn.h. */
#include "control/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "control/wire.h"
#include "jail/layer.h"
#include "jail/namespace.h"

/* How long machine may take to end after it has closed its sockets. */
enum { END_TIMEOUT_MS = 5000 };

/* What the new process needs until it is machine. It shares our memory and may only make calls. */
struct birth {
	int exe_fd;
	int wire_fd;
	int stderr_fd;
	int nothing_fd;
	sigset_t mask; /* which it starts with */
	int error; /* -errno when it could not become machine */
};

/*
 * What we hold is close-on-exec, but what our own parent left open need not be: all above
 * WIRE_SOCKET_FD is closed but for the program itself, which is close-on-exec.
 */
static int become_machine(void *opaque)
{
	static char name[] = WIRE_MACHINE_ARGV0;
	char *const argv[] = { name, NULL };
	char *const envp[] = { NULL };
	const struct sigaction default_action = { .sa_handler = SIG_DFL };
	struct birth *b = opaque;

	/* Handlers go with the old program, but what is ignored stays so. */
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &default_action, NULL);
	if (setsid() < 0 || dup2(b->nothing_fd, STDIN_FILENO) < 0 ||
	    dup2(b->stderr_fd, STDOUT_FILENO) < 0 || dup2(b->stderr_fd, STDERR_FILENO) < 0 ||
	    dup2(b->wire_fd, WIRE_SOCKET_FD) < 0 ||
	    syscall(SYS_close_range, WIRE_SOCKET_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ||
	    sigprocmask(SIG_SETMASK, &b->mask, NULL) < 0) {
		b->error = -errno;
		_exit(1);
	}
	execveat(b->exe_fd, "", argv, envp, AT_EMPTY_PATH);
	b->error = -errno;
	_exit(1);
}

/* Our own program; in a jail there may be no /proc, but the path that we were started by. */
static int open_self(struct err *e)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fd = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, -errno, "cannot open /proc/self/exe to start machine") : fd;
}

/* A descriptor that is at its end when it is read. /dev/null is not in a jail. */
static int open_nothing(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	close(ends[1]);
	return ends[0];
}

/* A descriptor that is above those that become_machine() puts in place. */
static int keep_clear(int *fd)
{
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, WIRE_SOCKET_FD + 1);

	close(*fd);
	*fd = moved;
	return moved < 0 ? -errno : 0;
}

static int spawn_self(pid_t *pid, struct birth *birth, bool *has_namespaces)
{
	sigset_t all, ours;
	int r;

	sigfillset(&all);
	sigemptyset(&birth->mask);
	/* A handler of ours must not run in the new process, on the memory that we share. */
	sigprocmask(SIG_SETMASK, &all, &ours);
	r = jail_clone(become_machine, birth, jail_is_built(), has_namespaces);
	sigprocmask(SIG_SETMASK, &ours, NULL);
	if (r < 0)
		return r;
	if (birth->error < 0) {
		while (waitpid(r, NULL, 0) < 0 && errno == EINTR)
			;
		return birth->error;
	}
	*pid = r;
	return 0;
}

int machine_process_spawn(struct machine_process *process, struct err *e)
{
	int sockets[2], pipes[2];
	bool has_namespaces;
	int r = 0;

	*process = (struct machine_process){ .wire_fd = -1, .stderr_fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return err_errno(e, -errno, "cannot make the socket pair to the machine process");
	auto_fd int ours = sockets[0];
	auto_fd int theirs = sockets[1];
	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_errno(e, -errno, "cannot make the pipe from the machine process");
	auto_fd int stderr_read = pipes[0];
	auto_fd int stderr_write = pipes[1];
	auto_fd int nothing_fd = open_nothing();
	if (nothing_fd < 0)
		return err_errno(e, nothing_fd, "cannot make a pipe");
	auto_fd int exe_fd = open_self(e);
	if (exe_fd < 0)
		return exe_fd;
	int *const needed[] = { &theirs, &stderr_write, &nothing_fd, &exe_fd };
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(needed); i++)
		r = keep_clear(needed[i]);
	if (r < 0)
		return err_errno(e, r, "cannot place the socket of the machine process");
	struct birth birth = { .exe_fd = exe_fd,
			       .wire_fd = theirs,
			       .stderr_fd = stderr_write,
			       .nothing_fd = nothing_fd };
	r = spawn_self(&process->pid, &birth, &has_namespaces);
	if (r < 0)
		return err_errno(e, r, "cannot start the machine process");
	process->wire_fd = take_fd(&ours);
	process->stderr_fd = take_fd(&stderr_read);
	return 0;
}

/* true when it has ended, or cannot be watched. */
static bool has_ended_within(pid_t pid, int timeout_ms)
{
	auto_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int r;

	do {
		r = poll(&poll_fd, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return fd >= 0 && r > 0;
}

int machine_process_wait(struct machine_process *process)
{
	int status = 0;

	/* Closed sockets do not make an end: a guest may have taken the process over. */
	if (!has_ended_within(process->pid, END_TIMEOUT_MS)) {
		log_warn("the machine process does not end; killing it");
		kill(process->pid, SIGKILL);
	}

	while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
	return status;
}

static void close_fd(int *fd)
{
	if (*fd > 0)
		close(*fd);
	*fd = -1;
}

void machine_process_kill(struct machine_process *process)
{
	if (process->pid > 0) {
		kill(process->pid, SIGKILL);
		machine_process_wait(process);
	}
	close_fd(&process->wire_fd);
	close_fd(&process->stderr_fd);
}

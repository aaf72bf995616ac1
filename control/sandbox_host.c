/* SPDX-License-Identifier: Apache-2.0 */
/* What this host offers of the sandbox: see sandbox_host.h. */
#include "control/sandbox_host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "jail/capability.h"
#include "jail/landlock.h"
#include "jail/limits.h"
#include "jail/namespace.h"
#include "jail/root.h"
#include "jail/seccomp.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

enum { PROBE_DESCRIPTORS = 64 };

struct probe {
	struct sandbox_host host;
	int result_fd; /* borrowed */
	bool has_namespaces; /* the process has come with its own ids */
};

static bool note(struct sandbox_host *host, enum jail_layer layer, int result)
{
	if (result == 0)
		host->layers |= 1u << layer;
	return result == 0;
}

static int separate(struct err *e)
{
	/* The process that jail_clone() has made is the first of its namespace, and our parent. */
	if (getppid() != 1)
		return err_set(e, -EPERM, "cannot have a process id namespace");
	return jail_unshare(e);
}

static bool has_secret_memory(void)
{
	auto_fd int fd = (int)syscall(SYS_memfd_secret, 0);

	return fd >= 0;
}

static int try_filter(struct sandbox_host *host)
{
	int listener_fd = -1;
	int r;

	/* Dropping capabilities has done it, if it could. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = jail_filter(JAIL_THREAD_LOOP, &listener_fd, &host->why[JAIL_SECCOMP]);
	host->has_reports = listener_fd >= 0;
	cleanup_fd(&listener_fd);
	return r;
}

static void try_network(struct sandbox_host *host)
{
	struct jail_network network;

	jail_network_begin(&network);
	if (jail_network_enter(&network, &host->why[JAIL_NAMESPACES]) < 0)
		host->layers &= ~(1u << JAIL_NAMESPACES);
}

/* As confine_process() and confine_rest() of machine, in their order. */
static void try_layers(struct probe *p)
{
	const struct jail_landlock_plan nothing = { .is_scoped = true };
	const struct jail_limits limits = { .descriptors = PROBE_DESCRIPTORS };
	int keep[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, p->result_fd };
	struct sandbox_host *host = &p->host;
	struct err *why = host->why;
	struct err unused;
	uint32_t user;
	int r;

	host->has_secret_memory = has_secret_memory();
	host->has_core_scheduling = jail_schedule_apart(&unused) == 0;
	r = jail_close_all_but(keep, ARRAY_LEN(keep), &why[JAIL_LIMITS]);
	if (r == 0)
		r = jail_hide(&why[JAIL_LIMITS]);
	if (r == 0)
		r = jail_limit(&limits, &why[JAIL_LIMITS]);
	note(host, JAIL_LIMITS, r);
	user = jail_own_user(); /* needs the old root */
	if (note(host, JAIL_NAMESPACES, separate(&why[JAIL_NAMESPACES])))
		note(host, JAIL_ROOT, jail_empty_root(&why[JAIL_ROOT]));
	else
		err_set(&why[JAIL_ROOT], -EPERM, "needs namespaces");
	if (host->layers & 1u << JAIL_NAMESPACES)
		try_network(host);
	r = jail_become(user, &why[JAIL_CAPABILITIES]);
	if (r == 0)
		r = jail_drop_capabilities(0, &why[JAIL_CAPABILITIES]);
	note(host, JAIL_CAPABILITIES, r);
	if (note(host, JAIL_LANDLOCK, jail_landlock(&nothing, &why[JAIL_LANDLOCK])))
		host->landlock_abi = (uint32_t)jail_landlock_abi();
	note(host, JAIL_SECCOMP, try_filter(host));
}

/*
 * In the process that shares our memory: what is tried is done by a child, for it would be ours
 * otherwise. Ends without running what is to run at exit.
 */
static int in_clone(void *opaque)
{
	struct probe *p = opaque;
	const pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		try_layers(p);
		_exit(file_write_full(p->result_fd, &p->host, sizeof(p->host)) < 0);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	_exit(0);
}

static int read_result(int fd, struct sandbox_host *host)
{
	size_t done = 0;

	while (done < sizeof(*host)) {
		const ssize_t n = read(fd, (char *)host + done, sizeof(*host) - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

int sandbox_host_probe(struct sandbox_host *host, struct err *e)
{
	struct probe probe = { 0 };
	int pipes[2], r;
	pid_t pid;

	if (!jail_is_built())
		return err_set(e, -ENOSYS,
			       "this program was built with a sanitizer, without a sandbox");
	/* The result fits the pipe: it is read when the process has ended. */
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	auto_fd int from_child = pipes[0];
	auto_fd int to_parent = pipes[1];
	probe.result_fd = to_parent;
	pid = jail_clone(in_clone, &probe, true, &probe.has_namespaces);
	if (pid < 0)
		return err_errno(e, pid, "cannot start a process to try the sandbox in");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	cleanup_fd(&to_parent);
	r = read_result(from_child, host);
	return r < 0 ? err_errno(e, r, "the process that tries the sandbox has ended") : 0;
}

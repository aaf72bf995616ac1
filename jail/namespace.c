/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: see namespace.h. */
#include "jail/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"

enum { CHILD_STACK_BYTES = 64 * 1024, MAP_BYTES = 64 };

/* What the child needs; it shares our memory until it executes something else. */
struct clone_job {
	int (*child)(void *opaque);
	void *opaque;
	bool has_user_namespace;
	char uid_map[MAP_BYTES];
	char gid_map[MAP_BYTES];
	int error; /* -errno when the maps could not be written */
};

static int write_text(const char *path, const char *text)
{
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

/*
 * Firecracker's jail has no /proc to write maps to. Without them the process is nobody in its
 * namespace, and execution would take its capabilities there, were they not ambient
 * (capabilities(7)): those that the other namespaces and giving up all capabilities need.
 */
static int keep_capabilities(void)
{
	static const unsigned int kept[] = { CAP_SYS_ADMIN, CAP_SETPCAP };
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		data[kept[i] / 32].inheritable |= 1u << kept[i] % 32;
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0) < 0)
			return -errno;
	}
	return 0;
}

/* user_namespaces(7): without privilege, groups can be mapped once setgroups() is given up. */
static int write_maps(const struct clone_job *job)
{
	int r = write_text("/proc/self/setgroups", "deny");

	if (r == -ENOENT)
		return keep_capabilities();
	if (r == 0)
		r = write_text("/proc/self/uid_map", job->uid_map);
	if (r == 0)
		r = write_text("/proc/self/gid_map", job->gid_map);
	return r;
}

static int start(void *opaque)
{
	struct clone_job *job = opaque;

	if (job->has_user_namespace) {
		job->error = write_maps(job);
		if (job->error < 0)
			_exit(1);
	}
	return job->child(job->opaque);
}

static pid_t try_clone(struct clone_job *job, char *stack, int flags)
{
	pid_t pid;

	job->has_user_namespace = flags & CLONE_NEWUSER;
	job->error = 0;
	pid = clone(start, stack + CHILD_STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD | flags,
		    job);
	return pid < 0 ? -errno : pid;
}

pid_t jail_clone(int (*child)(void *opaque), void *opaque, bool wants_namespaces,
		 bool *has_namespaces)
{
	/* As root first without a user namespace: its ids would still be root's outside. */
	static const int wishes[] = { CLONE_NEWPID, CLONE_NEWUSER | CLONE_NEWPID, 0 };
	struct clone_job job = { .child = child, .opaque = opaque };
	char *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	pid_t pid = -1;

	if (stack == MAP_FAILED)
		return -errno;
	snprintf(job.uid_map, sizeof(job.uid_map), "0 %u 1", geteuid());
	snprintf(job.gid_map, sizeof(job.gid_map), "0 %u 1", getegid());
	for (size_t i = wants_namespaces ? 0 : 2; i < 3; i++) {
		pid = try_clone(&job, stack, wishes[i]);
		*has_namespaces = wishes[i] != 0;
		if (pid > 0 && job.error < 0) {
			while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
				;
			pid = job.error;
		}
		if (pid > 0)
			break;
	}
	munmap(stack, CHILD_STACK_BYTES);
	return pid;
}

enum { NETWORK_STACK_BYTES = 64 * 1024 };

static int make(int flags, struct err *e)
{
	return unshare(flags) < 0 ? err_errno(e, -errno, "cannot make namespaces") : 0;
}

int jail_unshare(struct err *e)
{
	return make(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP, e);
}

/* Namespaces are of threads. A socket leads to the one it was made in, where there is no /proc. */
static void *make_network(void *opaque)
{
	struct jail_network *network = opaque;

	if (unshare(CLONE_NEWNET) < 0)
		return NULL;
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		network->fd = ioctl(fd, SIOCGSKNS);
	return NULL;
}

void jail_network_begin(struct jail_network *network)
{
	pthread_attr_t attr;

	*network = (struct jail_network){ .fd = -1 };
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, NETWORK_STACK_BYTES);
	network->has_thread = pthread_create(&network->thread, &attr, make_network, network) == 0;
	pthread_attr_destroy(&attr);
}

int jail_network_enter(struct jail_network *network, struct err *e)
{
	if (network->has_thread)
		pthread_join(network->thread, NULL);
	network->has_thread = false;
	auto_fd int fd = take_fd(&network->fd);
	if (fd >= 0 && setns(fd, CLONE_NEWNET) == 0)
		return 0;
	return make(CLONE_NEWNET, e);
}

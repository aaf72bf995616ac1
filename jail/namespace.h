/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces of a process's own (namespaces(7)), in two steps.
 *
 * A process id namespace, and the user namespace that lets an unprivileged user have the others,
 * are made with the process: jail_clone(). The others the new process makes for itself, so that
 * its parent need not wait: jail_unshare().
 *
 *	drops	sight of all other processes, their signals and ptrace; every network device,
 *		address and abstract socket; System V and POSIX IPC objects; host name; the
 *		cgroup tree; and, as an unprivileged user, every privilege over the host
 *	must still work	descriptors that were opened before; /dev/kvm among them
 *
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Like vfork() with a function: runs @child(@opaque), which must end in exec or _exit() and may use
 * system calls only, in a new process, and returns that process's id when it has done so.
 * @wants_namespaces: a process id namespace and, without privilege, a user namespace in which the
 * caller's ids are 0. *@has_namespaces says whether it got them; where the host refuses, the
 * process runs without. -errno when there can be no process at all.
 */
pid_t jail_clone(int (*child)(void *opaque), void *opaque, bool wants_namespaces,
		 bool *has_namespaces);

/* The rest, but for the network: mount, IPC, host name and cgroup. 0 or -errno with @e filled. */
int jail_unshare(struct err *e);

/*
 * A network namespace, which takes the kernel as long as everything else of the sandbox together: a
 * thread makes one, and there is something else to do meanwhile. jail_network_enter() waits for the
 * thread, which is gone then, and enters what it has made; 0 or -errno with @e filled. Until then the
 * capabilities must stay.
 */
struct jail_network {
	pthread_t thread;
	bool has_thread;
	int fd; /* of the namespace, set by the thread; -1: it has failed */
};

void jail_network_begin(struct jail_network *network);
int jail_network_enter(struct jail_network *network, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* Where the traitor gets in: calls that the linker leads here, see traitor.h and meson.build. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/err.h"
#include "jail/landlock.h"
#include "jail/layer.h"
#include "jail/limits.h"
#include "jail/policy.h"
#include "machine/confine.h"
#include "machine/guard.h"
#include "machine/metrics.h"
#include "test/traitor/traitor.h"

enum { WORDS_MAX = 32 };

static bool is_machine; /* this is machine: control keeps all layers of its own */
static bool is_confining; /* in confine_process() */
static int control_pid; /* as control itself and the host see it */

static bool has(enum jail_layer layer)
{
	return traitor_layers() & 1u << layer;
}

static int left_out(struct err *e)
{
	return err_set(e, -ENOSYS, "left out");
}

/* --- from control to machine ----------------------------------------------------------------- */

REAL(int, execveat, int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	static uint64_t word = 0x1122334455667788;
	static char place[64];
	char *words[WORDS_MAX] = { place };
	size_t nr = 1;

	(void)envp;
	snprintf(place, sizeof(place), "VOLT_TRAITOR_CONTROL=%d %#lx", control_pid,
		 (unsigned long)&word);
	for (char **v = environ; *v && nr < WORDS_MAX - 1; v++) {
		if (strncmp(*v, "VOLT_TRAITOR_", strlen("VOLT_TRAITOR_")) == 0)
			words[nr++] = *v;
	}
	return __real_execveat(fd, path, argv, words, flags);
}

/* --- layers ---------------------------------------------------------------------------------- */

REAL(pid_t, jail_clone, int (*child)(void *opaque), void *opaque, bool wants, bool *has_namespaces)
{
	control_pid = (int)getpid();
	return __real_jail_clone(child, opaque, wants && has(JAIL_NAMESPACES), has_namespaces);
}

/* Without a process id namespace the stages that follow would not be tried. */
REAL(pid_t, getpid, void)
{
	return is_confining && !has(JAIL_NAMESPACES) ? 1 : __real_getpid();
}

/* The empty root needs mounts of its own, and a user who may make them. */
REAL(int, jail_unshare, struct err *e)
{
	if (has(JAIL_NAMESPACES))
		return __real_jail_unshare(e);
	if (has(JAIL_ROOT) && unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return err_errno(e, -errno, "cannot have mounts of its own");
	return 0;
}

REAL(void, jail_network_begin, struct jail_network *network)
{
	if (has(JAIL_NAMESPACES))
		__real_jail_network_begin(network);
}

REAL(int, jail_network_enter, struct jail_network *network, struct err *e)
{
	return has(JAIL_NAMESPACES) ? __real_jail_network_enter(network, e) : 0;
}

REAL(int, jail_empty_root, struct err *e)
{
	return has(JAIL_ROOT) ? __real_jail_empty_root(e) : left_out(e);
}

REAL(int, jail_become, uint32_t user, struct err *e)
{
	return has(JAIL_CAPABILITIES) ? __real_jail_become(user, e) : left_out(e);
}

/* Landlock and filters need privilege or no_new_privs, which comes with the capabilities. */
static void allow_filters(void)
{
	if (!has(JAIL_CAPABILITIES) && !has(JAIL_NAMESPACES))
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

REAL(int, jail_landlock, const struct jail_landlock_plan *plan, struct err *e)
{
	if (!is_machine)
		return __real_jail_landlock(plan, e);
	if (!has(JAIL_LANDLOCK))
		return left_out(e);
	allow_filters();
	return __real_jail_landlock(plan, e);
}

REAL(int, jail_close_all_but, int *keep, size_t nr, struct err *e)
{
	return has(JAIL_LIMITS) ? __real_jail_close_all_but(keep, nr, e) : left_out(e);
}

REAL(int, jail_filter, enum jail_thread thread, int *listener_fd, struct err *e)
{
	if (thread == JAIL_THREAD_CONTROL)
		return __real_jail_filter(thread, listener_fd, e);
	if (!has(JAIL_SECCOMP)) {
		*listener_fd = -1;
		return left_out(e);
	}
	allow_filters();
	return __real_jail_filter(thread, listener_fd, e);
}

REAL(void, confine_process, struct confinement *c)
{
	is_machine = true;
	traitor_prepare();
	is_confining = true;
	__real_confine_process(c);
	is_confining = false;
	c->layers &= traitor_layers();
}

REAL(void, confine_rest, struct confinement *c)
{
	__real_confine_rest(c);
	c->layers &= traitor_layers();
}

REAL(int, confine_check, const struct confinement *c, uint32_t wanted, uint32_t allowed_missing,
     struct err *e)
{
	return __real_confine_check(c, wanted, allowed_missing | ~traitor_layers(), e);
}

/* --- loot ------------------------------------------------------------------------------------ */

REAL(int, metrics_map, struct machine_metrics **out, int fd, struct err *e)
{
	int r = __real_metrics_map(out, fd, e);

	loot.metrics = *out;
	return r;
}

REAL(int, io_uring_queue_init, unsigned entries, struct io_uring *ring, unsigned flags)
{
	int r = __real_io_uring_queue_init(entries, ring, flags);

	if (r == 0)
		loot.own_ring = ring;
	return r;
}

/* --- where threads start to work ------------------------------------------------------------- */

REAL(bool, guard_enter, struct guard *guard, enum jail_thread thread)
{
	bool may_go = __real_guard_enter(guard, thread);

	if (may_go)
		traitor_act(jail_thread_name(thread));
	return may_go;
}

REAL(void, guard_open, struct guard *guard, bool may_go)
{
	__real_guard_open(guard, may_go);
	if (may_go)
		traitor_act(jail_thread_name(JAIL_THREAD_LOOP));
}

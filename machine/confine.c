/* SPDX-License-Identifier: Apache-2.0 */
/* Confinement of the machine process: see confine.h. */
#include "machine/confine.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "control/wire.h"
#include "jail/capability.h"
#include "jail/landlock.h"
#include "jail/limits.h"
#include "jail/namespace.h"
#include "jail/root.h"
#include "jail/seccomp.h"

/* Descriptors that are open at some time beyond those that are open now: a drive's new file... */
enum { SPARE_DESCRIPTORS = 64 };

static bool note(struct confinement *c, enum jail_layer layer, int result)
{
	if (result == 0)
		c->layers |= 1u << layer;
	return result == 0;
}

static int separate(struct err *e)
{
	if (getpid() != 1)
		return err_set(e, -EPERM,
			       "cannot have a process id namespace; as an unprivileged user that "
			       "needs user namespaces (sysctl kernel.unprivileged_userns_clone and "
			       "user.max_user_namespaces)");
	return jail_unshare(e);
}

void confine_process(struct confinement *c)
{
	int keep[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, WIRE_SOCKET_FD };
	struct err *why = c->why;
	int r;

	*c = (struct confinement){ 0 };
	if (!jail_is_built())
		return;
	r = jail_close_all_but(keep, sizeof(keep) / sizeof(keep[0]), &why[JAIL_LIMITS]);
	if (r == 0)
		r = jail_hide(&why[JAIL_LIMITS]);
	note(c, JAIL_LIMITS, r);
	jail_stop_speculation();
	c->own_user = jail_own_user(); /* needs the old root */
	if (note(c, JAIL_NAMESPACES, separate(&why[JAIL_NAMESPACES]))) {
		jail_network_begin(&c->network);
		note(c, JAIL_ROOT, jail_empty_root(&why[JAIL_ROOT]));
	} else {
		err_set(&why[JAIL_ROOT], -EPERM, "needs namespaces");
	}
}

void confine_rest(struct confinement *c)
{
	const struct jail_landlock_plan nothing = { .is_scoped = true };
	struct err *why = c->why;
	int r;

	if (!jail_is_built())
		return;
	if ((c->layers & 1u << JAIL_NAMESPACES) &&
	    jail_network_enter(&c->network, &why[JAIL_NAMESPACES]) < 0)
		c->layers &= ~(1u << JAIL_NAMESPACES);
	r = jail_become(c->own_user, &why[JAIL_CAPABILITIES]);
	if (r == 0)
		r = jail_drop_capabilities(0, &why[JAIL_CAPABILITIES]);
	note(c, JAIL_CAPABILITIES, r);
	/* Another user id has cleared it. Control that died in between has closed our socket. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (note(c, JAIL_LANDLOCK, jail_landlock(&nothing, &why[JAIL_LANDLOCK])))
		c->landlock_abi = (uint32_t)jail_landlock_abi();
}

/* Descriptors are given the lowest free number, so this one is above all that are open. */
static int next_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	if (fd >= 0)
		close(fd);
	return fd;
}

void confine_limits(struct confinement *c, uint32_t nr_threads)
{
	struct jail_limits limits = { 0 };
	const int next = next_descriptor();

	if (!jail_is_built() || !(c->layers & 1u << JAIL_LIMITS))
		return;
	limits.descriptors = (uint64_t)(next < 0 ? 0 : next) + nr_threads + SPARE_DESCRIPTORS;
	/* In a user namespace of its own, or with such an id, it has no other processes. */
	if (geteuid() == 0 || (geteuid() == c->own_user && c->own_user >= JAIL_OWN_USERS))
		limits.threads = nr_threads;
	if (jail_limit(&limits, &c->why[JAIL_LIMITS]) < 0)
		c->layers &= ~(1u << JAIL_LIMITS);
}

int confine_check(const struct confinement *c, uint32_t wanted, uint32_t allowed_missing,
		  struct err *e)
{
	const uint32_t missing = wanted & ~c->layers & ~allowed_missing;

	if (!jail_is_built())
		return 0;
	for (int i = 0; i < JAIL_LAYERS; i++) {
		const char *name = jail_layer_name((enum jail_layer)i);

		if (missing & 1u << i)
			return err_set(e, -EPERM,
				       "the sandbox's layer '%s' is not to be had: %s; 'volt-vmm "
				       "sandbox explain' says what it needs, "
				       "--sandbox-allow-missing=%s runs without it",
				       name, c->why[i].msg, name);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How machine gives up what a guest that has taken it over could use: the stages of jail/ in order.
 *
 * confine_process() comes first of all, before the configuration is read: all paths are gone then.
 * confine_rest() comes when the VM is built, from descriptors and numbers of control's, and before any
 * kernel image or other file of the user is looked at: no such thing is parsed with more rights than a
 * guest has. In between the network namespace gets ready. The process id namespace, and the user namespace of an unprivileged
 * user, came with the process (control/spawn.c). confine_limits() comes when all descriptors and
 * threads are known; the threads filter their own system calls last (guard.h).
 *
 * A stage that the host refuses is noted, and confine_check() decides: without every layer nothing
 * starts, unless the user has named the missing one (--sandbox-allow-missing).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "jail/layer.h"
#include "jail/namespace.h"

struct confinement {
	uint32_t layers; /* mask of those that are in force */
	uint32_t landlock_abi; /* 0: none */
	uint32_t own_user; /* the id that it has as root's process, jail_own_user() */
	struct err why[JAIL_LAYERS]; /* why one is not */
	struct jail_network network; /* on its way, between the first two stages */
};

/* Thread: the only one. Never fail: see confine_check(). */
void confine_process(struct confinement *c);
void confine_rest(struct confinement *c);

/*
 * Resource limits for what is there now and @nr_threads more; closes nothing. Thread: the loop's,
 * before the others start.
 */
void confine_limits(struct confinement *c, uint32_t nr_threads);

/* 0 when the layers in @wanted are in force or in @allowed_missing; else -EPERM with @e filled. */
int confine_check(const struct confinement *c, uint32_t wanted, uint32_t allowed_missing,
		  struct err *e);

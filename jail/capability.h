/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User ids and capabilities (capabilities(7), credentials(7)).
 *
 *	drops	every capability, in all sets, also for what might be executed; the real root's user
 *		and group id; the ways back: set-user-id programs, file capabilities, securebits
 *	must still work	open descriptors
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * Numbers that systems leave free for users: not of people, services, containers or user namespaces.
 * A process there is alone: its limits count nobody else's processes, and no other process is its own.
 */
enum { JAIL_OWN_USERS = 0x70000000 };

/* A user id from there that no other process has; 65534, nobody's, without /proc. Never fails. */
uint32_t jail_own_user(void);

/*
 * Root becomes @user, and group of that number, without supplementary groups; or nobody where there
 * is no such user. Does nothing for others, nor where there is not even nobody: in a user namespace
 * (namespace.h) root is an ordinary user outside. Clears what prctl(PR_SET_PDEATHSIG) has set.
 * Before jail_drop_capabilities().
 */
int jail_become(uint32_t user, struct err *e);

/*
 * Empties all capability sets, but for those in @keep (mask of 1 << CAP_...), and locks them; sets
 * no_new_privs.
 */
int jail_drop_capabilities(uint64_t keep, struct err *e);

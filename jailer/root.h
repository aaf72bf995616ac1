/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail as the root of the file system.
 *
 *	drops: every file of the host's, but for what is in the jail.
 *	must still work: what is in the jail; what the host mounts below it later arrives there
 *	(clients mount disks of containers into running jails).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "jailer/undo.h"

/*
 * Gives this process mounts of its own: changes reach no other. Without the privilege, that takes a
 * user namespace with the one user and group that the caller has: *@is_rootless, and -EPERM with @e
 * filled if @uid and @gid are others.
 */
int root_own_mounts(uid_t uid, gid_t gid, bool *is_rootless, struct err *e);

/*
 * Makes the folder *@root a mount, so that it can become the root; *@root is a descriptor of that mount
 * afterwards.
 */
int root_mount(int *root, struct undo *undo, struct err *e);

/* Makes the mount @root the root and working directory, and lets go of all other mounts. */
int root_enter(int root, struct err *e);

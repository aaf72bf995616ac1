/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An empty root directory (pivot_root(2)).
 *
 *	drops	every path of the host: the whole tree is unmounted from this process's view
 *	must still work	open descriptors
 *
 * Needs a mount namespace of its own and the privilege to mount there (namespace.h).
 */
#pragma once

#include "base/err.h"

/* The root and working directory become an empty, read-only file system. 0 or -errno with @e. */
int jail_empty_root(struct err *e);

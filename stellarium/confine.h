/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program takes away from itself before it reads what others may have written: packs,
 * manifests, indexes.
 *
 *	drops	new privileges; every path but the store and the folder in which a file will be made
 *		(Landlock, where the kernel has it), TCP, executing anything; system calls but those of
 *		the table (jail/policy.h)
 *	must still work	open descriptors: the file that is imported, the device that is written to
 */
#pragma once

#include "base/err.h"
#include "jail/policy.h"

/*
 * @folder may be NULL; @thread: whose system calls are needed. 0 or -errno with @e filled. Before
 * there are threads.
 */
int confine(const char *store_path, const char *folder, enum jail_thread thread, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* --cleanup: removes what runs with an id have left behind. */
#pragma once

#include "base/err.h"
#include "jailer/options.h"

/*
 * Removes the jail's folder and its cgroups. 0 or -errno with @e filled: -EBUSY when a process is in
 * the jail, and nothing is removed then; -ENOENT when there is no such jail.
 */
int cleanup(const struct jailer_options *o, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the options ask of the host beyond files: CPUs to run on, huge pages. Checked before
 * anything is opened, because it is the command line that is wrong then.
 */
#pragma once

#include "base/err.h"
#include "control/settings.h"

/* 0, or -EINVAL with @e naming the option, the value and what this host has. */
int host_check(const struct settings *s, struct err *e);

/*
 * Lets the processes that are started from now on lock memory, as much as this user may: as root,
 * any amount.
 */
void host_allow_locked_memory(void);

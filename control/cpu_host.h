/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host can offer a guest: asked of a machine process that is started for it and ends with
 * its answer. No VM is made.
 */
#pragma once

#include "base/err.h"
#include "control/wire.h"

/*
 * Fills @host as machine/x86/template.h says: all that describes the CPU, and of what @asked (may
 * be NULL) names beyond that what is there. 0 or -errno. Waits for the process. Thread: main.
 */
int cpu_host_describe(const struct cpu_template *asked, struct cpu_template *host, struct err *e);

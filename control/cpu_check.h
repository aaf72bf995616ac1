/* SPDX-License-Identifier: Apache-2.0 */
/* What a CPU template wants that a host cannot provide, item by item. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "control/wire.h"

/*
 * Compares @template with @host (control/cpu_host.h) and prints each missing item on a line, or all
 * as one JSON object. Returns how many there are. The rules are those by which a run is refused
 * (template_compare(), machine/x86/template.h).
 */
unsigned cpu_check(const struct cpu_template *template, const struct cpu_template *host,
		   bool is_json, FILE *to);

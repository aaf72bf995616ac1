/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common denominator of several hosts' dumps: a template that all of them can provide, and that
 * makes guests on all of them alike as far as that can be told.
 *
 * base/cpuid_bits.h says how each register combines. Features: those that all hosts have (warnings:
 * those that any has). Numbers: the lowest. Model: the lowest of all, compared as family, model,
 * stepping. Descriptions such as cache sizes: kept when they are all the same, else left to each
 * host. Vendor: must be the same. A leaf that a host does not have counts as zero, because that is
 * what its guests read; an MSR that a host does not have is left out.
 */
#pragma once

#include "base/err.h"
#include "control/wire.h"

/* *@all becomes the denominator of itself and @next, called @name in messages. 0 or -EINVAL. */
int cpu_baseline_add(struct cpu_template *all, const struct cpu_template *next, const char *name,
		     struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layers of the sandbox (jail/layer.h) this host offers to this user: found out by doing it, in
 * a process of its own that gives up everything in the order in which machine does and then tells
 * how that went.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "jail/layer.h"

struct sandbox_host {
	uint32_t layers; /* mask of those that are to be had */
	struct err why[JAIL_LAYERS]; /* others are not */
	uint32_t landlock_abi; /* 0: no Landlock */
	bool has_reports; /* a call that a filter forbids can be reported (jail/seccomp.h) */
	bool has_core_scheduling;
	bool has_secret_memory; /* memfd_secret(2); not used, see docs/decisions.md */
};

/* 0, or -errno with @e filled when it cannot be tried. Thread: the only one, for it forks. */
int sandbox_host_probe(struct sandbox_host *host, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control's own sandbox. Control never sees guest memory, but it answers clients of the API and
 * reads what machine says. As soon as the VM runs it needs little: the folders of the files that it
 * was started with, those that --allow names, and a short list of system calls. It executes nothing
 * any more.
 *
 * As root it keeps one capability, CAP_KILL: machine has another user id (machine/confine.h), and
 * must be ended when it does not end by itself.
 *
 * Thread: control's only one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct permits;
struct settings;

enum { ALLOWED_PATHS_MAX = 64 };

/* A path that the user allows beyond those that follow from the settings. */
struct allowed_path {
	char *path; /* owned */
	bool is_read_only;
};

struct confine_plan {
	const struct settings *settings;
	const struct allowed_path *allowed;
	size_t nr_allowed;
	const char *api_path; /* of the socket; NULL: none */
	const char *pid_path; /* NULL: none */
	const char *registry_path; /* folder of the list of VMs; NULL: none */
	bool allows_all; /* any path may be asked for later, as Firecracker's clients do */
};

/*
 * From here on only what @plan names can be opened; *@out, to be freed by permits_free(), knows what
 * that is. 0 or -errno with @e filled. Landlock and the filter may be missing when @allowed_missing
 * (jail/layer.h) has them.
 */
int confine_control(struct permits **out, const struct confine_plan *plan, uint32_t allowed_missing,
		    struct err *e);

/*
 * Whether @path may still be opened: -EACCES with @e filled, naming --allow, when it may not. NULL
 * permits all.
 */
int permits_check(const struct permits *permits, const char *path, struct err *e);

/* Changes nothing but memory. Accepts NULL. */
void permits_free(struct permits *permits);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running virtual machine that a verb is about: named by its operand or by --api-sock, found in
 * the registry and asked over its API.
 */
#pragma once

#include "base/err.h"
#include "control/client.h"
#include "control/registry.h"

struct options;

struct target {
	struct client client;
	struct registry_entry entry; /* of a name; else only api_path is there */
};

/*
 * Finds it and connects to its API; client_close() lets go. 0 or -errno with @e filled; -EINVAL: the
 * options name none, or two.
 */
int target_open(const struct options *o, struct target *t, struct err *e);

/* One question, with all that goes before. Fills @answer only if its status is good. */
int target_ask(const struct options *o, const char *method, const char *path, const char *body,
	       struct client_answer *answer, struct err *e);

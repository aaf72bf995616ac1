/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of the sandbox a virtual machine has, as the API tells it and the verbs show it:
 *
 *	{"layers": ["namespaces", "root"], "missing": ["landlock"], "reason": "landlock: ...",
 *	 "landlock_abi": 0}
 *
 * Each layer is in one of the lists; reason is null when nothing is missing.
 */
#pragma once

#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

/* NULL without memory. @why: why layers are missing; what is no UTF-8 in it becomes '?'. */
json_t *sandbox_json_new(uint32_t layers, uint32_t landlock_abi, const char *why);

/* The names of the layers that @layers lacks. NULL without memory. */
json_t *sandbox_json_missing(uint32_t layers);

/*
 * The layers (jail/layer.h) that such an object has; what it says of others is passed over. 0, or
 * -EPROTO with @e when it is not of this form.
 */
int sandbox_json_read(const json_t *json, uint32_t *layers, uint32_t *landlock_abi, struct err *e);

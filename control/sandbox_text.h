/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told about the layers of the sandbox (jail/layer.h) and the threads in it. */
#pragma once

#include "jail/layer.h"
#include "jail/policy.h"

struct sandbox_layer_text {
	const char *takes; /* what it takes away */
	const char *keeps; /* what must still work */
	const char *needs; /* of the host */
};

/* Plain sentences. */
const struct sandbox_layer_text *sandbox_layer_text(enum jail_layer layer);

/* Which threads are of this kind: a part of a sentence. */
const char *sandbox_thread_text(enum jail_thread thread);

enum { SANDBOX_CONDITION_BYTES = 160 };

/* When a row of the policy holds, "argument 1 is 0xae80"; "" when always. Returns @text. */
char *sandbox_condition(const struct jail_syscall *row, char text[static SANDBOX_CONDITION_BYTES]);

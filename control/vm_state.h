/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a virtual machine as its API tells it: {"state": "running", "sandbox": ...}. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define VM_STATE_PATH "/v1/vm/state"

struct client_answer;

struct vm_state {
	char word[32]; /* letters and hyphens, with lower case: it goes to terminals */
	bool has_sandbox; /* it says what its sandbox is (control/sandbox_json.h) */
	uint32_t layers; /* of jail/layer.h */
	uint32_t landlock_abi;
};

/* Takes the state out of an answer of status 200. 0, or -EPROTO with @e. */
int vm_state_read(const struct client_answer *answer, struct vm_state *state, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the state in an answer of the API: see vm_state.h. */
#include "control/vm_state.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "control/client.h"
#include "control/sandbox_json.h"

int vm_state_read(const struct client_answer *answer, struct vm_state *state, struct err *e)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz-_ ";
	json_t *json = json_loadb(answer->body, answer->len, 0, NULL);
	const char *word = json_string_value(json_object_get(json, "state"));
	int r = 0;

	if (word && *word && strlen(word) < sizeof(state->word) &&
	    strspn(word, letters) == strlen(word))
		memcpy(state->word, word, strlen(word) + 1);
	else
		r = err_set(e, -EPROTO, "the virtual machine's answer has no state in it");
	/* Others than this version say nothing of it. */
	if (r == 0)
		state->has_sandbox = sandbox_json_read(json_object_get(json, "sandbox"),
						       &state->layers, &state->landlock_abi,
						       NULL) == 0;
	json_decref(json);
	return r;
}

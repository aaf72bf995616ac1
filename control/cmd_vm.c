/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that ask a running virtual machine: see cmd.h. */
#include "control/cmd.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "control/client.h"
#include "control/exit_status.h"
#include "control/options.h"
#include "control/sandbox_json.h"
#include "control/target.h"
#include "control/vm_state.h"
#include "jail/layer.h"

static int fail(const struct err *e)
{
	log_error("%s", e->msg);
	return e->code == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_ERROR;
}

static int set_state(const struct options *o, const char *body)
{
	struct client_answer answer;
	struct err e = { 0 };

	if (target_ask(o, "PUT", VM_STATE_PATH, body, &answer, &e) < 0)
		return fail(&e);
	client_answer_release(&answer);
	return EXIT_STATUS_OK;
}

int cmd_pause(struct options *o)
{
	return set_state(o, "{\"state\":\"paused\"}");
}

int cmd_resume(struct options *o)
{
	return set_state(o, "{\"state\":\"running\"}");
}

/* What was checked word by word, and the rest of it as JSON, which no terminal takes for its own. */
static void print_state(const struct client_answer *answer, const struct vm_state *state)
{
	json_t *json = json_loadb(answer->body, answer->len, 0, NULL);
	json_t *sandbox = state->has_sandbox ? json_incref(json_object_get(json, "sandbox"))
					     : json_null();
	json_t *shown = json_pack("{s:s, s:o}", "state", state->word, "sandbox", sandbox);

	json_dumpf(shown, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(shown);
	json_decref(json);
}

/* "Running", and what is missing for as long as it runs. */
static void print_word(const struct vm_state *state)
{
	char missing[128];

	printf("%c%s", toupper((unsigned char)state->word[0]), state->word + 1);
	if (state->has_sandbox && state->layers != JAIL_ALL_LAYERS)
		printf(" (the sandbox lacks %s)",
		       jail_layer_list(JAIL_ALL_LAYERS & ~state->layers, missing, sizeof(missing)));
	putchar('\n');
}

int cmd_state(struct options *o)
{
	struct client_answer answer;
	struct vm_state state = { 0 };
	struct err e = { 0 };
	int r = target_ask(o, "GET", VM_STATE_PATH, NULL, &answer, &e);

	if (r == 0)
		r = vm_state_read(&answer, &state, &e);
	if (r == 0 && o->is_json)
		print_state(&answer, &state);
	client_answer_release(&answer);
	if (r < 0)
		return fail(&e);
	if (!o->is_json)
		print_word(&state);
	return cmd_finish(EXIT_STATUS_OK);
}

/* Prints an answer as it came. */
static int print_answer(const struct options *o, const char *path)
{
	struct client_answer answer;
	struct err e = { 0 };

	if (target_ask(o, "GET", path, NULL, &answer, &e) < 0)
		return fail(&e);
	fwrite(answer.body, 1, answer.len, stdout);
	client_answer_release(&answer);
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_metrics(struct options *o)
{
	return print_answer(o, "/v1/metrics");
}

int cmd_config_get(struct options *o)
{
	struct client_answer answer;
	struct err e = { 0 };
	json_t *json;
	int r = target_ask(o, "GET", "/v1/vm/config", NULL, &answer, &e);

	if (r < 0)
		return fail(&e);
	json = json_loadb(answer.body, answer.len, 0, NULL);
	client_answer_release(&answer);
	if (!json) {
		err_set(&e, -EPROTO, "the virtual machine's answer is no JSON");
		return fail(&e);
	}
	return cmd_finish_json(json, EXIT_STATUS_OK);
}

int cmd_shutdown(struct options *o)
{
	const char *body = o->is_forced ? "{\"state\":\"stopped\"}" : "{\"state\":\"shutdown\"}";
	struct client_answer answer = { 0 };
	struct target t;
	struct err e = { 0 };
	int r = target_open(o, &t, &e);

	if (r == 0) {
		r = client_call(&t.client, "PUT", VM_STATE_PATH, body, &answer, &e);
		/* It may be gone before it has answered. */
		if (r == -EPIPE)
			r = 0;
	}
	if (r == 0 && answer.status >= 300)
		r = client_refusal(&t.client, &answer, &e);
	if (r == 0 && o->timeout_s > 0 && client_wait_end(&t.client, (unsigned)o->timeout_s) < 0)
		r = err_set(&e, -ETIMEDOUT, "the virtual machine still runs after %u s%s",
			    (unsigned)o->timeout_s, o->is_forced ? "" : "; --force ends it");
	client_answer_release(&answer);
	client_close(&t.client);
	return r < 0 ? fail(&e) : EXIT_STATUS_OK;
}

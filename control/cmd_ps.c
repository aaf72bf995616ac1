/* SPDX-License-Identifier: Apache-2.0 */
/* The list of running virtual machines: see cmd.h. */
#include "control/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/quote.h"
#include "control/client.h"
#include "control/exit_status.h"
#include "control/options.h"
#include "control/registry.h"
#include "control/sandbox_json.h"
#include "control/vm_state.h"

enum { STATE_TIMEOUT_MS = 1000 };

/* One that does not say is "unknown": it hangs, ends, or is of another version. */
static struct vm_state ask_state(const struct registry_entry *entry)
{
	struct vm_state state = { .word = "unknown" };
	struct client client = { .fd = -1, .timeout_ms = STATE_TIMEOUT_MS };
	struct client_answer answer = { 0 };

	if (entry->api_path[0] == '\0')
		return state;
	if (client_open(&client, entry->api_path, NULL) == 0 &&
	    client_call(&client, "GET", VM_STATE_PATH, NULL, &answer, NULL) == 0 &&
	    answer.status == 200)
		vm_state_read(&answer, &state, NULL);
	client_answer_release(&answer);
	client_close(&client);
	return state;
}

/* "3d04h", "2h07m", "5m12s": two units say enough. */
static void format_age(int64_t seconds, char *text, size_t size)
{
	const long long s = seconds < 0 ? 0 : seconds;

	if (s >= 86400)
		snprintf(text, size, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(text, size, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(text, size, "%lldm%02llds", s / 60, s % 60);
}

static int print_table(const struct registry_entry *list, int nr)
{
	const int64_t now = time(NULL);
	int width = (int)strlen("NAME");

	for (int i = 0; i < nr; i++) {
		if ((int)strlen(list[i].id) > width)
			width = (int)strlen(list[i].id);
	}
	printf("%-*s %7s %-8s %8s %s\n", width, "NAME", "PID", "STATE", "AGE", "API");
	for (int i = 0; i < nr; i++) {
		char age[32];

		format_age(now - list[i].started_at_s, age, sizeof(age));
		printf("%-*s %7d %-8s %8s %s\n", width, list[i].id, (int)list[i].pid,
		       ask_state(&list[i]).word, age, list[i].api_path[0] ? list[i].api_path : "-");
	}
	return cmd_finish(EXIT_STATUS_OK);
}

static json_t *entry_to_json(const struct registry_entry *entry)
{
	const time_t started_at = (time_t)entry->started_at_s;
	struct vm_state state = ask_state(entry);
	char time_text[64] = "";
	struct tm tm;

	if (gmtime_r(&started_at, &tm))
		strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:o}", "id", entry->id, "pid",
			 (int)entry->pid, "state", state.word, "started_at", time_text,
			 "api_socket", entry->api_path, "version", entry->version,
			 "sandbox_missing",
			 state.has_sandbox ? sandbox_json_missing(state.layers) : json_null());
}

static int print_json(const struct registry_entry *list, int nr)
{
	json_t *array = json_array();

	for (int i = 0; i < nr; i++)
		json_array_append_new(array, entry_to_json(&list[i]));
	return cmd_finish_json(array, EXIT_STATUS_OK);
}

int cmd_ps(struct options *o)
{
	struct registry registry;
	struct registry_entry *list = NULL;
	struct err e = { 0 };
	int nr = registry_open(&registry, &e);
	int status;

	if (nr == 0)
		nr = registry_list(&registry, &list, &e);
	registry_close(&registry);
	if (nr < 0)
		return cmd_fail(&e);
	if (!list)
		nr = 0;
	status = o->is_json ? print_json(list, nr) : print_table(list, nr);
	free(list);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers of the sandbox are: see cmd.h. */
#include "control/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/quote.h"
#include "base/suggest.h"
#include "control/exit_status.h"
#include "control/options.h"
#include "control/sandbox_text.h"

enum { COLUMNS = 79 };

/* Words from @column on, with later lines behind @indent spaces; ends the line. */
static void put_words(const char *text, int column, int indent)
{
	while (*text) {
		const int len = (int)strcspn(text, " ");

		if (column > indent && column + 1 + len > COLUMNS)
			column = printf("\n%*s", indent, "") - 1;
		if (column > indent)
			column += printf(" ");
		column += printf("%.*s", len, text);
		text += len + (int)strspn(text + len, " ");
	}
	putchar('\n');
}

static void put_part(const char *title, const char *text)
{
	enum { INDENT = 16 };

	put_words(text, printf("  %-*s", INDENT - 2, title), INDENT);
}

/* --- system calls -------------------------------------------------------------------------- */

/* How many different calls a kind of thread may use; those refused with an error do not count. */
static size_t count_calls(enum jail_thread thread)
{
	size_t nr_rows, nr = 0;
	const struct jail_syscall *rows = jail_policy(&nr_rows);

	for (size_t i = 0; i < nr_rows; i++) {
		bool is_new = rows[i].threads & 1u << thread && rows[i].error == 0;

		for (size_t k = 0; k < i && is_new; k++)
			is_new = !(rows[k].threads & 1u << thread) || rows[k].error != 0 ||
				 strcmp(rows[k].name, rows[i].name) != 0;
		nr += is_new;
	}
	return nr;
}

static void put_call(const struct jail_syscall *row)
{
	enum { INDENT = 6 };
	char condition[SANDBOX_CONDITION_BYTES];
	char text[512];

	snprintf(text, sizeof(text), "%s%s%s%s%s: %s", row->name, row->error ? " fails with " : "",
		 row->error ? strerrorname_np(row->error) : "", row->checks[0].mask ? ", " : "",
		 sandbox_condition(row, condition), row->reason);
	put_words(text, printf("    "), INDENT);
}

static void put_calls(void)
{
	size_t nr;
	const struct jail_syscall *rows = jail_policy(&nr);

	for (int i = 0; i < JAIL_THREADS; i++) {
		const enum jail_thread thread = (enum jail_thread)i;

		printf("\n  %s (%s), %zu calls:\n", jail_thread_name(thread),
		       sandbox_thread_text(thread), count_calls(thread));
		for (size_t k = 0; k < nr; k++) {
			if (rows[k].threads & 1u << i)
				put_call(&rows[k]);
		}
	}
}

static json_t *call_new(const struct jail_syscall *row)
{
	char condition[SANDBOX_CONDITION_BYTES];
	json_t *checks = json_array();

	for (size_t i = 0; i < JAIL_CHECKS_MAX && row->checks[i].mask != 0; i++)
		/* 64 bits as text: readers may have none that large. */
		json_array_append_new(
			checks,
			json_pack("{s:i,s:o,s:o}", "argument", (int)row->checks[i].argument, "mask",
				  json_sprintf("%#llx", (unsigned long long)row->checks[i].mask),
				  "value",
				  json_sprintf("%#llx", (unsigned long long)row->checks[i].value)));
	return json_pack("{s:s,s:o,s:o,s:o,s:s}", "call", row->name, "error",
			 row->error ? json_string(strerrorname_np(row->error)) : json_null(),
			 "checks", checks, "condition",
			 row->checks[0].mask ? json_string(sandbox_condition(row, condition))
					     : json_null(),
			 "reason", row->reason);
}

static json_t *threads_new(void)
{
	json_t *list = json_array();
	size_t nr;
	const struct jail_syscall *rows = jail_policy(&nr);

	for (int i = 0; i < JAIL_THREADS; i++) {
		json_t *calls = json_array();

		for (size_t k = 0; k < nr; k++) {
			if (rows[k].threads & 1u << i)
				json_array_append_new(calls, call_new(&rows[k]));
		}
		json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:o}", "thread",
						      jail_thread_name((enum jail_thread)i), "what",
						      sandbox_thread_text((enum jail_thread)i),
						      "nr_calls",
						      (json_int_t)count_calls((enum jail_thread)i),
						      "calls", calls));
	}
	return list;
}

/* --- layers -------------------------------------------------------------------------------- */

static void put_layer(enum jail_layer layer)
{
	const struct sandbox_layer_text *text = sandbox_layer_text(layer);

	printf("%s\n", jail_layer_name(layer));
	put_part("takes away", text->takes);
	put_part("still works", text->keeps);
	put_part("needs", text->needs);
	if (layer == JAIL_SECCOMP)
		put_calls();
}

static json_t *layer_new(enum jail_layer layer)
{
	const struct sandbox_layer_text *text = sandbox_layer_text(layer);

	return json_pack("{s:s,s:s,s:s,s:s,s:o}", "layer", jail_layer_name(layer), "takes_away",
			 text->takes, "still_works", text->keeps, "needs", text->needs, "threads",
			 layer == JAIL_SECCOMP ? threads_new() : json_null());
}

/* The layer that is asked for, in *@first and *@last; all of them without one. */
static int find_layers(const struct options *o, int *first, int *last, struct err *e)
{
	const char *name = o->nr_operands > 0 ? o->operands[0] : NULL;
	char all[128];
	int layer;

	*first = 0;
	*last = JAIL_LAYERS - 1;
	if (!name)
		return 0;
	layer = jail_layer_find(name, (unsigned int)strlen(name));
	if (layer < 0)
		return err_set(e, -EBADMSG, "there is no layer %s; the layers are %s",
			       quote(name).text,
			       jail_layer_list(JAIL_ALL_LAYERS, all, sizeof(all)));
	*first = layer;
	*last = layer;
	return 0;
}

int cmd_sandbox_explain(struct options *o)
{
	struct err e = { 0 };
	json_t *list;
	int first, last;

	if (find_layers(o, &first, &last, &e) < 0)
		return cmd_fail(&e);
	if (!o->is_json) {
		for (int i = first; i <= last; i++) {
			if (i > first)
				putchar('\n');
			put_layer((enum jail_layer)i);
		}
		return cmd_finish(EXIT_STATUS_OK);
	}
	list = json_array();
	for (int i = first; i <= last; i++)
		json_array_append_new(list, layer_new((enum jail_layer)i));
	return cmd_finish_json(list, EXIT_STATUS_OK);
}

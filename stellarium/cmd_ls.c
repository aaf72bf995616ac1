/* SPDX-License-Identifier: Apache-2.0 */
/* The list of images: see cmd.h. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/quote.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"
#include "stellarium/text.h"

enum { ID_COLUMNS = 12 };

static int print_table(const struct root_list *list, int status)
{
	int width = (int)strlen("NAME");

	for (size_t i = 0; i < list->count; i++) {
		if ((int)strlen(list->roots[i].name) > width)
			width = (int)strlen(list->roots[i].name);
	}
	printf("%-*s %9s %-16s %s\n", width, "NAME", "LENGTH", "MADE", "ID");
	for (size_t i = 0; i < list->count; i++) {
		const struct root *root = &list->roots[i];
		char id[CHUNK_ID_HEX_BYTES];

		id_to_hex(&root->image_id, id);
		printf("%-*s %9s %-16s %.*s\n", width, root->name, text_size(root->bytes).text,
		       text_time(root->created_s).text, ID_COLUMNS, id);
	}
	return cmd_finish(status);
}

static json_t *root_to_json(const struct root *root)
{
	char id[CHUNK_ID_HEX_BYTES];

	id_to_hex(&root->image_id, id);
	return json_pack("{s:s, s:s, s:I, s:s}", "name", root->name, "id", id, "bytes",
			 (json_int_t)root->bytes, "created_at", text_utc(root->created_s).text);
}

static int print_json(const struct root_list *list, int status)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, root_to_json(&list->roots[i]));
	return cmd_finish_json(array, status);
}

int cmd_ls(struct options *o)
{
	struct root_list list = { 0 };
	struct session s = { 0 };
	struct err e = { 0 };
	int status = EXIT_STATUS_OK;
	int r = session_open(&s, o, STORE_READ_ONLY, NULL, &e);

	if (r == 0)
		r = store_list(s.store, &list, &e);
	session_close(&s);
	if (r < 0)
		return cmd_fail(&e);
	for (size_t i = 0; i < list.bad_count; i++) {
		log_error("the name in roots/%s cannot be read; 'stellarium fsck' says why",
			  quote(list.bad[i]).text);
		status = EXIT_STATUS_ERROR;
	}
	status = o->is_json ? print_json(&list, status) : print_table(&list, status);
	root_list_release(&list);
	return status;
}

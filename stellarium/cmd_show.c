/* SPDX-License-Identifier: Apache-2.0 */
/* One image: see cmd.h. */
#include <stdio.h>

#include "stellar/image.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"
#include "stellarium/text.h"

struct shown {
	const char *name;
	struct root root;
	struct image_info info;
	struct image_cost cost;
	char id[CHUNK_ID_HEX_BYTES];
	char chunking[CHUNK_PARAMS_TEXT_BYTES];
};

static int look(struct session *s, struct shown *shown, struct err *e)
{
	struct lease *lease = NULL;
	int r = store_find(s->store, shown->name, &lease, &shown->root, e);

	if (r == 0)
		r = image_read_info(s->store, &shown->root.image_id, &shown->info, e);
	if (r == 0)
		r = image_measure(s->store, &shown->root.image_id, &shown->cost, e);
	lease_free(lease);
	return r;
}

static json_t *to_json(const struct shown *w)
{
	json_t *json = json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:I}", "name", w->name, "id",
				 w->id, "bytes", (json_int_t)w->info.bytes, "chunking", w->chunking,
				 "data_bytes", (json_int_t)w->info.data_bytes, "chunks",
				 (json_int_t)w->info.chunks, "distinct_chunks",
				 (json_int_t)w->cost.distinct_chunks);

	if (!json)
		return NULL;
	json_object_set_new(json, "raw_bytes", json_integer((json_int_t)w->cost.raw_bytes));
	json_object_set_new(json, "stored_bytes", json_integer((json_int_t)w->cost.stored_bytes));
	json_object_set_new(json, "nodes", json_integer((json_int_t)w->cost.nodes));
	json_object_set_new(json, "node_bytes", json_integer((json_int_t)w->cost.node_bytes));
	/* An image that was given by its id has no date. */
	json_object_set_new(json, "created_at",
			    w->root.created_s ? json_string(text_utc(w->root.created_s).text)
					      : json_null());
	return json;
}

static int print(const struct shown *w)
{
	printf("name      %s\n"
	       "id        %s\n"
	       "made      %s\n"
	       "length    %s (%llu bytes), %s of them data\n"
	       "chunking  %s\n"
	       "chunks    %llu, %llu of them distinct: %s, stored in %s\n"
	       "manifest  %llu nodes, %s\n",
	       w->name, w->id, w->root.created_s ? text_time(w->root.created_s).text : "-",
	       text_size(w->info.bytes).text, (unsigned long long)w->info.bytes,
	       text_size(w->info.data_bytes).text, w->chunking, (unsigned long long)w->info.chunks,
	       (unsigned long long)w->cost.distinct_chunks, text_size(w->cost.raw_bytes).text,
	       text_size(w->cost.stored_bytes).text, (unsigned long long)w->cost.nodes,
	       text_size(w->cost.node_bytes).text);
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_show(struct options *o)
{
	struct shown shown = { .name = o->operands[0] };
	struct session s = { 0 };
	struct err e = { 0 };
	int r = session_open(&s, o, STORE_READ_ONLY, NULL, &e);

	if (r == 0)
		r = look(&s, &shown, &e);
	session_close(&s);
	if (r < 0)
		return cmd_fail(&e);
	id_to_hex(&shown.info.id, shown.id);
	chunk_params_format(&shown.info.chunking, shown.chunking);
	return o->is_json ? cmd_finish_json(to_json(&shown), EXIT_STATUS_OK) : print(&shown);
}

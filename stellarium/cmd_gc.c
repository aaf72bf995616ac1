/* SPDX-License-Identifier: Apache-2.0 */
/* Space given back: see cmd.h. */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "stellar/gc.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"
#include "stellarium/text.h"

static int print_json(const struct options *o, const struct gc_result *g, double seconds)
{
	const struct {
		const char *key;
		uint64_t value;
	} rows[] = {
		{ "images", g->images },
		{ "live_chunks", g->live_chunks },
		{ "live_bytes", g->live_bytes },
		{ "dead_chunks", g->dead_chunks },
		{ "dead_bytes", g->dead_bytes },
		{ "packs_removed", g->packs_removed },
		{ "packs_repacked", g->packs_repacked },
		{ "packs_kept", g->packs_kept },
		{ "packs_pinned", g->packs_pinned },
		{ "moved_bytes", g->moved_bytes },
		{ "freed_bytes", g->freed_bytes },
		{ "leftovers", g->leftovers },
	};
	json_t *json = json_pack("{s:b, s:f}", "is_dry_run", o->is_dry_run, "seconds", seconds);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		json_object_set_new(json, rows[i].key, json_integer((json_int_t)rows[i].value));
	return cmd_finish_json(json, EXIT_STATUS_OK);
}

static int print(const struct options *o, const struct gc_result *g)
{
	if (o->is_quiet)
		return EXIT_STATUS_OK;
	printf("%" PRIu64 " images need %s in %" PRIu64 " chunks; %s in %" PRIu64
	       " chunks are not needed\n",
	       g->images, text_size(g->live_bytes).text, g->live_chunks,
	       text_size(g->dead_bytes).text, g->dead_chunks);
	printf("%s %" PRIu64 " packs, %s %" PRIu64 ", kept %" PRIu64 " and %" PRIu64
	       " in use; %s %s\n",
	       o->is_dry_run ? "would remove" : "removed", g->packs_removed,
	       o->is_dry_run ? "repack" : "repacked", g->packs_repacked, g->packs_kept,
	       g->packs_pinned, text_size(g->freed_bytes).text,
	       o->is_dry_run ? "would be given back" : "given back");
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_gc(struct options *o)
{
	struct gc_result result = { 0 };
	struct session s = { 0 };
	struct progress progress;
	struct err e = { 0 };
	double seconds = 0;
	int r = session_open(&s, o, STORE_READ_WRITE, NULL, &e);

	if (r == 0) {
		progress_begin(&progress, "gc", o->is_quiet);
		const struct gc_options options = {
			.live_percent = o->live_percent,
			.is_dry_run = o->is_dry_run,
			.work = cmd_work(o, &progress),
		};
		r = gc_run(s.store, &options, &result, &e);
		seconds = progress_end(&progress);
	}
	session_close(&s);
	if (r < 0)
		return cmd_fail(&e);
	return o->is_json ? print_json(o, &result, seconds) : print(o, &result);
}

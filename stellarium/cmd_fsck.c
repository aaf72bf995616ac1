/* SPDX-License-Identifier: Apache-2.0 */
/* The store checked: see cmd.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "stellar/fsck.h"
#include "stellarium/cmd.h"
#include "stellarium/confine.h"
#include "stellarium/exit_status.h"
#include "stellarium/text.h"

int cmd_fsck_check(const struct options *o, struct err *e)
{
	if (o->is_quick && o->must_rebuild_index)
		return err_set(e, -EINVAL,
			       "--rebuild-index reads what --quick leaves out; give one of them");
	return 0;
}

/* What is found: a line for each as it is, or all at the end as JSON. */
struct findings {
	json_t *problems, *leftovers; /* owned; NULL: as text */
	bool is_quiet;
};

static void on_problem(void *opaque, const char *text, bool is_repaired)
{
	const struct findings *f = opaque;

	if (f->problems) {
		json_array_append_new(f->problems, json_pack("{s:s, s:b}", "text", text,
							     "is_repaired", is_repaired));
		return;
	}
	printf("%s%s\n", text, is_repaired ? " (repaired)" : "");
	fflush(stdout);
}

static void on_leftover(void *opaque, const char *text)
{
	const struct findings *f = opaque;

	if (f->leftovers)
		json_array_append_new(f->leftovers, json_string(text));
	else if (!f->is_quiet)
		printf("%s (harmless)\n", text);
}

/* Takes what @f owns. */
static json_t *to_json(const struct fsck_result *r, const struct findings *f, double seconds)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:f}", "packs",
			 (json_int_t)r->packs, "chunks", (json_int_t)r->chunks, "bytes",
			 (json_int_t)r->bytes, "images", (json_int_t)r->images, "damaged_images",
			 (json_int_t)r->damaged_images, "repaired", (json_int_t)r->repaired,
			 "problems", f->problems, "leftovers", f->leftovers, "seconds", seconds);
}

static int print(const struct options *o, const struct fsck_result *r, double seconds, int status)
{
	if (o->is_quiet)
		return cmd_finish(status);
	printf("%" PRIu64 " packs, %" PRIu64 " chunks, %s, %" PRIu64 " images; %.1f s, %s\n",
	       r->packs, r->chunks, text_size(r->bytes).text, r->images, seconds,
	       text_rate(r->bytes, seconds).text);
	if (r->leftovers > 0)
		printf("leftovers: %" PRIu64 "\n", r->leftovers);
	if (r->problems == 0)
		printf("no problems\n");
	else
		printf("problems: %" PRIu64 ", repaired: %" PRIu64 ", damaged images: %" PRIu64
		       "\n",
		       r->problems, r->repaired, r->damaged_images);
	return cmd_finish(status);
}

static int check(struct options *o, struct findings *findings, struct fsck_result *result,
		 double *seconds, struct err *e)
{
	struct session s = { 0 };
	struct progress progress;
	int r = session_find_key(&s, o, true, e);

	if (r == 0)
		r = confine(o->store_path, NULL, JAIL_THREAD_FSCK, e);
	if (r == 0) {
		progress_begin(&progress, "fsck", o->is_quiet);
		const struct fsck_options options = {
			.may_repair = o->may_repair,
			.must_rebuild_index = o->must_rebuild_index,
			.is_quick = o->is_quick,
			.on_problem = on_problem,
			.on_leftover = on_leftover,
			.opaque = findings,
			.work = cmd_work(o, &progress),
		};
		r = fsck_run(o->store_path, &s.secret.input, &options, result, e);
		*seconds = progress_end(&progress);
	}
	session_close(&s);
	return r;
}

int cmd_fsck(struct options *o)
{
	struct findings findings = {
		.problems = o->is_json ? json_array() : NULL,
		.leftovers = o->is_json ? json_array() : NULL,
		.is_quiet = o->is_quiet,
	};
	struct fsck_result result = { 0 };
	struct err e = { 0 };
	double seconds = 0;
	int status;

	if (check(o, &findings, &result, &seconds, &e) < 0) {
		json_decref(findings.problems);
		json_decref(findings.leftovers);
		return cmd_fail(&e);
	}
	status = result.problems > result.repaired ? EXIT_STATUS_FOUND : EXIT_STATUS_OK;
	return o->is_json ? cmd_finish_json(to_json(&result, &findings, seconds), status)
			  : print(o, &result, seconds, status);
}

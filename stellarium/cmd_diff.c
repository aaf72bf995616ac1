/* SPDX-License-Identifier: Apache-2.0 */
/* Two images compared: see cmd.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "stellar/image.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"
#include "stellarium/text.h"

/* What is done with each range: printed, or kept for JSON. */
struct ranges {
	bool must_print;
	json_t *array; /* owned; NULL: not wanted */
};

static int take_range(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct ranges *ranges = opaque;

	if (ranges->must_print) {
		printf("%" PRIu64 " %" PRIu64 "\n", offset, bytes);
		return ferror(stdout) ? -EPIPE : 0;
	}
	if (!ranges->array)
		return 0;
	return json_array_append_new(ranges->array,
				     json_pack("{s:I, s:I}", "offset", (json_int_t)offset, "bytes",
					       (json_int_t)bytes)) < 0
		       ? -ENOMEM
		       : 0;
}

static int compare(struct session *s, struct options *o, struct ranges *ranges,
		   struct image_diff *diff, struct err *e)
{
	struct lease *lease = NULL;
	struct root a, b;
	struct progress progress;
	int r = store_find(s->store, o->operands[0], &lease, &a, e);

	if (r == 0)
		r = store_find(s->store, o->operands[1], &lease, &b, e);
	if (r == 0) {
		progress_begin(&progress, "diff", o->is_quiet || ranges->must_print);
		const struct work_control work = cmd_work(o, &progress);

		r = image_diff(s->store, &a.image_id, &b.image_id, take_range, ranges, &work, diff,
			       e);
		progress_end(&progress);
	}
	lease_free(lease);
	return r;
}

static json_t *to_json(const struct image_diff *d, struct ranges *ranges)
{
	json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "different_bytes",
				 (json_int_t)d->different_bytes, "different_ranges",
				 (json_int_t)d->ranges, "only_a_chunks",
				 (json_int_t)d->chunks.only_a_chunks, "only_a_bytes",
				 (json_int_t)d->chunks.only_a_bytes, "only_b_chunks",
				 (json_int_t)d->chunks.only_b_chunks, "only_b_bytes",
				 (json_int_t)d->chunks.only_b_bytes);

	if (json && ranges->array)
		json_object_set(json, "ranges", ranges->array);
	return json;
}

static int print(const struct options *o, const struct image_diff *d, int status)
{
	if (o->is_quiet)
		return cmd_finish(status);
	if (d->ranges == 0) {
		printf("the images are the same\n");
		return cmd_finish(status);
	}
	printf("%s differ, in %" PRIu64 " range%s\n", text_size(d->different_bytes).text, d->ranges,
	       d->ranges == 1 ? "" : "s");
	printf("only in %s: %" PRIu64 " chunks, %s\n", o->operands[0], d->chunks.only_a_chunks,
	       text_size(d->chunks.only_a_bytes).text);
	printf("only in %s: %" PRIu64 " chunks, %s\n", o->operands[1], d->chunks.only_b_chunks,
	       text_size(d->chunks.only_b_bytes).text);
	return cmd_finish(status);
}

int cmd_diff(struct options *o)
{
	struct ranges ranges = { .must_print = o->has_ranges && !o->is_json };
	struct image_diff diff = { 0 };
	struct session s = { 0 };
	struct err e = { 0 };
	int status;
	int r = session_open(&s, o, STORE_READ_ONLY, NULL, &e);

	if (o->has_ranges && o->is_json)
		ranges.array = json_array();
	if (r == 0)
		r = compare(&s, o, &ranges, &diff, &e);
	session_close(&s);
	status = diff.ranges > 0 ? EXIT_STATUS_FOUND : EXIT_STATUS_OK;
	if (r < 0)
		status = cmd_fail(&e);
	else if (o->is_json)
		status = cmd_finish_json(to_json(&diff, &ranges), status);
	else
		status = print(o, &diff, status);
	json_decref(ranges.array);
	return status;
}

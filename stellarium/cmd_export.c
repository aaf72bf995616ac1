/* SPDX-License-Identifier: Apache-2.0 */
/* Images out of the store, whole or in part: see cmd.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/quote.h"
#include "stellar/image.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"
#include "stellarium/target.h"
#include "stellarium/text.h"

/* The image by its name, of the length that the name's record says. */
static int find(struct store *s, const char *name, struct lease **lease, struct root *root,
		struct err *e)
{
	struct image_info info;
	int r = store_find(s, name, lease, root, e);

	if (r == 0)
		r = image_read_info(s, &root->image_id, &info, e);
	if (r == 0 && info.bytes != root->bytes)
		return err_set(e, -EBADMSG,
			       "the record of image %s is damaged: it tells of %llu bytes, and the "
			       "image has %llu",
			       quote(name).text, (unsigned long long)root->bytes,
			       (unsigned long long)info.bytes);
	return r;
}

/* Finds the image and writes the range to the target. */
static int write_range(struct session *s, struct options *o, const char *path,
		       struct target *target, struct root *root, double *seconds, struct err *e)
{
	struct lease *lease = NULL;
	struct progress progress;
	int r = find(s->store, o->operands[0], &lease, root, e);

	if (r == 0 && o->offset > root->bytes)
		r = err_set(e, -EINVAL, "--offset %llu is behind the end of image %s, at %llu",
			    (unsigned long long)o->offset, quote(o->operands[0]).text,
			    (unsigned long long)root->bytes);
	if (r == 0)
		r = target_check_length(target, path, root->bytes, e);
	if (r == 0) {
		progress_begin(&progress, o->operands[0], o->is_quiet);
		const struct export_options options = {
			.offset = o->offset,
			.bytes = min_u64(o->bytes, root->bytes - o->offset),
			.is_sparse = target->kind == TARGET_FILE,
			.is_stream = target->kind == TARGET_STREAM,
			.work = cmd_work(o, &progress),
		};
		r = export_image(s->store, &root->image_id, target->fd,
				 strcmp(path, "-") == 0 ? "standard output" : path, &options, e);
		*seconds = progress_end(&progress);
	}
	lease_free(lease);
	return r;
}

static int print(const struct options *o, const struct root *root, const char *path, double seconds)
{
	char id[CHUNK_ID_HEX_BYTES];

	id_to_hex(&root->image_id, id);
	/* Standard output is the image. */
	if (strcmp(path, "-") == 0)
		return EXIT_STATUS_OK;
	if (o->is_json)
		return cmd_finish_json(json_pack("{s:s, s:s, s:I, s:s, s:f}", "name",
						 o->operands[0], "id", id, "bytes",
						 (json_int_t)root->bytes, "path", path, "seconds",
						 seconds),
				       EXIT_STATUS_OK);
	if (!o->is_quiet)
		printf("%s: %s to %s; %.1f s, %s\n", o->operands[0], text_size(root->bytes).text,
		       quote(path).text, seconds, text_rate(root->bytes, seconds).text);
	return cmd_finish(EXIT_STATUS_OK);
}

static int export_to(struct options *o, const char *path)
{
	struct session s = { 0 };
	struct target target;
	struct root root = { 0 };
	struct err e = { 0 };
	double seconds = 0;
	int r = target_open(&target, path, o->is_forced, &e);

	if (r == 0)
		r = session_open(&s, o, STORE_READ_ONLY, target.folder, &e);
	if (r == 0)
		r = write_range(&s, o, path, &target, &root, &seconds, &e);
	if (r == 0)
		r = target_commit(&target, path, !o->has_no_sync, &e);
	target_close(&target);
	session_close(&s);
	return r < 0 ? cmd_fail(&e) : print(o, &root, path, seconds);
}

int cmd_export(struct options *o)
{
	return export_to(o, o->operands[1]);
}

int cmd_cat(struct options *o)
{
	return export_to(o, "-");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports an image: manifest -> extents, in groups -> read and verified by all threads -> written, at
 * its place or in order. One thread walks the manifest; for a stream it also writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/image.h"
#include "stellar/pipeline.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"

enum {
	GROUP_BYTES = 1 << 20, /* read and written at once, and an extent more */
	ZEROS_MAX_BYTES = 128 << 10, /* longer runs are between groups */
	EXTENTS_MAX = 1024,
	WAIT_MS = 100, /* for a stream, between looks at is_cancelled */
};

/* A slot of the pipeline: extents that follow each other, with data. */
struct group {
	uint8_t *
		buf; /* owned: GROUP_BYTES and an extent; the image from `offset` on, without holes at its ends */
	uint64_t offset; /* in the image */
	size_t len;
	struct extent *extents; /* owned: EXTENTS_MAX */
	size_t count;
};

struct export
{
	struct store *store;
	int fd; /* borrowed */
	const char *target; /* borrowed; for messages */
	const struct export_options *options;
	uint32_t chunk_max_bytes; /* that the image may have */
	uint64_t begin, end; /* of what is wanted, in the image */
	uint64_t written_to; /* of a stream: the place in the image that is written next */
};

struct export_worker {
	struct export *export; /* borrowed */
	struct store_reader *reader; /* owned */
};

/* --- reading and writing ------------------------------------------------------------------- */

static int begin_worker(void *opaque, void **state, struct err *e)
{
	struct export_worker *w = calloc(1, sizeof(*w));
	int r;

	*state = w;
	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->export = opaque;
	r = store_reader_new(&w->reader, w->export->store, e);
	return r;
}

static void end_worker(void *state)
{
	struct export_worker *w = state;

	store_reader_free(w->reader);
	free(w);
}

/* The part of @len bytes at @offset of the image that is wanted; @skip of it come before. */
static size_t clip(const struct export *x, uint64_t offset, size_t len, size_t *skip)
{
	const uint64_t from = max_u64(offset, x->begin), to = min_u64(offset + len, x->end);

	*skip = (size_t)(from - offset);
	return from < to ? (size_t)(to - from) : 0;
}

static int write_at(const struct export *x, const uint8_t *buf, size_t len, uint64_t offset,
		    struct err *e)
{
	size_t skip;
	const size_t wanted = clip(x, offset, len, &skip);
	int r;

	if (wanted == 0)
		return 0;
	r = file_pwrite_full(x->fd, buf + skip, wanted, (off_t)(offset + skip - x->begin));
	return r < 0 ? err_errno(e, r, "cannot write %s", quote(x->target).text) : 0;
}

/* Reads all chunks of the group; writes them unless that must be done in order. */
static int work(void *state, void *slot, struct err *e)
{
	struct export_worker *w = state;
	const struct export *x = w->export;
	struct group *g = slot;
	size_t run = 0; /* where in the buffer data begins that is not written yet */

	for (size_t i = 0; i < g->count; i++) {
		const struct extent *extent = &g->extents[i];
		const size_t at = (size_t)(extent->offset - g->offset);
		ssize_t n;

		if (extent->is_zero) {
			memset(g->buf + at, 0, (size_t)extent->bytes);
			if (!x->options->is_stream && x->options->is_sparse) {
				const int r =
					write_at(x, g->buf + run, at - run, g->offset + run, e);

				if (r < 0)
					return r;
				run = at + (size_t)extent->bytes;
			}
			continue;
		}
		n = store_reader_get(w->reader, CHUNK_KIND_DATA, &extent->id, g->buf + at,
				     (size_t)extent->bytes, e);
		if (n < 0)
			return (int)n;
		if ((uint64_t)n != extent->bytes)
			return err_set(e, -EBADMSG,
				       "a chunk is shorter than the manifest says, at %llu",
				       (unsigned long long)extent->offset);
	}
	if (x->options->is_stream)
		return 0;
	return write_at(x, g->buf + run, g->len - run, g->offset + run, e);
}

/* A stream may make us wait: for its reader, who may be waiting for us to be told to stop. */
static int write_stream(const struct export *x, const uint8_t *buf, size_t len)
{
	const atomic_bool *is_cancelled = x->options->work.is_cancelled;
	struct pollfd p = { .fd = x->fd, .events = POLLOUT };
	size_t done = 0;

	while (done < len) {
		ssize_t n;

		if (is_cancelled && atomic_load(is_cancelled))
			return -ECANCELED;
		if (poll(&p, 1, WAIT_MS) <= 0)
			continue;
		n = write(x->fd, buf + done, len - done);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Zeros up to @offset of the image, into a stream or over what a device had. */
static int write_zeros(struct export *x, uint64_t offset, struct err *e)
{
	static const uint8_t zeros[64 << 10];
	int r = 0;

	while (x->written_to < offset && r == 0) {
		const size_t len = (size_t)min_u64(offset - x->written_to, sizeof(zeros));
		const struct work_control *control = &x->options->work;

		if (control->is_cancelled && atomic_load(control->is_cancelled))
			return err_set(e, -ECANCELED, "cancelled");
		if (x->options->is_stream)
			r = write_stream(x, zeros, len);
		else
			r = file_pwrite_full(x->fd, zeros, len, (off_t)(x->written_to - x->begin));
		x->written_to += len;
	}
	return r < 0 ? err_errno(e, r, "cannot write %s", quote(x->target).text) : 0;
}

/* In the image's order. */
static int retire(void *opaque, void *slot, struct err *e)
{
	struct export *x = opaque;
	const struct group *g = slot;
	const bool is_stream = x->options->is_stream;
	size_t skip;
	const size_t wanted = clip(x, g->offset, g->len, &skip);
	int r = 0;

	if (wanted == 0)
		return 0;
	if (is_stream || !x->options->is_sparse)
		r = write_zeros(x, g->offset + skip, e);
	if (r == 0 && is_stream) {
		r = write_stream(x, g->buf + skip, wanted);
		if (r < 0)
			err_errno(e, r, "cannot write %s", quote(x->target).text);
	}
	x->written_to = g->offset + skip + wanted;
	return r;
}

/* --- walking ------------------------------------------------------------------------------- */

static int allocate(const struct export *x, struct group *g, struct err *e)
{
	if (g->buf)
		return 0;
	g->buf = malloc(GROUP_BYTES + (size_t)max_u64(x->chunk_max_bytes, ZEROS_MAX_BYTES));
	g->extents = calloc(EXTENTS_MAX, sizeof(*g->extents));
	return g->buf && g->extents ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static void release_group(void *slot)
{
	struct group *g = slot;

	free(g->buf);
	free(g->extents);
}

/* The next extents with data. @next holds one that is not used yet when @has_next. */
static int gather(const struct export *x, struct manifest_cursor *cursor, struct extent *next,
		  bool *has_next, struct group *g, struct err *e)
{
	int r = allocate(x, g, e);

	g->count = 0;
	g->len = 0;
	while (r == 0 && *has_next && next->offset < x->end) {
		const bool is_long = next->is_zero && next->bytes > ZEROS_MAX_BYTES;

		if (!next->is_zero && next->bytes > x->chunk_max_bytes)
			return err_set(e, -EBADMSG,
				       "a chunk is longer than the image's chunks are, at %llu",
				       (unsigned long long)next->offset);
		if (g->count == 0)
			g->offset = next->offset;
		/* Long runs of zeros are between groups. */
		if ((is_long && g->count > 0) || g->count == EXTENTS_MAX || g->len >= GROUP_BYTES)
			break;
		if (!is_long && !(next->is_zero && g->count == 0)) {
			g->extents[g->count++] = *next;
			g->len += (size_t)next->bytes;
		}
		r = manifest_next(cursor, next, e);
		*has_next = r > 0;
		r = r < 0 ? r : 0;
	}
	return r < 0 ? r : g->count > 0;
}

static int run(struct export *x, struct manifest_cursor *cursor, struct err *e)
{
	const struct work_control *control = &x->options->work;
	const struct pipeline_job job = {
		.begin = begin_worker,
		.end = end_worker,
		.work = work,
		.retire = retire,
		.opaque = x,
		.slot_bytes = sizeof(struct group),
	};
	struct extent next;
	struct pipeline *p;
	struct group *g;
	bool has_next;
	int r = manifest_seek(cursor, x->begin, &next, e);

	if (r < 0)
		return r;
	has_next = r > 0;
	r = pipeline_new(&p, &job, control->threads, e);
	if (r < 0)
		return r;
	for (;;) {
		if (control->is_cancelled && atomic_load(control->is_cancelled)) {
			r = err_set(e, -ECANCELED, "cancelled");
			break;
		}
		g = pipeline_slot(p, e);
		if (!g) {
			r = e->code;
			break;
		}
		r = gather(x, cursor, &next, &has_next, g, e);
		if (r <= 0)
			break;
		pipeline_submit(p);
		if (control->on_progress)
			control->on_progress(control->opaque, g->offset + g->len - x->begin,
					     x->end - x->begin);
	}
	if (r == 0)
		r = pipeline_finish(p, e);
	pipeline_free(p, release_group);
	if (r == 0 && (x->options->is_stream || !x->options->is_sparse))
		r = write_zeros(x, x->end, e);
	return r;
}

int export_image(struct store *s, const struct chunk_id *image, int fd, const char *target,
		 const struct export_options *o, struct err *e)
{
	struct export x = { .store = s, .fd = fd, .target = target, .options = o };
	struct manifest_cursor *cursor = NULL;
	struct manifest_source source;
	struct store_reader *reader;
	struct err own = { 0 };
	uint64_t bytes;
	int r;

	e = e ? e : &own;
	r = store_reader_new(&reader, s, e);
	if (r < 0)
		return r;
	source = store_reader_source(reader);
	r = manifest_open(&cursor, image, &source, e);
	if (r == 0) {
		bytes = manifest_info(cursor)->bytes;
		x.chunk_max_bytes = manifest_info(cursor)->chunking.max_bytes;
		x.begin = x.written_to = min_u64(o->offset, bytes);
		x.end = x.begin + min_u64(o->bytes, bytes - x.begin);
		if (o->is_sparse && !o->is_stream && ftruncate(fd, (off_t)(x.end - x.begin)) < 0)
			r = err_errno(e, -errno, "cannot make %s %llu bytes long",
				      quote(target).text, (unsigned long long)(x.end - x.begin));
	}
	if (r == 0 && x.begin < x.end)
		r = run(&x, cursor, e);
	manifest_close(cursor);
	store_reader_free(reader);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports an image: bytes -> pieces (runs of zeros, chunks) -> chunks put by all threads -> manifest
 * -> name. One thread goes through the image, and builds the manifest in its order. Where the content
 * says where to cut, and of a stream, it reads and cuts too; a file in fixed chunks is read and cut
 * by all threads, each piece while it is in the processor's cache.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stellar/image.h"
#include "stellar/import_source.h"
#include "stellar/pipeline.h"
#include "stellar/store_impl.h"
#include "stellar/txn.h"

enum {
	SEGMENT_MIN_BYTES = 1 << 20, /* read and put at once: as much, or a chunk */
	STRETCHES_MAX = 256,
	BUDGET_MIN_BYTES = 64 << 10, /* less is not worth a read in the same segment */
};

struct piece {
	uint64_t bytes;
	bool is_zero; /* otherwise it is the next of the items */
};

/* A hole, and data after it that a worker reads. */
struct stretch {
	uint64_t hole_bytes;
	uint64_t offset; /* in the file */
	size_t len; /* a multiple of the chunks' length, or up to a hole or the end */
};

/* A slot of the pipeline. */
struct segment {
	struct stretch stretches[STRETCHES_MAX];
	size_t stretch_count; /* what is to be read; 0: buf has it, cut already */
	uint8_t *buf; /* owned; allocated when first used, like the next two */
	struct piece *pieces; /* owned */
	struct txn_item *items; /* owned */
	size_t piece_count, item_count;
};

struct import {
	struct store *store;
	struct txn *txn; /* owned */
	struct txn_worker *worker; /* owned: of the reading thread, for the manifest */
	struct manifest_builder *builder; /* owned */
	struct chunk_params chunking;
	struct import_source source;
	struct import_result *result;
	size_t segment_bytes; /* read at once */
	size_t buf_bytes; /* with what the segment before left */
	size_t pieces_max; /* what that can become */
	bool is_planned; /* workers read and cut */
	/* A run of data that was not cut to its end, for the next segment: */
	uint8_t *rest; /* owned: less than a chunk */
	size_t rest_len;
	uint64_t at; /* place in the image of what is cut next; when not planned */
};

/* A thread of the pipeline. */
struct import_worker {
	struct import *import; /* borrowed */
	struct txn_worker *txn; /* owned */
};

/* --- cutting ------------------------------------------------------------------------------- */

static void add_zero(struct segment *g, uint64_t bytes)
{
	g->pieces[g->piece_count++] = (struct piece){ .bytes = bytes, .is_zero = true };
}

static void add_chunk(struct segment *g, const uint8_t *bytes, size_t len)
{
	g->pieces[g->piece_count++] = (struct piece){ .bytes = len };
	g->items[g->item_count++] =
		(struct txn_item){ .kind = CHUNK_KIND_DATA, .bytes = bytes, .len = len };
}

/* How much of a run that goes on must be known before its first chunk is. */
static size_t needed(const struct chunk_params *p, uint64_t at)
{
	return p->method == CHUNK_FIXED ? p->max_bytes - at % p->max_bytes : p->max_bytes;
}

/* The run of data at @data, @at in the image; it begins at a block unless it is a rest. */
static size_t run_of(uint64_t at, const uint8_t *data, size_t len)
{
	const size_t inside = (size_t)min_u64(align_up(at, CHUNK_BLOCK_BYTES) - at, len);

	return inside + chunk_data_run(data + inside, len - inside);
}

/*
 * Cuts the @len bytes at @data, @at in the image, after which the run ends when @is_end; @is_rest:
 * they begin inside a run. Returns how many were cut; the others are too few for a chunk of a run
 * that goes on.
 */
static size_t cut(const struct chunk_params *p, struct segment *g, uint64_t at, const uint8_t *data,
		  size_t len, bool is_end, bool is_rest)
{
	size_t done = 0;

	while (done < len) {
		size_t run = is_rest ? 0 : chunk_zero_run(data + done, len - done);

		if (run > 0) {
			add_zero(g, run);
			done += run;
			continue;
		}
		run = run_of(at + done, data + done, len - done);
		is_rest = false;
		while (run > 0) {
			const bool goes_on = done + run == len && !is_end;
			size_t n;

			if (goes_on && run < needed(p, at + done))
				return done;
			n = chunk_next(p, at + done, data + done, run);
			add_chunk(g, data + done, n);
			done += n;
			run -= n;
		}
	}
	return done;
}

/* --- reading ------------------------------------------------------------------------------- */

static int allocate(const struct import *im, struct segment *g, struct err *e)
{
	if (g->buf)
		return 0;
	g->buf = malloc(im->buf_bytes);
	g->pieces = calloc(im->pieces_max, sizeof(*g->pieces));
	g->items = calloc(im->pieces_max, sizeof(*g->items));
	return g->buf && g->pieces && g->items ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static void release_segment(void *slot)
{
	struct segment *g = slot;

	free(g->buf);
	free(g->pieces);
	free(g->items);
}

/* Reads and cuts up to a segment more. 1: there is something in it; 0: the end; -errno. */
static int fill(struct import *im, struct segment *g, struct err *e)
{
	size_t len = im->rest_len, budget = im->segment_bytes;
	bool is_rest = len > 0;
	int r = allocate(im, g, e);

	if (r < 0)
		return r;
	g->piece_count = g->item_count = g->stretch_count = 0;
	memcpy(g->buf, im->rest, len);
	im->rest_len = 0;
	for (size_t i = 0; i < STRETCHES_MAX && budget >= BUDGET_MIN_BYTES; i++) {
		const int64_t hole = import_source_hole(&im->source, e);
		size_t known = is_rest ? len : 0, done;
		uint8_t *data = g->buf + len - known;
		bool is_end = true;
		ssize_t n;

		if (hole < 0)
			return (int)hole;
		if (hole > 0)
			add_zero(g, (uint64_t)hole);
		im->at += (uint64_t)hole;
		if (import_source_is_at_end(&im->source) && !is_rest)
			break;
		n = import_source_read(&im->source, g->buf + len, budget, &is_end, e);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		budget -= (size_t)n;
		known += (size_t)n;
		done = cut(&im->chunking, g, im->at, data, known, is_end, is_rest);
		is_rest = false;
		im->at += done;
		if (done < known) {
			im->rest_len = known - done;
			memcpy(im->rest, data + done, im->rest_len);
			break;
		}
	}
	return g->piece_count > 0 || im->rest_len > 0;
}

/* Says what a worker reads and cuts: whole chunks, or all up to a hole. As above. */
static int plan(struct import *im, struct segment *g, struct err *e)
{
	const size_t chunk = im->chunking.max_bytes;
	size_t budget = im->segment_bytes;

	g->piece_count = g->item_count = g->stretch_count = 0;
	while (budget > 0 && g->stretch_count < STRETCHES_MAX) {
		const int64_t hole = import_source_hole(&im->source, e);
		struct stretch *stretch = &g->stretches[g->stretch_count];
		ssize_t len;

		if (hole < 0)
			return (int)hole;
		*stretch = (struct stretch){ (uint64_t)hole, im->source.at, 0 };
		len = import_source_take(&im->source, budget, chunk, e);
		if (len < 0)
			return (int)len;
		stretch->len = (size_t)len;
		if (hole == 0 && stretch->len == 0)
			break;
		g->stretch_count++;
		budget -= stretch->len;
		if (stretch->len == 0)
			break;
	}
	im->at = im->source.at;
	return g->stretch_count > 0;
}

static int read_planned(const struct import *im, struct segment *g, struct err *e)
{
	uint8_t *at = g->buf;

	for (size_t i = 0; i < g->stretch_count; i++) {
		const struct stretch *stretch = &g->stretches[i];
		int r;

		if (stretch->hole_bytes > 0)
			add_zero(g, stretch->hole_bytes);
		r = import_source_read_at(&im->source, at, stretch->len, stretch->offset, e);
		if (r < 0)
			return r;
		cut(&im->chunking, g, stretch->offset, at, stretch->len, true, false);
		at += stretch->len;
	}
	return 0;
}

/* --- putting ------------------------------------------------------------------------------- */

static int begin_worker(void *opaque, void **state, struct err *e)
{
	struct import_worker *w = calloc(1, sizeof(*w));

	*state = w;
	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->import = opaque;
	return txn_worker_new(&w->txn, w->import->txn, e);
}

static void end_worker(void *state)
{
	struct import_worker *w = state;

	txn_worker_free(w->txn);
	free(w);
}

static int put_segment(void *state, void *slot, struct err *e)
{
	struct import_worker *w = state;
	struct segment *g = slot;
	int r = allocate(w->import, g, e);

	if (r == 0 && g->stretch_count > 0)
		r = read_planned(w->import, g, e);
	if (r < 0 || g->item_count == 0)
		return r;
	return txn_put(w->txn, g->items, g->item_count, e);
}

static int put_node(void *opaque, enum chunk_kind kind, const void *bytes, size_t len,
		    struct chunk_id *id, struct err *e)
{
	struct import *im = opaque;
	struct txn_item item = { .kind = kind, .bytes = bytes, .len = len };
	const int r = txn_put(im->worker, &item, 1, e);

	*id = item.id;
	return r;
}

/* The segment's pieces become the manifest's. */
static int list_segment(void *opaque, void *slot, struct err *e)
{
	struct import *im = opaque;
	const struct segment *g = slot;
	size_t item = 0;
	int r = 0;

	for (size_t i = 0; i < g->piece_count && r == 0; i++) {
		const struct piece *piece = &g->pieces[i];

		if (piece->is_zero) {
			r = manifest_add_zero(im->builder, piece->bytes, e);
			im->result->zero_bytes += piece->bytes;
			continue;
		}
		r = manifest_add_chunk(im->builder, &g->items[item++].id, (uint32_t)piece->bytes,
				       e);
		im->result->data_bytes += piece->bytes;
		im->result->chunks++;
	}
	return r;
}

/* --- all of it ----------------------------------------------------------------------------- */

static int run(struct import *im, const struct work_control *work, struct err *e)
{
	const struct pipeline_job job = {
		.begin = begin_worker,
		.end = end_worker,
		.work = put_segment,
		.retire = list_segment,
		.opaque = im,
		.slot_bytes = sizeof(struct segment),
	};
	struct pipeline *p;
	struct segment *g;
	int r = pipeline_new(&p, &job, work->threads, e);

	if (r < 0)
		return r;
	for (;;) {
		if (work->is_cancelled && atomic_load(work->is_cancelled)) {
			r = err_set(e, -ECANCELED, "cancelled");
			break;
		}
		g = pipeline_slot(p, e);
		r = !g ? -EIO : im->is_planned ? plan(im, g, e) : fill(im, g, e);
		if (r <= 0)
			break;
		pipeline_submit(p);
		if (work->on_progress)
			work->on_progress(work->opaque, im->at, im->source.bytes);
	}
	if (r == 0)
		r = pipeline_finish(p, e);
	pipeline_free(p, release_segment);
	return r < 0 && e && e->code < 0 ? e->code : r;
}

/* Runs of zeros and of data take turns by blocks at most; chunks are at least as long as they say. */
static void size_segments(struct import *im)
{
	const struct chunk_params *p = &im->chunking;
	const size_t least = (size_t)min_u64(p->min_bytes, CHUNK_BLOCK_BYTES);

	im->segment_bytes = (size_t)max_u64(SEGMENT_MIN_BYTES, p->max_bytes);
	im->is_planned = p->method == CHUNK_FIXED && !im->source.is_stream;
	im->buf_bytes = im->segment_bytes + (im->is_planned ? 0 : p->max_bytes);
	im->pieces_max =
		im->buf_bytes / least + 2 * (im->buf_bytes / CHUNK_BLOCK_BYTES) + 4 * STRETCHES_MAX;
}

static int begin(struct import *im, const struct import_options *o, struct err *e)
{
	const struct superblock *sb = store_superblock(im->store);
	const struct manifest_sink sink = { .put = put_node, .opaque = im };
	int r;

	im->chunking = o->chunking.method ? o->chunking : sb->chunking;
	size_segments(im);
	im->rest = malloc(im->chunking.max_bytes);
	if (!im->rest)
		return err_set(e, -ENOMEM, "out of memory");
	r = txn_begin(&im->txn, im->store, o->has_codec ? &o->codec : &sb->codec, e);
	if (r == 0)
		r = txn_worker_new(&im->worker, im->txn, e);
	if (r == 0)
		r = manifest_builder_new(&im->builder, &im->chunking, &sink, e);
	return r;
}

/* Fails early when the name is taken; that it is free may change until the end. */
static int check_name(struct store *s, const char *name, bool may_replace, struct err *e)
{
	struct root before;
	int r = root_check_name(name, e);

	if (r < 0 || may_replace)
		return r;
	r = root_read(s->roots_fd, &s->scheme, name, &before, NULL);
	if (r == 0)
		return err_set(e, -EEXIST, "there is an image '%s' already", name);
	return 0;
}

static int finish(struct import *im, const char *name, const struct import_options *o,
		  struct err *e)
{
	struct import_result *out = im->result;
	struct txn_stats stats;
	int r = manifest_finish(im->builder, &out->root.image_id, e);

	if (r < 0)
		return r;
	memcpy(out->root.name, name, strlen(name) + 1); /* checked: it fits */
	out->root.bytes = im->at;
	out->root.created_s = (uint64_t)time(NULL);
	r = txn_commit(im->txn, &out->root, o->may_replace, e);
	txn_get_stats(im->txn, &stats);
	out->new_chunks = stats.new_chunks;
	out->new_raw_bytes = stats.new_raw_bytes;
	out->new_stored_bytes = stats.new_stored_bytes;
	return r;
}

int import_image(struct store *s, int fd, const char *source, const char *name,
		 const struct import_options *o, struct import_result *out, struct err *e)
{
	struct import im = { .store = s, .result = out };
	struct err own = { 0 };
	int r;

	e = e ? e : &own;
	*out = (struct import_result){ 0 };
	r = check_name(s, name, o->may_replace, e);
	if (r == 0)
		r = import_source_open(&im.source, fd, source, e);
	im.source.is_cancelled = o->work.is_cancelled;
	if (r == 0)
		r = begin(&im, o, e);
	if (r == 0)
		r = run(&im, &o->work, e);
	if (r == 0)
		r = finish(&im, name, o, e);
	manifest_builder_free(im.builder);
	txn_worker_free(im.worker);
	txn_free(im.txn);
	free(im.rest);
	return r;
}

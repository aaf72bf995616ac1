/* SPDX-License-Identifier: Apache-2.0 */
/* What the store is made of, each part alone: see bench.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "stellar/chunk.h"
#include "stellar/codec.h"
#include "stellar/id.h"
#include "stellarium/bench.h"
#include "stellarium/cancel.h"
#include "stellarium/text.h"

/* What a thread that hashes works on. */
struct part {
	const struct bench *bench;
	const struct id_scheme *scheme;
	const uint8_t *data;
	size_t len;
	uint64_t hashed;
};

static int cancelled(struct err *e)
{
	return cancel_signal() ? err_set(e, -ECANCELED, "stopped") : 0;
}

static void *hash_part(void *opaque)
{
	struct part *p = opaque;
	const size_t step = p->bench->chunking.average_bytes;
	const double start = text_now_s();
	struct chunk_id id;

	do {
		for (size_t at = 0; at < p->len && !cancel_signal(); at += step)
			id_of_data(p->scheme, p->data + at, min_u64(step, p->len - at), &id);
		p->hashed += p->len;
	} while (bench_goes_on(start));
	return NULL;
}

/* All threads, each a part of its own; those that cannot be started are done without. */
static void hash(struct bench *b, const struct id_scheme *scheme, struct part *parts,
		 pthread_t *threads, unsigned nr)
{
	const size_t share = align_up(b->len / nr, CHUNK_BLOCK_BYTES);
	struct bench_row *row = bench_row(b, "BLAKE3, %u thread%s", nr, nr == 1 ? "" : "s");
	const double start = text_now_s();
	uint64_t hashed = 0;
	unsigned started = 0;

	for (unsigned i = 0; i < nr; i++) {
		const size_t at = min_u64(i * share, b->len);

		parts[i] = (struct part){ b, scheme, b->data + at, min_u64(share, b->len - at), 0 };
	}
	while (started < nr - 1 &&
	       pthread_create(&threads[started], NULL, hash_part, &parts[started]) == 0)
		started++;
	hash_part(&parts[nr - 1]);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < nr; i++)
		hashed += parts[i].hashed;
	row->bytes_per_s = (double)hashed / (text_now_s() - start);
}

int bench_hashing(struct bench *b, struct err *e)
{
	auto_free struct part *parts = calloc(b->threads, sizeof(*parts));
	auto_free pthread_t *threads = calloc(b->threads, sizeof(*threads));
	struct id_scheme scheme;

	if (!parts || !threads)
		return err_set(e, -ENOMEM, "out of memory");
	id_scheme_init(&scheme, NULL);
	hash(b, &scheme, parts, threads, 1);
	if (b->threads > 1)
		hash(b, &scheme, parts, threads, b->threads);
	id_scheme_release(&scheme);
	return cancelled(e);
}

/* Calls @chunk for each run of data at @at of @len bytes. Returns the bytes of data. */
static uint64_t each_run(const struct bench *b, void (*run)(void *opaque, size_t at, size_t len),
			 void *opaque)
{
	uint64_t data = 0;
	size_t at = 0;

	while (at < b->len && !cancel_signal()) {
		size_t len = chunk_zero_run(b->data + at, b->len - at);

		at += len;
		len = at < b->len ? chunk_data_run(b->data + at, b->len - at) : 0;
		if (run && len > 0)
			run(opaque, at, len);
		data += len;
		at += len;
	}
	return data;
}

static void scan_zeros(struct bench *b)
{
	struct bench_row *row = bench_row(b, "zero scan");
	const double start = text_now_s();
	uint64_t scanned = 0;

	do {
		each_run(b, NULL, NULL);
		scanned += b->len;
	} while (bench_goes_on(start));
	row->bytes_per_s = (double)scanned / (text_now_s() - start);
}

struct cutter {
	const struct bench *bench;
	struct chunk_params params;
	uint64_t chunks;
};

static void cut_run(void *opaque, size_t at, size_t len)
{
	struct cutter *c = opaque;

	while (len > 0) {
		const size_t n = chunk_next(&c->params, at, c->bench->data + at, len);

		c->chunks++;
		at += n;
		len -= n;
	}
}

/* With the search for zeros, which comes before: as an import does both. */
static int cut(struct bench *b, const char *how, struct err *e)
{
	struct cutter cutter = { .bench = b };
	const double start = text_now_s();
	uint64_t done = 0;
	int r = chunk_params_parse(&cutter.params, how, e);

	if (r < 0)
		return r;
	do {
		each_run(b, cut_run, &cutter);
		done += b->len;
	} while (bench_goes_on(start));
	bench_row(b, "cutting %s", how)->bytes_per_s = (double)done / (text_now_s() - start);
	return 0;
}

/* One codec: chunks go there, and back. */
struct coding {
	const struct bench *bench;
	struct codec_coder *coder;
	uint8_t *stored, *restored; /* owned: a chunk each */
	uint64_t raw_bytes, stored_bytes;
	double encode_s, decode_s;
	double start_s;
	int error;
};

static void code_run(void *opaque, size_t at, size_t len)
{
	struct coding *c = opaque;
	const struct bench *b = c->bench;

	while (len > 0 && bench_goes_on(c->start_s)) {
		const size_t n = chunk_next(&b->chunking, at, b->data + at, len);
		const double start = text_now_s();
		enum codec used;
		const size_t stored =
			codec_encode(c->coder, b->data + at, n, c->stored, CHUNK_MAX_BYTES, &used);
		const double middle = text_now_s();
		const uint8_t *from = used == CODEC_NONE ? b->data + at : c->stored;

		if (codec_decode(c->coder, (uint8_t)used, from, stored, c->restored, n, NULL) < 0)
			c->error = -EBADMSG;
		c->encode_s += middle - start;
		c->decode_s += text_now_s() - middle;
		c->raw_bytes += n;
		c->stored_bytes += stored;
		at += n;
		len -= n;
	}
}

static int measure_codec(struct bench *b, const char *name, struct err *e)
{
	auto_free uint8_t *stored = malloc(CHUNK_MAX_BYTES), *restored = malloc(CHUNK_MAX_BYTES);
	struct coding coding = { .bench = b, .stored = stored, .restored = restored };
	struct codec_params params;
	struct bench_row *row;
	int r = codec_params_parse(&params, name, e);

	if (r == 0 && (!stored || !restored))
		r = err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = codec_coder_new(&coding.coder, &params, NULL, e);
	if (r < 0)
		return r;
	coding.start_s = text_now_s();
	each_run(b, code_run, &coding);
	codec_coder_free(coding.coder);
	if (coding.error < 0)
		return err_set(e, coding.error, "%s does not restore what it stored", name);
	row = bench_row(b, "%s", name);
	if (coding.raw_bytes > 0) {
		row->bytes_per_s = (double)coding.raw_bytes / coding.encode_s;
		row->decode_bytes_per_s = (double)coding.raw_bytes / coding.decode_s;
		row->ratio = (double)coding.raw_bytes / (double)coding.stored_bytes;
	}
	return 0;
}

int bench_parts(struct bench *b, struct err *e)
{
	static const char *const cuts[] = { "fixed:64K", "fastcdc:64K" };
	static const char *const codecs[] = { "lz4", "zstd:1", "zstd:3", "zstd:9", "auto" };
	int r = 0;

	scan_zeros(b);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(cuts); i++)
		r = cut(b, cuts[i], e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(codecs) && !cancel_signal(); i++)
		r = measure_codec(b, codecs[i], e);
	return r == 0 ? cancelled(e) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the steps of an import cost by themselves, in one thread, on the bytes of a file: finding
 * zeros, cutting, naming, compressing. For choosing parameters; the store's own speed is measured
 * through its command.
 *
 *	chunk-speed FILE [ROUNDS]
 *
 * Prints MB/s of what goes in, and what comes out. Blocks of zeros are
 * left out first, as by an import.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "stellar/chunk.h"
#include "stellar/codec.h"
#include "stellar/id.h"

enum { PIECE_BYTES = 1 << 20, MAX_ROUNDS = 1000 };

/* The non-zero blocks of the file, moved together. */
struct input {
	uint8_t *data; /* owned */
	size_t len, file_len;
	unsigned int rounds;
};

/* One step over some bytes; returns what it counts. */
typedef uint64_t step_fn(const uint8_t *data, size_t len, const void *opaque);

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Piece by piece, so that the bytes are in the cache as they are when they have just been read; the
 * best round of each, since what else the machine does only adds.
 */
static uint64_t measure(const char *name, const struct input *in, step_fn *step, const void *opaque)
{
	double sum = 0;
	uint64_t count = 0;

	for (size_t at = 0; at < in->len; at += PIECE_BYTES) {
		size_t len = min_u64(PIECE_BYTES, in->len - at);
		double best = 0;

		count += step(in->data + at, len, opaque);
		for (unsigned int i = 0; i < in->rounds; i++) {
			double begin = now(), took;

			step(in->data + at, len, opaque);
			took = now() - begin;
			best = i == 0 || took < best ? took : best;
		}
		sum += best;
	}
	printf("%-24s %9.1f MB/s", name, (double)in->len / 1e6 / sum);
	return count;
}

static uint64_t find_zeros(const uint8_t *data, size_t len, const void *opaque)
{
	(void)opaque;
	return chunk_data_run(data, len);
}

static uint64_t scan_zeros(const uint8_t *data, size_t len, const void *opaque)
{
	return chunk_zero_run(data ? opaque : NULL, len);
}

static uint64_t cut(const uint8_t *data, size_t len, const void *opaque)
{
	uint64_t count = 0;

	for (size_t at = 0; at < len; count++)
		at += chunk_next(opaque, at, data + at, len - at);
	return count;
}

static uint64_t name_all(const uint8_t *data, size_t len, const void *opaque)
{
	size_t size = *(const size_t *)opaque;
	struct id_scheme scheme;
	struct chunk_id id;
	uint64_t any = 0;

	id_scheme_init(&scheme, NULL);
	for (size_t at = 0; at < len; at += size) {
		id_of_data(&scheme, data + at, min_u64(size, len - at), &id);
		any += id.bytes[0];
	}
	return any;
}

struct coding {
	struct codec_coder *coder;
	size_t chunk_bytes;
	uint8_t *buffer;
};

static uint64_t encode_all(const uint8_t *data, size_t len, const void *opaque)
{
	const struct coding *c = opaque;
	uint64_t stored = 0;

	for (size_t at = 0; at < len; at += c->chunk_bytes) {
		size_t size = min_u64(c->chunk_bytes, len - at);
		enum codec used;

		stored += codec_encode(c->coder, data + at, size, c->buffer, size, &used);
	}
	return stored;
}

static int read_input(struct input *in, const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *file;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		return -1;
	in->file_len = (size_t)st.st_size;
	file = mmap(NULL, in->file_len, PROT_READ, MAP_PRIVATE, fd, 0);
	in->data = malloc(in->file_len);
	if (file == MAP_FAILED || !in->data)
		return -1;
	for (size_t at = 0; at < in->file_len;) {
		size_t run;

		at += chunk_zero_run(file + at, in->file_len - at);
		run = chunk_data_run(file + at, in->file_len - at);
		memcpy(in->data + in->len, file + at, run);
		in->len += run;
		at += run;
	}
	munmap(file, in->file_len);
	return 0;
}

static void measure_cuts(const struct input *in)
{
	static const char *const texts[] = { "fastcdc:4K", "fastcdc:16K", "fastcdc:64K",
					     "fastcdc:256K", "fastcdc:1M" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct chunk_params p;
		uint64_t count;

		if (chunk_params_parse(&p, texts[i], NULL) < 0)
			abort();
		measure(texts[i], in, cut, &p);
		count = cut(in->data, in->len, &p);
		printf("  mean %.3f of the average\n",
		       (double)in->len / (double)count / p.average_bytes);
	}
}

static void measure_names(const struct input *in)
{
	for (size_t size = 4096; size <= PIECE_BYTES; size *= 4) {
		char name[32];

		snprintf(name, sizeof(name), "blake3 of %zu KiB", size / 1024);
		measure(name, in, name_all, &size);
		printf("\n");
	}
}

static void measure_codecs(const struct input *in)
{
	static const char *const texts[] = {
		"lz4", "zstd:1", "zstd:3", "auto:1", "auto:3", "zstd:9"
	};
	static const size_t sizes[] = { 4096, 65536, 1 << 20 };

	for (size_t i = 0; i < ARRAY_LEN(texts) * ARRAY_LEN(sizes); i++) {
		struct coding c = { .chunk_bytes = sizes[i % ARRAY_LEN(sizes)] };
		const char *text = texts[i / ARRAY_LEN(sizes)];
		auto_free uint8_t *buffer = malloc(c.chunk_bytes);
		struct codec_params p;
		uint64_t stored;
		char name[32];

		c.buffer = buffer;
		if (!buffer || codec_params_parse(&p, text, NULL) < 0 ||
		    codec_coder_new(&c.coder, &p, NULL, NULL) < 0)
			abort();
		snprintf(name, sizeof(name), "%s of %zu KiB", text, c.chunk_bytes / 1024);
		stored = measure(name, in, encode_all, &c);
		printf("  to %.4f\n", (double)stored / (double)in->len);
		codec_coder_free(c.coder);
	}
}

int main(int argc, char *argv[])
{
	struct input in = { .rounds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 5 };
	static uint8_t zeros[PIECE_BYTES];

	if (argc < 2 || in.rounds == 0 || in.rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: %s FILE [ROUNDS]\n", argv[0]);
		return 2;
	}
	if (read_input(&in, argv[1]) < 0) {
		fprintf(stderr, "%s: cannot read '%s'\n", argv[0], argv[1]);
		return 1;
	}
	printf("%zu MB, %zu of them not zero\n", in.file_len / 1000000, in.len / 1000000);
	measure("zeros", &in, scan_zeros, zeros);
	measure("\nno zeros", &in, find_zeros, NULL);
	printf("\n");
	measure_cuts(&in);
	measure_names(&in);
	measure_codecs(&in);
	free(in.data);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measurements of what the store is made of (bench_parts.c) and of a whole one (bench_store.c), with
 * the same data. Each is repeated until enough time has passed for its number to mean something.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stellarium/options.h"

enum { BENCH_ROWS_MAX = 32, BENCH_NAME_BYTES = 40 };

/* A measurement; what a row has not is 0. */
struct bench_row {
	char name[BENCH_NAME_BYTES];
	double bytes_per_s;
	double decode_bytes_per_s; /* of codecs: the way back */
	double ratio; /* of codecs: raw to stored */
	double latency_us; /* of random reads: one */
};

struct bench {
	const struct options *options; /* borrowed */
	struct chunk_params chunking;
	struct codec_params codec;
	unsigned threads;
	int data_fd; /* owned; memory with the data, and nothing else */
	const uint8_t *data; /* owned: the same, mapped */
	size_t len;
	char source[64]; /* what the data is */
	struct bench_row rows[BENCH_ROWS_MAX];
	size_t nr_rows;
};

/* Loads the data: the begin of @path, or made up when it is NULL. Release it in any case. */
int bench_open(struct bench *b, const struct options *o, const char *path, struct err *e);
void bench_close(struct bench *b);

/* A new row, whose name is a format. */
struct bench_row *bench_row(struct bench *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether to go on: until @start_s is some time ago, or a signal came. */
bool bench_goes_on(double start_s);

/* Hashing alone; zeros, cutting and codecs; import, export and reads. 0 or -errno, -ECANCELED. */
int bench_hashing(struct bench *b, struct err *e);
int bench_parts(struct bench *b, struct err *e);
int bench_store(struct bench *b, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How chunks are stored: as they are, or compressed by lz4 or zstd, the latter with a dictionary
 * trained on the store's chunks or without.
 *
 * Which one it was is recorded with each chunk. A chunk that does not get smaller by a sixteenth is
 * stored as it is: it can be mapped and read without a copy then, which is worth more than its last
 * few bytes. zstd's frames hold no checksum and no length, since the store has both.
 *
 * Decoding takes bytes from a disk, so whatever they are, it writes at most the bytes asked for, and
 * allocates nothing that they say.
 *
 * A coder is used by one thread at a time. A dictionary does not change: any number of threads share
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* As recorded on disk. */
enum codec { CODEC_NONE = 0, CODEC_LZ4 = 1, CODEC_ZSTD = 2, CODEC_ZSTD_DICTIONARY = 3 };

/* AUTO is zstd, but leaves alone what a quick test finds incompressible. */
enum codec_choice { CODEC_CHOICE_NONE, CODEC_CHOICE_LZ4, CODEC_CHOICE_ZSTD, CODEC_CHOICE_AUTO };

enum {
	CODEC_LEVEL_MIN = 1,
	CODEC_LEVEL_DEFAULT = 3,
	CODEC_LEVEL_MAX = 19,
	CODEC_PARAMS_TEXT_BYTES = 16,
	CODEC_DICTIONARY_MAX_BYTES = 1 << 20,
	CODEC_GAIN_SHIFT = 4, /* a chunk is stored as it is unless it shrinks by len >> this */
};

struct codec_params {
	enum codec_choice choice;
	int level; /* of zstd; 0 where there is none */
};

/* "none", "lz4", "zstd", "zstd:LEVEL", "auto" or "auto:LEVEL". 0, or -EINVAL with what works. */
int codec_params_parse(struct codec_params *p, const char *text, struct err *e);

/* The text that gives @p. */
void codec_params_format(const struct codec_params *p, char text[static CODEC_PARAMS_TEXT_BYTES]);

/* For parameters from a disk: whether they are some that codec_params_parse() makes. */
bool codec_params_are_valid(const struct codec_params *p);

struct codec_dictionary;

/*
 * @bytes, which are copied, are a dictionary of codec_dictionary_train(); @level is that of coders
 * that use it. 0, -EBADMSG when they are not one, or -ENOMEM. Free it after the coders.
 */
int codec_dictionary_new(struct codec_dictionary **dictionary, const void *bytes, size_t len,
			 int level, struct err *e);

/* @dictionary may be NULL. */
void codec_dictionary_free(struct codec_dictionary *dictionary);

/*
 * Makes a dictionary of at most @cap bytes, @cap <= CODEC_DICTIONARY_MAX_BYTES, from @count samples,
 * which are one after the other at @samples. Its length, or -EINVAL when the samples are too few or
 * too much alike.
 */
int codec_dictionary_train(const void *samples, const size_t *sizes, size_t count, void *out,
			   size_t cap, struct err *e);

struct codec_coder;

/* @dictionary, which may be NULL, outlives the coder. 0, or -ENOMEM. */
int codec_coder_new(struct codec_coder **coder, const struct codec_params *p,
		    const struct codec_dictionary *dictionary, struct err *e);

/* @coder may be NULL. */
void codec_coder_free(struct codec_coder *coder);

/*
 * Stores the @len bytes of @src in @dst, which has room for at least @len. The stored length, and how
 * in @used. CODEC_NONE: they are best stored as they are, the length is @len, and @dst is garbage.
 */
size_t codec_encode(struct codec_coder *coder, const void *src, size_t len, void *dst, size_t cap,
		    enum codec *used);

/*
 * Restores exactly @raw_len bytes from the @stored_len of @src, both at most CHUNK_MAX_BYTES. @codec
 * is as recorded. 0, or -EBADMSG, with @dst garbage.
 */
int codec_decode(struct codec_coder *coder, uint8_t codec, const void *src, size_t stored_len,
		 void *dst, size_t raw_len, struct err *e);

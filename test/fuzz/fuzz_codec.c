/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codecs: bytes from a disk decode to exactly what was asked for or to an error with a message; and
 * whatever is encoded comes back.
 *
 * Input: the codec, two bytes for the length asked for, the stored bytes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "stellar/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* A dictionary of something regular. */
static struct codec_dictionary *dictionary(void)
{
	enum { COUNT = 200, EACH = 256 };
	static char samples[COUNT * EACH], bytes[4096];
	struct codec_dictionary *d = NULL;
	size_t sizes[COUNT];
	int len;

	for (unsigned int i = 0; i < COUNT; i++) {
		sizes[i] = EACH;
		for (unsigned int at = 0; at + 16 < EACH; at += 16)
			snprintf(samples + (size_t)i * EACH + at, 17, "entry %10u",
				 i * at * 2654435761U);
	}
	len = codec_dictionary_train(samples, sizes, COUNT, bytes, sizeof(bytes), NULL);
	require(len > 0 && codec_dictionary_new(&d, bytes, (size_t)len, 1, NULL) == 0, "set-up");
	return d;
}

static struct codec_coder *coder(const char *text, const struct codec_dictionary *d)
{
	struct codec_coder *c = NULL;
	struct codec_params p;

	require(codec_params_parse(&p, text, NULL) == 0 && codec_coder_new(&c, &p, d, NULL) == 0,
		"set-up");
	return c;
}

static void check_decode(struct codec_coder *c, uint8_t codec, size_t raw_len, const uint8_t *data,
			 size_t size)
{
	uint8_t *out = calloc(1, raw_len + 1); /* the sanitizer sees what is written beyond it */
	struct err e = { 0 };
	int r;

	require(out, "set-up");
	out[raw_len] = 0x5a;
	r = codec_decode(c, codec, data, size, out, raw_len, &e);
	require(r == 0 || (r == -EBADMSG && e.msg[0] != '\0'), "known result");
	require(out[raw_len] == 0x5a, "bounds");
	free(out);
}

static void check_encode(struct codec_coder *c, const uint8_t *data, size_t size)
{
	uint8_t *stored = malloc(size + 1), *again = malloc(size + 1);
	enum codec used;
	size_t len;

	require(stored && again, "set-up");
	len = codec_encode(c, data, size, stored, size, &used);
	require(used == CODEC_NONE ? len == size : len < size, "is not longer");
	require(codec_decode(c, (uint8_t)used, used == CODEC_NONE ? data : stored, len, again, size,
			     NULL) == 0 &&
			memcmp(again, data, size) == 0,
		"comes back");
	free(stored);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codec_dictionary *d;
	static struct codec_coder *coders[5];

	if (!d) {
		d = dictionary();
		coders[0] = coder("none", NULL);
		coders[1] = coder("lz4", NULL);
		coders[2] = coder("zstd:1", NULL);
		coders[3] = coder("auto:1", NULL);
		coders[4] = coder("zstd:1", d);
	}
	if (size < 3)
		return 0;
	check_decode(coders[data[0] & 16 ? 4 : 0], data[0] & 15,
		     (size_t)data[1] | (size_t)data[2] << 8, data + 3, size - 3);
	for (size_t i = 0; i < ARRAY_LEN(coders); i++)
		check_encode(coders[i], data + 3, size - 3);
	return 0;
}

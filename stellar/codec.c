/* SPDX-License-Identifier: Apache-2.0 */
/* How chunks are stored: see codec.h. */
#include "stellar/codec.h"

#include <errno.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zdict.h>
#include <zstd.h>

#include "base/bytes.h"
#include "stellar/chunk.h"

struct codec_dictionary {
	ZSTD_CDict *to; /* owned */
	ZSTD_DDict *from; /* owned */
};

struct codec_coder {
	struct codec_params params;
	const struct codec_dictionary
		*dictionary; /* borrowed: see codec_coder_new(); may be NULL */
	void *lz4; /* owned */
	ZSTD_CCtx *to; /* owned */
	ZSTD_DCtx *from; /* owned */
};

int codec_dictionary_new(struct codec_dictionary **dictionary, const void *bytes, size_t len,
			 int level, struct err *e)
{
	struct codec_dictionary *d;

	if (len > CODEC_DICTIONARY_MAX_BYTES)
		return err_set(e, -EBADMSG, "a dictionary of %zu bytes: at most %d are possible",
			       len, CODEC_DICTIONARY_MAX_BYTES);
	/* Without an id it would be taken for bare content, which any bytes are. */
	if (ZDICT_getDictID(bytes, len) == 0)
		return err_set(e, -EBADMSG, "the %zu bytes are not a zstd dictionary", len);
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(e, -ENOMEM, "no memory for a dictionary");
	d->to = ZSTD_createCDict(bytes, len, level);
	d->from = ZSTD_createDDict(bytes, len);
	if (!d->to || !d->from) {
		codec_dictionary_free(d);
		return err_set(e, -EBADMSG, "the zstd dictionary of %zu bytes is damaged", len);
	}
	*dictionary = d;
	return 0;
}

void codec_dictionary_free(struct codec_dictionary *dictionary)
{
	if (!dictionary)
		return;
	ZSTD_freeCDict(dictionary->to);
	ZSTD_freeDDict(dictionary->from);
	free(dictionary);
}

int codec_dictionary_train(const void *samples, const size_t *sizes, size_t count, void *out,
			   size_t cap, struct err *e)
{
	size_t len;

	if (count > UINT32_MAX || cap > CODEC_DICTIONARY_MAX_BYTES)
		return err_set(e, -EINVAL, "a dictionary of %zu bytes from %zu samples is too much",
			       cap, count);
	len = ZDICT_trainFromBuffer(out, cap, samples, sizes, (unsigned int)count);
	if (ZDICT_isError(len))
		return err_set(e, -EINVAL,
			       "no dictionary of %zu bytes can be made of %zu samples: %s", cap,
			       count, ZDICT_getErrorName(len));
	return (int)len;
}

/* Neither checksum nor length nor the dictionary's id: the store has them all. */
static bool set_up_zstd(const struct codec_coder *c)
{
	return !ZSTD_isError(
		       ZSTD_CCtx_setParameter(c->to, ZSTD_c_compressionLevel, c->params.level)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(c->to, ZSTD_c_checksumFlag, 0)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(c->to, ZSTD_c_contentSizeFlag, 0)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(c->to, ZSTD_c_dictIDFlag, 0)) &&
	       !ZSTD_isError(ZSTD_CCtx_refCDict(c->to, c->dictionary ? c->dictionary->to : NULL));
}

int codec_coder_new(struct codec_coder **coder, const struct codec_params *p,
		    const struct codec_dictionary *dictionary, struct err *e)
{
	bool has_lz4 = p->choice == CODEC_CHOICE_LZ4 || p->choice == CODEC_CHOICE_AUTO;
	bool has_zstd = p->choice == CODEC_CHOICE_ZSTD || p->choice == CODEC_CHOICE_AUTO;
	struct codec_coder *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, -ENOMEM, "no memory to compress with");
	c->params = *p;
	c->dictionary = dictionary;
	c->lz4 = has_lz4 ? malloc((size_t)LZ4_sizeofState()) : NULL;
	c->to = has_zstd ? ZSTD_createCCtx() : NULL;
	c->from = ZSTD_createDCtx();
	if ((has_lz4 && !c->lz4) || (has_zstd && (!c->to || !set_up_zstd(c))) || !c->from) {
		codec_coder_free(c);
		return err_set(e, -ENOMEM, "no memory to compress with");
	}
	*coder = c;
	return 0;
}

void codec_coder_free(struct codec_coder *coder)
{
	if (!coder)
		return;
	free(coder->lz4);
	ZSTD_freeCCtx(coder->to);
	ZSTD_freeDCtx(coder->from);
	free(coder);
}

/* These return the length, or 0 when it is more than @cap or there is no memory. */
static size_t encode_lz4(struct codec_coder *c, const void *src, size_t len, void *dst, size_t cap)
{
	int r = LZ4_compress_fast_extState(c->lz4, src, dst, (int)len, (int)cap, 1);

	return r > 0 ? (size_t)r : 0;
}

/*
 * Whether zstd is worth a try, at a fraction of its time. Bytes of which some are more frequent than
 * others shrink; so a sample is looked at first: the sum of the squares of how often each value comes,
 * times 256 / n^2, is 1 + 255/n when they are all as likely, with a deviation of 23/n. When they are,
 * what is left is that something comes again, which lz4 finds out, fast where it finds nothing.
 */
static bool is_promising(struct codec_coder *c, const uint8_t *src, size_t len, void *dst)
{
	enum { RUN = 64, LONG = 64 << 10, ACCELERATION = 8 };
	size_t runs = len < LONG ? 16 : 64, n = runs * RUN;
	uint32_t counts[256] = { 0 };
	uint64_t sum = 0;

	if (len < 4096)
		return true; /* the test would cost as much */
	for (size_t i = 0; i < runs; i++) {
		const uint8_t *run = src + len / runs * i;

		for (size_t k = 0; k < RUN; k++)
			counts[run[k]]++;
	}
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		sum += (uint64_t)counts[i] * counts[i];
	/* More than 1.03 + 384/n, at least 7 deviations above what is likely. */
	if (256 * sum > n * n + n * n / 32 + 384 * n)
		return true;
	return LZ4_compress_fast_extState(c->lz4, (const char *)src, dst, (int)len,
					  (int)(len - len / 64), ACCELERATION) > 0;
}

static size_t encode_zstd(struct codec_coder *c, const void *src, size_t len, void *dst, size_t cap)
{
	size_t r = ZSTD_compress2(c->to, dst, cap, src, len);

	return ZSTD_isError(r) ? 0 : r;
}

size_t codec_encode(struct codec_coder *coder, const void *src, size_t len, void *dst, size_t cap,
		    enum codec *used)
{
	size_t stored = 0;

	*used = CODEC_NONE;
	if (len > CHUNK_MAX_BYTES || cap < len)
		return len;
	switch (coder->params.choice) {
	case CODEC_CHOICE_NONE:
		break;
	case CODEC_CHOICE_LZ4:
		*used = CODEC_LZ4;
		stored = encode_lz4(coder, src, len, dst, cap);
		break;
	case CODEC_CHOICE_AUTO:
		if (!is_promising(coder, src, len, dst))
			break;
		__attribute__((fallthrough));
	case CODEC_CHOICE_ZSTD:
		*used = coder->dictionary ? CODEC_ZSTD_DICTIONARY : CODEC_ZSTD;
		stored = encode_zstd(coder, src, len, dst, cap);
		break;
	}
	if (stored > 0 && stored < len && len - stored >= len >> CODEC_GAIN_SHIFT)
		return stored;
	*used = CODEC_NONE;
	return len;
}

static int decode_lz4(const void *src, size_t stored_len, void *dst, size_t raw_len, struct err *e)
{
	int r = LZ4_decompress_safe(src, dst, (int)stored_len, (int)raw_len);

	if (r < 0 || (size_t)r != raw_len)
		return err_set(e, -EBADMSG, "damaged: %zu bytes of lz4 do not give %zu", stored_len,
			       raw_len);
	return 0;
}

/* One frame of today's format, all of it: zstd itself takes several, others to skip, and old ones. */
static bool is_frame(const uint8_t *src, size_t len)
{
	le32 magic;

	if (len < sizeof(magic))
		return false;
	memcpy(&magic, src, sizeof(magic));
	return le32_get(magic) == ZSTD_MAGICNUMBER && ZSTD_findFrameCompressedSize(src, len) == len;
}

static int decode_zstd(const struct codec_coder *c, const struct codec_dictionary *dictionary,
		       const void *src, size_t stored_len, void *dst, size_t raw_len, struct err *e)
{
	size_t r;

	if (!is_frame(src, stored_len))
		return err_set(e, -EBADMSG, "damaged: the %zu bytes are not a zstd frame",
			       stored_len);
	r = dictionary ? ZSTD_decompress_usingDDict(c->from, dst, raw_len, src, stored_len,
						    dictionary->from)
		       : ZSTD_decompressDCtx(c->from, dst, raw_len, src, stored_len);
	if (ZSTD_isError(r))
		return err_set(e, -EBADMSG, "damaged: %zu bytes of zstd do not give %zu: %s",
			       stored_len, raw_len, ZSTD_getErrorName(r));
	if (r != raw_len)
		return err_set(e, -EBADMSG, "damaged: %zu bytes of zstd give %zu and not %zu",
			       stored_len, r, raw_len);
	return 0;
}

int codec_decode(struct codec_coder *coder, uint8_t codec, const void *src, size_t stored_len,
		 void *dst, size_t raw_len, struct err *e)
{
	if (stored_len > CHUNK_MAX_BYTES || raw_len > CHUNK_MAX_BYTES)
		return err_set(e, -EBADMSG, "damaged: %zu bytes stored for %zu is too much",
			       stored_len, raw_len);
	switch (codec) {
	case CODEC_NONE:
		if (stored_len != raw_len)
			return err_set(e, -EBADMSG, "damaged: %zu bytes stored as they are for %zu",
				       stored_len, raw_len);
		memcpy(dst, src, raw_len);
		return 0;
	case CODEC_LZ4:
		return decode_lz4(src, stored_len, dst, raw_len, e);
	case CODEC_ZSTD:
		return decode_zstd(coder, NULL, src, stored_len, dst, raw_len, e);
	case CODEC_ZSTD_DICTIONARY:
		if (!coder->dictionary)
			return err_set(e, -EBADMSG, "damaged: the store has no dictionary for it");
		return decode_zstd(coder, coder->dictionary, src, stored_len, dst, raw_len, e);
	default:
		return err_set(e, -EBADMSG, "damaged: there is no codec %u", codec);
	}
}

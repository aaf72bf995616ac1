/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs as people write them: see codec.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "base/quote.h"
#include "stellar/codec.h"

/* By enum codec_choice. */
static const struct {
	const char *name;
	bool has_level;
} choices[] = {
	[CODEC_CHOICE_NONE] = { "none", false },
	[CODEC_CHOICE_LZ4] = { "lz4", false },
	[CODEC_CHOICE_ZSTD] = { "zstd", true },
	[CODEC_CHOICE_AUTO] = { "auto", true },
};

static int parse_level(int *level, const char *level_text, const char *text, struct err *e)
{
	uint64_t v;

	if (parse_u64(level_text, &v) < 0 || v < CODEC_LEVEL_MIN || v > CODEC_LEVEL_MAX)
		return err_set(e, -EINVAL, "codec %s: the level must be from %d to %d",
			       quote(text).text, CODEC_LEVEL_MIN, CODEC_LEVEL_MAX);
	*level = (int)v;
	return 0;
}

int codec_params_parse(struct codec_params *p, const char *text, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		size_t len = strlen(choices[i].name);
		int level = choices[i].has_level ? CODEC_LEVEL_DEFAULT : 0;

		if (strncmp(text, choices[i].name, len) != 0 || (text[len] && text[len] != ':'))
			continue;
		if (text[len] && !choices[i].has_level)
			return err_set(e, -EINVAL, "codec %s: %s has no level", quote(text).text,
				       choices[i].name);
		if (text[len] && parse_level(&level, text + len + 1, text, e) < 0)
			return -EINVAL;
		*p = (struct codec_params){ .choice = (enum codec_choice)i, .level = level };
		return 0;
	}
	return err_set(e, -EINVAL,
		       "unknown codec %s: none, lz4, zstd, zstd:LEVEL, auto or auto:LEVEL",
		       quote(text).text);
}

void codec_params_format(const struct codec_params *p, char text[static CODEC_PARAMS_TEXT_BYTES])
{
	if (choices[p->choice].has_level)
		snprintf(text, CODEC_PARAMS_TEXT_BYTES, "%s:%d", choices[p->choice].name, p->level);
	else
		snprintf(text, CODEC_PARAMS_TEXT_BYTES, "%s", choices[p->choice].name);
}

bool codec_params_are_valid(const struct codec_params *p)
{
	if ((unsigned int)p->choice >= ARRAY_LEN(choices))
		return false;
	if (!choices[p->choice].has_level)
		return p->level == 0;
	return p->level >= CODEC_LEVEL_MIN && p->level <= CODEC_LEVEL_MAX;
}

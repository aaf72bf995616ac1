/* SPDX-License-Identifier: Apache-2.0 */
/* Making a store: see cmd.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/quote.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"

int cmd_init_check(const struct options *o, struct err *e)
{
	if (o->nr_operands == 1 && strcmp(o->operands[0], o->store_path) != 0)
		return err_set(e, -EINVAL, "the folder is given twice, as %s and as --store %s",
			       quote(o->operands[0]).text, quote(o->store_path).text);
	if (o->key.source != KEY_SOURCE_NONE && !o->is_encrypted)
		return err_set(e, -EINVAL,
			       "%s is of use for an encrypted store only; add --encrypt",
			       o->key.option);
	return 0;
}

static int print(const struct options *o, const struct store_options *options)
{
	char chunking[CHUNK_PARAMS_TEXT_BYTES], codec[CODEC_PARAMS_TEXT_BYTES];

	chunk_params_format(&options->chunking, chunking);
	codec_params_format(&options->codec, codec);
	if (o->is_json)
		return cmd_finish_json(json_pack("{s:s, s:b, s:s, s:s}", "store", o->store_path,
						 "is_encrypted", o->is_encrypted, "chunking",
						 chunking, "codec", codec),
				       EXIT_STATUS_OK);
	if (!o->is_quiet)
		printf("made store %s: %s, %s%s\n", quote(o->store_path).text, chunking, codec,
		       o->is_encrypted ? ", encrypted" : "");
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_init(struct options *o)
{
	struct secret secret = { 0 };
	struct store_options options;
	struct err e = { 0 };
	int r = 0;

	store_default_options(&options);
	if (o->chunking.method != 0)
		options.chunking = o->chunking;
	if (o->has_codec)
		options.codec = o->codec;
	if (o->is_encrypted)
		r = session_new_key(&secret, &o->key, o->store_path, &e);
	options.key = secret.input;
	if (r == 0)
		r = store_init(o->store_path, &options, &e);
	secret_release(&secret);
	return r < 0 ? cmd_fail(&e) : print(o, &options);
}

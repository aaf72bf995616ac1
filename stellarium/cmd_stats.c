/* SPDX-License-Identifier: Apache-2.0 */
/* What the store is and holds: see cmd.h. */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/quote.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"
#include "stellarium/text.h"

struct looked {
	const char *path;
	struct superblock sb;
	struct store_stats stats;
	char uuid[STORE_UUID_TEXT_BYTES];
	char chunking[CHUNK_PARAMS_TEXT_BYTES];
	char codec[CODEC_PARAMS_TEXT_BYTES];
};

static int print_json(const struct looked *l)
{
	const struct store_stats *s = &l->stats;
	const struct {
		const char *key;
		uint64_t value;
	} rows[] = {
		{ "images", s->images },
		{ "image_bytes", s->image_bytes },
		{ "packs", s->packs },
		{ "pack_bytes", s->pack_bytes },
		{ "pack_disk_bytes", s->pack_disk_bytes },
		{ "chunks", s->chunks },
		{ "raw_bytes", s->raw_bytes },
		{ "stored_bytes", s->stored_bytes },
		{ "index_bytes", s->index_bytes },
		{ "leases", s->leases },
	};
	json_t *json = json_pack("{s:s, s:s, s:i, s:b, s:b, s:s, s:s}", "store", l->path, "uuid",
				 l->uuid, "version", STORE_VERSION, "is_encrypted",
				 l->sb.is_encrypted, "has_dictionary", l->sb.has_dictionary,
				 "chunking", l->chunking, "codec", l->codec);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		json_object_set_new(json, rows[i].key, json_integer((json_int_t)rows[i].value));
	return cmd_finish_json(json, EXIT_STATUS_OK);
}

static int print(const struct looked *l)
{
	const struct store_stats *s = &l->stats;
	const double ratio = s->stored_bytes ? (double)s->image_bytes / (double)s->stored_bytes : 0;

	printf("store     %s, version %d, %s\n", quote(l->path).text, STORE_VERSION, l->uuid);
	printf("defaults  %s, %s%s%s\n", l->chunking, l->codec,
	       l->sb.has_dictionary ? ", with a dictionary" : "",
	       l->sb.is_encrypted ? "; encrypted" : "");
	printf("images    %" PRIu64 ", together %s\n", s->images, text_size(s->image_bytes).text);
	printf("chunks    %" PRIu64 ": %s, stored in %s", s->chunks, text_size(s->raw_bytes).text,
	       text_size(s->stored_bytes).text);
	if (ratio > 0)
		printf(", %.2f times less than the images", ratio);
	printf("\npacks     %" PRIu64 ": %s, %s on the disk\n", s->packs,
	       text_size(s->pack_bytes).text, text_size(s->pack_disk_bytes).text);
	printf("index     %s\n", text_size(s->index_bytes).text);
	printf("leases    %" PRIu64 "\n", s->leases);
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_stats(struct options *o)
{
	struct looked looked = { .path = o->store_path };
	struct session s = { 0 };
	struct err e = { 0 };
	int r = session_open(&s, o, STORE_READ_ONLY, NULL, &e);

	if (r == 0) {
		looked.sb = *store_superblock(s.store);
		r = store_stats(s.store, &looked.stats, &e);
	}
	session_close(&s);
	if (r < 0)
		return cmd_fail(&e);
	store_uuid_text(looked.sb.uuid, looked.uuid);
	chunk_params_format(&looked.sb.chunking, looked.chunking);
	codec_params_format(&looked.sb.codec, looked.codec);
	return o->is_json ? print_json(&looked) : print(&looked);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a store is: see superblock.h. */
#include "stellar/superblock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/quote.h"
#include "stellar/twin.h"

enum {
	SUPERBLOCK_FILE_BYTES = 2 * sizeof(struct st_superblock),
	WHAT_BYTES = QUOTE_BYTES + 32,
	MODE_PLAIN = 0644,
	MODE_ENCRYPTED = 0600, /* who has the sealed key can guess at the passphrase */
};

static const char file_name[] = "superblock";
static const char temporary_name[] = "+tmp.superblock";

/* --- fields -------------------------------------------------------------------------------- */

static bool is_zero(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= p[i];
	return any == 0;
}

static struct codec_params get_codec(const struct st_superblock *st)
{
	return (struct codec_params){
		.choice = le32_get(st->codec_choice),
		.level = (int)le32_get(st->codec_level),
	};
}

static struct chunk_params get_chunking(const struct st_chunk_params *p)
{
	return (struct chunk_params){
		.method = le32_get(p->method),
		.min_bytes = le32_get(p->min_bytes),
		.average_bytes = le32_get(p->average_bytes),
		.max_bytes = le32_get(p->max_bytes),
	};
}

static const char *superblock_fault(const uint8_t *copy, const void *opaque)
{
	struct chunk_params chunking;
	struct codec_params codec;
	struct st_superblock st;
	uint32_t flags;

	(void)opaque;
	memcpy(&st, copy, sizeof(st));
	chunking = get_chunking(&st.chunking);
	codec = get_codec(&st);
	flags = le32_get(st.flags);
	if (flags & ~(uint32_t)SUPERBLOCK_FLAG_ENCRYPTED)
		return "it has unknown flags";
	if (!chunk_params_are_valid(&chunking))
		return "it names no way to cut images that exists";
	if (!codec_params_are_valid(&codec))
		return "it names no way to compress that exists";
	if (!(flags & SUPERBLOCK_FLAG_ENCRYPTED) && !is_zero(&st.envelope, sizeof(st.envelope)))
		return "it holds a key, but is of a store without encryption";
	if (!is_zero(st.zero, sizeof(st.zero)))
		return "its unused bytes are not zero";
	return NULL;
}

static const struct twin_format format = {
	.magic = SUPERBLOCK_MAGIC,
	.bytes = sizeof(struct st_superblock),
	.fault = superblock_fault,
};

/* --- reading ------------------------------------------------------------------------------- */

int superblock_parse(const uint8_t *bytes, size_t len, const char *path, struct superblock *sb,
		     struct err *e)
{
	struct st_superblock st;
	struct id_scheme scheme;
	char what[WHAT_BYTES];
	struct twin twin;
	int r;

	snprintf(what, sizeof(what), "the superblock of the store %s", quote(path).text);
	id_scheme_init(&scheme, NULL);
	r = twin_read(&format, &scheme, bytes, len, NULL, what, &twin, e);
	id_scheme_release(&scheme);
	if (r < 0)
		return r;
	memcpy(&st, twin.copy, sizeof(st));
	*sb = (struct superblock){
		.chunking = get_chunking(&st.chunking),
		.codec = get_codec(&st),
		.has_dictionary = !is_zero(st.dictionary_id, sizeof(st.dictionary_id)),
		.is_encrypted = le32_get(st.flags) & SUPERBLOCK_FLAG_ENCRYPTED,
		.envelope = st.envelope,
		.is_damaged = twin.is_damaged,
	};
	memcpy(sb->uuid, st.uuid, sizeof(sb->uuid));
	memcpy(sb->dictionary_id.bytes, st.dictionary_id, sizeof(sb->dictionary_id.bytes));
	return 0;
}

int superblock_read(int dir_fd, const char *path, struct superblock *sb, struct err *e)
{
	uint8_t bytes[SUPERBLOCK_FILE_BYTES + 1];
	const ssize_t len = file_read_head(dir_fd, file_name, bytes, sizeof(bytes));

	if (len == -ENOENT)
		return err_set(
			e, -ENOENT,
			"no store in %s: it has no file '%s' ('stellarium init' makes a store)",
			quote(path).text, file_name);
	if (len == -EINVAL)
		return err_set(e, -EBADMSG, "the superblock of the store %s is not a regular file",
			       quote(path).text);
	if (len < 0)
		return err_errno(e, (int)len, "cannot read the superblock of the store %s",
				 quote(path).text);
	return superblock_parse(bytes, (size_t)len, path, sb, e);
}

/* --- writing ------------------------------------------------------------------------------- */

void superblock_format(const struct superblock *sb,
		       uint8_t file[static 2 * sizeof(struct st_superblock)])
{
	struct st_superblock st = {
		.flags = le32_put(sb->is_encrypted ? SUPERBLOCK_FLAG_ENCRYPTED : 0),
		.chunking = { .method = le32_put(sb->chunking.method),
			      .min_bytes = le32_put(sb->chunking.min_bytes),
			      .average_bytes = le32_put(sb->chunking.average_bytes),
			      .max_bytes = le32_put(sb->chunking.max_bytes) },
		.codec_choice = le32_put(sb->codec.choice),
		.codec_level = le32_put((uint32_t)sb->codec.level),
	};
	struct id_scheme scheme;

	memcpy(st.uuid, sb->uuid, sizeof(st.uuid));
	if (sb->has_dictionary)
		memcpy(st.dictionary_id, sb->dictionary_id.bytes, sizeof(st.dictionary_id));
	if (sb->is_encrypted)
		st.envelope = sb->envelope;
	memcpy(file, &st, sizeof(st));
	id_scheme_init(&scheme, NULL);
	twin_make(&format, &scheme, file);
	id_scheme_release(&scheme);
}

int superblock_write(int dir_fd, const char *path, const struct superblock *sb, struct err *e)
{
	const struct file_slot slot = {
		.dir_fd = dir_fd,
		.name = file_name,
		.temporary = temporary_name,
		.mode = sb->is_encrypted ? MODE_ENCRYPTED : MODE_PLAIN,
		.may_replace = true,
	};
	uint8_t file[SUPERBLOCK_FILE_BYTES];
	const char *fault;
	int r;

	superblock_format(sb, file);
	fault = superblock_fault(file, NULL);
	if (fault)
		return err_set(e, -EINVAL, "cannot write the superblock of the store %s: %s",
			       quote(path).text, fault);
	r = file_replace(&slot, file, sizeof(file));
	if (r < 0)
		return err_errno(e, r, "cannot write the superblock of the store %s",
				 quote(path).text);
	return 0;
}

/* RFC 9562, section 4: groups of 4, 2, 2, 2 and 6 bytes. */
void store_uuid_text(const uint8_t uuid[static STORE_UUID_BYTES],
		     char text[static STORE_UUID_TEXT_BYTES])
{
	size_t used = 0;

	for (size_t i = 0; i < STORE_UUID_BYTES; i++)
		used += (size_t)snprintf(text + used, STORE_UUID_TEXT_BYTES - used, "%s%02x",
					 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

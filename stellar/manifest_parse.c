/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the images and nodes that a disk gives us: see manifest.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "stellar/manifest_slot.h"

static_assert(NODE_MAX_BYTES <= (int)CHUNK_MAX_BYTES, "a node is a chunk");

/* Fills @e with "<what> <id> is damaged: <why>". */
static int __attribute__((format(printf, 4, 5)))
damaged(struct err *e, const char *what, const struct chunk_id *id, const char *why, ...)
{
	char hex[CHUNK_ID_HEX_BYTES], text[160];
	va_list args;

	va_start(args, why);
	vsnprintf(text, sizeof(text), why, args);
	va_end(args);
	id_to_hex(id, hex);
	return err_set(e, -EBADMSG, "%s %s is damaged: %s", what, hex, text);
}

static bool is_all_zero(const uint8_t *bytes, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

/* The part that stays the same in all versions. */
static int image_check_version(const struct chunk_id *id, const void *bytes, size_t len,
			       struct err *e)
{
	char hex[CHUNK_ID_HEX_BYTES];
	le32 field;
	uint32_t version;

	if (len < offsetof(struct st_image, root_level))
		return damaged(e, "image", id, "it has %zu bytes, an image has %zu", len,
			       sizeof(struct st_image));
	if (memcmp(bytes, IMAGE_MAGIC, sizeof(((struct st_image *)NULL)->magic)) != 0)
		return damaged(e, "image", id, "it does not begin with %s", IMAGE_MAGIC);
	memcpy(&field, (const uint8_t *)bytes + offsetof(struct st_image, version), sizeof(field));
	version = le32_get(field);
	if (version > STORE_VERSION) {
		id_to_hex(id, hex);
		return err_set(e, -EPROTONOSUPPORT,
			       "image %s is of version %u: this program reads up to version %d, "
			       "use a newer one",
			       hex, version, STORE_VERSION);
	}
	if (version != STORE_VERSION)
		return damaged(e, "image", id, "there is no version %u", version);
	if (len != sizeof(struct st_image))
		return damaged(e, "image", id, "it has %zu bytes, an image has %zu", len,
			       sizeof(struct st_image));
	return 0;
}

/* Whether the counts can be those of an image of this length, and say why not. */
static int image_check_counts(const struct image_info *info, struct err *e)
{
	uint64_t most;

	if (info->bytes > NODE_BYTES_LIMIT)
		return damaged(e, "image", &info->id, "its length is %llu, the most is 2^56 - 1",
			       (unsigned long long)info->bytes);
	if (info->data_bytes > info->bytes)
		return damaged(e, "image", &info->id, "%llu bytes of data in an image of %llu",
			       (unsigned long long)info->data_bytes,
			       (unsigned long long)info->bytes);
	if (info->chunks > info->data_bytes ||
	    (ck_mul(info->chunks, CHUNK_MAX_BYTES, &most) && info->data_bytes > most))
		return damaged(e, "image", &info->id, "%llu bytes of data in %llu chunks",
			       (unsigned long long)info->data_bytes,
			       (unsigned long long)info->chunks);
	return 0;
}

static int image_check_root(const struct image_info *info, struct err *e)
{
	bool has_root = !is_all_zero(info->root_id.bytes, sizeof(info->root_id.bytes));

	if (info->root_level > NODE_MAX_LEVEL)
		return damaged(e, "image", &info->id, "its root is at level %u, the most is %d",
			       info->root_level, NODE_MAX_LEVEL);
	if (info->bytes > 0 && !has_root)
		return damaged(e, "image", &info->id, "it has %llu bytes and no root",
			       (unsigned long long)info->bytes);
	if (info->bytes == 0 && (has_root || info->root_level > 0))
		return damaged(e, "image", &info->id, "it is empty and has a root");
	return 0;
}

int image_parse(const struct chunk_id *id, const void *bytes, size_t len, struct image_info *out,
		struct err *e)
{
	struct image_info info = { .id = *id };
	struct st_image image;
	int r = image_check_version(id, bytes, len, e);

	if (r < 0)
		return r;
	memcpy(&image, bytes, sizeof(image));
	info.bytes = le64_get(image.bytes);
	info.data_bytes = le64_get(image.data_bytes);
	info.chunks = le64_get(image.chunks);
	info.chunking.method = (enum chunk_method)le32_get(image.chunking.method);
	info.chunking.min_bytes = le32_get(image.chunking.min_bytes);
	info.chunking.average_bytes = le32_get(image.chunking.average_bytes);
	info.chunking.max_bytes = le32_get(image.chunking.max_bytes);
	info.root_level = le32_get(image.root_level);
	memcpy(info.root_id.bytes, image.root_id, sizeof(info.root_id.bytes));
	r = image_check_counts(&info, e);
	if (r == 0)
		r = image_check_root(&info, e);
	if (r < 0)
		return r;
	if (!chunk_params_are_valid(&info.chunking))
		return damaged(e, "image", id, "no chunking has method %u and sizes %u, %u, %u",
			       (unsigned int)info.chunking.method, info.chunking.min_bytes,
			       info.chunking.average_bytes, info.chunking.max_bytes);
	if (!is_all_zero(image.zero, sizeof(image.zero)))
		return damaged(e, "image", id, "unused bytes are not zero");
	*out = info;
	return 0;
}

/* NULL, or what is wrong with the entry. */
static const char *entry_fault(const struct st_node_entry *entry, uint32_t level)
{
	uint64_t bytes = node_entry_bytes(entry);

	if (bytes == 0)
		return "has no length";
	switch (node_entry_kind(entry)) {
	case NODE_ENTRY_ZERO:
		if (level > 0)
			return "is a run of zeros above level 0";
		return is_all_zero(entry->id, sizeof(entry->id)) ? NULL
								 : "is a run of zeros with an id";
	case NODE_ENTRY_CHUNK:
		if (level > 0)
			return "is a chunk above level 0";
		return bytes <= CHUNK_MAX_BYTES ? NULL : "is longer than a chunk can be";
	case NODE_ENTRY_NODE:
		return level > 0 ? NULL : "is a node at level 0";
	default:
		return "is of an unknown kind";
	}
}

static int node_check_entries(const struct chunk_id *id, const struct node_view *view,
			      struct err *e)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < view->count; i++) {
		const struct st_node_entry *entry = &view->entries[i];
		const char *fault = entry_fault(entry, view->level);

		if (fault)
			return damaged(e, "node", id, "entry %u %s", i, fault);
		/* Cannot overflow: both are less than 2^56. */
		sum += node_entry_bytes(entry);
		if (sum > view->bytes)
			break;
	}
	if (sum != view->bytes)
		return damaged(e, "node", id, "its length is %llu, its entries have another sum",
			       (unsigned long long)view->bytes);
	return 0;
}

static int node_check_header(const struct chunk_id *id, const struct st_node *node, size_t len,
			     struct err *e)
{
	uint32_t count = le32_get(node->count);

	if (memcmp(node->magic, NODE_MAGIC, sizeof(node->magic)) != 0)
		return damaged(e, "node", id, "it does not begin with %s", NODE_MAGIC);
	if (count == 0 || count > NODE_MAX_ENTRIES)
		return damaged(e, "node", id, "it has %u entries, a node has 1 to %d", count,
			       NODE_MAX_ENTRIES);
	if (len != sizeof(*node) + count * sizeof(struct st_node_entry))
		return damaged(e, "node", id, "it has %zu bytes, which is not %u entries", len,
			       count);
	if (!is_all_zero(node->zero, sizeof(node->zero)))
		return damaged(e, "node", id, "unused bytes are not zero");
	return 0;
}

int node_parse(const struct chunk_id *id, const void *bytes, size_t len, uint32_t level,
	       uint64_t length, struct node_view *out, struct err *e)
{
	struct node_view view;
	struct st_node node;
	int r;

	if (len < sizeof(node))
		return damaged(e, "node", id, "it has %zu bytes, the least is %zu", len,
			       sizeof(node) + sizeof(struct st_node_entry));
	memcpy(&node, bytes, sizeof(node));
	r = node_check_header(id, &node, len, e);
	if (r < 0)
		return r;
	view.level = le32_get(node.level);
	view.count = le32_get(node.count);
	view.bytes = le64_get(node.bytes);
	view.entries = (const void *)((const uint8_t *)bytes + sizeof(node));
	if (view.level != level || level > NODE_MAX_LEVEL)
		return damaged(e, "node", id, "it is of level %u, its parent says %u", view.level,
			       level);
	if (view.bytes != length || length > NODE_BYTES_LIMIT)
		return damaged(e, "node", id, "its length is %llu, its parent says %llu",
			       (unsigned long long)view.bytes, (unsigned long long)length);
	r = node_check_entries(id, &view, e);
	if (r < 0)
		return r;
	*out = view;
	return 0;
}

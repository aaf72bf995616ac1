/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parsers of manifests. First byte of the input: bit 0: an image, else a node; bit 1: the parent
 * of the node says what the node says, else what follows here, a level (1 byte) and a length (8). The
 * rest is the chunk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct chunk_id id = { { 1, 2, 3 } };

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void check_result(int r, const struct err *e)
{
	check(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	check((r == 0) == (e->msg[0] == '\0'));
	check(r == 0 || strstr(e->msg, "0102030000"));
}

static void try_image(const void *bytes, size_t len)
{
	struct image_info info;
	struct err e = { 0 };
	int r = image_parse(&id, bytes, len, &info, &e);

	check_result(r, &e);
	if (r < 0)
		return;
	check(len == sizeof(struct st_image) && id_equal(&info.id, &id));
	check(info.bytes < UINT64_C(1) << 56 && info.data_bytes <= info.bytes);
	check(info.chunks <= info.data_bytes && info.root_level <= NODE_MAX_LEVEL);
	check(chunk_params_are_valid(&info.chunking));
}

static void try_node(const void *bytes, size_t len, uint32_t level, uint64_t length)
{
	struct node_view view;
	struct err e = { 0 };
	uint64_t sum = 0;
	int r = node_parse(&id, bytes, len, level, length, &view, &e);

	check_result(r, &e);
	if (r < 0)
		return;
	check(view.level == level && level <= NODE_MAX_LEVEL && view.bytes == length);
	check(view.count >= 1 && view.count <= NODE_MAX_ENTRIES);
	check(len == sizeof(struct st_node) + view.count * sizeof(struct st_node_entry));
	for (uint32_t i = 0; i < view.count; i++) {
		uint64_t value = le64_get(view.entries[i].kind_and_bytes);
		uint64_t entry_bytes = value << 8 >> 8;

		check((value >> 56 == NODE_ENTRY_NODE) == (level > 0) && value >> 56 <= 2);
		check(entry_bytes > 0);
		check(value >> 56 != NODE_ENTRY_CHUNK || entry_bytes <= CHUNK_MAX_BYTES);
		sum += entry_bytes;
	}
	check(sum == length && sum < UINT64_C(1) << 56);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool is_image = size > 0 && data[0] & 1, is_believed = size > 0 && data[0] & 2;
	size_t head = is_image || is_believed ? 1 : 10;
	struct st_node node;
	uint8_t *bytes;
	size_t len;
	le64 length;

	if (size < head)
		return 0;
	len = size - head;
	bytes = malloc(len); /* aligned, and its end is watched */
	if (!bytes && len > 0)
		return 0;
	if (len > 0)
		memcpy(bytes, data + head, len);
	if (is_image) {
		try_image(bytes, len);
	} else if (!is_believed) {
		memcpy(&length, data + 2, sizeof(length));
		try_node(bytes, len, data[1], le64_get(length));
	} else if (len >= sizeof(node)) {
		memcpy(&node, bytes, sizeof(node));
		try_node(bytes, len, le32_get(node.level), le64_get(node.bytes));
	}
	free(bytes);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of leases. What is taken is all that is in them, in order; what is cut from the end of a
 * good file changes nothing of the rest.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/lease.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

enum { RECORD_BYTES = sizeof(struct st_lease_record), MAX_BYTES = 64 * RECORD_BYTES };

static void check_set(const struct lease_set *set, const uint8_t *data)
{
	size_t images = 0, packs = 0;

	for (size_t i = 0; i < set->image_count + set->pack_count; i++) {
		struct st_lease_record record;

		memcpy(&record, data + i * RECORD_BYTES, sizeof(record));
		if (record.kind == LEASE_IMAGE)
			REQUIRE(memcmp(&set->images[images++], record.id, CHUNK_ID_BYTES) == 0);
		else
			REQUIRE(memcmp(&set->packs[packs++], record.id, PACK_ID_BYTES) == 0);
	}
	REQUIRE(images == set->image_count && packs == set->pack_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lease_set set = { 0 }, shorter = { 0 };
	struct err e = { 0 };
	uint8_t *file;
	int r;

	if (size > MAX_BYTES)
		return 0;
	file = malloc(size ? size : 1);
	REQUIRE(file);
	if (size)
		memcpy(file, data, size);
	r = lease_parse(&set, file, size, "some.lease", &e);
	REQUIRE(r == 0 || (r == -EBADMSG && e.msg[0]));
	check_set(&set, file);
	if (r == 0) {
		REQUIRE(set.image_count + set.pack_count == size / RECORD_BYTES);
		REQUIRE(lease_parse(&shorter, file, size - size % RECORD_BYTES, "", NULL) == 0);
		REQUIRE(shorter.image_count == set.image_count);
		REQUIRE(shorter.pack_count == set.pack_count);
	} else {
		REQUIRE(set.image_count + set.pack_count < size / RECORD_BYTES);
	}
	lease_set_release(&set);
	lease_set_release(&shorter);
	free(file);
	return 0;
}

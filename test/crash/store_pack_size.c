/* SPDX-License-Identifier: Apache-2.0 */
/* Packs that are full early: see store_pack_size.h. */
#include "test/crash/store_pack_size.h"

#include "stellar/pack.h"
#include "test/crash/wrap.h"

static size_t limit;
static const struct pack_writer *published; /* tells its length as it is */

uint64_t __real_pack_writer_bytes(struct pack_writer *w);
int __real_pack_writer_publish(struct pack_writer *w, struct err *e);

void pack_size_limit(size_t bytes)
{
	limit = bytes;
}

WRAP(int, pack_writer_publish, struct pack_writer *w, struct err *e)
{
	published = w;
	return __real_pack_writer_publish(w, e);
}

WRAP(uint64_t, pack_writer_bytes, struct pack_writer *w)
{
	const uint64_t bytes = __real_pack_writer_bytes(w);

	return limit && w != published && bytes >= limit ? UINT64_MAX : bytes;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a store. */
#include <fcntl.h>
#include <sys/stat.h>

#include "stellar/reader.h"
#include "stellar/store_impl.h"

static int count_chunk(void *opaque, const struct chunk_id *id, const struct index_entry *entry)
{
	struct store_stats *out = opaque;

	(void)id;
	out->raw_bytes += entry->raw_bytes;
	out->stored_bytes += entry->stored_bytes;
	return 0;
}

static int count_packs(struct store *s, struct index_reader *r, struct store_stats *out,
		       struct err *e)
{
	char name[PACK_NAME_BYTES];
	struct index_pack info;
	uint32_t number = 0;
	struct stat st;
	int code;

	while ((code = index_next_pack(r, number, &info, e)) > 0) {
		pack_name(&info.id, name);
		if (fstatat(s->packs_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			out->pack_bytes += (uint64_t)st.st_size;
			out->pack_disk_bytes += (uint64_t)st.st_blocks * 512;
		}
		number = info.number + 1;
	}
	return code;
}

static int count_images(struct store *s, struct store_stats *out, struct err *e)
{
	struct root_list roots = { 0 };
	int r = store_list(s, &roots, e);

	out->images = roots.count;
	for (size_t i = 0; i < roots.count; i++)
		out->image_bytes += roots.roots[i].bytes;
	root_list_release(&roots);
	return r;
}

int store_stats(struct store *s, struct store_stats *out, struct err *e)
{
	struct lease_set leases = { 0 };
	struct index_stats index;
	struct store_reader *reader;
	int r = store_reader_new(&reader, s, e);

	*out = (struct store_stats){ 0 };
	if (r < 0)
		return r;
	r = count_images(s, out, e);
	if (r == 0)
		r = index_stats(store_reader_index(reader), &index, e);
	if (r == 0) {
		out->packs = index.packs;
		out->chunks = index.chunks;
		out->index_bytes = index.bytes;
		r = index_each_chunk(store_reader_index(reader), count_chunk, out, e);
	}
	if (r == 0)
		r = count_packs(s, store_reader_index(reader), out, e);
	if (r == 0)
		r = lease_set_read(&leases, s->leases_fd, false, e);
	out->leases = leases.lease_count;
	lease_set_release(&leases);
	store_reader_free(reader);
	return r;
}

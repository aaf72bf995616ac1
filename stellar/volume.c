/* SPDX-License-Identifier: Apache-2.0 */
/* An image to read from at random: see volume.h. */
#include "stellar/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "stellar/manifest.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"

struct volume {
	struct store *store; /* borrowed: closed after its volumes */
	struct lease *lease; /* owned; NULL on a read-only file system */
	struct store_reader *reader; /* owned */
	struct manifest_cursor *cursor; /* owned */
	uint64_t bytes;
	struct extent extent; /* the one in `chunk`, when has_chunk */
	bool has_chunk;
	uint8_t *chunk; /* owned: CHUNK_MAX_BYTES */
};

int volume_open(struct volume **out, struct store *s, const char *name, struct err *e)
{
	struct volume *v = calloc(1, sizeof(*v));
	struct manifest_source source;
	struct root root;
	int r;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	v->store = s;
	r = store_find(s, name, &v->lease, &root, e);
	if (r == 0)
		r = store_reader_new(&v->reader, s, e);
	if (r == 0) {
		source = store_reader_source(v->reader);
		r = manifest_open(&v->cursor, &root.image_id, &source, e);
	}
	if (r == 0) {
		v->bytes = manifest_info(v->cursor)->bytes;
		v->chunk = malloc(CHUNK_MAX_BYTES);
		if (!v->chunk)
			r = err_set(e, -ENOMEM, "out of memory");
	}
	if (r < 0) {
		volume_close(v);
		return r;
	}
	*out = v;
	return 0;
}

uint64_t volume_bytes(const struct volume *v)
{
	return v->bytes;
}

static int load(struct volume *v, uint64_t offset, struct err *e)
{
	ssize_t n;
	int r;

	if (offset >= v->extent.offset && offset - v->extent.offset < v->extent.bytes &&
	    (v->has_chunk || v->extent.is_zero))
		return 0;
	v->has_chunk = false;
	r = manifest_seek(v->cursor, offset, &v->extent, e);
	if (r <= 0) {
		v->extent = (struct extent){ 0 };
		return r < 0 ? r : err_set(e, -EBADMSG, "the image ends too soon");
	}
	if (v->extent.is_zero)
		return 0;
	n = store_reader_get(v->reader, CHUNK_KIND_DATA, &v->extent.id, v->chunk, CHUNK_MAX_BYTES,
			     e);
	if (n < 0)
		return (int)n;
	if ((uint64_t)n != v->extent.bytes)
		return err_set(e, -EBADMSG, "a chunk is not as long as the manifest says, at %llu",
			       (unsigned long long)v->extent.offset);
	v->has_chunk = true;
	return 0;
}

int volume_read(struct volume *v, void *buf, size_t len, uint64_t offset, struct err *e)
{
	uint8_t *at = buf;
	uint64_t end;

	if (!ck_add(offset, len, &end) || end > v->bytes)
		return err_set(e, -ERANGE, "the image ends at %llu", (unsigned long long)v->bytes);
	while (len > 0) {
		const int r = load(v, offset, e);
		uint64_t inside;
		size_t n;

		if (r < 0)
			return r;
		inside = offset - v->extent.offset;
		n = (size_t)min_u64(len, v->extent.bytes - inside);
		if (v->extent.is_zero)
			memset(at, 0, n);
		else
			memcpy(at, v->chunk + inside, n);
		at += n;
		offset += n;
		len -= n;
	}
	return 0;
}

void volume_close(struct volume *v)
{
	if (!v)
		return;
	manifest_close(v->cursor);
	store_reader_free(v->reader);
	lease_free(v->lease);
	free(v->chunk);
	free(v);
}

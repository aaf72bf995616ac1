/* SPDX-License-Identifier: Apache-2.0 */
/* An image to read from at random: see volume.h. */
#include "stellar/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bus_guard.h"
#include "base/checked.h"
#include "stellar/manifest.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"
#include "stellar/volume_map.h"

struct volume {
	struct lease *lease; /* owned; NULL on a read-only file system */
	struct store_reader *reader; /* owned */
	struct manifest_cursor *cursor; /* owned */
	struct volume_map *map; /* owned */
	uint64_t bytes;
};

int volume_open(struct volume **out, struct store *s, const char *name, struct err *e)
{
	struct volume *v = calloc(1, sizeof(*v));
	struct manifest_source source;
	struct root root;
	int r;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	r = store_find(s, name, &v->lease, &root, e);
	if (r == 0)
		r = store_reader_new(&v->reader, s, e);
	if (r == 0) {
		source = store_reader_source(v->reader);
		r = manifest_open(&v->cursor, &root.image_id, &source, e);
	}
	if (r == 0) {
		v->bytes = manifest_info(v->cursor)->bytes;
		r = volume_map_new(&v->map, s, v->cursor, v->reader, e);
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

/* @len bytes of the place, which has them. */
static int read_place(struct volume *v, struct place *p, uint8_t *buf, uint64_t inside, size_t len,
		      struct err *e)
{
	const uint8_t *bytes;
	int r;

	switch (p->state) {
	case PLACE_ZERO:
		memset(buf, 0, len);
		return 0;
	case PLACE_DIRECT:
		r = bus_guard_copy(buf, p->bytes_at + inside, len);
		return r < 0 ? err_errno(e, r, "cannot read a pack") : 0;
	case PLACE_UNKNOWN:
		break;
	}
	r = volume_map_load(v->map, p, &bytes, e);
	if (r == 0)
		memcpy(buf, bytes + inside, len);
	return r;
}

int volume_read(struct volume *v, void *buf, size_t len, uint64_t offset, struct err *e)
{
	uint8_t *at = buf;
	uint64_t end;

	if (!ck_add(offset, len, &end) || end > v->bytes)
		return err_set(e, -ERANGE, "the image ends at %llu", (unsigned long long)v->bytes);
	while (len > 0) {
		struct place *p = volume_map_find(v->map, offset, e);
		uint64_t inside;
		size_t n;
		int r;

		if (!p)
			return e && e->code < 0 ? e->code : -EIO;
		inside = offset - p->offset;
		n = (size_t)min_u64(len, p->bytes - inside);
		r = read_place(v, p, at, inside, n, e);
		if (r < 0)
			return r;
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
	volume_map_free(v->map);
	manifest_close(v->cursor);
	store_reader_free(v->reader);
	lease_free(v->lease);
	free(v);
}

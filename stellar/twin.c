/* SPDX-License-Identifier: Apache-2.0 */
/* Files of two equal copies: see twin.h. */
#include "stellar/twin.h"

#include <errno.h>
#include <string.h>

/* A look at one copy. */
struct look {
	const char *fault; /* NULL: none */
	uint32_t version; /* of a whole one; 0: it is not */
};

static struct look look_at(const struct twin_format *f, const struct id_scheme *scheme,
			   const uint8_t *copy, size_t len, const void *opaque)
{
	struct st_twin_head head;
	uint8_t sum[STORE_SUM_BYTES];
	uint32_t version;

	if (len < f->bytes)
		return (struct look){ .fault = "it is cut short" };
	memcpy(&head, copy, sizeof(head));
	if (memcmp(head.magic, f->magic, sizeof(head.magic)) != 0)
		return (struct look){ .fault = "its magic number is wrong" };
	id_sum(scheme, copy, f->bytes - sizeof(sum), sum);
	if (memcmp(sum, copy + f->bytes - sizeof(sum), sizeof(sum)) != 0)
		return (struct look){ .fault = "its checksum is wrong" };
	version = le32_get(head.version);
	if (version == 0)
		return (struct look){ .fault = "its version is 0" };
	if (version > STORE_VERSION)
		return (struct look){ .fault = "it is of a newer version", .version = version };
	return (struct look){ .fault = f->fault(copy, opaque), .version = version };
}

int twin_read(const struct twin_format *f, const struct id_scheme *scheme, const uint8_t *file,
	      size_t len, const void *opaque, const char *what, struct twin *out, struct err *e)
{
	const struct look a = look_at(f, scheme, file, len, opaque);
	const size_t second = len < f->bytes ? len : f->bytes;
	const struct look b = look_at(f, scheme, file + second, len - second, opaque);

	const uint32_t version = a.version > b.version ? a.version : b.version;

	if (version > STORE_VERSION)
		return err_set(
			e, -EPROTONOSUPPORT,
			"%s is of version %u, but this program knows only %d: use a newer one",
			what, version, STORE_VERSION);
	if (a.fault && b.fault)
		return err_set(e, -EBADMSG, "%s is damaged: %s%s", what, a.fault,
			       len >= f->bytes ? ", and its second copy is not valid either" : "");
	if (!a.fault && !b.fault && memcmp(file, file + f->bytes, f->bytes) != 0)
		return err_set(e, -EBADMSG, "%s is damaged: its two copies differ", what);
	out->copy = a.fault ? file + f->bytes : file;
	out->is_damaged = a.fault || b.fault || len != 2 * f->bytes;
	return 0;
}

void twin_make(const struct twin_format *f, const struct id_scheme *scheme, uint8_t *file)
{
	struct st_twin_head head = { .version = le32_put(STORE_VERSION) };

	memcpy(head.magic, f->magic, sizeof(head.magic));
	memcpy(file, &head, sizeof(head));
	id_sum(scheme, file, f->bytes - STORE_SUM_BYTES, file + f->bytes - STORE_SUM_BYTES);
	memcpy(file + f->bytes, file, f->bytes);
}

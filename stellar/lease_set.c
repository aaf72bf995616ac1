/* SPDX-License-Identifier: Apache-2.0 */
/* What all living leases say: see lease.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/lease.h"
#include "stellar/lease_impl.h"

enum { READ_RECORDS = 1024 };

/* --- records --------------------------------------------------------------------------------- */

/* Room in @array for one more than @count, grown at powers of two. */
static int make_room(void **array, size_t count, size_t item_bytes)
{
	void *grown;

	if (count & (count - 1))
		return 0;
	grown = reallocarray(*array, count ? 2 * count : 1, item_bytes);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	return 0;
}

static int add_image(struct lease_set *set, const struct st_lease_record *record)
{
	void *images = set->images;
	int r = make_room(&images, set->image_count, sizeof(*set->images));

	set->images = images;
	if (r == 0)
		memcpy(set->images[set->image_count++].bytes, record->id, CHUNK_ID_BYTES);
	return r;
}

static int add_pack(struct lease_set *set, const struct st_lease_record *record)
{
	static const uint8_t zero[sizeof(record->id) - PACK_ID_BYTES];
	void *packs = set->packs;
	int r;

	if (memcmp(record->id + PACK_ID_BYTES, zero, sizeof(zero)) != 0)
		return -EBADMSG;
	r = make_room(&packs, set->pack_count, sizeof(*set->packs));
	set->packs = packs;
	if (r == 0)
		memcpy(set->packs[set->pack_count++].bytes, record->id, PACK_ID_BYTES);
	return r;
}

static int add_record(struct lease_set *set, const struct st_lease_record *record)
{
	static const uint8_t zero[sizeof(record->zero)];

	if (memcmp(record->zero, zero, sizeof(zero)) != 0)
		return -EBADMSG;
	switch (record->kind) {
	case LEASE_IMAGE:
		return add_image(set, record);
	case LEASE_PACK:
		return add_pack(set, record);
	default:
		return -EBADMSG;
	}
}

int lease_parse(struct lease_set *set, const uint8_t *bytes, size_t len, const char *file,
		struct err *e)
{
	struct st_lease_record record;

	/* What is left at the end is being written, or its writing failed. */
	for (; len >= sizeof(record); bytes += sizeof(record), len -= sizeof(record)) {
		int r;

		memcpy(&record, bytes, sizeof(record));
		r = add_record(set, &record);
		if (r == -EBADMSG)
			return err_set(
				e, r,
				"lease %s in the store's folder 'leases' is damaged: nothing "
				"is removed until the process that holds it has ended",
				quote(file).text);
		if (r < 0)
			return err_set(e, r, "no memory for the store's leases");
	}
	return 0;
}

/* --- files ----------------------------------------------------------------------------------- */

static bool is_lease_name(const char *file)
{
	return strlen(file) == LEASE_FILE_NAME_BYTES - 1 &&
	       strspn(file, "0123456789abcdef") == LEASE_NAME_DIGITS &&
	       strcmp(file + LEASE_NAME_DIGITS, LEASE_SUFFIX) == 0;
}

/* It may grow while it is read, which does no harm. */
static int read_living(struct lease_set *set, int fd, const char *file, struct err *e)
{
	uint8_t bytes[READ_RECORDS * sizeof(struct st_lease_record)];
	off_t offset = 0;

	for (;;) {
		const ssize_t len = file_pread_full(fd, bytes, sizeof(bytes), offset);
		int r;

		if (len < 0)
			return err_errno(e, (int)len, "cannot read the store's lease %s",
					 quote(file).text);
		offset += len;
		if (offset > LEASE_MAX_BYTES)
			return err_set(e, -EBADMSG,
				       "the store's lease %s is longer than %d MiB: nothing is "
				       "removed until the process that holds it has ended",
				       quote(file).text, (int)(LEASE_MAX_BYTES / MIB));
		r = lease_parse(set, bytes, (size_t)len, file, e);
		if (r < 0 || (size_t)len < sizeof(bytes))
			return r;
	}
}

static int look_at(struct lease_set *set, int leases_fd, const char *file, bool may_remove,
		   struct err *e)
{
	auto_fd int fd = file_open_regular(leases_fd, file, O_RDONLY);
	int r = fd;

	/* Ended since; or nothing that a process could hold as a lease. */
	if (r == -ENOENT || r == -EINVAL)
		return 0;
	if (r >= 0)
		r = file_lock(fd, LOCK_EX | LOCK_NB);
	if (r == -EWOULDBLOCK) {
		set->lease_count++;
		return read_living(set, fd, file, e);
	}
	if (r < 0)
		return err_errno(e, r, "cannot look at the store's lease %s", quote(file).text);
	/* Its owner is gone, or about to make it and will see that it is not there any more. */
	if (may_remove)
		unlinkat(leases_fd, file, 0);
	return 0;
}

static int read_folder(struct lease_set *set, DIR *folder, bool may_remove, struct err *e)
{
	struct dirent *entry;
	int r = 0;

	while (r == 0) {
		errno = 0;
		entry = readdir(folder);
		if (!entry && errno)
			return err_errno(e, -errno, "cannot read the store's folder 'leases'");
		if (!entry)
			break;
		if (is_lease_name(entry->d_name))
			r = look_at(set, dirfd(folder), entry->d_name, may_remove, e);
	}
	return r;
}

/* --- the set --------------------------------------------------------------------------------- */

static int compare_images(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct chunk_id));
}

static int compare_packs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pack_id));
}

/* Sorts @count items and drops repetitions; returns how many are left. */
static size_t sort_once(void *items, size_t count, size_t bytes,
			int (*compare)(const void *a, const void *b))
{
	uint8_t *const base = items;
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(items, count, bytes, compare);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && compare(base + (kept - 1) * bytes, base + i * bytes) == 0)
			continue;
		memmove(base + kept * bytes, base + i * bytes, bytes);
		kept++;
	}
	return kept;
}

int lease_set_read(struct lease_set *set, int leases_fd, bool may_remove, struct err *e)
{
	auto_fd int fd = openat(leases_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	int r;

	*set = (struct lease_set){ 0 };
	if (!folder)
		return err_errno(e, -errno, "cannot read the store's folder 'leases'");
	take_fd(&fd);
	r = read_folder(set, folder, may_remove, e);
	closedir(folder);
	if (r < 0) {
		lease_set_release(set);
		return r;
	}
	set->image_count =
		sort_once(set->images, set->image_count, sizeof(*set->images), compare_images);
	set->pack_count =
		sort_once(set->packs, set->pack_count, sizeof(*set->packs), compare_packs);
	return 0;
}

bool lease_set_has_pack(const struct lease_set *set, const struct pack_id *pack)
{
	return set->pack_count > 0 && bsearch(pack, set->packs, set->pack_count,
					      sizeof(*set->packs), compare_packs) != NULL;
}

void lease_set_release(struct lease_set *set)
{
	free(set->images);
	free(set->packs);
	*set = (struct lease_set){ 0 };
}

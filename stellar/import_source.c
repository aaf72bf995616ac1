/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an import, see import_source.h. */
#include "stellar/import_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/chunk.h"

enum { WAIT_MS = 100 }; /* between looks at is_cancelled */

int import_source_open(struct import_source *s, int fd, const char *name, struct err *e)
{
	struct stat st;
	off_t end;

	*s = (struct import_source){ .fd = fd, .name = name };
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", quote(name).text);
	if (S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR, "%s is a folder; an image is a file or a block device",
			       quote(name).text);
	s->is_stream = !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
	if (s->is_stream)
		return 0;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return err_errno(e, -errno, "cannot find the length of %s", quote(name).text);
	s->bytes = (uint64_t)end;
	s->has_holes = S_ISREG(st.st_mode);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

bool import_source_is_at_end(const struct import_source *s)
{
	return s->is_stream ? s->is_at_end : s->at >= s->bytes;
}

/* The next data behind the extent, by whole blocks: at s->bytes when there is none. */
static int find_data(struct import_source *s, uint64_t *begin, uint64_t *end, struct err *e)
{
	const off_t from = (off_t)s->extent_end;
	off_t data = s->has_holes ? lseek(s->fd, from, SEEK_DATA) : from;
	off_t hole;

	if (data < 0 && errno == EINVAL) { /* a file system without */
		s->has_holes = false;
		data = from;
	}
	if (data < 0 && errno != ENXIO)
		return err_errno(e, -errno, "cannot find the holes of %s", quote(s->name).text);
	if (data < 0 || (uint64_t)data >= s->bytes) {
		*begin = *end = s->bytes;
		return 0;
	}
	hole = s->has_holes ? lseek(s->fd, data, SEEK_HOLE) : (off_t)s->bytes;
	if (hole < 0)
		return err_errno(e, -errno, "cannot find the holes of %s", quote(s->name).text);
	*begin = max_u64(align_down((uint64_t)data, CHUNK_BLOCK_BYTES), s->extent_end);
	*end = min_u64(align_up(max_u64((uint64_t)hole, *begin + 1), CHUNK_BLOCK_BYTES), s->bytes);
	return 0;
}

/*
 * Lets the extent go on to behind @to, or to a hole of whole blocks: where a file system has smaller
 * ones, data may go on in the block in which it ended, or the next.
 */
static int extend(struct import_source *s, uint64_t to, struct err *e)
{
	while (s->extent_end <= to && s->extent_end < s->bytes) {
		uint64_t begin, end;
		int r = find_data(s, &begin, &end, e);

		if (r < 0 || begin > s->extent_end)
			return r;
		s->extent_end = end;
	}
	return 0;
}

int64_t import_source_hole(struct import_source *s, struct err *e)
{
	uint64_t begin, end, bytes;
	int r;

	if (s->is_stream || s->at < s->extent_end || s->at >= s->bytes)
		return 0;
	r = find_data(s, &begin, &end, e);
	if (r < 0)
		return r;
	bytes = begin - s->at;
	s->at = begin;
	s->extent_end = end;
	return (int64_t)bytes;
}

/* Waits until a stream can be read. read() alone would miss a signal that comes just before it. */
static int wait_for_stream(const struct import_source *s, struct err *e)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	do {
		if (s->is_cancelled && atomic_load(s->is_cancelled))
			return err_set(e, -ECANCELED, "cancelled");
	} while (poll(&p, 1, WAIT_MS) <= 0);
	return 0;
}

/* As much as there is of a stream, up to @cap. */
static ssize_t read_stream(struct import_source *s, uint8_t *buf, size_t cap, struct err *e)
{
	size_t done = 0;

	while (done < cap) {
		const int r = wait_for_stream(s, e);
		ssize_t n;

		if (r < 0)
			return r;
		n = read(s->fd, buf + done, cap - done);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_errno(e, -errno, "cannot read %s", quote(s->name).text);
		if (n == 0) {
			s->is_at_end = true;
			break;
		}
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t import_source_take(struct import_source *s, size_t cap, size_t grain, struct err *e)
{
	const uint64_t from = s->at;
	const int r = extend(s, from + cap, e);
	uint64_t to = min_u64(from + cap, s->extent_end);

	if (r < 0)
		return r;
	if (to < s->extent_end)
		to = max_u64(align_down(to, grain), from);
	s->at = to;
	return (ssize_t)(to - from);
}

int import_source_read_at(const struct import_source *s, void *buf, size_t len, uint64_t offset,
			  struct err *e)
{
	const ssize_t n = file_pread_full(s->fd, buf, len, (off_t)offset);

	if (n < 0)
		return err_errno(e, (int)n, "cannot read %s at %llu", quote(s->name).text,
				 (unsigned long long)offset);
	if ((size_t)n < len)
		return err_set(e, -EIO, "%s became shorter while it was read", quote(s->name).text);
	return 0;
}

ssize_t import_source_read(struct import_source *s, void *buf, size_t cap, bool *is_end_of_run,
			   struct err *e)
{
	int r;

	if (s->is_stream) {
		const ssize_t n = read_stream(s, buf, cap, e);

		*is_end_of_run = s->is_at_end;
		s->at += n > 0 ? (uint64_t)n : 0;
		return n;
	}
	r = extend(s, s->at + cap, e);
	if (r < 0)
		return r;
	cap = (size_t)min_u64(cap, s->extent_end - s->at);
	r = import_source_read_at(s, buf, cap, s->at, e);
	if (r < 0)
		return r;
	s->at += cap;
	*is_end_of_run = s->at == s->extent_end;
	return (ssize_t)cap;
}

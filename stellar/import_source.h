/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an import: a file with its holes, a block device, or a stream. Thread: one. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct import_source {
	int fd; /* borrowed */
	const char *name; /* borrowed; for messages */
	bool is_stream; /* no size, no holes, read in order */
	bool has_holes; /* SEEK_DATA works */
	uint64_t bytes; /* of all; 0 for a stream */
	uint64_t at; /* read so far */
	uint64_t extent_end; /* end of the data that at is in, as far as it is known */
	bool is_at_end; /* of a stream */
	const atomic_bool *is_cancelled; /* ends waiting for a stream; may be NULL */
};

/* Set s->is_cancelled after it. */
int import_source_open(struct import_source *s, int fd, const char *name, struct err *e);

/* The length of the hole at s->at, which is passed over; 0: none. At multiples of 4 KiB, or to the end. */
int64_t import_source_hole(struct import_source *s, struct err *e);

/*
 * Reads up to @cap bytes of data, a multiple of 4 KiB, into @buf; less only where a hole or the end
 * follows, which *@is_end_of_run says. Returns the count (0 at the end) or -errno with @e filled: -ECANCELED.
 */
ssize_t import_source_read(struct import_source *s, void *buf, size_t cap, bool *is_end_of_run,
			   struct err *e);
/*
 * Passes over data that somebody else reads: up to @cap bytes, to a multiple of @grain of the file or
 * where a hole or the end follows. Returns how much, or -errno with @e filled; 0: the next multiple is
 * too far, or the end.
 */
ssize_t import_source_take(struct import_source *s, size_t cap, size_t grain, struct err *e);
/* Exactly @len bytes at @offset of what was taken. Thread: any. */
int import_source_read_at(const struct import_source *s, void *buf, size_t len, uint64_t offset,
			  struct err *e);

bool import_source_is_at_end(const struct import_source *s);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child process that reads the index for fsck. LMDB trusts its file: what is damaged may make it
 * crash or run for ever, so that happens where it does no harm, in a process that can do nothing but
 * answer. What it answers is believed no more than the file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stellar/fsck_impl.h"

struct child_pack {
	struct index_pack info;
	uint32_t back; /* the number that "numbers" has for its id; 0: none */
};

/* What the index says of itself. */
struct child_hello {
	uint64_t transaction;
	uint64_t chunks, packs; /* rows, as its own counters say */
	uint64_t numbers, meta; /* rows, counted */
	uint64_t databases;
	uint32_t next; /* number of the next pack */
	bool has_lost_pages; /* pages that are neither in use nor free, or both */
};

/*
 * Starts one for the index at @path/index. @is_proven: a digest says that its file is right, so what
 * fails is the host. -EUCLEAN with @e filled, here and below: the index is
 * damaged; also when it crashed or took too long. No other thread of ours runs yet or any more.
 */
int index_child_new(struct index_child **out, const char *path, const uint8_t *uuid, bool is_proven,
		    struct child_hello *hello, struct err *e);
void index_child_free(struct index_child *c); /* accepts NULL */

/* The packs from @number on: the count of those written to @out, 0 at the end. */
ssize_t index_child_packs(struct index_child *c, uint32_t number, struct child_pack *out,
			  size_t cap, struct err *e);

/* Looks up @count chunks, at most FSCK_FIND_MAX. */
int index_child_find(struct index_child *c, struct fsck_row *rows, size_t count, struct err *e);

/* Calls @visit with all chunks by rising id. */
int index_child_walk(struct index_child *c,
		     int (*visit)(void *opaque, const struct fsck_row *row, struct err *e),
		     void *opaque, struct err *e);

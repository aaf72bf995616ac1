/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folders that a crash can leave, made from a log (record.h), a prefix of it (the crash comes
 * after so many ops) and a choice of what the machine had not yet made durable.
 *
 * The model, which allows all that ext4 and XFS may do, and more:
 *
 * Data. What was written to a file (or cut off, or zeroed) is durable once fsync or fdatasync of
 * that file has returned, a write through O_DSYNC once the next op is there: as the last op of the
 * prefix it is still in flight. Of the rest each op may be there or not, whatever the order it was
 * done in; a write also in part, by sectors of 512 or 4096 bytes at multiples of their size in the
 * file: its head, its tail, any subset. A lost write may still have made the file longer; the new
 * part is then zeros. (XFS and ext4 with delayed allocation do that; both write pages, so sectors
 * of a page stay together more often than here.)
 *
 * A sync that failed makes nothing durable, nor does a later one that goes well, for what was
 * written before the failed one: the kernel marks such pages clean and forgets them.
 *
 * Directories. A change of a directory is atomic, rename too, and durable once fsync of that
 * directory has returned (of either one for a rename between two). Of the rest any prefix may be
 * there, in each directory for itself: both file systems keep one order of all changes in their
 * journal, so what a crash leaves of them is one prefix, which is among these. Syncing a file does
 * not make its name durable here, though with both it does.
 *
 * Files that were mapped for writing hold anything: zeros, what they held in the end, or noise.
 *
 * Not modelled: stale data of other files in new blocks (data=writeback only), bit rot, and a
 * rename that leaves both names or none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "test/crash/record.h"

enum crash_data {
	DATA_KEPT, /* all that could be lost is there */
	DATA_LOST, /* it is not, and files have their old sizes */
	DATA_ZERO, /* it is not, but files have their new sizes */
	DATA_ONE_LOST, /* only that of op @data_op is not */
	DATA_ONE_KEPT, /* only that of op @data_op is */
	DATA_ONE_HEAD, /* all is there but the second half of op @data_op's sectors */
	DATA_ONE_TAIL, /* or the first half */
	DATA_RANDOM, /* each op for itself by @seed */
};

enum crash_dirs {
	DIRS_KEPT,
	DIRS_LOST,
	DIRS_CUT, /* op @dir_op and what follows it in its directory is not there, all else is */
	DIRS_ONLY, /* op @dir_op and what precedes it in its directory is there, nothing else */
	DIRS_RANDOM, /* a place in each directory by @seed */
};

struct crash_choice {
	enum crash_data data;
	enum crash_dirs dirs;
	uint32_t data_op;
	uint32_t dir_op;
	uint64_t seed;
};

enum { CRASH_CHOICE_BYTES = 64 };

/* "kept:0/lost:0/0", "head:17/cut:12/0", "random:0/random:0/99": DATA:OP/DIRS:OP/SEED. */
void crash_choice_text(const struct crash_choice *c, char buf[static CRASH_CHOICE_BYTES]);
bool crash_choice_parse(const char *text, struct crash_choice *c);

/* One line about an op, without a line feed. */
void crash_op_text(const struct crash_log *log, size_t number, char *buf, size_t size);

struct replay;

struct replay *replay_new(const struct crash_log *log); /* NULL: no memory. @log is borrowed */
void replay_free(struct replay *r);

/*
 * Works out the state after @prefix ops (nr_initial to nr_ops). Returns a number that two states
 * share only if they look the same (of mapped files only the kind of content counts).
 */
uint64_t replay_state(struct replay *r, size_t prefix, const struct crash_choice *choice);

/* Makes the folder of the last state: @dir, which is there and empty. */
int replay_make(struct replay *r, const char *dir, struct err *e);

/*
 * Whether the last state, which must be one where all is kept, is what @dir holds. If not, calls
 * changed it that the recorder does not know of.
 */
int replay_explains(struct replay *r, const char *dir, struct err *e);

/* Whether op @op can be lost by a crash after @prefix ops, and is one of data or of a directory. */
bool replay_is_loose_data(const struct replay *r, size_t prefix, size_t op);
bool replay_is_loose_dir(const struct replay *r, size_t prefix, size_t op);

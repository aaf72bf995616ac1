/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program does to one directory, as a log that replay.h makes the folders of crashes from.
 *
 * The linker leads every call of libc that changes files, from our objects and from static
 * libraries (LMDB's), to wraps_*.c (--wrap, see meson.build). Those make the real call and, if it
 * worked and went to something below the watched directory, add it here. What is logged are
 * objects, not names: data goes to a file whatever it is called, and names are changes of
 * directories. The order of the log is the order of the calls: one lock is held around each.
 *
 * What is not seen: stdio and mkstemp() (calls inside libc), io_uring, ioctl(FICLONE), sendfile(),
 * and stores into a shared mapping. None goes unnoticed: replay_explains() compares what the log
 * says with the directory. A file that was mapped for writing has, after a crash, any bytes.
 *
 * The log is in memory that a forked child shares with its parent, so that the child can run the
 * action, even die of it, and the parent reads what it did.
 *
 * A recorder can also make calls fail: struct crash_fault.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum crash_op_kind {
	CRASH_WRITE, /* @data to @offset of @object; @is_durable: through O_DSYNC */
	CRASH_TRUNCATE, /* @object has @len bytes from now on */
	CRASH_ZERO, /* @len bytes at @offset are zero; the file grows if @is_growing */
	CRASH_MAPPED, /* @object is mapped for writing: its bytes are unknown from now on */
	CRASH_LINK, /* @target is @name in directory @object */
	CRASH_UNLINK, /* nothing is @name in directory @object */
	CRASH_RENAME, /* @target leaves @name in @object and is @name2 in @object2 */
	CRASH_EXCHANGE, /* the same, and @target2 is @name in @object */
	CRASH_SYNC, /* fsync or fdatasync of @object went well */
	CRASH_SYNC_FAILED, /* or did not */
	CRASH_SYNC_ALL, /* sync() or syncfs() */
	CRASH_LEFT_OUT, /* a sync that a test takes out of the log */
	CRASH_NOTE, /* the user was told @name, see crash_note() */
};

struct crash_op {
	enum crash_op_kind kind;
	bool is_durable;
	bool is_growing;
	uint32_t object;
	uint32_t object2;
	uint32_t target;
	uint32_t target2;
	uint64_t offset;
	uint64_t len;
	const uint8_t *data;
	const char *name;
	const char *name2;
};

struct crash_object {
	bool is_dir;
	bool is_mapped;
	mode_t mode;
	uint64_t dev;
	uint64_t ino; /* 0: that number belongs to a later object now */
	uint64_t size; /* what it had when the log began */
	const uint8_t *data;
	uint64_t mapped_at; /* op of the first mapping for writing */
	uint64_t mapped_len; /* what it had in the end, if mapped for writing */
	const uint8_t *mapped;
};

enum {
	CRASH_ROOT = 0, /* the object that is the watched directory */
	CRASH_COMPLAINT_BYTES = 256,
};

struct crash_log {
	struct crash_op *ops; /* in shared memory, as all the log is */
	size_t nr_ops;
	size_t nr_initial; /* the first ops are what the directory held, durable */
	struct crash_object *objects;
	size_t nr_objects;
	char complaint[CRASH_COMPLAINT_BYTES]; /* not empty: the log cannot be used, and why */
	uint8_t *arena;
	size_t arena_used;
};

/* A log in memory that children share; NULL: there is none. */
struct crash_log *crash_log_new(void);
void crash_log_free(struct crash_log *log);

/*
 * Starts to log what this process does below @dir, whose files are read first. One recorder in a
 * process. Threads may come and go; whoever starts and stops it does so while no other works.
 */
int record_start(struct crash_log *log, const char *dir, struct err *e);
int record_stop(const char *dir); /* the same @dir */

/*
 * What the user was told at this point of the log: what is noted must hold after each later crash.
 * Without a recorder it does nothing.
 */
void crash_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- calls that fail ------------------------------------------------------------------------- */

/* Bits: which calls, below the watched directory, are counted and fail. */
enum crash_call {
	CALL_OPEN = 1 << 0, /* of any kind */
	CALL_WRITE = 1 << 1, /* and pwrite, writev, pwritev, copy_file_range */
	CALL_SYNC = 1 << 2, /* fsync, fdatasync, syncfs, msync, sync_file_range */
	CALL_SIZE = 1 << 3, /* ftruncate, fallocate */
	CALL_RENAME = 1 << 4,
	CALL_LINK = 1 << 5,
	CALL_UNLINK = 1 << 6, /* and rmdir */
	CALL_MKDIR = 1 << 7,
	CALL_READ = 1 << 8, /* and pread, preadv */
	CALL_MMAP = 1 << 9,
	CALL_LOCK = 1 << 10, /* flock, fcntl(F_SETLK...) */
	CALL_CLOSE = 1 << 11, /* which closes all the same */
	CALL_STAT = 1 << 12, /* fstat only */
	CALL_SEEK = 1 << 13,
	CALL_ALL = (1 << 14) - 1,
};

enum { CRASH_SHORT = -1 }; /* instead of an errno: half of the bytes, as if there were no more */

struct crash_fault {
	unsigned calls; /* bits of enum crash_call */
	unsigned nth; /* the first is 1; 0: only count */
	int error; /* errno, or CRASH_SHORT */
	bool is_lasting; /* all later calls of the kind fail too */
	unsigned nr_seen; /* filled in */
	enum crash_call hit; /* which was made to fail; 0: none */
};

/*
 * @fault counts and acts while a recorder is at work; NULL: none does. A sync that is made to fail
 * is not done and is in the log as failed.
 */
void record_fault(struct crash_fault *fault);

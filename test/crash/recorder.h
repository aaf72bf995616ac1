/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder as wraps_*.c see it. All but recorder_enter() need what that one gave: it keeps
 * other threads out, and lets the recorder's own calls through unseen.
 */
#pragma once

#include <limits.h>
#include <sys/stat.h>

#include "test/crash/record.h"

#define RECORDER_NONE UINT32_MAX /* not below the watched directory */

/* False: no recorder is at work here, so make the call and nothing else. True: leave later. */
bool recorder_enter(void);
void recorder_leave(void); /* keeps errno */

/* The object behind a descriptor or a name, or RECORDER_NONE. */
uint32_t recorder_object(int fd);
uint32_t recorder_object_at(int dirfd, const char *path, int flags);

/* The directory in which @path is, and its last part; RECORDER_NONE: not below the watched one. */
uint32_t recorder_parent(int dirfd, const char *path, char name[static NAME_MAX + 1]);

/* A new object for what @st describes. */
uint32_t recorder_new_object(const struct stat *st);

/* A new op, zeroed but for what is given. Never NULL: if there is no room, the log complains. */
struct crash_op *recorder_op(enum crash_op_kind kind, uint32_t object);
const uint8_t *recorder_keep(const void *data, size_t len);
const char *recorder_keep_name(const char *name);
void recorder_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Counts a call; 0: make it. Otherwise an errno, which is set already, or CRASH_SHORT for half of
 * it, which only calls that can be short are asked for.
 */
int recorder_fault(enum crash_call call, bool can_be_short);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine process that has gone bad: volt-vmm-traitor is volt-vmm, from the same objects, whose
 * calls of some functions are led here by the linker (--wrap, wraps.c). It can leave out layers of
 * the sandbox, and in the place where a thread of machine starts to work, under the whole sandbox,
 * it tries to get out. Nothing of this is in volt-vmm, not even a place to hook it in.
 *
 * The environment of control says what to do:
 *
 *	VOLT_TRAITOR_ATTEMPT	name of an escape (escapes.c), or "numbers FIRST LAST"
 *	VOLT_TRAITOR_THREAD	which kind of thread tries it: vcpu, loop or io
 *	VOLT_TRAITOR_LAYERS	which layers of the sandbox there are, a mask (jail/layer.h)
 *	VOLT_TRAITOR_REPORT	a file for results: an array of struct attempt_report
 *	VOLT_TRAITOR_FOLDER	what is to be reached on the host, see test/support/traitor.py
 *	VOLT_TRAITOR_PORT	a port of 127.0.0.1 where the test listens, TCP and UDP
 *	VOLT_TRAITOR_VICTIM	a process of the same user
 *	VOLT_TRAITOR_SEGMENT	key of a System V shared memory segment
 */
#pragma once

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/metrics_page.h"

enum {
	ATTEMPT_BEGUN =
		1, /* and not returned: the thread or the program has gone, or stands still */
	ATTEMPT_RETURNED = 2,
	ATTEMPT_UNAVAILABLE = 3, /* the host has not what it takes to try */
	NUMBERS = 501, /* system call numbers 0 to 500 */
};

struct attempt_report {
	uint32_t state;
	uint32_t reserved;
	int64_t value; /* 0 or more: it went through; -errno: it was refused */
};

enum escape_kind { ESCAPE_FILE, ESCAPE_PROCESS, ESCAPE_NETWORK, ESCAPE_KERNEL, ESCAPE_CONTROL };

struct escape {
	const char *name;
	long (*attempt)(void); /* 0 or more when it got through, else -errno */
	bool (*prepare)(void); /* NULL, or before confinement; false: not to be had on this host */
};

extern const struct escape file_escapes[], process_escapes[], network_escapes[], kernel_escapes[],
	control_escapes[]; /* each ends with an empty one */

/* What an attempt may use. */
struct loot {
	const char *folder;
	char file[256]; /* below the folder, as all paths here */
	struct io_uring *own_ring; /* of a drive, NULL without */
	struct machine_metrics *metrics; /* the page that is shared with control */
	uintptr_t control_address; /* of a word in control's memory */
	uint16_t port;
	int32_t segment; /* key */
	int control_pid; /* as control sees it */
	int victim_pid;
	int nice; /* ours and the victim's */
};

extern struct loot loot;

/* A path below the folder of the test; valid until the next call. */
const char *loot_path(const char *name);

/* The same, of a file that is not there yet: attempts run side by side in one folder. */
const char *loot_new_path(const char *name);

/* The numbers FIRST to LAST as system calls, each in its place of @reports. */
void numbers_try(struct attempt_report *reports, int first, int last, bool has_seccomp);

/* From __wrap_confine_process(): reads the environment, and prepares. */
void traitor_prepare(void);

/* Tries, if @thread ("vcpu") is the one. */
void traitor_act(const char *thread);

/* The mask of layers that there are to be. */
uint32_t traitor_layers(void);

/* Opens a function that callers of @name get, and declares the one that they meant. */
#define REAL(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

/* -errno of a call that failed. */
static inline long outcome(long r)
{
	return r < 0 ? -errno : r;
}

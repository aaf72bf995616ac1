/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM of this process with its name and its configuration, as the command line and the APIs work
 * on it: what may be changed before the start is a field of `settings`, and what may be changed
 * after it is a function here that also keeps `settings` true.
 *
 * Everything runs on the loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "control/mmds_store.h"
#include "control/session.h"
#include "control/settings.h"
#include "control/spawn.h"

struct metrics;
struct permits;

enum { INSTANCE_ID_BYTES = 65 };

/* What whoever started this program says of the time before, in microseconds; 0: nothing. */
struct launcher_times {
	uint64_t start_us; /* CLOCK_MONOTONIC when it was started */
	uint64_t start_cpu_us; /* CPU time of this process then */
	uint64_t parent_cpu_us; /* CPU time of the process before */
};

struct instance {
	char id[INSTANCE_ID_BYTES]; /* 1 to 64 letters, digits and hyphens */
	struct settings settings; /* owned; changed by its users before the start only */
	struct mmds_store mmds; /* owned; metadata for the guest */
	struct machine_process machine; /* owned: started ahead, until the session has it */
	struct session *session; /* owned */
	struct permits *permits; /* owned: what may still be opened (confine.h); NULL: all */
	struct metrics *metrics; /* owned; NULL: nothing is counted */
	uint64_t began_us; /* CLOCK_MONOTONIC, when the program began */
	uint64_t started_at_us; /* CLOCK_MONOTONIC, when the start was asked for; 0 before */
	struct launcher_times launcher;
	bool has_boot_timer; /* the guest can say when it has booted, which is logged */
};

/* CLOCK_MONOTONIC in microseconds. */
uint64_t instance_now_us(void);

/* Whether a start has been asked for: from here on `settings` describe what runs. */
bool instance_is_started(const struct instance *i);

/*
 * Checks the settings against the host, opens what they name, and starts the VM. 0: @done follows;
 * -errno with @e filled: nothing was started, it may be tried again. -EBADMSG: the settings are
 * wrong, whatever the files are; -ENODEV: they ask for a device this program does not have.
 */
int instance_start(struct instance *i, session_done *done, void *opaque, struct err *e);

/*
 * Drive @id goes on with the file @path, which is opened, checked and locked like the first. 0: @done
 * follows; -ENODEV: no such drive; -errno with @e filled. One change of a drive at a time.
 */
int instance_replace_drive(struct instance *i, const char *id, const char *path, session_done *done,
			   void *opaque, struct err *e);

/* Full buckets in place of those named. As above. */
int instance_limit_drive(struct instance *i, const char *id,
			 const struct rate_limiter_config *limit, bool has_bandwidth, bool has_ops,
			 session_done *done, void *opaque, struct err *e);

/* Accepts a zeroed object. */
void instance_release(struct instance *i);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process has of the sandbox, as the kernel shows it to others in /proc: its threads, its
 * namespaces, its root, its limits. Some of it only privileged readers see; Landlock nobody does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "jail/layer.h"

enum sandbox_capability_set {
	SANDBOX_CAP_INHERITABLE,
	SANDBOX_CAP_PERMITTED,
	SANDBOX_CAP_EFFECTIVE,
	SANDBOX_CAP_BOUNDING,
	SANDBOX_CAP_AMBIENT,
	SANDBOX_CAP_SETS,
};

enum { SANDBOX_NAME_BYTES = 32, SANDBOX_NAMESPACES = 7 };

/* From /proc/PID/task/TID/status. */
struct sandbox_thread {
	pid_t tid;
	char name[SANDBOX_NAME_BYTES]; /* printable characters only: it chooses it itself */
	int seccomp; /* 0: none, 1: strict, 2: filters */
	int nr_filters; /* -1: this kernel does not say (before Linux 5.9) */
	bool has_no_new_privs;
	uint64_t capabilities[SANDBOX_CAP_SETS];
	uid_t uid; /* effective, as the reader sees it */
	unsigned int nr_pid_levels; /* of process id namespaces, from the reader's downward */
};

enum sandbox_seen {
	SANDBOX_UNREADABLE, /* for this reader, or for all */
	SANDBOX_YES,
	SANDBOX_NO,
};

struct sandbox_process {
	pid_t pid;
	pid_t parent;
	struct sandbox_thread *threads; /* owned */
	size_t nr_threads;
	enum sandbox_seen namespaces[SANDBOX_NAMESPACES]; /* whether it has one of its own */
	enum sandbox_seen layers[JAIL_LAYERS]; /* what all of that says of each layer */
};

/* "mnt", "pid" and so on, as in /proc/PID/ns. */
extern const char *const sandbox_namespace_names[SANDBOX_NAMESPACES];

/*
 * Reads all of it; namespaces are its own when they are not those of @other, which is another
 * process of the same program. 0 or -errno with @e filled; -ESRCH: it is gone.
 */
int sandbox_process_read(pid_t pid, pid_t other, struct sandbox_process *process, struct err *e);

/* Takes one line of a status file, without its end. */
void sandbox_status_line(const char *line, struct sandbox_thread *thread);

/* Whether the text of a limits file, or of a mountinfo file, is that of a confined process. */
bool sandbox_limits_are_low(const char *text);
bool sandbox_root_is_empty(const char *mountinfo);

/* Accepts a zeroed object. */
void sandbox_process_release(struct sandbox_process *process);

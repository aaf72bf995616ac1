/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which virtual machines of this user run: a folder with one file for each, ID.json, that its
 * control process keeps locked (flock(2)) as long as it lives. A file that nobody has locked is
 * what a killed process has left, and whoever meets it removes it, with the API socket beside it.
 *
 * The folder is volt-vmm in $XDG_RUNTIME_DIR or /run/user/UID, else /tmp/volt-vmm-UID. It must
 * belong to this user and be closed to others: whoever could write there could send the user's
 * commands to a socket of his own.
 *
 * Files appear whole and locked (written under another name, then linked), so that nobody sees
 * one half-made. The lock goes with the open file, not with the process: machine must not have it,
 * and a child that is killed between fork and exec keeps it until then.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "control/api/api_socket.h"
#include "control/instance.h"

enum {
	REGISTRY_FOLDER_BYTES = 4096,
	REGISTRY_VERSION_BYTES = 32,
};

struct registry_entry {
	char id[INSTANCE_ID_BYTES];
	char version[REGISTRY_VERSION_BYTES]; /* of the program that runs it */
	char api_path[API_SOCKET_PATH_BYTES]; /* "": none that others can find */
	pid_t pid; /* of control */
	int64_t started_at_s; /* since the epoch, UTC */
};

struct registry {
	int folder_fd; /* owned; -1 when closed */
	int claim_fd; /* owned: what this process has claimed, locked; -1: nothing */
	char id[INSTANCE_ID_BYTES]; /* of that */
	char folder[REGISTRY_FOLDER_BYTES];
};

/* Opens the folder, which is made if need be. 0 or -errno with @e; -EPERM: it cannot be trusted. */
int registry_open(struct registry *r, struct err *e);

/*
 * Where the API socket of @id is by default. 0, or -ENAMETOOLONG with an empty
 * path: no socket can be bound there.
 */
int registry_socket_path(const struct registry *r, const char *id,
			 char path[static API_SOCKET_PATH_BYTES]);

/*
 * Enters this process' virtual machine. What an earlier one of its id has left is removed. 0, or
 * -errno with @e; -EEXIST: one of this id runs.
 */
int registry_claim(struct registry *r, const struct registry_entry *entry, struct err *e);

/* The one that runs under @id. 0, or -ENOENT, or -EBADMSG, with @e. */
int registry_find(struct registry *r, const char *id, struct registry_entry *entry, struct err *e);

/*
 * All that run, oldest first, in *@list, which the caller frees. Returns how many or -errno with
 * @e. Files of the dead are removed on the way.
 */
int registry_list(struct registry *r, struct registry_entry **list, struct err *e);

/* Removes what was claimed. Accepts a closed object. */
void registry_close(struct registry *r);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup for a process: found, made, filled with settings, entered and removed (cgroups(7)).
 *
 * It is the folder <hierarchy>/<parent>/<name>. Version 2 has one hierarchy; of version 1 there are
 * several, each with some of the controllers, and the cgroup is made in each that a setting needs.
 *
 *	drops: more processor time, memory, processes and I/O than the settings allow.
 *	must still work: all that the process does within them; its children share them.
 *
 * cgroup_open() changes nothing: what is wrong with a request is found before anything is made.
 * Every folder is opened below the one before it (jail/path.h). Without privilege it works below a
 * folder that was delegated to the user, for example by systemd.
 *
 * Thread: any, but cgroup_enter() and cgroup_undo() move the whole process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "jail/cgroup_mount.h"

enum {
	CGROUP_SETTINGS_MAX = 64,
	CGROUP_FILE_BYTES = 80, /* of a file's name, with the NUL */
	CGROUP_DEPTH_MAX = 16, /* folders below the mount point */
	CGROUP_PLACES_MAX = 16, /* hierarchies */
};

struct cgroup_setting {
	char file[CGROUP_FILE_BYTES]; /* "memory.max": the controller, a dot, and more */
	const char *value; /* borrowed from what was parsed */
};

struct cgroup_spec {
	int version; /* CGROUP_V1 or CGROUP_V2 */
	const char *parent; /* names with '/' between; borrowed */
	const char *name; /* borrowed */
	const struct cgroup_setting *settings; /* borrowed */
	size_t nr_settings;
};

/* The cgroup's folder and those above it, in one hierarchy. */
struct cgroup_place {
	struct cgroup_mount mount;
	int levels[CGROUP_DEPTH_MAX + 1]; /* owned; the first is the mount point; -1: not open */
	bool is_new[CGROUP_DEPTH_MAX + 1]; /* made by us */
	int before; /* owned: cgroup.procs of the cgroup that we came from; -1: none */
};

struct cgroup {
	const struct cgroup_spec *spec; /* borrowed; outlives us */
	char path[PATH_MAX]; /* the names below, each with its NUL */
	const char *names[CGROUP_DEPTH_MAX];
	size_t depth; /* how many names */
	struct cgroup_place places[CGROUP_PLACES_MAX];
	size_t nr_places;
};

/* "FILE=VALUE"; the value may hold further '='. 0 or -EINVAL with @e filled. */
int cgroup_setting_parse(const char *text, struct cgroup_setting *out, struct err *e);

/* Whether @path can be a cgroup's parent: relative, of plain names, not too deep. */
bool cgroup_is_parent(const char *path);

/*
 * Finds where the cgroup of @spec belongs. With no settings that is nowhere, in version 1, and the
 * hierarchy in version 2. 0 or -errno with @e filled: -ENOENT when a hierarchy is not mounted or a
 * controller is not there. Release with cgroup_release().
 */
int cgroup_open(struct cgroup *cg, const struct cgroup_spec *spec, struct err *e);

/*
 * Makes the folders, turns controllers on in those above (version 2) or hands CPUs and memory nodes
 * down (version 1), and writes the settings. 0 or -errno with @e filled; then cgroup_undo().
 */
int cgroup_make(struct cgroup *cg, struct err *e);

/* Moves this process into it. 0 or -errno with @e filled; then cgroup_undo(). */
int cgroup_enter(struct cgroup *cg, struct err *e);

/* Moves this process into the parent of @cg, version 2, if there is one; makes nothing. */
int cgroup_enter_parent(struct cgroup *cg, struct err *e);

/* Moves this process back to where it was and removes the folders that were made. */
void cgroup_undo(struct cgroup *cg);

/* Accepts a zeroed object, and may be called twice. */
void cgroup_release(struct cgroup *cg);

/*
 * Removes <parent>/<name> in every hierarchy of both versions. 0, also when there is none; -EBUSY with
 * @e filled when processes are in it.
 */
int cgroup_remove(const char *parent, const char *name, struct err *e);

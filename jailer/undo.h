/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has been made so far, to take back when a later step fails: a jail is there as a whole or not
 * at all. Only what is noted here is removed, by the descriptor of its folder and its name; folders
 * that were there before get back their owner and mode.
 */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

enum undo_kind {
	UNDO_FILE,
	UNDO_FOLDER,
	UNDO_MOUNT, /* at a file or folder */
	UNDO_OWNER, /* and mode, of the folder itself */
};

enum { UNDO_MAX = 32 };

struct undo {
	struct undo_item {
		enum undo_kind kind;
		int folder; /* owned */
		const char *name; /* borrowed: outlives the run; NULL for UNDO_OWNER */
		struct stat before; /* of UNDO_OWNER */
	} items[UNDO_MAX];
	size_t nr;
};

/* Notes that @name in @folder was made; the descriptor is duplicated. 0 or -errno. */
int undo_note(struct undo *u, int folder, const char *name, enum undo_kind kind);

/* Notes whose @folder is and who may use it, before that is changed. 0 or -errno. */
int undo_note_owner(struct undo *u, int folder);

/* Takes all of it back, the last first, as far as that goes. */
void undo_all(struct undo *u);

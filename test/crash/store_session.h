/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of stories share: see store_story.h. */
#pragma once

#include "test/crash/store_story.h"

struct session {
	const struct story *story;
	const char *dir;
	struct store *store; /* owned; NULL: not open */
	unsigned key;
	bool is_helped; /* it had to be made or rebuilt to be opened */
};

/* Closes the store if it is open, and opens it anew. */
int session_reopen(struct session *s, enum store_mode mode, struct err *e);
void session_close(struct session *s);

/* -EIO: fsck could not do all of it. */
int session_rebuild(struct session *s, struct err *e);
int session_repair(struct session *s, struct err *e); /* the index only when it must */

/* Parts of a scenario, see crash.h. */
int story_recover(const char *dir, const void *opaque, struct err *e);
int story_check(const char *dir, const struct crash_acks *acks, const void *opaque, struct err *e);

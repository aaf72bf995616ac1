/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios of the store, as stories: steps before (setup), steps that crashes or failing calls
 * interrupt (act), and one rule for all of them (check): the store is as it was after the last step
 * that was acknowledged, or after the one that had begun, in every name; every image is complete;
 * fsck finds no image damaged; a further import and gc work, and fsck finds nothing wrong then.
 */
#pragma once

#include "stellar/crypt.h"
#include "stellar/store.h"
#include "test/crash/crash.h"

enum step_kind {
	STEP_END,
	STEP_INIT, /* makes the store */
	STEP_IMPORT, /* image number @number as @name, in place of what had the name */
	STEP_TAG, /* @name2 is what @name is, in place of what had the name */
	STEP_REMOVE, /* @name, if it is there */
	STEP_GC,
	STEP_CLOSE, /* the steps before share one open store */
	STEP_REBUILD, /* the index, from the packs */
	STEP_REPAIR, /* what is damaged */
	STEP_KEY, /* key number @number from now on */
	STEP_TRAIN, /* a dictionary */
	STEP_SAVE_INDEX, /* keeps a copy of the index as it is now */
	STEP_OLD_INDEX, /* puts it back: packs since are not in it, as after a crash */
	STEP_SPOIL_INDEX, /* writes over a part of it */
	STEP_SPOIL_COPIES, /* changes one of the two copies in each pack and name */
	STEP_LEFTOVER, /* a pack that a killed writer did not finish */
};

struct step {
	enum step_kind kind;
	const char *name;
	const char *name2;
	unsigned number;
};

enum { STORY_STEPS_MAX = 16 };

struct story {
	const char *name;
	const char *chunking; /* NULL: fixed:16K */
	const char *codec; /* NULL: none */
	bool is_encrypted;
	size_t pack_bytes; /* a pack is full when it has so much; 0: as always */
	struct step before[STORY_STEPS_MAX];
	struct step act[STORY_STEPS_MAX];
};

struct crash_scenario story_scenario(const struct story *s);

/* --- what the kill tests use too ------------------------------------------------------------- */

enum { STORY_IMAGE_BYTES = 8 * 16384 + 1234 };

/* The bytes of image number @number; some are those of all images, the last say the number. */
void story_fill(uint8_t buf[static STORY_IMAGE_BYTES], unsigned number);

int story_init(const char *dir, const struct story *s, struct err *e);
int story_open(struct store **out, const char *dir, const struct story *s, unsigned key,
	       enum store_mode mode, struct err *e);
int story_import(struct store *s, const char *name, unsigned number, struct err *e);
int story_gc(struct store *s, struct err *e);

/* 0: @name is image @number; -ENOENT: there is no such name; else it is something else. */
int story_verify(struct store *s, const char *name, unsigned number, struct err *e);

/* The number of the image @name; -ENOENT: there is no such name; -EILSEQ: it is no whole image. */
int story_identify(struct store *s, const char *name, unsigned *number, struct err *e);

/* Whether fsck finds all well; @is_strict: without leftovers too. */
int story_fsck(const char *dir, const struct story *s, unsigned key, bool is_strict, struct err *e);

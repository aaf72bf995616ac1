/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of fsck: a store in memory with images of several kinds, whose files can be damaged and put
 * back, and what fsck says of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stellar/fsck.h"
#include "stellar/image.h"
#include "stellar/store.h"

/* A file of the store as it was saved. */
struct rig_file {
	char name[320]; /* from the store's folder on */
	uint8_t *bytes; /* owned */
	size_t len;
};

struct fsck_rig {
	char folder[64]; /* of our own */
	char store[80];
	struct key_input key;
	struct rig_file *files; /* owned: what was saved */
	size_t file_count;
	char **lines; /* owned: problems of the last run */
	size_t line_count;
	char **notes; /* owned: leftovers of the last run */
	size_t note_count;
	struct fsck_result result; /* of the last run */
};

/* An empty store; @key may be NULL. */
void rig_make(struct fsck_rig *rig, const struct key_input *key);
void fsck_rig_remove(struct fsck_rig *rig);

/* Opens the store and closes it. */
struct store *rig_open(struct fsck_rig *rig);

/* Imports @len bytes as @name, with "none", "lz4", "zstd"... and "fixed:4K"... */
void rig_import(struct fsck_rig *rig, const char *name, const void *bytes, size_t len,
		const char *codec, const char *chunking);

/* Bytes that are always the same for @seed: text that compresses, or noise. */
void rig_text(uint8_t *bytes, size_t len, uint64_t seed);
void rig_noise(uint8_t *bytes, size_t len, uint64_t seed);

/* Whether the image can be read and is @bytes. */
bool rig_has_image(struct fsck_rig *rig, const char *name, const void *bytes, size_t len);

/* Keeps all files of the store in memory, and puts them back as they were. */
void rig_save(struct fsck_rig *rig);
void rig_restore(struct fsck_rig *rig);
/* The saved file whose name begins so and ends so, the @number-th; NULL: there are not so many. */
struct rig_file *rig_find_file(struct fsck_rig *rig, const char *begin, const char *end,
			       unsigned number);
/* A number of files in the folder @name of the store now. */
unsigned rig_count(const struct fsck_rig *rig, const char *name);

/* Writes @len bytes at @offset of the file @name of the store. */
void rig_write(const struct fsck_rig *rig, const char *name, size_t offset, const void *bytes,
	       size_t len);
void rig_flip(const struct fsck_rig *rig, const char *name, size_t bit);
void rig_path(const struct fsck_rig *rig, const char *name, char path[static 512]);

/* Runs fsck; its result, which is 0 or -errno. */
int rig_fsck(struct fsck_rig *rig, const struct fsck_options *o);
int rig_check(struct fsck_rig *rig);
int rig_repair(struct fsck_rig *rig);
/* Whether a problem of the last run holds this text. */
bool rig_told(const struct fsck_rig *rig, const char *text);
bool rig_noted(const struct fsck_rig *rig, const char *text);

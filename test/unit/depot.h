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
struct depot_file {
	char name[320]; /* from the store's folder on */
	uint8_t *bytes; /* owned */
	size_t len;
};

struct depot {
	char folder[64]; /* of our own */
	char store[80];
	struct key_input key;
	struct depot_file *files; /* owned: what was saved */
	size_t file_count;
	char **lines; /* owned: problems of the last run */
	size_t line_count;
	char **notes; /* owned: leftovers of the last run */
	size_t note_count;
	struct fsck_result result; /* of the last run */
};

/* An empty store; @key may be NULL. */
void depot_make(struct depot *rig, const struct key_input *key);
void depot_remove(struct depot *rig);

/* Opens the store and closes it. */
struct store *depot_open(struct depot *rig);

/* Imports @len bytes as @name, with "none", "lz4", "zstd"... and "fixed:4K"... */
void depot_import(struct depot *rig, const char *name, const void *bytes, size_t len,
		  const char *codec, const char *chunking);

/* The same, in a process that may not fail a test. */
int depot_try_import(struct depot *rig, const char *name, const void *bytes, size_t len,
		     const char *codec, const char *chunking, struct err *e);

/* Bytes that are always the same for @seed: text that compresses, or noise. */
void depot_text(uint8_t *bytes, size_t len, uint64_t seed);
void depot_noise(uint8_t *bytes, size_t len, uint64_t seed);

/* Whether the image can be read and is @bytes. */
bool depot_has_image(struct depot *rig, const char *name, const void *bytes, size_t len);

/* Keeps all files of the store in memory, and puts them back as they were. */
void depot_save(struct depot *rig);
void depot_restore(struct depot *rig);
/* The saved file whose name begins so and ends so, the @number-th; NULL: there are not so many. */
struct depot_file *depot_find_file(struct depot *rig, const char *begin, const char *end,
				   unsigned number);
/* A number of files in the folder @name of the store now. */
unsigned depot_count(const struct depot *rig, const char *name);

/* The name of a file in the folder that is none of these. */
void depot_read_name(const struct depot *rig, const char *folder, const char *not_this,
		     const char *nor_this, char name[static 320]);

/* Writes @len bytes at @offset of the file @name of the store. */
void depot_write(const struct depot *rig, const char *name, size_t offset, const void *bytes,
		 size_t len);
void depot_flip(const struct depot *rig, const char *name, size_t bit);
void depot_path(const struct depot *rig, const char *name, char path[static 512]);

/* Runs fsck; its result, which is 0 or -errno. */
int depot_fsck(struct depot *rig, const struct fsck_options *o);
int depot_check(struct depot *rig);
int depot_repair(struct depot *rig);
/* Whether a problem of the last run holds this text. */
bool depot_told(const struct depot *rig, const char *text);
bool depot_noted(const struct depot *rig, const char *text);

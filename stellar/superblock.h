/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file `superblock`: what a store is. Replaced as a whole (write, fsync, rename, fsync of the
 * directory); holds two equal copies, either of which will do.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "stellar/abi.h"
#include "stellar/chunk.h"
#include "stellar/codec.h"

enum { STORE_UUID_TEXT_BYTES = 2 * STORE_UUID_BYTES + 5 };

struct superblock {
	uint8_t uuid[STORE_UUID_BYTES];
	struct chunk_params chunking;
	struct codec_params codec;
	struct chunk_id dictionary_id;
	bool has_dictionary;
	bool is_encrypted;
	struct st_envelope envelope; /* as on disk; checked by crypt_unwrap() */
	bool is_damaged; /* reading: one of the two copies was not valid (the other was used) */
};

/*
 * Reads and checks it in the open directory @dir_fd; @path names the store in messages. -ENOENT: no
 * store there (says how to make one); -EPROTONOSUPPORT: of a newer version (says which);
 * -EBADMSG: damaged; else -errno of reading. @e is filled.
 */
int superblock_read(int dir_fd, const char *path, struct superblock *sb, struct err *e);

/* Writes it anew, durably, in place of any before. 0 or -errno with @e filled; the old one stays then. */
int superblock_write(int dir_fd, const char *path, const struct superblock *sb, struct err *e);

/* The parser of the file's bytes, for fuzzers and fsck too. -EPROTONOSUPPORT or -EBADMSG. */
int superblock_parse(const uint8_t *bytes, size_t len, const char *path, struct superblock *sb,
		     struct err *e);

/* The file's bytes. */
void superblock_format(const struct superblock *sb,
		       uint8_t file[static 2 * sizeof(struct st_superblock)]);

/* As RFC 9562 writes it. */
void store_uuid_text(const uint8_t uuid[static STORE_UUID_BYTES],
		     char text[static STORE_UUID_TEXT_BYTES]);

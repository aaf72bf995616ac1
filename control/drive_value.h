/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk as the user describes it: on the command line as "PATH[,WORD][,NAME=VALUE]...", in
 * configuration files and APIs field by field. Defaults are those of drive_value_init() in all of
 * them. Nothing is opened here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "control/wire.h"

struct drive_value {
	char *path; /* owned; drive_value_release() */
	char id[WIRE_ID_BYTES]; /* "" when none was given */
	bool is_root;
	bool is_read_only;
	bool is_direct; /* past the host's page cache */
	bool has_no_lock; /* others may use the image at the same time */
	enum block_engine engine;
	enum block_cache cache;
	uint32_t queue_count; /* 1 to WIRE_MAX_QUEUES */
	char iothread[WIRE_IOTHREAD_BYTES]; /* "": the loop thread */
	struct rate_limiter_config limit;
	bool may_be_empty; /* keeps a place for a disk to come, as Kata's do */
	char *partuuid; /* owned; of a root: the kernel looks for this partition */
	bool has_discard; /* as an API client set it; it is offered wherever the file can do it */
};

/* The words for enum block_engine and enum block_cache; NULL at the end. */
extern const char *const drive_engine_names[];
extern const char *const drive_cache_names[];

/* A disk with defaults and without a path. */
void drive_value_init(struct drive_value *drive);

/*
 * Reads @text over *@drive. In the path ",," stands for a comma. The words behind it may come in any
 * order, each once: ro, engine=, cache=, direct=, queues=, iothread=, lock=, bw=, ops=, and id= for a
 * drive that is not the root. Messages start with @what. 0, -EINVAL or -ENOMEM.
 */
int drive_value_parse(const char *what, const char *text, bool is_root, struct drive_value *drive,
		      struct err *e);

/*
 * Reads "SIZE[:REFILL_MS[:BURST]]", each above 0: the limit of a rate. Sizes are bytes, which may
 * have units, or operations. 0 or -EINVAL.
 */
int drive_value_bucket(const char *text, bool is_bytes, struct token_bucket_config *bucket);

/* Accepts a zeroed object, and may be called twice. */
void drive_value_release(struct drive_value *drive);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests: which chunks an image is made of, as a Merkle tree of nodes that are chunks themselves
 * (struct st_node, st_image in abi.h).
 *
 * A node ends after an entry when it has NODE_MIN_ENTRIES and the entry's mark, ANDed with
 * NODE_BOUNDARY_MASK, is 0, or when it has NODE_MAX_ENTRIES. The mark is the first 8 bytes of the
 * entry's id as a little-endian number; for a zero run, its length in 4 KiB blocks rounded up
 * multiplied by 0x9E3779B97F4A7C15 (modulo 2^64), shifted right by 32. Nodes know nothing of their
 * place, so equal runs of entries become equal nodes wherever they are, and a change touches one
 * node of each level, seldom two. The tree is finished when a level has one node; that is the
 * image's root.
 *
 * Traps: entries are merged before they are added (two zero runs in a row become one). A tree read
 * from disk is hostile: each child is exactly one level below its parent and as long as its entry
 * says, which bounds every walk by the image's length; but a few nodes that name each other many
 * times are enough for an image of 2^56 bytes. Who has to end sooner remembers what it has seen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "stellar/abi.h"
#include "stellar/chunk.h"
#include "stellar/id.h"

/* Where nodes and images go. @put stores it under the id of id_of_node() and gives that id. */
struct manifest_sink {
	int (*put)(void *opaque, enum chunk_kind kind, const void *bytes, size_t len,
		   struct chunk_id *id, struct err *e);
	void *opaque;
};

/* Where they come from: writes at most @cap bytes, returns the length (verified against @id) or
 * -errno with @e filled (-ENOENT: no such chunk; -EBADMSG: damaged). */
struct manifest_source {
	ssize_t (*get)(void *opaque, enum chunk_kind kind, const struct chunk_id *id, void *buf,
		       size_t cap, struct err *e);
	void *opaque;
};

enum { NODE_MAX_BYTES = sizeof(struct st_node) + NODE_MAX_ENTRIES * sizeof(struct st_node_entry) };

/* --- building ------------------------------------------------------------------------------ */

struct manifest_builder;

int manifest_builder_new(struct manifest_builder **out, const struct chunk_params *chunking,
			 const struct manifest_sink *sink, struct err *e);
/*
 * In the order of the image; 0 bytes of zeros are nothing, a chunk has 1 to CHUNK_MAX_BYTES. 0 or
 * -errno of the sink, after which the builder can only be freed; -EFBIG: beyond 2^56 - 1 bytes.
 */
int manifest_add_zero(struct manifest_builder *b, uint64_t bytes, struct err *e);
int manifest_add_chunk(struct manifest_builder *b, const struct chunk_id *id, uint32_t bytes,
		       struct err *e);
/* Puts what is left and the image; gives its id. Only manifest_builder_free() may follow. */
int manifest_finish(struct manifest_builder *b, struct chunk_id *image_id, struct err *e);
void manifest_builder_free(struct manifest_builder *b); /* accepts NULL */

/* --- checking ------------------------------------------------------------------------------ */

struct image_info {
	struct chunk_id id;
	uint64_t bytes;
	uint64_t data_bytes;
	uint64_t chunks;
	struct chunk_params chunking;
	uint32_t root_level;
	struct chunk_id root_id; /* meaningless when bytes is 0 */
};

/*
 * The parsers, for fuzzers and fsck too: -EBADMSG with @e filled, naming @id; -EPROTONOSUPPORT: an
 * image of a newer version. What an image says of its data (data_bytes, chunks) is possible then, but
 * only a walk of the tree can tell whether it is true.
 */
int image_parse(const struct chunk_id *id, const void *bytes, size_t len, struct image_info *out,
		struct err *e);

/* A checked node. Borrows the bytes. */
struct node_view {
	uint32_t level;
	uint32_t count;
	uint64_t bytes;
	const struct st_node_entry *entries;
};
/* @level and @length: what its parent says of it. @bytes is aligned like a struct st_node. */
int node_parse(const struct chunk_id *id, const void *bytes, size_t len, uint32_t level,
	       uint64_t length, struct node_view *out, struct err *e);

/* --- reading ------------------------------------------------------------------------------- */

/* A piece of an image: a chunk as a whole, or a run of zeros as long as its entry. */
struct extent {
	uint64_t offset; /* in the image */
	uint64_t bytes;
	bool is_zero;
	struct chunk_id id; /* meaningless when is_zero */
};

/* A cursor: keeps the path to where it is (one node a level). Thread: one at a time. */
struct manifest_cursor;

int manifest_open(struct manifest_cursor **out, const struct chunk_id *image_id,
		  const struct manifest_source *source, struct err *e);
const struct image_info *manifest_info(const struct manifest_cursor *c);
/*
 * The extent that holds byte @offset; 0: beyond the end; 1: @out is filled; -errno. Near the last one
 * it is quick, and never are more nodes read than the tree has levels. After an error it may be tried
 * again.
 */
int manifest_seek(struct manifest_cursor *c, uint64_t offset, struct extent *out, struct err *e);
/* The extent after the last one given; the first at the start, none after a seek beyond the end. */
int manifest_next(struct manifest_cursor *c, struct extent *out, struct err *e);
void manifest_close(struct manifest_cursor *c); /* accepts NULL */

/* --- walking all of it --------------------------------------------------------------------- */

/*
 * Visits the image, its nodes and its chunks (not its zero runs), parents first, in the image's
 * order. @visit returns 1: go on below, 0: skip what is below (it has been seen, say), -errno: stop,
 * which becomes the result. Depth is bounded by the level, no recursion.
 *
 * The image is read before it is visited, a node after. When @on_bad is set, a node that is missing
 * or damaged (-ENOENT, -EBADMSG or -EIO of the source) is told to it and the walk goes on beside it
 * if it returns 0. So is the image itself, with 0 bytes at 0, also one of a newer version
 * (-EPROTONOSUPPORT, which is no damage).
 */
struct manifest_visitor {
	int (*visit)(void *opaque, enum chunk_kind kind, const struct chunk_id *id, uint64_t offset,
		     uint64_t bytes, struct err *e);
	int (*on_bad)(void *opaque, const struct chunk_id *id, uint64_t offset, uint64_t bytes,
		      const struct err *why); /* may be NULL */
	void *opaque;
};
int manifest_walk(const struct chunk_id *image_id, const struct manifest_source *source,
		  const struct manifest_visitor *visitor, struct err *e);

/* --- comparing ----------------------------------------------------------------------------- */

struct manifest_difference {
	uint64_t only_a_chunks, only_b_chunks; /* distinct, where the other does not have them */
	uint64_t only_a_bytes, only_b_bytes; /* their raw lengths */
	uint64_t nodes_read; /* of both; grows with the difference, not with the images */
};

/*
 * Which chunks differ, wherever they are: subtrees that both have are skipped, level by level. So a
 * chunk of a differing part that the other image has inside a skipped subtree only (it was copied
 * within the image, say) is counted too: the counts are never too low, and exact when no chunk is in
 * an image twice. Memory grows with the difference.
 */
int manifest_diff_chunks(const struct chunk_id *a, const struct chunk_id *b,
			 const struct manifest_source *source, struct manifest_difference *out,
			 struct err *e);

/*
 * Which ranges may differ at equal places, in rising order, not overlapping, none of them inside a
 * subtree that both have there. The tail of the longer image is a range; ranges that touch are told
 * as one. @on_range returns 0 or -errno, which becomes the result.
 */
int manifest_diff_ranges(const struct chunk_id *a, const struct chunk_id *b,
			 const struct manifest_source *source,
			 int (*on_range)(void *opaque, uint64_t offset, uint64_t bytes),
			 void *opaque, struct err *e);

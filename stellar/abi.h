/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte that a store keeps on disk, in one place; docs/format-store.md explains it.
 *
 * Whatever is read through these is hostile: copy, check the sum, check the fields, use the copy.
 * All unused bytes are zero and are checked to be. Sums are id_sum() with the store's scheme unless
 * said otherwise, over everything before them.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "stellar/chunk.h"
#include "stellar/id.h"

enum {
	STORE_VERSION = 1,
	STORE_ALIGN = 4096, /* pack header, raw chunks that can be mapped */
	STORE_UUID_BYTES = 16,
	STORE_SUM_BYTES = 32,
};

/* --- superblock ---------------------------------------------------------------------------- */

#define SUPERBLOCK_MAGIC "STELSTOR"

enum { SUPERBLOCK_FLAG_ENCRYPTED = 1 };

/* How the store's master key is wrapped; all zero in a store that is not encrypted. */
struct st_envelope {
	le32 kind; /* enum key_kind (crypt.h) */
	le32 zero;
	le64 ops; /* Argon2id passes; 0 for a key file */
	le64 memory_bytes; /* of Argon2id; 0 for a key file */
	uint8_t salt[16];
	uint8_t nonce[24]; /* XChaCha20-Poly1305 */
	uint8_t sealed_key[48]; /* 32 bytes and the tag; additional data: uuid */
};
static_assert(sizeof(struct st_envelope) == 112, "on-disk size");

struct st_chunk_params {
	le32 method; /* enum chunk_method */
	le32 min_bytes;
	le32 average_bytes;
	le32 max_bytes;
};

/* The file `superblock` is two equal copies of this. The sum is of the scheme without a key. */
struct st_superblock {
	uint8_t magic[8];
	le32 version;
	le32 flags;
	uint8_t uuid[STORE_UUID_BYTES];
	struct st_chunk_params chunking; /* for imports that do not say */
	le32 codec_choice; /* enum codec_choice, likewise */
	le32 codec_level;
	uint8_t dictionary_id[CHUNK_ID_BYTES]; /* a chunk of kind DICTIONARY; zero: none */
	struct st_envelope envelope;
	uint8_t zero[1816];
	uint8_t sum[STORE_SUM_BYTES];
};
static_assert(sizeof(struct st_superblock) == 2048, "on-disk size");
static_assert(offsetof(struct st_superblock, sum) == 2048 - STORE_SUM_BYTES, "no hidden padding");

/* --- packs --------------------------------------------------------------------------------- */

#define PACK_MAGIC "STELPACK"
#define PACK_TABLE_MAGIC "STELTABL"
#define PACK_TRAILER_MAGIC "STELEND."

enum { PACK_ID_BYTES = 16, PACK_ID_HEX_BYTES = 33 };

struct pack_id {
	uint8_t bytes[PACK_ID_BYTES]; /* random; the file's name is its 32 digits and ".pack" */
};

struct st_pack_header {
	uint8_t magic[8];
	le32 version;
	le32 zero;
	uint8_t uuid[STORE_UUID_BYTES];
	struct pack_id id;
	uint8_t dictionary_id[CHUNK_ID_BYTES]; /* of its chunks with CODEC_ZSTD_DICTIONARY */
	uint8_t zeros[STORE_ALIGN - 112];
	uint8_t sum[STORE_SUM_BYTES];
};
static_assert(sizeof(struct st_pack_header) == STORE_ALIGN, "on-disk size");

enum chunk_kind {
	CHUNK_KIND_DATA = 1, /* bytes of images; id_of_data() */
	CHUNK_KIND_NODE = 2, /* struct st_node; id_of_node() like the rest */
	CHUNK_KIND_IMAGE = 3, /* struct st_image */
	CHUNK_KIND_DICTIONARY = 4, /* a zstd dictionary, always stored with CODEC_NONE */
};

struct st_pack_entry {
	uint8_t id[CHUNK_ID_BYTES];
	le64 offset; /* of the payload in the file */
	le32 stored_bytes; /* of the payload, with nonce and tag when sealed */
	le32 raw_bytes; /* 1 to CHUNK_MAX_BYTES */
	uint8_t kind; /* enum chunk_kind */
	uint8_t codec; /* enum codec */
	uint8_t is_sealed; /* 1: nonce (24), ciphertext, tag (16); see crypt.h */
	uint8_t zero;
	/*
	 * The first 4 bytes of the sum of the payload when it is compressed and not sealed, else
	 * zero. Such a payload may be changed and still give the same chunk.
	 */
	le32 payload_sum;
};
static_assert(sizeof(struct st_pack_entry) == 56, "on-disk size");

/* A table: this, the entries by rising offset, a sum. */
struct st_pack_table {
	uint8_t magic[8];
	le32 version;
	le32 count;
	struct pack_id id;
	le64 payload_end; /* end of the last payload */
	uint8_t zero[24];
};
static_assert(sizeof(struct st_pack_table) == 64, "on-disk size");

/* The last 128 bytes of a pack are two equal copies of this. */
struct st_pack_trailer {
	uint8_t magic[8];
	le32 version;
	le32 count;
	le64 table_offset; /* of the first of two equal tables, one after the other */
	le64 table_bytes; /* of one */
	uint8_t sum[STORE_SUM_BYTES];
};
static_assert(sizeof(struct st_pack_trailer) == 64, "on-disk size");

/* --- manifests ----------------------------------------------------------------------------- */

#define NODE_MAGIC "STELNODE"
#define IMAGE_MAGIC "STELIMAG"

enum {
	NODE_MIN_ENTRIES = 64, /* of a node that is not its level's last */
	NODE_MAX_ENTRIES = 1024,
	NODE_BOUNDARY_MASK = 255, /* an entry whose id ends a node */
	NODE_MAX_LEVEL = 12,
};

enum node_entry_kind {
	NODE_ENTRY_ZERO = 0, /* at level 0: a run of zero bytes; the id is zero */
	NODE_ENTRY_CHUNK = 1, /* at level 0 */
	NODE_ENTRY_NODE = 2, /* at levels above 0: a node one level below */
};

struct st_node_entry {
	le64 kind_and_bytes; /* kind << 56 | length in the image, which is at least 1 */
	uint8_t id[CHUNK_ID_BYTES];
};
static_assert(sizeof(struct st_node_entry) == 40, "on-disk size");

struct st_node {
	uint8_t magic[8];
	le32 level;
	le32 count; /* 1 to NODE_MAX_ENTRIES entries follow, and nothing else */
	le64 bytes; /* sum of the entries' lengths */
	uint8_t zero[8];
};
static_assert(sizeof(struct st_node) == 32, "on-disk size");

struct st_image {
	uint8_t magic[8];
	le32 version;
	le32 root_level;
	le64 bytes; /* length of the image */
	uint8_t root_id[CHUNK_ID_BYTES]; /* zero when the image is empty */
	struct st_chunk_params chunking; /* how it was cut */
	le64 data_bytes; /* without the zero runs */
	le64 chunks; /* entries of kind CHUNK, repetitions counted */
	uint8_t zero[32];
};
static_assert(sizeof(struct st_image) == 120, "on-disk size");

/* --- names and leases ---------------------------------------------------------------------- */

#define ROOT_MAGIC "STELROOT"

enum { ROOT_NAME_MAX = 200 };

/* A file in roots/ is two equal copies of this. */
struct st_root {
	uint8_t magic[8];
	le32 version;
	le32 name_bytes;
	uint8_t image_id[CHUNK_ID_BYTES];
	le64 bytes; /* of the image */
	le64 created_s; /* seconds since 1970, for people; nothing depends on it */
	uint8_t name[ROOT_NAME_MAX];
	uint8_t zero[216];
	uint8_t sum[STORE_SUM_BYTES];
};
static_assert(sizeof(struct st_root) == 512, "on-disk size");

enum lease_record_kind {
	LEASE_IMAGE = 1, /* id: of an image that is in use */
	LEASE_PACK = 2, /* id: pack id and 16 zero bytes; a pack that must stay as it is */
};

/* A file in leases/ is any number of these. Never synced: it dies with its process. */
struct st_lease_record {
	uint8_t kind;
	uint8_t zero[7];
	uint8_t id[32];
};
static_assert(sizeof(struct st_lease_record) == 40, "on-disk size");

/* --- the index's digest -------------------------------------------------------------------- */

#define DIGEST_MAGIC "STELDIGE"

struct st_index_digest {
	uint8_t magic[8];
	le32 version;
	le32 zero;
	le64 transaction; /* of LMDB, the last when it was taken */
	le64 bytes; /* of index/data.mdb */
	uint8_t digest[STORE_SUM_BYTES]; /* BLAKE3-256 of the whole file */
	uint8_t sum[STORE_SUM_BYTES];
};
static_assert(sizeof(struct st_index_digest) == 96, "on-disk size");

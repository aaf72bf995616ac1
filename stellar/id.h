/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a store names what it holds: BLAKE3-256 of the bytes.
 *
 * A plain store names data as everybody does, so that b3sum(1) of a chunk is its name. A store with
 * a secret keys the names with it: who does not have the secret cannot ask whether some known piece
 * of data is inside. Nodes of manifests are always keyed, in a plain store by a public constant, so
 * that no data can be mistaken for a node, or the other way round. So are the checksums of tables
 * and headers.
 *
 * The keys are BLAKE3's derive_key of the 32 bytes of the store's secret (zeros when it has none) in
 * the contexts "stellarium v1 data id", "stellarium v1 node id" and "stellarium v1 checksum".
 *
 * A scheme does not change once it is made: any number of threads may use it. The first one must be
 * made before there are threads, since that also finds out what the processor can do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHUNK_ID_BYTES = 32, CHUNK_ID_HEX_BYTES = 2 * CHUNK_ID_BYTES + 1 };

struct chunk_id {
	uint8_t bytes[CHUNK_ID_BYTES];
};

struct id_scheme {
	bool is_keyed; /* data too */
	uint8_t data_key[32];
	uint8_t node_key[32];
	uint8_t sum_key[32];
};

/* @master: the 32 bytes of the store's secret, or NULL. Release it. */
void id_scheme_init(struct id_scheme *s, const uint8_t *master);

/* Wipes the keys. */
void id_scheme_release(struct id_scheme *s);

void id_of_data(const struct id_scheme *s, const void *data, size_t len, struct chunk_id *id);
void id_of_node(const struct id_scheme *s, const void *data, size_t len, struct chunk_id *id);

/* The checksum of a table or a header. */
void id_sum(const struct id_scheme *s, const void *data, size_t len, uint8_t sum[static 32]);

bool id_equal(const struct chunk_id *a, const struct chunk_id *b);

/* The order of memcmp(). */
int id_compare(const struct chunk_id *a, const struct chunk_id *b);

/* Lowercase digits and a NUL. */
void id_to_hex(const struct chunk_id *id, char hex[static CHUNK_ID_HEX_BYTES]);

/* Exactly 64 digits of either case, else -EINVAL, with @id as it was. */
int id_from_hex(struct chunk_id *id, const char *hex);

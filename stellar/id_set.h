/* SPDX-License-Identifier: Apache-2.0 */
/* A set of ids: a hash table, since ids are random already. Thread: one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "stellar/id.h"

struct id_set {
	struct chunk_id *slots; /* owned; zero: free */
	size_t capacity; /* a power of two, or 0 */
	size_t count;
	bool has_zero; /* the id that is all zero, which no slot can hold */
};

/* 1: added; 0: it was there; -ENOMEM. A zeroed set is empty. */
int id_set_add(struct id_set *s, const struct chunk_id *id);
bool id_set_has(const struct id_set *s, const struct chunk_id *id);
void id_set_release(struct id_set *s); /* also empties it for further use */

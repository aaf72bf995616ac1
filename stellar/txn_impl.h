/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a transaction share. */
#pragma once

#include <pthread.h>

#include "stellar/id_set.h"
#include "stellar/lease.h"
#include "stellar/pack.h"
#include "stellar/store_impl.h"
#include "stellar/txn.h"

struct txn {
	struct store *store; /* borrowed: closed after its transactions */
	struct codec_params codec;
	struct lease *lease; /* owned */
	const struct codec_dictionary *dictionary; /* borrowed of the store; NULL: none */
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t calm; /* a writer has left, or a pack is published */
	struct pack_writer *pack; /* owned; NULL until there is something to write */
	unsigned writers; /* that are in pack_append() */
	bool is_publishing;
	int failure; /* what went wrong first: nothing more is written */
	struct id_set pending; /* in packs that the index does not know yet */
	uint64_t *pinned; /* owned: a bit for each pack number */
	size_t pinned_words;
	struct txn_stats stats;
};

bool txn_is_pinned(struct txn *t, uint32_t number);

/*
 * Pins what @found says for each of @count chunks, where it is not yet (found[i].pack 0: no chunk).
 * 1: something was pinned anew, so it must be looked up again; 0: all are pinned; -errno.
 */
int txn_pin(struct txn *t, struct index_reader *index, const struct index_entry *found,
	    size_t count, struct err *e);

/* Appends to the pack in work; begins one, and publishes one that is full. */
int txn_append(struct txn *t, struct pack_entry *entries, const struct iovec *payloads,
	       size_t count, struct err *e);

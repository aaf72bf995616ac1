/* SPDX-License-Identifier: Apache-2.0 */
/* What fsck_repair.c does with packs that have flaws, step by step. The store's index is open. */
#pragma once

#include "stellar/fsck_impl.h"

/* Whether a repair replaces it. */
static inline bool fsck_must_go(const struct fsck_pack *p)
{
	return p->has_flaw && p->state != FSCK_PACK_UNFINISHED && p->state != FSCK_PACK_IN_WORK &&
	       p->state != FSCK_PACK_CLOSED;
}

/* Copies what can be read of the pack, and is not elsewhere, into a new one, which is entered. */
int fsck_salvage(struct fsck *f, struct fsck_pack *p, struct err *e);

/* Chunks that packs which must go had, and that others have too: the index names those. */
int fsck_use_other_copies(struct fsck *f, struct err *e);

/* Takes the packs that must go out of the index with all chunks that it has in them. */
int fsck_forget_packs(struct fsck *f, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on pieces by several threads, in order at both ends: one thread fills slots, any thread works
 * on them, and the first one retires them in the order in which it filled them.
 *
 *	while ((slot = pipeline_slot(p, e)) && fill(slot))	retires an old one when none is free
 *		pipeline_submit(p);
 *	r = pipeline_finish(p, e);				retires the rest
 *
 * The first error of work or retire ends it: no work is begun after it.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct pipeline;

struct pipeline_job {
	/* A thread's own state; called in that thread, with what @opaque says. May be NULL both. */
	int (*begin)(void *opaque, void **state, struct err *e);
	void (*end)(void *state);
	int (*work)(void *state, void *slot, struct err *e);
	int (*retire)(void *opaque, void *slot,
		      struct err *e); /* in the caller's thread; may be NULL */
	void *opaque;
	size_t slot_bytes; /* a zeroed object of the user's; its content stays from use to use */
};

/* @threads 0: as many as processors. Twice as many slots and one. 0 or -errno with @e filled. */
int pipeline_new(struct pipeline **out, const struct pipeline_job *job, unsigned threads,
		 struct err *e);

/* A slot to fill. NULL: it has failed, @e says why. */
void *pipeline_slot(struct pipeline *p, struct err *e);
void pipeline_submit(struct pipeline *p);

/* Waits for all and retires them. 0, or the first error with @e filled. */
int pipeline_finish(struct pipeline *p, struct err *e);

/* Ends the threads, drops what is not done. @release (may be NULL) gets each slot. Accepts NULL. */
void pipeline_free(struct pipeline *p, void (*release)(void *slot));

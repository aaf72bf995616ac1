/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that work on one folder at the same time and are killed by SIGKILL at random.
 *
 * A kill is not a crash of the machine: nothing that was written is lost. What it tests is what is
 * left half-done, locks and leases of the dead, and that the living go on beside them.
 *
 * In each round all workers start, some are killed at random times (in every other round all), the
 * others are told to stop and must end in time and without an error; then the folder is checked.
 *
 * Workers say what they do in a ledger, which outlives them: a number for each of their names (what
 * it is named is up to them), before they begin to change it and after they did.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
	KILL_WORKERS = 8,
	KILL_NAMES = 4, /* of each worker */
	KILL_NONE = 0, /* in a ledger: the name is not there */
};

struct kill_entry {
	_Atomic uint64_t done; /* what the name stands for */
	_Atomic uint64_t wanted; /* while it is changed: what it will stand for */
	atomic_bool is_changing;
};

struct kill_ledger {
	struct kill_entry entries[KILL_WORKERS][KILL_NAMES];
	atomic_bool must_stop; /* workers look at it between steps */
	_Atomic uint64_t steps; /* changes that workers made, for the figures */
};

/* In memory that children share; NULL: there is none. */
struct kill_ledger *kill_ledger_new(void);
void kill_ledger_free(struct kill_ledger *l);

/* What a worker does before and after it changes the name; with the same error: it was not done. */
void kill_begin(struct kill_ledger *l, unsigned worker, unsigned name, uint64_t wanted);
void kill_end(struct kill_ledger *l, unsigned worker, unsigned name, bool was_done);

/* What a check may find: the name stands for @value. False: it may not. Takes it as done if so. */
bool kill_accept(struct kill_ledger *l, unsigned worker, unsigned name, uint64_t value);

struct kill_plan {
	const char *name;
	int (*setup)(const char *dir, const void *opaque, struct err *e);
	/* One for each worker; works until @l->must_stop, with random numbers from @seed. */
	int (*work[KILL_WORKERS])(const char *dir, struct kill_ledger *l, unsigned worker,
				  uint64_t seed, const void *opaque, struct err *e);
	/* Nobody else is at work then. */
	int (*check)(const char *dir, struct kill_ledger *l, uint64_t seed, const void *opaque,
		     struct err *e);
	const void *opaque;
};

struct kill_options {
	uint64_t seed;
	unsigned rounds;
	unsigned round_ms; /* how long they work */
	unsigned timeout_s; /* for those who live to end, and for the check */
	unsigned max_failures;
	bool is_quiet;
};

/* Rounds by KILL_ROUNDS or @rounds, length by KILL_MS, seed by KILL_SEED. */
void kill_options_init(struct kill_options *o, unsigned rounds);

struct kill_result {
	unsigned rounds, killed, failures;
	uint64_t steps;
	double seconds;
};

/* Prints one line with figures, and one for each failure. */
struct kill_result kill_run(const struct kill_plan *p, const struct kill_options *o);

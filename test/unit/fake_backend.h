/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk without contents, whose requests finish when and how the test says: inside submit(),
 * inside commit(), or later through its completion descriptor. Checks what a backend may rely on.
 * Include it after cmocka.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "machine/backend/block.h"

enum { FAKE_PENDING_MAX = 2048, FAKE_LOG_MAX = 64 };

/* FAKE_IN_WAIT: inside a commit() that may wait, else later. */
enum fake_finish { FAKE_LATER, FAKE_IN_SUBMIT, FAKE_IN_COMMIT, FAKE_IN_WAIT };

/* What was asked for, kept when the request is gone. */
struct fake_entry {
	enum block_op op;
	bool may_unmap;
	uint64_t offset_bytes;
	uint64_t len_bytes;
};

struct fake_backend {
	struct block_backend backend; /* first */
	enum fake_finish finish;
	int result; /* of requests that finish inside submit() or commit() */
	uint32_t fail_at; /* of the log: that one ends in -EIO; UINT32_MAX: none */

	struct block_request *pending[FAKE_PENDING_MAX];
	uint32_t nr_pending;
	struct block_request *ready[FAKE_PENDING_MAX];
	int results[FAKE_PENDING_MAX];
	uint32_t nr_ready;

	struct fake_entry log[FAKE_LOG_MAX]; /* the first of them */
	uint32_t nr_log;
	uint32_t submits;
	uint32_t commits;
	uint32_t unsubmitted; /* since the last commit */
	uint32_t waits; /* commits that may wait */
	void (*on_wait)(void *opaque); /* called in those; may be NULL */
	void *on_wait_opaque;

	uint64_t next_capacity_bytes; /* what replace() finds; 0: it fails */
	uint32_t replaced;
	int replaced_fd;
};

/* A disk of @capacity_bytes that can do everything, with FAKE_LATER. */
void fake_backend_init(struct fake_backend *f, uint64_t capacity_bytes);

/*
 * Ends pending request @at with @result, once the loop runs. The others keep their order. Nothing
 * may be left for fake_backend_check_idle().
 */
void fake_backend_end(struct fake_backend *f, uint32_t at, int result);
void fake_backend_end_all(struct fake_backend *f, int result);
void fake_backend_check_idle(const struct fake_backend *f);

/* Forgets the log and the counts. */
void fake_backend_clear(struct fake_backend *f);

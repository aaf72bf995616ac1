/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of one device: bytes and operations, a token bucket each (token_bucket.h). A request
 * takes from both or from none.
 *
 * A refused request goes first: until its tokens are there, all others are refused too. Otherwise
 * small requests of one queue could keep a large one of another waiting for ever. So a device that
 * was refused stops all its queues, sets a timer to rate_limiter_wait_ns(), and begins again with
 * the queue that was refused. The timer is to be set anew after rate_limiter_update().
 *
 * A refused request may be dropped, by a reset for instance. It holds others up no longer than its
 * tokens would have taken.
 *
 * No function allocates or fails. The caller's lock protects a limiter. Times are CLOCK_MONOTONIC.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "machine/backend/token_bucket.h"

struct rate_limiter_config; /* control/wire.h */

/* All zeroes: no limit. Only the buckets need to be saved: a refused request asks again. */
struct rate_limiter {
	struct token_bucket bandwidth; /* in bytes */
	struct token_bucket ops;
	bool is_blocked; /* a request was refused, for want of these: */
	uint64_t wanted_ops;
	uint64_t wanted_bytes;
};

/* Makes a limiter with both buckets full, whatever it was before. */
void rate_limiter_init(struct rate_limiter *limiter, const struct rate_limiter_config *config,
		       uint64_t now_ns);

/* Says whether nothing is limited: no call can be refused. */
bool rate_limiter_is_off(const struct rate_limiter *limiter);

/*
 * Returns true when a request of @ops operations and @bytes may go, and takes its tokens. Any
 * numbers are safe. A request of no bytes waits as well while the other bucket is in debt.
 */
bool rate_limiter_take(struct rate_limiter *limiter, uint64_t ops, uint64_t bytes, uint64_t now_ns);

/*
 * Returns after how many ns the request that was refused last may go, to the nanosecond; 0 when it
 * may go now or none was refused.
 */
uint64_t rate_limiter_wait_ns(struct rate_limiter *limiter, uint64_t now_ns);

/*
 * Replaces the buckets that are named by full ones; a bucket of zeroes is no limit. A debt goes with
 * its bucket, so lifting a limit frees the device at once. Others stay as they are.
 */
void rate_limiter_update(struct rate_limiter *limiter, const struct rate_limiter_config *config,
			 bool has_bandwidth, bool has_ops, uint64_t now_ns);

/* Undoes a take whose request was not made after all; see token_bucket_give_back(). */
void rate_limiter_give_back(struct rate_limiter *limiter, uint64_t ops, uint64_t bytes);

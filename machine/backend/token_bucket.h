/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket: how much may be done in how much time. It holds up to `size` tokens, starts full,
 * and gets `size` new ones, evenly, in each refill time. On top there is a burst that is spent first
 * and never comes back.
 *
 * Exact: what a bucket hands out in a time t, the bucket being empty at first, is t * size / refill,
 * rounded down. The part of a token that is left over is kept, so asking often costs nothing.
 *
 * A request for more than `size` would never find enough, so it may go whatever the bucket holds.
 * What is missing becomes a debt, and nothing goes before the debt is repaid: an overdraft of half
 * the size stops the bucket for half the refill time.
 *
 * The meaning of the three numbers is Firecracker's. Where its code departs from what it describes,
 * this one does not:
 *  - It tries again 100 ms after a refusal, so a bucket that fills in less never yields its rate.
 *    Here token_bucket_wait_ns() says when.
 *  - It counts time only when tokens are missing, so a bucket that was left alone can be emptied
 *    twice in a row. Here a full bucket earns nothing.
 *  - It refills a bucket while a debt is repaid, which doubles the rate of oversized requests. Here
 *    a moment counts once, and the debt comes first.
 *
 * The clock is the caller's CLOCK_MONOTONIC. Two threads may bring their readings in the wrong
 * order, so time that was counted is not counted again when the clock seems to have gone back. A
 * clock that is behind by more than a second is another one, and is waited for no longer than that.
 *
 * No function allocates or fails. The caller's lock protects a bucket.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct token_bucket_config; /* control/wire.h */

/*
 * All zeroes: no limit. To save one: all fields but clock_ns, after token_bucket_refill(). To load
 * one: check the ranges below, set clock_ns to now.
 */
struct token_bucket {
	uint64_t size; /* 0: no limit */
	uint64_t refill_ns; /* in which an empty bucket becomes full; > 0 with a size */
	uint64_t burst_max; /* the whole of the burst */
	uint64_t burst; /* what is left of it; <= burst_max */
	uint64_t tokens; /* <= size */
	uint64_t debt; /* > 0 only when tokens is 0 */
	uint64_t remainder; /* of the next token, in 1/refill_ns; < refill_ns, 0 when full */
	uint64_t clock_ns; /* up to when time has been counted */
};

/*
 * Makes a full bucket of @config, whatever it was before. No limit when the size or the refill time
 * is 0, nor when the refill time is above UINT64_MAX ns (584 years), as in Firecracker.
 */
void token_bucket_init(struct token_bucket *bucket, const struct token_bucket_config *config,
		       uint64_t now_ns);

bool token_bucket_is_off(const struct token_bucket *bucket);

/* Counts the time until @now_ns. The functions below do so themselves. */
void token_bucket_refill(struct token_bucket *bucket, uint64_t now_ns);

/* Says whether token_bucket_take() would succeed. */
bool token_bucket_has(struct token_bucket *bucket, uint64_t nr, uint64_t now_ns);

/*
 * Takes @nr tokens and returns true, or takes none and returns false. A debt refuses @nr of 0 too.
 * Any @nr is safe.
 */
bool token_bucket_take(struct token_bucket *bucket, uint64_t nr, uint64_t now_ns);

/*
 * Returns after how many ns token_bucket_take() will succeed, to the nanosecond, when nobody takes
 * any in between; UINT64_MAX for that and more. To come later costs nothing until the bucket is full.
 */
uint64_t token_bucket_wait_ns(struct token_bucket *bucket, uint64_t nr, uint64_t now_ns);

/*
 * Undoes a take of @nr whose request was not made after all. Never gives more than was taken; when
 * that take used up the burst, its part of the burst is lost, as in Firecracker.
 */
void token_bucket_give_back(struct token_bucket *bucket, uint64_t nr);

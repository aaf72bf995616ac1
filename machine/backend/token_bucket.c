/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps one token bucket: counts time, hands out tokens, says when there will be more. */
#include "machine/backend/token_bucket.h"

#include "base/bytes.h"
#include "base/checked.h"
#include "control/wire.h"

enum { NS_PER_MS = 1000 * 1000, MAX_STEP_BACK_NS = 1000 * 1000 * 1000 };

/*
 * Products of two 64-bit numbers. The largest one here, UINT64_MAX * UINT64_MAX + UINT64_MAX, fits.
 */
typedef unsigned __int128 wide;

void token_bucket_init(struct token_bucket *b, const struct token_bucket_config *config,
		       uint64_t now_ns)
{
	uint64_t refill_ns;

	*b = (struct token_bucket){ 0 };
	if (config->size == 0 || config->refill_ms == 0 ||
	    !ck_mul(config->refill_ms, NS_PER_MS, &refill_ns))
		return;
	b->size = config->size;
	b->refill_ns = refill_ns;
	b->burst_max = config->one_time_burst;
	b->burst = config->one_time_burst;
	b->tokens = config->size;
	b->clock_ns = now_ns;
}

bool token_bucket_is_off(const struct token_bucket *b)
{
	return b->size == 0;
}

/* Puts @nr tokens where they are missing: into the debt first. */
static void add(struct token_bucket *b, wide nr)
{
	if (nr < b->debt) {
		b->debt -= (uint64_t)nr;
		return;
	}
	nr -= b->debt;
	b->debt = 0;
	if (nr < b->size - b->tokens) {
		b->tokens += (uint64_t)nr;
		return;
	}
	b->tokens = b->size;
	b->remainder = 0;
}

/*
 * size = 3, refill = 10 ns, remainder = 4 (of a token in tenths): 7 ns bring 7 * 3 + 4 = 25 tenths,
 * so 2 tokens and a remainder of 5.
 */
void token_bucket_refill(struct token_bucket *b, uint64_t now_ns)
{
	if (now_ns <= b->clock_ns) {
		if (b->clock_ns - now_ns > MAX_STEP_BACK_NS)
			b->clock_ns = now_ns + MAX_STEP_BACK_NS;
		return;
	}
	uint64_t elapsed_ns = now_ns - b->clock_ns;

	b->clock_ns = now_ns;
	if (b->tokens == b->size) /* without a limit, too: nothing of nothing */
		return;
	wide earned = (wide)elapsed_ns * b->size + b->remainder;
	wide tokens = earned / b->refill_ns;

	b->remainder = (uint64_t)(earned - tokens * b->refill_ns);
	add(b, tokens);
}

/* What is left of @nr once the burst is spent. */
static uint64_t after_burst(const struct token_bucket *b, uint64_t nr)
{
	return nr - min_u64(nr, b->burst);
}

bool token_bucket_has(struct token_bucket *b, uint64_t nr, uint64_t now_ns)
{
	uint64_t rest = after_burst(b, nr);

	if (token_bucket_is_off(b))
		return true;
	token_bucket_refill(b, now_ns);
	return b->debt == 0 && (rest <= b->tokens || rest > b->size);
}

bool token_bucket_take(struct token_bucket *b, uint64_t nr, uint64_t now_ns)
{
	uint64_t rest = after_burst(b, nr);

	if (!token_bucket_has(b, nr, now_ns))
		return false;
	if (token_bucket_is_off(b))
		return true;
	b->burst -= nr - rest;
	if (rest > b->tokens) {
		b->debt = rest - b->tokens;
		b->tokens = 0;
	} else {
		b->tokens -= rest;
	}
	return true;
}

uint64_t token_bucket_wait_ns(struct token_bucket *b, uint64_t nr, uint64_t now_ns)
{
	uint64_t rest = after_burst(b, nr);

	if (token_bucket_has(b, nr, now_ns))
		return 0;
	/* Either there is a debt and no token, or fewer tokens than @rest: > 0 in both cases. */
	wide missing = (wide)b->debt + (rest > b->size ? 0 : rest) - b->tokens;
	wide parts;

	if (__builtin_mul_overflow(missing, b->refill_ns, &parts))
		return UINT64_MAX;
	parts -= b->remainder;
	wide wait_ns = parts / b->size + (parts % b->size > 0);
	uint64_t behind_ns = b->clock_ns - now_ns;

	return wait_ns > UINT64_MAX - behind_ns ? UINT64_MAX : (uint64_t)wait_ns + behind_ns;
}

void token_bucket_give_back(struct token_bucket *b, uint64_t nr)
{
	/* While some burst is left, all that was ever taken came from the burst. */
	if (b->burst > 0)
		b->burst += min_u64(nr, b->burst_max - b->burst);
	else
		add(b, nr);
}

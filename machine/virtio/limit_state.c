/* SPDX-License-Identifier: Apache-2.0 */
/* A rate limiter in a snapshot: see limit_state.h. */
#include "machine/virtio/limit_state.h"

/* The ranges are those beside the fields in token_bucket.h. */
static void check_bucket(struct state *s, const struct token_bucket *b)
{
	state_check(s, (b->size == 0) == (b->refill_ns == 0), "half a limit");
	state_check(s, b->burst <= b->burst_max && b->tokens <= b->size,
		    "too much of a limit left");
	state_check(s, b->debt == 0 || (b->tokens == 0 && b->size > 0), "a debt beside tokens");
	state_check(s, b->remainder == 0 || (b->remainder < b->refill_ns && b->tokens < b->size),
		    "more than a token in a fraction");
}

static void bucket_state(struct state *s, struct token_bucket *bucket, uint64_t now_ns)
{
	struct token_bucket b = *bucket;

	token_bucket_refill(&b, now_ns);
	state_u64(s, &b.size);
	state_u64(s, &b.refill_ns);
	state_u64(s, &b.burst_max);
	state_u64(s, &b.burst);
	state_u64(s, &b.tokens);
	state_u64(s, &b.debt);
	state_u64(s, &b.remainder);
	b.clock_ns = now_ns;
	check_bucket(s, &b);
	if (state_is_loading(s) && state_is_ok(s))
		*bucket = b;
}

void limit_state(struct state *s, struct rate_limiter *limiter, uint64_t now_ns)
{
	struct rate_limiter loaded = *limiter;

	bucket_state(s, &loaded.bandwidth, now_ns);
	bucket_state(s, &loaded.ops, now_ns);
	if (!state_is_loading(s) || !state_is_ok(s))
		return;
	*limiter = (struct rate_limiter){ .bandwidth = loaded.bandwidth, .ops = loaded.ops };
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Joins the two buckets of a device: both or none, and first come, first served. */
#include "machine/backend/rate_limiter.h"

#include "base/bytes.h"
#include "control/wire.h"

void rate_limiter_init(struct rate_limiter *l, const struct rate_limiter_config *config,
		       uint64_t now_ns)
{
	*l = (struct rate_limiter){ 0 };
	rate_limiter_update(l, config, true, true, now_ns);
}

bool rate_limiter_is_off(const struct rate_limiter *l)
{
	return token_bucket_is_off(&l->bandwidth) && token_bucket_is_off(&l->ops);
}

bool rate_limiter_take(struct rate_limiter *l, uint64_t ops, uint64_t bytes, uint64_t now_ns)
{
	if (rate_limiter_wait_ns(l, now_ns) > 0)
		return false;
	/*
	 * Both are asked before one is charged, so no operation has to be given back when the bytes
	 * are refused.
	 */
	if (!token_bucket_has(&l->ops, ops, now_ns) ||
	    !token_bucket_has(&l->bandwidth, bytes, now_ns)) {
		l->is_blocked = true;
		l->wanted_ops = ops;
		l->wanted_bytes = bytes;
		return false;
	}
	l->is_blocked = false;
	token_bucket_take(&l->ops, ops, now_ns);
	token_bucket_take(&l->bandwidth, bytes, now_ns);
	return true;
}

uint64_t rate_limiter_wait_ns(struct rate_limiter *l, uint64_t now_ns)
{
	if (!l->is_blocked)
		return 0;
	return max_u64(token_bucket_wait_ns(&l->ops, l->wanted_ops, now_ns),
		       token_bucket_wait_ns(&l->bandwidth, l->wanted_bytes, now_ns));
}

void rate_limiter_update(struct rate_limiter *l, const struct rate_limiter_config *config,
			 bool has_bandwidth, bool has_ops, uint64_t now_ns)
{
	if (has_bandwidth)
		token_bucket_init(&l->bandwidth, &config->bandwidth, now_ns);
	if (has_ops)
		token_bucket_init(&l->ops, &config->ops, now_ns);
}

void rate_limiter_give_back(struct rate_limiter *l, uint64_t ops, uint64_t bytes)
{
	token_bucket_give_back(&l->ops, ops);
	token_bucket_give_back(&l->bandwidth, bytes);
}

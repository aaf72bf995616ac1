/* SPDX-License-Identifier: Apache-2.0 */
/* Which crashes are tried, and in which order: see enumerate.h. */
#include "test/crash/enumerate.h"

#include "test/crash/content.h"

static size_t gcd(size_t a, size_t b)
{
	while (b) {
		size_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* A step that leads to each of @nr places once, in no near order. */
static size_t step_for(size_t nr)
{
	size_t step = (size_t)((double)nr * 0.618) + 1;

	while (gcd(step, nr) != 1)
		step++;
	return step;
}

/* All or nothing. */
static bool try_whole(const struct crash_enumeration *r, size_t prefix)
{
	static const enum crash_data data[] = { DATA_KEPT, DATA_LOST, DATA_ZERO };
	static const enum crash_dirs dirs[] = { DIRS_KEPT, DIRS_LOST };

	for (size_t i = 0; i < 6; i++) {
		struct crash_choice c = { .data = data[i % 3], .dirs = dirs[i / 3] };

		if (!r->try_state(r->opaque, prefix, &c))
			return false;
	}
	return true;
}

/* One op alone. */
static bool try_single(const struct crash_enumeration *r, size_t prefix, uint32_t op)
{
	bool is_dir = replay_is_loose_dir(r->replay, prefix, op);
	size_t nr = 4;

	for (size_t i = 0; i < nr; i++) {
		struct crash_choice c = { .data_op = op,
					  .data = DATA_ONE_LOST + (enum crash_data)i };

		if (is_dir)
			c = (struct crash_choice){ .dir_op = op,
						   .data = i / 2 ? DATA_LOST : DATA_KEPT,
						   .dirs = DIRS_CUT + (enum crash_dirs)(i % 2) };
		if (!r->try_state(r->opaque, prefix, &c))
			return false;
	}
	return true;
}

/* The op that prefix @prefix tries in round @round, found by counting; UINT32_MAX: none is left. */
static uint32_t loose_op(const struct crash_enumeration *r, size_t prefix, size_t round)
{
	size_t nr = 0;
	size_t which;

	for (size_t i = r->log->nr_initial; i < prefix; i++)
		nr += replay_is_loose_data(r->replay, prefix, i) ||
		      replay_is_loose_dir(r->replay, prefix, i);
	if (round >= nr)
		return UINT32_MAX;
	which = round * step_for(nr) % nr;
	for (size_t i = prefix; i > r->log->nr_initial; i--) {
		if (!replay_is_loose_data(r->replay, prefix, i - 1) &&
		    !replay_is_loose_dir(r->replay, prefix, i - 1))
			continue;
		if (which-- == 0)
			return (uint32_t)(i - 1);
	}
	return UINT32_MAX;
}

static bool try_round(const struct crash_enumeration *r, size_t prefix, size_t round, bool *is_last)
{
	uint32_t op = loose_op(r, prefix, round);
	struct crash_choice random = { .data = DATA_RANDOM, .dirs = DIRS_RANDOM };

	if (op != UINT32_MAX) {
		*is_last = false;
		if (!try_single(r, prefix, op))
			return false;
	}
	if (round >= r->randoms)
		return true;
	*is_last = false;
	random.seed = crash_mix(crash_mix(r->seed, round), prefix) >> 16;
	if (!r->try_state(r->opaque, prefix, &random))
		return false;
	random.dirs = DIRS_KEPT;
	return r->try_state(r->opaque, prefix, &random);
}

void crash_enumerate(const struct crash_enumeration *r)
{
	size_t nr = r->log->nr_ops - r->first + 1;
	size_t step = step_for(nr);
	bool is_last = false;

	for (size_t i = 0; i < nr; i++) {
		if (!try_whole(r, r->first + i * step % nr))
			return;
	}
	for (size_t round = 0; !is_last; round++) {
		is_last = true;
		for (size_t i = 0; i < nr; i++) {
			if (!try_round(r, r->first + i * step % nr, round, &is_last))
				return;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a token bucket has to do, said in another way: its level is one exact fraction, kept as a
 * signed number of 1/refill_ns tokens, which is below 0 while there is a debt. Sizes, refill times
 * and requests below 2^62 keep every product below 2^127.
 *
 * Also the random numbers for tests that compare the two: a seed gives the same run everywhere.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/wire.h"

struct bucket_model {
	__int128 level;
	uint64_t size; /* 0: no limit */
	uint64_t refill_ns;
	uint64_t burst;
	uint64_t burst_max;
	uint64_t time_ns;
};

static inline struct bucket_model model_of(const struct token_bucket_config *config,
					   uint64_t now_ns)
{
	if (config->size == 0 || config->refill_ms == 0 || config->refill_ms > UINT64_MAX / 1000000)
		return (struct bucket_model){ 0 };
	return (struct bucket_model){
		.level = (__int128)config->size * (config->refill_ms * 1000000),
		.size = config->size,
		.refill_ns = config->refill_ms * 1000000,
		.burst = config->one_time_burst,
		.burst_max = config->one_time_burst,
		.time_ns = now_ns,
	};
}

static inline __int128 model_smaller(__int128 a, __int128 b)
{
	return a < b ? a : b;
}

static inline void model_add(struct bucket_model *m, __int128 parts)
{
	m->level = model_smaller(m->level + parts, (__int128)m->size * m->refill_ns);
}

static inline void model_advance(struct bucket_model *m, uint64_t now_ns)
{
	__int128 elapsed_ns = (__int128)now_ns - m->time_ns;

	if (elapsed_ns > 0) {
		model_add(m, elapsed_ns * m->size);
		m->time_ns = now_ns;
	} else if (elapsed_ns < -1000000000) {
		m->time_ns = now_ns + 1000000000;
	}
}

/* Says whether @nr may go at @now_ns, and leaves @m as it is. */
static inline bool model_has(struct bucket_model m, uint64_t nr, uint64_t now_ns)
{
	uint64_t rest = nr > m.burst ? nr - m.burst : 0;

	model_advance(&m, now_ns);
	return m.size == 0 ||
	       (m.level >= 0 && (m.level >= (__int128)rest * m.refill_ns || rest > m.size));
}

static inline bool model_take(struct bucket_model *m, uint64_t nr, uint64_t now_ns)
{
	uint64_t from_burst = nr < m->burst ? nr : m->burst;
	bool has = model_has(*m, nr, now_ns);

	model_advance(m, now_ns);
	if (has && m->size > 0) {
		m->burst -= from_burst;
		m->level -= (__int128)(nr - from_burst) * m->refill_ns;
	}
	return has;
}

static inline void model_give_back(struct bucket_model *m, uint64_t nr)
{
	if (m->burst > 0)
		m->burst = (uint64_t)model_smaller((__int128)m->burst + nr, m->burst_max);
	else
		model_add(m, (__int128)nr * m->refill_ns);
}

/* The next number of the sequence that *@state stands for (Steele, Lea, Flood 2014, "SplitMix"). */
static inline uint64_t model_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number of up to @bits bits (1 to 64): every length is as likely. */
static inline uint64_t model_random_bits(uint64_t *state, unsigned int bits)
{
	return model_random(state) >> (64 - bits + model_random(state) % bits);
}

static inline struct token_bucket_config model_random_config(uint64_t *state)
{
	struct token_bucket_config config = {
		.size = model_random_bits(state, 62),
		.refill_ms = model_random_bits(state, 41), /* below 2^62 ns */
		.one_time_burst = model_random(state) % 2 ? model_random_bits(state, 62) : 0,
	};
	/* Every second one like those in use, where the edges are met more often. */
	if (model_random(state) % 2) {
		config.size %= 100;
		config.refill_ms %= 8;
		config.one_time_burst %= 100;
	}
	return config;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The two limits of a device together: both or none, first come, first served, changed at any time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>

#include "base/bytes.h"
#include "machine/backend/rate_limiter.h"
#include "test/unit/bucket_model.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define START (5 * SECOND)

static const struct token_bucket_config no_limit = { 0 };
static const struct token_bucket_config thousand_a_second = { .size = 1000, .refill_ms = 1000 };
static const struct token_bucket_config ten_a_second = { .size = 10, .refill_ms = 1000 };

static struct rate_limiter limiter_of(const struct token_bucket_config *bandwidth,
				      const struct token_bucket_config *ops)
{
	struct rate_limiter_config config = { .bandwidth = *bandwidth, .ops = *ops };
	struct rate_limiter l;

	rate_limiter_init(&l, &config, START);
	return l;
}

/* Takes all of one kind, singly; returns how many that was. */
static uint64_t drain(struct rate_limiter *l, uint64_t ops, uint64_t bytes, uint64_t now_ns)
{
	uint64_t nr = 0;

	while (rate_limiter_take(l, ops, bytes, now_ns))
		nr++;
	return nr;
}

static void test_off(void **state)
{
	struct rate_limiter l = limiter_of(&no_limit, &no_limit);
	struct rate_limiter zeroed = { 0 };

	(void)state;
	assert_true(rate_limiter_is_off(&l));
	assert_true(rate_limiter_is_off(&zeroed));
	for (int i = 0; i < 10; i++) {
		assert_true(rate_limiter_take(&l, UINT64_MAX, UINT64_MAX, START));
		assert_true(rate_limiter_take(&zeroed, UINT64_MAX, UINT64_MAX, 0));
	}
	assert_int_equal(rate_limiter_wait_ns(&l, START), 0);
	l = limiter_of(&no_limit, &ten_a_second);
	assert_false(rate_limiter_is_off(&l));
	l = limiter_of(&ten_a_second, &no_limit);
	assert_false(rate_limiter_is_off(&l));
}

static void test_each_limit_alone(void **state)
{
	struct rate_limiter l = limiter_of(&thousand_a_second, &no_limit);

	(void)state;
	assert_int_equal(drain(&l, 1, 100, START), 10);
	assert_int_equal(rate_limiter_wait_ns(&l, START), 100 * MS);
	l = limiter_of(&no_limit, &ten_a_second);
	assert_int_equal(drain(&l, 1, 1000000, START), 10);
	assert_int_equal(rate_limiter_wait_ns(&l, START), 100 * MS);
}

static void test_both_or_none(void **state)
{
	struct rate_limiter l = limiter_of(&thousand_a_second, &ten_a_second);

	(void)state;
	/* No bytes left: the operations stay. */
	assert_true(rate_limiter_take(&l, 1, 1000, START));
	for (int i = 0; i < 100; i++)
		assert_false(rate_limiter_take(&l, 1, 1, START));
	assert_int_equal(drain(&l, 1, 0, START + MS), 9);

	/* No operations left: the bytes stay. */
	l = limiter_of(&thousand_a_second, &ten_a_second);
	assert_true(rate_limiter_take(&l, 10, 0, START));
	for (int i = 0; i < 100; i++)
		assert_false(rate_limiter_take(&l, 1, 500, START));
	assert_int_equal(drain(&l, 0, 1, START + 100 * MS), 1000);
}

static void test_wait_is_the_longer_one(void **state)
{
	struct rate_limiter l = limiter_of(&thousand_a_second, &ten_a_second);

	(void)state;
	assert_int_equal(rate_limiter_wait_ns(&l, START), 0);
	assert_true(rate_limiter_take(&l, 10, 1000, START));
	assert_int_equal(rate_limiter_wait_ns(&l, START), 0);
	assert_false(rate_limiter_take(&l, 1, 50, START));
	assert_int_equal(rate_limiter_wait_ns(&l, START), 100 * MS);
	assert_int_equal(rate_limiter_wait_ns(&l, START + 30 * MS), 70 * MS);
	assert_false(rate_limiter_take(&l, 1, 50, START + 100 * MS - 1));
	assert_true(rate_limiter_take(&l, 1, 50, START + 100 * MS));
	assert_false(rate_limiter_take(&l, 1, 250, START + 100 * MS));
	assert_int_equal(rate_limiter_wait_ns(&l, START + 100 * MS), 200 * MS);
	assert_false(rate_limiter_take(&l, 1, 250, START + 300 * MS - 1));
	assert_true(rate_limiter_take(&l, 1, 250, START + 300 * MS));
	assert_int_equal(rate_limiter_wait_ns(&l, START + 300 * MS), 0);
}

/* A small bucket yields its whole rate to a device that sleeps as long as it is told. */
static void test_small_bucket_yields_its_rate(void **state)
{
	struct token_bucket_config one_in_a_ms = { .size = 1, .refill_ms = 1 };
	struct rate_limiter l = limiter_of(&no_limit, &one_in_a_ms);
	uint64_t now_ns = START;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_true(rate_limiter_take(&l, 1, 4096, now_ns));
		assert_false(rate_limiter_take(&l, 1, 4096, now_ns));
		now_ns += rate_limiter_wait_ns(&l, now_ns);
	}
	assert_int_equal(now_ns - START, SECOND);
}

/* A large request is not kept waiting by small ones that come all the time. */
static void test_small_requests_do_not_overtake(void **state)
{
	struct rate_limiter l = limiter_of(&thousand_a_second, &no_limit);
	uint64_t now_ns;

	(void)state;
	assert_true(rate_limiter_take(&l, 1, 900, START));
	assert_false(rate_limiter_take(&l, 1, 600, START));
	for (now_ns = START; now_ns < START + 500 * MS; now_ns += MS)
		assert_false(rate_limiter_take(&l, 1, 1, now_ns));
	assert_true(rate_limiter_take(&l, 1, 600, now_ns));
}

/* One that was refused and never came back holds nobody up for longer. */
static void test_dropped_request_is_forgotten(void **state)
{
	struct rate_limiter l = limiter_of(&thousand_a_second, &ten_a_second);

	(void)state;
	assert_true(rate_limiter_take(&l, 1, 1000, START));
	assert_false(rate_limiter_take(&l, 1, 1000, START));
	assert_true(rate_limiter_take(&l, 1, 1, START + SECOND));
	assert_true(rate_limiter_take(&l, 1, 1, START + SECOND));
	assert_int_equal(rate_limiter_wait_ns(&l, START + SECOND), 0);
}

static void test_debt_stops_all(void **state)
{
	struct rate_limiter l = limiter_of(&thousand_a_second, &ten_a_second);

	(void)state;
	assert_true(rate_limiter_take(&l, 1, 2500, START));
	/* A flush, too, which has no bytes. */
	assert_false(rate_limiter_take(&l, 1, 0, START));
	assert_int_equal(rate_limiter_wait_ns(&l, START), 1500 * MS);
	assert_false(rate_limiter_take(&l, 1, 0, START + 1500 * MS - 1));
	assert_true(rate_limiter_take(&l, 1, 0, START + 1500 * MS));
	/* A debt of operations stops bytes: 9 of 20 were there. */
	assert_true(rate_limiter_take(&l, 20, 0, START + 1500 * MS));
	assert_false(rate_limiter_take(&l, 0, 1, START + 2600 * MS - 1));
	assert_true(rate_limiter_take(&l, 0, 1, START + 2600 * MS));
}

static void test_update_of_absent_changes_nothing(void **state)
{
	struct rate_limiter_config config = { { 7, 7, 7 }, { 7, 7, 7 } };
	struct rate_limiter l = limiter_of(&thousand_a_second, &ten_a_second);

	(void)state;
	assert_true(rate_limiter_take(&l, 4, 700, START));
	rate_limiter_update(&l, &config, false, false, START);
	assert_false(rate_limiter_take(&l, 1, 301, START));
	rate_limiter_update(&l, &config, false, false, START);
	assert_int_equal(rate_limiter_wait_ns(&l, START), MS);
	assert_int_equal(drain(&l, 1, 0, START + MS), 6);
}

static void test_update_of_one_leaves_the_other(void **state)
{
	struct rate_limiter_config config = { .bandwidth = { 50, 1000, 20 }, .ops = { 0 } };
	struct rate_limiter l = limiter_of(&thousand_a_second, &ten_a_second);

	(void)state;
	assert_true(rate_limiter_take(&l, 4, 1000, START));
	rate_limiter_update(&l, &config, true, false, START);
	assert_int_equal(drain(&l, 0, 1, START), 70);
	l = limiter_of(&thousand_a_second, &ten_a_second);
	assert_true(rate_limiter_take(&l, 4, 100, START));
	rate_limiter_update(&l, &config, true, false, START);
	assert_int_equal(drain(&l, 1, 0, START), 6);

	/* Zeroes lift one limit. */
	l = limiter_of(&thousand_a_second, &ten_a_second);
	assert_true(rate_limiter_take(&l, 4, 100, START));
	rate_limiter_update(&l, &config, false, true, START);
	assert_int_equal(drain(&l, 1000, 1, START), 900);
	assert_false(rate_limiter_is_off(&l));
	config.bandwidth = no_limit;
	rate_limiter_update(&l, &config, true, false, START);
	assert_true(rate_limiter_is_off(&l));
}

static void test_lifted_limit_frees_at_once(void **state)
{
	struct rate_limiter_config none = { 0 };
	struct rate_limiter l = limiter_of(&thousand_a_second, &ten_a_second);

	(void)state;
	/* 49 days of debt. */
	assert_true(rate_limiter_take(&l, 1, UINT32_MAX, START));
	assert_false(rate_limiter_take(&l, 1, 1, START));
	rate_limiter_update(&l, &none, false, true, START);
	assert_false(rate_limiter_take(&l, 1, 1, START));
	rate_limiter_update(&l, &none, true, false, START);
	assert_int_equal(rate_limiter_wait_ns(&l, START), 0);
	assert_true(rate_limiter_take(&l, 1, 1, START));
	/* A debt is no reason to wait for the next limit either. */
	l = limiter_of(&thousand_a_second, &no_limit);
	assert_true(rate_limiter_take(&l, 1, UINT32_MAX, START));
	rate_limiter_update(&l, &(struct rate_limiter_config){ .bandwidth = ten_a_second }, true,
			    true, START);
	assert_int_equal(drain(&l, 1, 1, START), 10);
}

/* What waits for more than the new bucket ever holds goes as an oversized request. */
static void test_shrunk_limit_does_not_strand_a_request(void **state)
{
	struct rate_limiter_config config = { .bandwidth = ten_a_second };
	struct rate_limiter l = limiter_of(&thousand_a_second, &no_limit);

	(void)state;
	assert_true(rate_limiter_take(&l, 1, 1000, START));
	assert_false(rate_limiter_take(&l, 1, 1000, START));
	rate_limiter_update(&l, &config, true, false, START);
	assert_int_equal(rate_limiter_wait_ns(&l, START), 0);
	assert_true(rate_limiter_take(&l, 1, 1000, START));
	assert_false(rate_limiter_take(&l, 1, 1, START));
	assert_int_equal(rate_limiter_wait_ns(&l, START), 99 * SECOND + 100 * MS);
}

static void test_give_back(void **state)
{
	struct rate_limiter l = limiter_of(&thousand_a_second, &ten_a_second);

	(void)state;
	assert_true(rate_limiter_take(&l, 10, 1000, START));
	rate_limiter_give_back(&l, 2, 30);
	assert_true(rate_limiter_take(&l, 1, 30, START));
	assert_true(rate_limiter_take(&l, 1, 0, START));
	assert_false(rate_limiter_take(&l, 0, 1, START));
	rate_limiter_give_back(&l, 0, 1);
	assert_int_equal(rate_limiter_wait_ns(&l, START), 0);
	assert_true(rate_limiter_take(&l, 0, 1, START));
	/* Never more than full, also when it was taken under another limit. */
	rate_limiter_give_back(&l, UINT64_MAX, UINT64_MAX);
	assert_int_equal(drain(&l, 0, 1, START), 1000);
}

struct run {
	uint64_t seed;
	uint64_t random;
	int step;
	struct rate_limiter l;
	struct bucket_model ops;
	struct bucket_model bytes;
	bool is_refused; /* with these: */
	uint64_t refused_ops;
	uint64_t refused_bytes;
	uint64_t now_ns;
};

#define must(run, holds)                                                                    \
	do {                                                                                \
		if (!(holds))                                                               \
			fail_msg("seed %" PRIu64 ", step %d: %s", (run)->seed, (run)->step, \
				 #holds);                                                   \
	} while (0)

static bool models_have(const struct run *r, uint64_t ops, uint64_t bytes, uint64_t now_ns)
{
	return model_has(r->ops, ops, now_ns) && model_has(r->bytes, bytes, now_ns);
}

/* The limiter in terms of the models. */
static bool models_take(struct run *r, uint64_t ops, uint64_t bytes)
{
	if (r->is_refused && !models_have(r, r->refused_ops, r->refused_bytes, r->now_ns))
		return false;
	r->is_refused = !models_have(r, ops, bytes, r->now_ns);
	if (r->is_refused) {
		r->refused_ops = ops;
		r->refused_bytes = bytes;
		return false;
	}
	must(r, model_take(&r->ops, ops, r->now_ns) && model_take(&r->bytes, bytes, r->now_ns));
	return true;
}

static void random_update(struct run *r)
{
	struct rate_limiter_config config = {
		.bandwidth = model_random_config(&r->random),
		.ops = model_random_config(&r->random),
	};
	bool has_bandwidth = r->step == 0 || model_random(&r->random) % 2;
	bool has_ops = r->step == 0 || model_random(&r->random) % 2;

	if (r->step == 0)
		rate_limiter_init(&r->l, &config, r->now_ns);
	else
		rate_limiter_update(&r->l, &config, has_bandwidth, has_ops, r->now_ns);
	if (has_bandwidth)
		r->bytes = model_of(&config.bandwidth, r->now_ns);
	if (has_ops)
		r->ops = model_of(&config.ops, r->now_ns);
}

static void check_wait(struct run *r)
{
	uint64_t wait_ns = rate_limiter_wait_ns(&r->l, r->now_ns);

	if (wait_ns == 0) {
		must(r,
		     !r->is_refused || models_have(r, r->refused_ops, r->refused_bytes, r->now_ns));
		return;
	}
	must(r, r->is_refused);
	if (wait_ns > UINT64_MAX - r->now_ns || wait_ns == UINT64_MAX)
		return;
	must(r, models_have(r, r->refused_ops, r->refused_bytes, r->now_ns + wait_ns));
	must(r, !models_have(r, r->refused_ops, r->refused_bytes, r->now_ns + wait_ns - 1));
	if (model_random(&r->random) % 2)
		r->now_ns += wait_ns - model_random(&r->random) % 2;
}

static uint64_t random_nr(struct run *r, const struct token_bucket *b)
{
	switch (model_random(&r->random) % 4) {
	case 0:
		return b->tokens - (b->tokens > 0 && model_random(&r->random) % 2);
	case 1:
		return (b->size >> model_random(&r->random) % 8) + model_random(&r->random) % 2;
	case 2:
		return model_random(&r->random) % 4;
	default:
		return model_random_bits(&r->random, 62);
	}
}

static void random_step(struct run *r)
{
	uint64_t ops = random_nr(r, &r->l.ops);
	uint64_t bytes = random_nr(r, &r->l.bandwidth);
	bool is_retry = r->is_refused && model_random(&r->random) % 2;

	if (is_retry) {
		ops = r->refused_ops;
		bytes = r->refused_bytes;
	}
	bool is_taken = rate_limiter_take(&r->l, ops, bytes, r->now_ns);

	/* As the limiter does: time is counted even when the answer is no. */
	model_advance(&r->ops, r->now_ns);
	model_advance(&r->bytes, r->now_ns);
	must(r, is_taken == models_take(r, ops, bytes));
	if (is_taken && model_random(&r->random) % 8 == 0) {
		rate_limiter_give_back(&r->l, ops, bytes);
		model_give_back(&r->ops, ops);
		model_give_back(&r->bytes, bytes);
	}
}

static void run_random(uint64_t seed)
{
	struct run r = { .seed = seed, .random = seed };

	for (r.step = 0; r.step < 200; r.step++) {
		if (r.step == 0 || model_random(&r.random) % 50 == 0)
			random_update(&r);
		if (model_random(&r.random) % 2)
			r.now_ns += model_random_bits(&r.random, 40);
		check_wait(&r);
		random_step(&r);
	}
	must(&r, rate_limiter_is_off(&r.l) == (r.ops.size == 0 && r.bytes.size == 0));
}

static void test_random_runs_agree_with_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20000; seed++)
		run_random(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_each_limit_alone),
		cmocka_unit_test(test_both_or_none),
		cmocka_unit_test(test_wait_is_the_longer_one),
		cmocka_unit_test(test_small_bucket_yields_its_rate),
		cmocka_unit_test(test_small_requests_do_not_overtake),
		cmocka_unit_test(test_dropped_request_is_forgotten),
		cmocka_unit_test(test_debt_stops_all),
		cmocka_unit_test(test_update_of_absent_changes_nothing),
		cmocka_unit_test(test_update_of_one_leaves_the_other),
		cmocka_unit_test(test_lifted_limit_frees_at_once),
		cmocka_unit_test(test_shrunk_limit_does_not_strand_a_request),
		cmocka_unit_test(test_give_back),
		cmocka_unit_test(test_random_runs_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One token bucket: what it hands out, to the token and the nanosecond, whatever the clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>

#include "base/bytes.h"
#include "machine/backend/token_bucket.h"
#include "test/unit/bucket_model.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define START (5 * SECOND)

static struct token_bucket bucket_of(uint64_t size, uint64_t refill_ms, uint64_t one_time_burst)
{
	struct token_bucket_config config = { size, refill_ms, one_time_burst };
	struct token_bucket b;

	token_bucket_init(&b, &config, START);
	return b;
}

/* Takes all there is, a token at a time; returns how many that was. */
static uint64_t drain(struct token_bucket *b, uint64_t now_ns)
{
	uint64_t nr = 0;

	while (token_bucket_take(b, 1, now_ns))
		nr++;
	return nr;
}

static void assert_off(uint64_t size, uint64_t refill_ms, uint64_t one_time_burst)
{
	struct token_bucket b = bucket_of(size, refill_ms, one_time_burst);

	assert_true(token_bucket_is_off(&b));
	for (int i = 0; i < 3; i++) {
		assert_true(token_bucket_take(&b, UINT64_MAX, START));
		assert_int_equal(token_bucket_wait_ns(&b, UINT64_MAX, 0), 0);
		token_bucket_give_back(&b, UINT64_MAX);
	}
	assert_true(token_bucket_is_off(&b));
}

static void test_zeroes_are_no_limit(void **state)
{
	struct token_bucket zeroed = { 0 };

	(void)state;
	assert_off(0, 0, 0);
	assert_off(0, 100, 100);
	assert_off(100, 0, 100);
	assert_true(token_bucket_is_off(&zeroed));
	assert_true(token_bucket_take(&zeroed, 1, 0));
}

static void test_refill_time_beyond_the_clock_is_no_limit(void **state)
{
	struct token_bucket b = bucket_of(1, UINT64_MAX / MS, 0);

	(void)state;
	assert_false(token_bucket_is_off(&b));
	assert_off(1, UINT64_MAX / MS + 1, 0);
	/* Would be 0 or small in 64 bits. */
	assert_off(1, UINT64_C(1) << 58, 0);
	assert_off(1, UINT64_MAX, 0);
}

static void test_starts_full_and_refills_evenly(void **state)
{
	struct token_bucket b = bucket_of(1000, 1000, 0);

	(void)state;
	assert_int_equal(drain(&b, START), 1000);
	assert_int_equal(drain(&b, START + MS - 1), 0);
	assert_int_equal(drain(&b, START + MS), 1);
	assert_int_equal(drain(&b, START + 10 * MS), 9);
	assert_int_equal(drain(&b, START + 510 * MS), 500);
	assert_int_equal(drain(&b, START + 1509 * MS), 999);
	assert_int_equal(drain(&b, START + 2509 * MS), 1000);
}

static void test_holds_no_more_than_its_size(void **state)
{
	struct token_bucket b = bucket_of(100, 1000, 0);

	(void)state;
	/* Time that passes while it is full is not saved up. */
	assert_int_equal(drain(&b, START + 60 * SECOND), 100);
	assert_int_equal(drain(&b, START + 60 * SECOND), 0);
	/* Nor is part of a token. */
	assert_true(token_bucket_take(&b, 0, START + 61 * SECOND + 9 * MS));
	assert_int_equal(drain(&b, START + 61 * SECOND + 9 * MS), 100);
	assert_int_equal(drain(&b, START + 61 * SECOND + 18 * MS), 0);
	assert_int_equal(drain(&b, START + 61 * SECOND + 19 * MS), 1);
}

static void test_burst_is_spent_first_and_once(void **state)
{
	struct token_bucket b = bucket_of(1000, 1000, 1100);

	(void)state;
	assert_true(token_bucket_take(&b, 1000, START));
	/* 100 of the burst and 400 of the bucket. */
	assert_true(token_bucket_take(&b, 500, START + 9 * SECOND));
	assert_true(token_bucket_take(&b, 500, START + 9 * SECOND));
	assert_false(token_bucket_take(&b, 500, START + 9 * SECOND));
	assert_int_equal(drain(&b, START + 9 * SECOND), 100);
	assert_int_equal(drain(&b, START + 99 * SECOND), 1000);
	assert_int_equal(drain(&b, START + 199 * SECOND), 1000);
}

static void test_burst_lets_large_requests_pass_without_debt(void **state)
{
	struct token_bucket b = bucket_of(10, 1000, 1000000);

	(void)state;
	assert_true(token_bucket_take(&b, 1000000, START));
	assert_int_equal(drain(&b, START), 10);
	b = bucket_of(10, 1000, UINT64_MAX);
	assert_true(token_bucket_take(&b, UINT64_MAX, START));
	assert_int_equal(drain(&b, START), 10);
}

static void test_refused_take_costs_nothing(void **state)
{
	struct token_bucket b = bucket_of(100, 100, 0);

	(void)state;
	assert_true(token_bucket_take(&b, 60, START));
	for (int i = 0; i < 1000; i++)
		assert_false(token_bucket_take(&b, 41, START));
	assert_int_equal(drain(&b, START), 40);
}

static void test_oversized_request_goes_and_blocks(void **state)
{
	struct token_bucket b = bucket_of(1000, 1000, 0);

	(void)state;
	/* 1.5 sizes are borrowed: 1.5 refill times. */
	assert_true(token_bucket_take(&b, 2500, START));
	assert_int_equal(token_bucket_wait_ns(&b, 0, START), 1500 * MS);
	assert_false(token_bucket_take(&b, 0, START + 1500 * MS - 1));
	assert_false(token_bucket_take(&b, 5000, START + 1500 * MS - 1));
	/* The debt is repaid; what comes now comes at the usual rate. */
	assert_true(token_bucket_take(&b, 0, START + 1500 * MS));
	assert_int_equal(drain(&b, START + 1500 * MS), 0);
	assert_int_equal(drain(&b, START + 1600 * MS), 100);
	/* From an empty bucket all of it is borrowed. */
	assert_true(token_bucket_take(&b, 1001, START + 1600 * MS));
	assert_int_equal(token_bucket_wait_ns(&b, 0, START + 1600 * MS), 1001 * MS);
	/* The size itself is no overdraft. */
	assert_false(token_bucket_take(&b, 1000, START + 2601 * MS));
	assert_int_equal(token_bucket_wait_ns(&b, 1000, START + 2601 * MS), 1000 * MS);
}

/* Requests of any size, made as soon as they may be, get the rate. */
static void test_rate_holds_for_every_request_size(void **state)
{
	static const uint64_t sizes[] = { 1, 7, 512, 999, 1000, 1001, 1500, 2000, 123456 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct token_bucket b = bucket_of(1000, 10, 0);
		uint64_t now_ns = START;
		uint64_t sum = 0;

		for (int n = 0; n < 5000; n++) {
			now_ns += token_bucket_wait_ns(&b, sizes[i], now_ns);
			assert_true(token_bucket_take(&b, sizes[i], now_ns));
			sum += sizes[i];
		}
		/* 1 token in 10 us; the bucket was full at first, the last request may be owed. */
		uint64_t earned = (now_ns - START) / (10 * 1000);

		assert_in_range(sum, earned, earned + 1000 + sizes[i]);
	}
}

/* A third of a token at each look for an hour: not one gets lost, not one is made. */
static void test_no_drift(void **state)
{
	static const struct {
		uint64_t size, refill_ms, step_ns;
	} cases[] = {
		{ 3, 1, 111111 },	  { 7, 11, 1 },	      { 1000003, 997, 31 },
		{ 13, 17000, 999999937 }, { 9, 10, 1000003 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct token_bucket b = bucket_of(cases[i].size, cases[i].refill_ms, 0);
		uint64_t steps = 200000;
		uint64_t sum = 0;

		assert_true(token_bucket_take(&b, cases[i].size, START));
		for (uint64_t n = 1; n <= steps; n++)
			sum += drain(&b, START + n * cases[i].step_ns);
		assert_int_equal(sum, (unsigned __int128)(steps * cases[i].step_ns) *
					      cases[i].size / (cases[i].refill_ms * MS));
	}
}

static void test_clock_slightly_back_gives_and_costs_nothing(void **state)
{
	struct token_bucket b = bucket_of(1000, 1000, 0);

	(void)state;
	assert_int_equal(drain(&b, START), 1000);
	assert_int_equal(drain(&b, START + 2 * MS), 2);
	/* Two threads that read the clock 2 ms apart and come in turn. */
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(drain(&b, START), 0);
		assert_int_equal(drain(&b, START + 2 * MS), 0);
	}
	assert_int_equal(token_bucket_wait_ns(&b, 1, START), 3 * MS);
	assert_int_equal(drain(&b, START + 3 * MS), 1);
}

static void test_clock_far_back_stalls_for_a_second_at_most(void **state)
{
	struct token_bucket b = bucket_of(1000, 1000, 0);
	uint64_t late = START + 1000000 * SECOND;

	(void)state;
	assert_int_equal(drain(&b, late), 1000);
	assert_int_equal(drain(&b, START), 0);
	assert_int_equal(token_bucket_wait_ns(&b, 1, START), SECOND + MS);
	assert_int_equal(drain(&b, START + SECOND), 0);
	assert_int_equal(drain(&b, START + SECOND + 5 * MS), 5);
	/* To zero, and from the end of time. */
	assert_int_equal(drain(&b, 0), 0);
	assert_int_equal(drain(&b, SECOND + MS), 1);
	assert_int_equal(drain(&b, UINT64_MAX), 1000);
	assert_int_equal(drain(&b, UINT64_MAX), 0);
	assert_int_equal(token_bucket_wait_ns(&b, 1, UINT64_MAX), MS);
	assert_int_equal(drain(&b, UINT64_MAX - 1), 0);
	assert_int_equal(drain(&b, 7), 0);
	assert_int_equal(drain(&b, 7 + 2 * SECOND), 1000);
}

static void test_clock_leaps_fill_the_bucket_once(void **state)
{
	struct token_bucket b = bucket_of(50, 1000, 10);
	uint64_t now_ns = START;

	(void)state;
	assert_int_equal(drain(&b, now_ns), 60);
	for (int i = 0; i < 50; i++) {
		now_ns += UINT64_C(1) << 58; /* 9 years */
		assert_int_equal(drain(&b, now_ns), 50);
		assert_int_equal(drain(&b, now_ns), 0);
	}
}

static void test_largest_numbers(void **state)
{
	struct token_bucket b = bucket_of(UINT64_MAX, UINT64_MAX / MS, UINT64_MAX);
	uint64_t refill_ns = UINT64_MAX / MS * MS;

	(void)state;
	assert_true(token_bucket_take(&b, UINT64_MAX, START));
	assert_true(token_bucket_take(&b, UINT64_MAX, START));
	assert_false(token_bucket_take(&b, 1, START));
	assert_int_equal(token_bucket_wait_ns(&b, UINT64_MAX, START), refill_ns);
	assert_true(token_bucket_take(&b, 1, START + 1));
	assert_true(token_bucket_take(&b, UINT64_MAX - 2 * START, UINT64_MAX));

	/* A debt of ages; the wait is the longest there is. */
	b = bucket_of(1, UINT64_MAX / MS, 0);
	assert_true(token_bucket_take(&b, UINT64_MAX, START));
	assert_int_equal(token_bucket_wait_ns(&b, 0, START), UINT64_MAX);
	assert_int_equal(token_bucket_wait_ns(&b, UINT64_MAX, UINT64_MAX), UINT64_MAX);
	assert_false(token_bucket_take(&b, 0, UINT64_MAX));

	/* So much is missing that its product with the refill time needs more than 128 bits. */
	b = bucket_of(UINT64_MAX - 1, UINT64_MAX / MS, 0);
	assert_true(token_bucket_take(&b, UINT64_MAX - 1, START));
	assert_true(token_bucket_take(&b, UINT64_MAX, START));
	assert_int_equal(token_bucket_wait_ns(&b, UINT64_MAX - 1, START), UINT64_MAX);

	/* A debt that is repaid by a leap: 2^64 - 2 tokens at a million each ns. */
	b = bucket_of(MS * MS, 1, 0);
	assert_true(token_bucket_take(&b, UINT64_MAX, 0));
	assert_false(token_bucket_take(&b, 0, START + SECOND));
	assert_true(token_bucket_take(&b, 0, UINT64_MAX));
}

static void test_give_back(void **state)
{
	struct token_bucket b = bucket_of(100, 1000, 0);

	(void)state;
	/* Into the bucket, no more than it holds. */
	assert_true(token_bucket_take(&b, 10, START));
	token_bucket_give_back(&b, 10);
	token_bucket_give_back(&b, UINT64_MAX);
	assert_int_equal(drain(&b, START), 100);
	token_bucket_give_back(&b, 3);
	assert_int_equal(drain(&b, START), 3);
	/* A debt goes away with its request. */
	assert_true(token_bucket_take(&b, 500, START));
	token_bucket_give_back(&b, 500);
	assert_int_equal(token_bucket_wait_ns(&b, 1, START), 10 * MS);

	/* Into what is left of the burst, no more than it was. */
	b = bucket_of(100, 1000, 50);
	assert_true(token_bucket_take(&b, 40, START));
	token_bucket_give_back(&b, 40);
	token_bucket_give_back(&b, UINT64_MAX);
	assert_int_equal(drain(&b, START), 150);
	/* A burst that is gone stays gone. */
	token_bucket_give_back(&b, 1000);
	assert_int_equal(drain(&b, START + 10 * SECOND), 100);
	assert_int_equal(drain(&b, START + 10 * SECOND), 0);
}

/* A bucket that is saved and loaded on a host with another clock goes on as if nothing had been. */
static void test_state_survives_a_move(void **state)
{
	struct token_bucket a = bucket_of(3, 1, 0);
	struct token_bucket b;

	(void)state;
	assert_true(token_bucket_take(&a, 4, START));
	token_bucket_refill(&a, START + 200000);
	b = a;
	b.clock_ns = 77;
	for (uint64_t t = 0; t < 3 * MS; t += 12345)
		assert_int_equal(drain(&b, 77 + t), drain(&a, START + 200000 + t));
}

struct run {
	uint64_t seed;
	uint64_t random;
	int step;
	struct token_bucket b;
	struct bucket_model m;
	uint64_t now_ns;
};

#define must(run, holds)                                                                    \
	do {                                                                                \
		if (!(holds))                                                               \
			fail_msg("seed %" PRIu64 ", step %d: %s", (run)->seed, (run)->step, \
				 #holds);                                                   \
	} while (0)

static uint64_t random_nr(struct run *r)
{
	uint64_t odd = model_random(&r->random) % 3 - 1;

	switch (model_random(&r->random) % 6) {
	case 0:
		return (r->b.tokens + odd) >> 2;
	case 1:
		return (r->b.tokens + (r->b.burst >> 2) + odd) & (UINT64_MAX >> 2);
	case 2:
		return (r->b.size + odd) & (UINT64_MAX >> 2);
	case 3:
		return model_random(&r->random) % 10;
	default:
		return model_random_bits(&r->random, 62);
	}
}

static void random_time(struct run *r)
{
	uint64_t amount = model_random_bits(&r->random, 40);

	switch (model_random(&r->random) % 16) {
	case 0:
		r->now_ns -= min_u64(amount, r->now_ns);
		break;
	case 1:
		r->now_ns = model_random_bits(&r->random, 64);
		break;
	case 2:
		r->now_ns += r->b.refill_ns - 1 + amount % 3;
		break;
	case 3:
	case 4:
	case 5:
		break;
	default:
		r->now_ns += amount;
	}
}

/* The wait is the shortest after which the model, too, says yes. */
static void check_wait(struct run *r, uint64_t nr)
{
	uint64_t wait_ns = token_bucket_wait_ns(&r->b, nr, r->now_ns);

	/* The clock has to have been seen to be behind, or the model would forget. */
	model_advance(&r->m, r->now_ns);
	must(r, (wait_ns == 0) == model_has(r->m, nr, r->now_ns));
	if (wait_ns == 0)
		return;
	if (wait_ns > UINT64_MAX - r->now_ns || wait_ns == UINT64_MAX) {
		must(r, !model_has(r->m, nr, UINT64_MAX - 1));
		return;
	}
	must(r, model_has(r->m, nr, r->now_ns + wait_ns));
	must(r, !model_has(r->m, nr, r->now_ns + wait_ns - 1));
	if (model_random(&r->random) % 2)
		r->now_ns += wait_ns - model_random(&r->random) % 2;
}

static void check_fields(struct run *r)
{
	const struct token_bucket *b = &r->b;

	if (b->size == 0)
		return;
	must(r, b->tokens <= b->size && b->remainder < b->refill_ns && b->burst <= b->burst_max);
	must(r, b->debt == 0 || b->tokens == 0);
	must(r, b->burst == r->m.burst);
	must(r, ((__int128)b->tokens - b->debt) * b->refill_ns + b->remainder == r->m.level);
}

static void run_random(uint64_t seed)
{
	struct run r = { .seed = seed, .random = seed };

	for (r.step = 0; r.step < 200; r.step++) {
		if (r.step == 0 || model_random(&r.random) % 100 == 0) {
			struct token_bucket_config config = model_random_config(&r.random);

			token_bucket_init(&r.b, &config, r.now_ns);
			r.m = model_of(&config, r.now_ns);
		}
		random_time(&r);
		uint64_t nr = random_nr(&r);

		check_wait(&r, nr);
		must(&r, token_bucket_take(&r.b, nr, r.now_ns) == model_take(&r.m, nr, r.now_ns));
		if (model_random(&r.random) % 8 == 0) {
			token_bucket_give_back(&r.b, nr);
			model_give_back(&r.m, nr);
		}
		check_fields(&r);
	}
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
		cmocka_unit_test(test_zeroes_are_no_limit),
		cmocka_unit_test(test_refill_time_beyond_the_clock_is_no_limit),
		cmocka_unit_test(test_starts_full_and_refills_evenly),
		cmocka_unit_test(test_holds_no_more_than_its_size),
		cmocka_unit_test(test_burst_is_spent_first_and_once),
		cmocka_unit_test(test_burst_lets_large_requests_pass_without_debt),
		cmocka_unit_test(test_refused_take_costs_nothing),
		cmocka_unit_test(test_oversized_request_goes_and_blocks),
		cmocka_unit_test(test_rate_holds_for_every_request_size),
		cmocka_unit_test(test_no_drift),
		cmocka_unit_test(test_clock_slightly_back_gives_and_costs_nothing),
		cmocka_unit_test(test_clock_far_back_stalls_for_a_second_at_most),
		cmocka_unit_test(test_clock_leaps_fill_the_bucket_once),
		cmocka_unit_test(test_largest_numbers),
		cmocka_unit_test(test_give_back),
		cmocka_unit_test(test_state_survives_a_move),
		cmocka_unit_test(test_random_runs_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

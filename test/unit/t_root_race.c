/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images that are written, listed and killed at the same time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "stellar/root.h"
#include "test/unit/root_rig.h"

enum { WRITERS = 8, ROUNDS = 200 };

struct race {
	const struct folder_rig *rig;
	pthread_barrier_t barrier;
	atomic_int winners, losers, others;
	atomic_uint winner;
	atomic_bool is_over;
};

struct racer {
	struct race *race;
	uint8_t mark;
};

static void *write_once(void *opaque)
{
	const struct racer *racer = opaque;
	struct race *race = racer->race;

	for (int round = 0; round < ROUNDS; round++) {
		int r;

		pthread_barrier_wait(&race->barrier);
		r = put(race->rig, "contested/name", racer->mark, false);
		if (r == 0) {
			race->winner = racer->mark;
			race->winners++;
		} else if (r == -EEXIST) {
			race->losers++;
		} else {
			race->others++;
		}
		pthread_barrier_wait(&race->barrier);
		pthread_barrier_wait(&race->barrier); /* the judge has looked */
	}
	return NULL;
}

static void test_one_writer_wins(void **state)
{
	struct race race = { .rig = *state };
	struct racer racers[WRITERS];
	pthread_t threads[WRITERS];

	pthread_barrier_init(&race.barrier, NULL, WRITERS + 1);
	for (size_t i = 0; i < WRITERS; i++) {
		racers[i] = (struct racer){ &race, (uint8_t)(i + 1) };
		assert_int_equal(pthread_create(&threads[i], NULL, write_once, &racers[i]), 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		race.winners = race.losers = 0;
		pthread_barrier_wait(&race.barrier);
		pthread_barrier_wait(&race.barrier);
		assert_int_equal(race.winners, 1);
		assert_int_equal(race.losers, WRITERS - 1);
		assert_int_equal(race.others, 0);
		assert_int_equal(get(race.rig, "contested/name"), race.winner);
		assert_int_equal(folder_count(race.rig), 1);
		assert_int_equal(root_remove(race.rig->fd, "contested/name", NULL), 0);
		pthread_barrier_wait(&race.barrier);
	}
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&race.barrier);
}

static void *write_on(void *opaque)
{
	const struct racer *racer = opaque;
	char name[16];

	snprintf(name, sizeof(name), "image-%d", racer->mark % 2);
	while (!racer->race->is_over) {
		if (put(racer->race->rig, name, racer->mark, true) != 0)
			racer->race->others++;
	}
	return NULL;
}

/* gc marks what a listing names: an image that is only being replaced must never be left out. */
static void test_list_misses_none(void **state)
{
	struct race race = { .rig = *state };
	struct racer racers[4];
	pthread_t threads[4];

	/* So many that the kernel hands out the listing in several parts. */
	for (int i = 0; i < 300; i++) {
		char name[256];

		snprintf(name, sizeof(name), "+tmp.%0200d", i);
		folder_put(race.rig, name, "", 0);
		if (i == 150)
			assert_int_equal(put(race.rig, "image-0", 1, false), 0);
	}
	assert_int_equal(put(race.rig, "image-1", 1, false), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		racers[i] = (struct racer){ &race, (uint8_t)(i + 1) };
		assert_int_equal(pthread_create(&threads[i], NULL, write_on, &racers[i]), 0);
	}
	for (int round = 0; round < 300; round++) {
		struct root_list list;

		assert_int_equal(root_list_read(race.rig->fd, &scheme, &list, NULL), 0);
		assert_int_equal(list.count, 2);
		assert_int_equal(list.bad_count, 0);
		root_list_release(&list);
		assert_true(get(race.rig, "image-0") > 0);
	}
	race.is_over = true;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(race.others, 0);
}

struct waiter {
	const struct folder_rig *rig;
	bool is_lister;
	atomic_bool is_done;
};

static void *list_or_write(void *opaque)
{
	struct waiter *waiter = opaque;
	struct root_list list;

	if (waiter->is_lister) {
		assert_int_equal(root_list_read(waiter->rig->fd, &scheme, &list, NULL), 0);
		root_list_release(&list);
	} else {
		assert_int_equal(put(waiter->rig, "x", 2, true), 0);
	}
	waiter->is_done = true;
	return NULL;
}

/* What the last test leaves to luck: listings and changes of names exclude each other. */
static void test_locks(void **state)
{
	static const struct {
		int lock;
		bool is_lister, must_wait;
	} cases[] = {
		{ LOCK_SH, true, false },
		{ LOCK_EX, true, true },
		{ LOCK_SH, false, true },
		{ LOCK_EX, false, true },
	};
	const struct folder_rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct waiter waiter = { .rig = rig, .is_lister = cases[i].is_lister };
		pthread_t thread;

		assert_int_equal(flock(rig->fd, cases[i].lock), 0);
		assert_int_equal(pthread_create(&thread, NULL, list_or_write, &waiter), 0);
		if (cases[i].must_wait) {
			usleep(20000);
			assert_false(waiter.is_done);
			assert_int_equal(flock(rig->fd, LOCK_UN), 0);
		}
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(flock(rig->fd, LOCK_UN), 0);
	}
}

/* A writer that is killed leaves nothing that stops the next one. */
static void test_killed_writers(void **state)
{
	const struct folder_rig *rig = *state;

	assert_int_equal(put(rig, "x", 1, false), 0);
	for (int round = 0; round < 100; round++) {
		const pid_t child = folder_fork();

		if (child == 0) {
			for (;;)
				put(rig, "x", 2, true);
		}
		usleep((useconds_t)(100 + 37 * round));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_true(get(rig, "x") > 0);
		assert_int_equal(put(rig, "x", 3, true), 0);
		assert_int_equal(get(rig, "x"), 3);
		assert_int_equal(folder_count(rig), 1);
	}
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_set_up, folder_tear_down)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_one_writer_wins),
		IN_FOLDER(test_list_misses_none),
		IN_FOLDER(test_locks),
		IN_FOLDER(test_killed_writers),
	};

	id_scheme_init(&scheme, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

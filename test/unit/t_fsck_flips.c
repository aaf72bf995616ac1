/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every single bit of a small store flipped, one at a time: fsck finds each. One bit in FLIPS_STEP (997;
 * 1: all), by FLIPS_WORKERS processes.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/depot.h"

enum { SMALL = 24 << 10 };

static struct depot rig;
static uint8_t image[SMALL];

static void fill(const struct key_input *key)
{
	depot_make(&rig, key);
	depot_text(image, SMALL, 1);
	depot_import(&rig, "lz4", image, SMALL, "lz4", "fixed:4K");
	depot_text(image, SMALL, 2);
	depot_noise(image, 4096, 2);
	memset(image + 8192, 0, 8192);
	depot_import(&rig, "zstd", image, SMALL, "zstd", "fastcdc:4K");
	if (depot_check(&rig) < 0 || rig.result.problems > 0)
		fail_msg("%s", rig.lines[0]);
	depot_save(&rig);
}

struct share {
	size_t flips, missed;
};

/* Every bit whose number is @first modulo @step, all files counted through. */
static struct share flip(size_t first, size_t step)
{
	struct share share = { 0 };
	size_t before = 0;

	for (size_t i = 0; i < rig.file_count; i++) {
		const struct depot_file *file = &rig.files[i];

		for (size_t bit = (first + step - before % step) % step; bit < file->len * 8;
		     bit += step) {
			int r;

			depot_flip(&rig, file->name, bit);
			r = depot_fsck(&rig, &(const struct fsck_options){ .work.threads = 1 });
			share.flips++;
			if (r == 0 && rig.result.problems == 0) {
				share.missed++;
				print_message("missed: bit %zu of byte %zu of %s\n", bit % 8,
					      bit / 8, file->name);
			}
			depot_flip(&rig, file->name, bit);
		}
		before += file->len * 8;
	}
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	return share;
}

/* One of several processes, on a copy of the store. */
static _Noreturn void work(int fd, size_t first, size_t step)
{
	struct share share;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	strcpy(rig.folder, "/dev/shm/volt-fsck-XXXXXX");
	assert_non_null(mkdtemp(rig.folder));
	snprintf(rig.store, sizeof(rig.store), "%s/store", rig.folder);
	depot_restore(&rig);
	share = flip(first, step);
	depot_remove(&rig);
	_exit(write(fd, &share, sizeof(share)) == sizeof(share) ? 0 : 1);
}

/* One bit in @step, so that each region has some; of @workers times as many bits each does its part. */
static void flip_all(size_t step, size_t workers)
{
	struct share all = { 0 }, share;
	size_t bytes = 0, done = 0;
	int ends[2];

	for (size_t i = 0; i < rig.file_count; i++)
		bytes += rig.files[i].len;
	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < workers; i++) {
		const pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			work(ends[1], i * step, step * workers);
	}
	close(ends[1]);
	while (read(ends[0], &share, sizeof(share)) == sizeof(share)) {
		all.flips += share.flips;
		all.missed += share.missed;
		done++;
	}
	close(ends[0]);
	while (waitpid(-1, NULL, 0) > 0)
		continue;
	print_message("a store of %zu bytes in %zu files: %zu flips, %zu missed\n", bytes,
		      rig.file_count, all.flips, all.missed);
	assert_int_equal(done, workers);
	assert_int_equal(all.missed, 0);
	assert_true(all.flips >= bytes * 8 / step);
}

static size_t number_of(const char *name, size_t usual)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : usual;
}

static void test_plain(void **state)
{
	(void)state;
	fill(NULL);
	flip_all(number_of("FLIPS_STEP", 997), number_of("FLIPS_WORKERS", 2));
	depot_remove(&rig);
}

static void test_encrypted(void **state)
{
	static const uint8_t secret[32] = { 1, 2, 3 };
	const struct key_input key = { KEY_BYTES, secret, sizeof(secret) };

	(void)state;
	fill(&key);
	flip_all(number_of("FLIPS_STEP", 997), number_of("FLIPS_WORKERS", 2));
	depot_remove(&rig);
}

/* With an argument: only tests of this name. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_encrypted),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

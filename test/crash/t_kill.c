/* SPDX-License-Identifier: Apache-2.0 */
/* The kill tests themselves: what they must find in a broken program, and what not in a right one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "test/crash/content.h"
#include "test/crash/kill.h"

/* How a worker changes a file of its own that holds a number, many times. */
enum way {
	BY_RENAME,
	IN_PLACE, /* cuts the file off and writes it anew */
	SAYS_FIRST, /* says that it is done before it is */
	WITH_FILE_LOCK, /* makes a lock file and removes it: who finds one waits */
	WITH_FLOCK, /* the same by a lock that dies with its owner */
};

enum { FILE_BYTES = 64 * 1024 };

static int write_file(const char *path, uint64_t value)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	uint64_t bytes[FILE_BYTES / sizeof(uint64_t)];
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; i < FILE_BYTES / sizeof(uint64_t); i++)
		bytes[i] = value;
	for (size_t done = 0; r == 0 && done < FILE_BYTES; done += FILE_BYTES / 16)
		r = file_write_full(fd, (const char *)bytes + done, FILE_BYTES / 16);
	return r;
}

static int change(const char *dir, const char *path, uint64_t value, enum way way)
{
	char temporary[520];
	char lock[520];
	auto_fd int fd = -1;
	int r;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	snprintf(lock, sizeof(lock), "%s/lock", dir);
	if (way == IN_PLACE)
		return write_file(path, value);
	while (way == WITH_FILE_LOCK && fd < 0) {
		fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			usleep(100);
	}
	if (way == WITH_FLOCK) {
		fd = open(lock, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		flock(fd, LOCK_EX);
	}
	r = write_file(temporary, value);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (way == WITH_FILE_LOCK)
		unlink(lock);
	return r;
}

static void path_of(char path[static 512], const char *dir, unsigned worker, unsigned name)
{
	snprintf(path, 512, "%s/%u-%u", dir, worker, name);
}

static int work(const char *dir, struct kill_ledger *l, unsigned worker, uint64_t seed,
		const void *opaque, struct err *e)
{
	const enum way *way = opaque;
	char path[512];

	for (uint64_t i = 1; !l->must_stop; i++) {
		const unsigned name = crash_mix(seed, i) % KILL_NAMES;
		int r;

		path_of(path, dir, worker, name);
		kill_begin(l, worker, name, seed + i);
		if (*way == SAYS_FIRST)
			kill_end(l, worker, name, true);
		r = change(dir, path, seed + i, *way);
		if (r < 0)
			return err_errno(e, r, "cannot write '%s'", path);
		kill_end(l, worker, name, true);
	}
	return 0;
}

static int check_one(const char *path, struct kill_ledger *l, unsigned worker, unsigned name,
		     struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t bytes[FILE_BYTES / sizeof(uint64_t)] = { KILL_NONE };

	if (fd >= 0 && file_pread_full(fd, bytes, sizeof(bytes), 0) != FILE_BYTES)
		return err_set(e, -EINVAL, "'%s' is cut", path);
	for (size_t i = 0; fd >= 0 && i < FILE_BYTES / sizeof(uint64_t); i++) {
		if (bytes[i] != bytes[0])
			return err_set(e, -EINVAL, "'%s' is mixed", path);
	}
	if (!kill_accept(l, worker, name, bytes[0]))
		return err_set(e, -EINVAL, "'%s' is not what was said", path);
	return 0;
}

static int check(const char *dir, struct kill_ledger *l, uint64_t seed, const void *opaque,
		 struct err *e)
{
	char path[512];
	int r = 0;

	(void)seed;
	(void)opaque;
	for (unsigned i = 0; i < KILL_WORKERS * KILL_NAMES && r == 0; i++) {
		path_of(path, dir, i / KILL_NAMES, i % KILL_NAMES);
		r = check_one(path, l, i / KILL_NAMES, i % KILL_NAMES, e);
	}
	return r;
}

static struct kill_result run(enum way way, unsigned rounds, bool is_quiet)
{
	struct kill_plan p = { .name = "toy", .check = check, .opaque = &way };
	struct kill_options o;

	for (size_t i = 0; i < KILL_WORKERS; i++)
		p.work[i] = work;
	kill_options_init(&o, rounds);
	o.rounds = rounds;
	o.round_ms = 20;
	o.is_quiet = is_quiet;
	if (is_quiet) {
		o.max_failures = 1;
		o.timeout_s = 2;
	}
	return kill_run(&p, &o);
}

static void right_ones_pass(void **state)
{
	struct kill_result r = run(BY_RENAME, 20, false);

	(void)state;
	assert_int_equal(r.failures, 0);
	assert_true(r.killed > 20);
	assert_true(r.steps > 100);
	r = run(WITH_FLOCK, 20, false);
	assert_int_equal(r.failures, 0);
}

static void broken_ones_are_found(void **state)
{
	static const enum way broken[] = { IN_PLACE, SAYS_FIRST, WITH_FILE_LOCK };

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_true(run(broken[i], 200, true).failures > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_ones_pass),
		cmocka_unit_test(broken_ones_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

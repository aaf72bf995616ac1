/* SPDX-License-Identifier: Apache-2.0 */
/* base/bus_guard: a mapped file that is cut off is an error; other faults stay what they are. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bus_guard.h"

enum { BYTES = 64 << 10 };

static int make_file(void)
{
	static uint8_t bytes[BYTES];
	const int fd = memfd_create("bus", MFD_CLOEXEC);

	memset(bytes, 0x5a, sizeof(bytes));
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	return fd;
}

static void test_a_file_that_is_cut_off(void **state)
{
	static uint8_t out[BYTES];
	const int fd = make_file();
	void *map = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);

	(void)state;
	assert_int_equal(bus_guard_copy(out, map, BYTES), 0);
	assert_memory_equal(out, map, BYTES);
	assert_int_equal(ftruncate(fd, BYTES / 2), 0);
	for (int i = 0; i < 3; i++) { /* the handler is there again */
		assert_int_equal(bus_guard_copy(out, map, BYTES), -EIO);
		assert_int_equal(bus_guard_copy(out, map, BYTES / 2), 0);
	}
	munmap(map, BYTES);
	close(fd);
}

/* A fault of somebody else still ends the process, with its own signal. */
static void test_other_faults(void **state)
{
	const pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		const struct rlimit none = { 0, 0 };
		const int fd = make_file();
		volatile uint8_t *map = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
		uint8_t byte;

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGBUS, SIG_DFL);
		bus_guard_copy(&byte, (const void *)(uintptr_t)map, 1);
		if (ftruncate(fd, 0) == 0)
			byte = map[BYTES - 1];
		_exit(byte);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_faults), /* first: sets the handler in a child only */
		cmocka_unit_test(
			test_a_file_that_is_cut_off), /* cmocka has its own before each test */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

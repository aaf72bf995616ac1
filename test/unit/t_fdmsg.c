/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with descriptors: whole or refused, and no descriptor is leaked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdmsg.h"

static int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void test_bytes_and_descriptors_arrive(void **state)
{
	int pair[2], pipes[2], got[4];
	char text[16];
	size_t nr = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(fdmsg_send(pair[0], "hello", 6, pipes, 2), 0);
	assert_int_equal(fdmsg_recv(pair[1], text, sizeof(text), got, 4, &nr), 6);
	assert_string_equal(text, "hello");
	assert_int_equal(nr, 2);
	assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got[1], "x", 1), 1);
	assert_int_equal(read(pipes[0], text, 1), 1);
	close(got[0]);
	close(got[1]);
	close(pipes[0]);
	close(pipes[1]);
	close(pair[0]);
	assert_int_equal(fdmsg_recv(pair[1], text, sizeof(text), got, 4, &nr), 0);
	close(pair[1]);
}

static void test_what_does_not_fit_is_refused_whole(void **state)
{
	int pair[2], got[4], many[8];
	char text[4];
	size_t nr = 0;
	int before;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = open_fds();
	for (int i = 0; i < 8; i++)
		many[i] = pair[0];
	assert_int_equal(fdmsg_send(pair[0], "abc", 3, many, 8), 0);
	assert_int_equal(fdmsg_recv(pair[1], text, sizeof(text), got, 4, &nr), -EMSGSIZE);
	assert_int_equal(nr, 0);
	assert_int_equal(fdmsg_send(pair[0], "too long", 9, many, 1), 0);
	assert_int_equal(fdmsg_recv(pair[1], text, sizeof(text), got, 4, &nr), -EMSGSIZE);
	assert_int_equal(open_fds(), before);
	assert_int_equal(fdmsg_send(pair[0], "x", 1, many, FDMSG_MAX_FDS + 1), -E2BIG);
	close(pair[1]);
	assert_int_equal(fdmsg_send(pair[0], "x", 1, NULL, 0), -EPIPE);
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_and_descriptors_arrive),
		cmocka_unit_test(test_what_does_not_fit_is_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The API's socket: it appears when it works, replaces nothing, and is its owner's alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/api/api_socket.h"

static char folder[64], path[API_SOCKET_PATH_BYTES];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/t_api_socket.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	return 0;
}

static unsigned nr_entries(void)
{
	DIR *dir = opendir(folder);
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2; /* . and .. */
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder); /* fails if anything was left behind */
}

static int connect_to(const char *where)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", where);
	r = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void test_the_path_appears_when_it_answers(void **state)
{
	struct api_socket s;
	struct stat st;

	(void)state;
	umask(0);
	assert_int_equal(api_socket_open(&s, path, NULL), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(stat(s.hidden_path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(api_socket_publish(&s, NULL), 0);
	assert_int_equal(connect_to(path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(nr_entries(), 1);
	assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
	api_socket_close(&s, false);
	api_socket_close(&s, true);
	assert_int_equal(connect_to(path), -ECONNREFUSED); /* Firecracker leaves it too */
}

static void test_what_exists_is_not_replaced(void **state)
{
	struct api_socket s;
	struct err e;
	char expected[256];

	(void)state;
	snprintf(expected, sizeof(expected),
		 "Failed to open the API socket at: %s. Check that it is not already used.", path);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(api_socket_open(&s, path, &e), -EADDRINUSE);
	assert_string_equal(e.msg, expected);
	unlink(path);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(api_socket_open(&s, path, &e), -EADDRINUSE);
	unlink(path);
	/* It comes while we are at it. */
	assert_int_equal(api_socket_open(&s, path, &e), 0);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(api_socket_publish(&s, &e), -EADDRINUSE);
	assert_string_equal(e.msg, expected);
	api_socket_close(&s, true);
	assert_int_equal(nr_entries(), 1);
}

static void test_only_our_own_path_is_removed(void **state)
{
	struct api_socket s;

	(void)state;
	assert_int_equal(api_socket_open(&s, path, NULL), 0);
	assert_int_equal(api_socket_publish(&s, NULL), 0);
	api_socket_close(&s, true);
	assert_int_equal(nr_entries(), 0);
	assert_int_equal(api_socket_open(&s, path, NULL), 0);
	assert_int_equal(api_socket_publish(&s, NULL), 0);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	api_socket_close(&s, true);
	assert_int_equal(nr_entries(), 1);
}

static void test_paths_may_be_as_long_as_the_system_has_them(void **state)
{
	char name[API_SOCKET_PATH_BYTES + 1], deep[API_SOCKET_PATH_BYTES];
	struct api_socket s;
	struct err e;

	(void)state;
	memset(name, 'x', sizeof(name));
	memcpy(name, path, strlen(path));
	name[API_SOCKET_PATH_BYTES] = '\0';
	assert_int_equal(api_socket_open(&s, name, &e), -ENAMETOOLONG);
	name[API_SOCKET_PATH_BYTES - 1] = '\0';
	assert_int_equal(api_socket_open(&s, name, &e), 0);
	assert_int_equal(api_socket_publish(&s, &e), 0);
	assert_int_equal(connect_to(name), 0);
	api_socket_close(&s, true);
	/* A folder that leaves room for one letter. */
	memcpy(deep, name, sizeof(deep));
	deep[sizeof(deep) - 3] = '\0';
	memcpy(name + sizeof(deep) - 3, "/s", 3);
	assert_int_equal(mkdir(deep, 0700), 0);
	assert_int_equal(api_socket_open(&s, name, &e), 0);
	assert_int_equal(api_socket_publish(&s, &e), 0);
	assert_int_equal(connect_to(name), 0);
	api_socket_close(&s, true);
	rmdir(deep);
	assert_int_equal(api_socket_open(&s, "", &e), -ENAMETOOLONG);
	assert_int_equal(api_socket_open(&s, "/nowhere/at/all", &e), -ENOENT);
	assert_non_null(strstr(e.msg, "'/nowhere/at/all'"));
}

static int inherit(struct api_socket *s, int fd, struct err *e)
{
	char where[32];

	snprintf(where, sizeof(where), "fd:%d", fd);
	return api_socket_open(s, where, e);
}

static void test_an_inherited_socket_must_be_one(void **state)
{
	static const char *const bad[] = {
		"fd:", "fd:x", "fd:-1", "fd:0", "fd:2", "fd:4294967299"
	};
	struct api_socket original, s;
	struct err e;
	int fd, pair[2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(api_socket_open(&s, bad[i], &e), -EINVAL);
	assert_int_equal(api_socket_open(&s, "fd:999999", &e), -EBADF);
	fd = open("/dev/null", O_RDWR);
	assert_int_equal(inherit(&s, fd, &e), -ENOTSOCK);
	close(fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(inherit(&s, pair[0], &e), -EINVAL);
	close(pair[0]);
	close(pair[1]);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd >= 0 && listen(fd, 1) == 0)
		assert_int_equal(inherit(&s, fd, &e), -EINVAL);
	close(fd);
	assert_int_equal(api_socket_open(&original, path, &e), 0);
	fd = dup(original.fd);
	assert_int_equal(inherit(&s, fd, &e), 0);
	assert_int_equal(s.fd, fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(api_socket_publish(&s, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	api_socket_close(&s, true);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	api_socket_close(&original, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_path_appears_when_it_answers),
		TEST(test_what_exists_is_not_replaced),
		TEST(test_only_our_own_path_is_removed),
		TEST(test_paths_may_be_as_long_as_the_system_has_them),
		TEST(test_an_inherited_socket_must_be_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server when there are too many clients, or too slow ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/http_rig.h"

#define HEAD "Server: Firecracker API\r\nConnection: keep-alive\r\n"
#define OK "HTTP/1.1 200 \r\n" HEAD "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"
#define GET_OK "GET /ok HTTP/1.1\r\n\r\n"

static struct http_rig rig;

static void assert_serves(void)
{
	int fd = http_rig_connect(&rig);

	assert_string_equal(http_rig_ask(&rig, fd, GET_OK), OK);
	close(fd);
	http_rig_turn(&rig);
}

static int set_up(void **state)
{
	(void)state;
	http_rig_open(&rig, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_rig_close(&rig);
	return 0;
}

/* Opens the rig anew with @limits. */
static void limit(const struct http_limits *limits)
{
	http_rig_close(&rig);
	http_rig_open(&rig, limits);
}

static void test_one_connection_too_many_is_told_so(void **state)
{
	int fds[11];

	(void)state;
	for (size_t i = 0; i < 11; i++)
		fds[i] = http_rig_connect(&rig);
	assert_string_equal(http_rig_ask(&rig, fds[10], GET_OK),
			    "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\n"
			    "Content-Length: 40\r\n\r\n"
			    "{ \"error\": \"Too many open connections\" } (end)");
	assert_string_equal(http_rig_ask(&rig, fds[9], GET_OK), OK);
	close(fds[0]);
	http_rig_turn(&rig);
	assert_serves();
	for (size_t i = 1; i < 11; i++)
		close(fds[i]);
}

static void test_a_thousand_connections_are_survived(void **state)
{
	enum { NR = 1000 };
	struct rlimit files = { 0 };
	static int fds[NR];

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < 2 * NR + 100)
		skip();
	for (size_t i = 0; i < NR; i++)
		fds[i] = http_rig_connect(&rig);
	http_rig_run_ms(&rig, 100);
	for (size_t i = 0; i < NR; i++) {
		const bool is_refused = strstr(http_rig_recv(&rig, fds[i]), "HTTP/1.1 503") != NULL;

		assert_int_equal(is_refused, i >= 10);
	}
	assert_string_equal(http_rig_ask(&rig, fds[0], GET_OK), OK);
	for (size_t i = 0; i < NR; i++)
		close(fds[i]);
	http_rig_turn(&rig);
	assert_serves();
}

static void test_a_thousand_connections_are_served_if_allowed(void **state)
{
	enum { NR = 1000 };
	struct http_limits limits = http_options_default().limits;
	static int fds[NR];
	struct rlimit files = { 0 };

	(void)state;
	limits.max_connections = NR;
	limit(&limits);
	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < 2 * NR + 100)
		skip();
	for (size_t i = 0; i < NR; i++)
		fds[i] = http_rig_connect(&rig);
	http_rig_run_ms(&rig, 100);
	for (size_t i = 0; i < NR; i++) {
		assert_int_equal(send(fds[i], GET_OK, strlen(GET_OK), 0), strlen(GET_OK));
		assert_string_equal(http_rig_recv(&rig, fds[i]), OK);
	}
	for (size_t i = 0; i < NR; i++)
		close(fds[i]);
}

static void test_a_request_in_drips_is_ended_in_time(void **state)
{
	struct http_limits limits = http_options_default().limits;
	int slow, idle;

	(void)state;
	limits.request_ms = 50;
	limits.idle_ms = 50;
	limit(&limits);
	idle = http_rig_connect(&rig);
	slow = http_rig_connect(&rig);
	for (const char *s = "GET /"; *s; s++) {
		http_rig_send(&rig, slow, s, 1);
		http_rig_run_ms(&rig, 20);
	}
	assert_non_null(strstr(http_rig_recv(&rig, slow), "HTTP/1.1 408 "));
	assert_non_null(strstr(rig.reply, "(end)"));
	/* One that says nothing bothers nobody. */
	assert_string_equal(http_rig_ask(&rig, idle, GET_OK), OK);
	close(slow);
	close(idle);
}

static void test_each_request_has_its_own_time(void **state)
{
	struct http_limits limits = http_options_default().limits;
	int fd;

	(void)state;
	limits.request_ms = 200;
	limit(&limits);
	fd = http_rig_connect(&rig);
	http_rig_ask(&rig, fd, "GET /ok HT");
	http_rig_run_ms(&rig, 120);
	assert_string_equal(http_rig_ask(&rig, fd, "TP/1.1\r\n\r\nGET /ok"), OK);
	http_rig_run_ms(&rig, 120);
	assert_string_equal(http_rig_ask(&rig, fd, " HTTP/1.1\r\n\r\n"), OK);
	close(fd);
}

static void test_drips_in_a_body_are_ended_in_time(void **state)
{
	struct http_limits limits = http_options_default().limits;
	int fd;

	(void)state;
	limits.request_ms = 50;
	limit(&limits);
	fd = http_rig_connect(&rig);
	http_rig_ask(&rig, fd, "PUT /ok HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 5; i++) {
		http_rig_ask(&rig, fd, "1\r\na\r\n");
		http_rig_run_ms(&rig, 20);
	}
	assert_int_equal(rig.nr_requests, 0);
	assert_int_equal(rig.last_status, 408);
	close(fd);
}

static void test_the_idlest_connection_makes_room(void **state)
{
	struct http_limits limits = http_options_default().limits;
	int idle, busy, stream, later;

	(void)state;
	limits.max_connections = 3;
	limits.idle_ms = 30;
	limit(&limits);
	idle = http_rig_connect(&rig);
	busy = http_rig_connect(&rig);
	stream = http_rig_connect(&rig);
	http_rig_ask(&rig, busy, "PUT /later HTTP/1.1\r\n\r\n");
	http_rig_ask(&rig, stream, "GET /stream HTTP/1.1\r\n\r\n");
	later = http_rig_connect(&rig);
	assert_non_null(strstr(http_rig_recv(&rig, later), " 503"));
	close(later);
	http_rig_run_ms(&rig, 40);
	later = http_rig_connect(&rig);
	assert_string_equal(http_rig_ask(&rig, later, GET_OK), OK);
	assert_string_equal(http_rig_recv(&rig, idle), " (end)");
	http_rig_answer(&rig);
	assert_non_null(strstr(http_rig_recv(&rig, busy), "204"));
	assert_int_equal(http_stream_send(rig.streams[0].stream, "x", 1), 0);
	close(idle);
	close(busy);
	close(stream);
	close(later);
}

static uint64_t busy_us(const struct rusage *usage)
{
	return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static void test_a_lack_of_descriptors_passes(void **state)
{
	struct rlimit files, few;
	int fd = http_rig_connect(&rig);
	struct rusage start, end;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	few = files;
	few.rlim_cur = (rlim_t)fd + 1;
	setrlimit(RLIMIT_NOFILE, &few);
	getrusage(RUSAGE_SELF, &start);
	http_rig_run_ms(&rig, 250);
	getrusage(RUSAGE_SELF, &end);
	setrlimit(RLIMIT_NOFILE, &files);
	/* The loop slept. */
	assert_in_range(busy_us(&end) - busy_us(&start), 0, 25000);
	http_rig_run_ms(&rig, 150);
	assert_string_equal(http_rig_ask(&rig, fd, GET_OK), OK);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_connection_too_many_is_told_so),
		TEST(test_a_thousand_connections_are_survived),
		TEST(test_a_thousand_connections_are_served_if_allowed),
		TEST(test_a_request_in_drips_is_ended_in_time),
		TEST(test_each_request_has_its_own_time),
		TEST(test_drips_in_a_body_are_ended_in_time),
		TEST(test_the_idlest_connection_makes_room),
		TEST(test_a_lack_of_descriptors_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

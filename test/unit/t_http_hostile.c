/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server with clients that mean harm, or are broken: it stays bounded and serves others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <string.h>
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

/* In use, now; sanitizers have an allocator of their own and say 0. */
static size_t allocated_kib(void)
{
	const struct mallinfo2 info = mallinfo2();

	return (info.uordblks + info.hblkhd) / 1024;
}

static void test_garbage_is_refused_and_ends_the_connection(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	assert_string_equal(http_rig_ask(&rig, fd, GET_OK "rubbish\r\n" GET_OK),
			    OK "HTTP/1.1 400 \r\nServer: Firecracker API\r\nConnection: close\r\n"
			       "Content-Type: application/json\r\nContent-Length: 81\r\n\r\n"
			       "{ \"error\": \"Invalid request.\nAll previous unanswered requests"
			       " will be dropped.\" } (end)");
	assert_int_equal(rig.nr_requests, 1);
	close(fd);
	assert_serves();
}

static void test_a_long_body_is_refused_and_skipped(void **state)
{
	static char data[65536];
	const size_t before = allocated_kib();
	int fd = http_rig_connect(&rig);
	const char *reply;
	size_t total = 0;

	(void)state;
	reply = http_rig_ask(&rig, fd, "PUT /ok HTTP/1.1\r\nContent-Length: 10485760\r\n\r\n");
	assert_string_equal(reply,
			    "HTTP/1.1 400 \r\n" HEAD
			    "Content-Type: application/json\r\nContent-Length: 152\r\n\r\n"
			    "{ \"error\": \"Request payload with size 10485760 is larger than"
			    " the limit of 51200 allowed by server.\nAll previous unanswered"
			    " requests will be dropped.\" }");
	while (total < 10485760) {
		size_t nr = http_rig_send(&rig, fd, data, sizeof(data));

		assert_int_equal(nr, sizeof(data));
		assert_in_range(allocated_kib(), 0, before + 128);
		total += nr;
	}
	assert_string_equal(http_rig_ask(&rig, fd, GET_OK), OK);
	assert_int_equal(rig.nr_requests, 1);
	close(fd);
}

/* It would be ours to say "go on", and we did not: nobody knows whether the body will come. */
static void test_a_long_body_that_waits_for_leave_ends_the_connection(void **state)
{
	int fd = http_rig_connect(&rig);
	const char *reply = http_rig_ask(&rig, fd,
					 "PUT /ok HTTP/1.1\r\nContent-Length: 51201\r\n"
					 "Expect: 100-continue\r\n\r\n");

	(void)state;
	assert_non_null(strstr(reply, "Connection: close\r\n"));
	assert_non_null(strstr(reply, "size 51201 is larger"));
	assert_non_null(strstr(reply, "(end)"));
	close(fd);
}

static void test_a_client_still_sending_reads_why_it_was_refused(void **state)
{
	static char data[1 << 20];
	const size_t before = allocated_kib();
	int fd = http_rig_connect(&rig);
	const char *reply;

	(void)state;
	memset(data, 'a', sizeof(data));
	assert_int_equal(http_rig_send(&rig, fd, data, sizeof(data)), sizeof(data));
	reply = http_rig_recv(&rig, fd);
	assert_non_null(strstr(reply, "HTTP/1.1 400 "));
	assert_non_null(strstr(reply, "(end)"));
	assert_in_range(allocated_kib(), 0, before + 128);
	close(fd);
	assert_serves();
}

static void test_requests_without_clients_cannot_pile_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < 30; i++) {
		int fd = http_rig_connect(&rig);

		http_rig_ask(&rig, fd, "PUT /later HTTP/1.1\r\n\r\n");
		close(fd);
		http_rig_turn(&rig);
	}
	assert_int_equal(rig.nr_later, 20);
	assert_int_equal(rig.last_status, 503);
	while (rig.nr_later > 0)
		http_rig_answer(&rig);
	assert_serves();
}

static void test_a_client_that_reads_nothing_is_dropped(void **state)
{
	struct http_limits limits = http_options_default().limits;
	size_t before;
	int fd;

	(void)state;
	limits.stall_ms = 50;
	limit(&limits);
	before = allocated_kib();
	fd = http_rig_connect(&rig);
	for (int i = 0; i < 200; i++) {
		send(fd, "GET /big HTTP/1.1\r\n\r\n", 21, MSG_NOSIGNAL | MSG_DONTWAIT);
		http_rig_turn(&rig);
	}
	/* One answer at a time (libevent rounds up): the others are not begun. */
	assert_int_equal(rig.nr_requests, 1);
	assert_in_range(allocated_kib(), 0, before + 2560);
	http_rig_run_ms(&rig, 120);
	http_rig_recv(&rig, fd);
	assert_in_range(strlen(rig.reply), 1, RIG_BIG_BYTES);
	assert_true(strstr(rig.reply, "(end)") || strstr(rig.reply, "(reset)"));
	close(fd);
	assert_serves();
}

static void test_a_slow_subscriber_is_dropped_alone(void **state)
{
	static char event[4096];
	int slow = http_rig_connect(&rig), quick = http_rig_connect(&rig);
	int r = 0;

	(void)state;
	memset(event, 'e', sizeof(event));
	http_rig_ask(&rig, slow, "GET /stream HTTP/1.1\r\n\r\n");
	http_rig_ask(&rig, quick, "GET /stream HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 1000 && r == 0; i++) {
		r = http_stream_send(rig.streams[0].stream, event, sizeof(event));
		assert_int_equal(http_stream_send(rig.streams[1].stream, "x", 1), 0);
		if (r == 0)
			http_rig_recv(&rig, quick);
	}
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(rig.streams[0].nr_closes, 0); /* never from inside a call */
	assert_int_equal(http_stream_send(rig.streams[0].stream, "x", 1), -EPIPE);
	http_rig_turn(&rig);
	assert_int_equal(rig.streams[0].nr_closes, 1);
	assert_int_equal(rig.streams[1].nr_closes, 0);
	close(slow);
	close(quick);
}

static void test_a_cut_anywhere_leaves_nothing_behind(void **state)
{
	static const char text[] = "PUT /later HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "1\r\na\r\n0\r\n\r\nGET /stream HTTP/1.1\r\n\r\nGET";

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		for (int is_half = 0; is_half < 2; is_half++) {
			int fd = http_rig_connect(&rig);

			http_rig_send(&rig, fd, text, len);
			if (is_half)
				shutdown(fd, SHUT_WR);
			http_rig_turn(&rig);
			while (rig.nr_later > 0)
				http_rig_answer(&rig);
			http_rig_turn(&rig);
			close(fd);
			http_rig_turn(&rig);
			/* The slot of a half-closed stream comes back when something is sent. */
			for (size_t i = 0; i < RIG_STREAMS; i++) {
				if (rig.streams[i].stream)
					http_stream_send(rig.streams[i].stream, "x", 1);
			}
			http_rig_turn(&rig);
		}
	}
	assert_serves();
}

static void test_a_stream_left_in_two_steps_is_noticed(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	http_rig_ask(&rig, fd, "GET /stream HTTP/1.1\r\n\r\n");
	shutdown(fd, SHUT_WR);
	http_rig_turn(&rig);
	assert_int_equal(http_stream_send(rig.streams[0].stream, "x", 1), 0);
	assert_non_null(strstr(http_rig_recv(&rig, fd), "1\r\nx\r\n"));
	close(fd);
	http_rig_run_ms(&rig, 1200);
	assert_int_equal(rig.streams[0].nr_closes, 1);
}

static void test_who_stays_after_the_end_is_cut_off(void **state)
{
	static const char *const ends[] = { "rubbish\r\n", "GET /close HTTP/1.1\r\n\r\n" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = http_rig_connect(&rig);

		assert_non_null(strstr(http_rig_ask(&rig, fd, ends[i]), "(end)"));
		assert_int_equal(send(fd, "more", 4, MSG_NOSIGNAL), 4);
		http_rig_run_ms(&rig, 1200);
		assert_int_equal(send(fd, "more", 4, MSG_NOSIGNAL), -1);
		close(fd);
	}
}

static void test_requests_ahead_of_their_turn_stay_outside(void **state)
{
	static const char text[] = GET_OK;
	const size_t before = allocated_kib();
	int fd = http_rig_connect(&rig);
	size_t sent = 0;

	(void)state;
	http_rig_ask(&rig, fd, "PUT /later HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 100000; i++) {
		ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			break;
		sent += (size_t)n;
		http_rig_turn(&rig);
	}
	assert_in_range(sent, 16384, 1 << 20);
	assert_in_range(allocated_kib(), 0, before + 128);
	assert_int_equal(rig.nr_requests, 1);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_garbage_is_refused_and_ends_the_connection),
		TEST(test_a_long_body_is_refused_and_skipped),
		TEST(test_a_long_body_that_waits_for_leave_ends_the_connection),
		TEST(test_a_client_still_sending_reads_why_it_was_refused),
		TEST(test_requests_without_clients_cannot_pile_up),
		TEST(test_a_client_that_reads_nothing_is_dropped),
		TEST(test_a_slow_subscriber_is_dropped_alone),
		TEST(test_a_cut_anywhere_leaves_nothing_behind),
		TEST(test_who_stays_after_the_end_is_cut_off),
		TEST(test_requests_ahead_of_their_turn_stay_outside),
		TEST(test_a_stream_left_in_two_steps_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

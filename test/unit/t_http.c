/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server with clients that mean well: what they see, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/http_rig.h"

#define HEAD "Server: Firecracker API\r\nConnection: keep-alive\r\n"
#define NONE "HTTP/1.1 204 \r\n" HEAD "\r\n"
#define OK "HTTP/1.1 200 \r\n" HEAD "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"

static struct http_rig rig;

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

static void test_answers_have_firecrackers_form(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	assert_string_equal(http_rig_ask(&rig, fd, "GET /ok HTTP/1.1\r\n\r\n"), OK);
	assert_string_equal(http_rig_ask(&rig, fd, "PUT /none HTTP/1.1\r\n\r\n"), NONE);
	assert_string_equal(http_rig_ask(&rig, fd, "PUT /deprecated HTTP/1.1\r\n\r\n"),
			    "HTTP/1.1 204 \r\n" HEAD "Deprecation: true\r\n\r\n");
	assert_string_equal(http_rig_ask(&rig, fd, "PUT /more HTTP/1.1\r\n\r\n"),
			    "HTTP/1.1 405 \r\nServer: volt\r\nConnection: keep-alive\r\n"
			    "Allow: GET\r\nContent-Type: application/json\r\n"
			    "Content-Length: 0\r\n\r\n");
	assert_string_equal(http_rig_ask(&rig, fd,
					 "PATCH /echo HTTP/1.1\r\nHost: localhost\r\n"
					 "Content-Length: 4\r\n\r\n{\"\"}"),
			    "HTTP/1.1 200 \r\n" HEAD
			    "Content-Type: application/json\r\nContent-Length: 4\r\n\r\n{\"\"}");
	close(fd);
}

static void test_the_target_reaches_the_handler_in_parts(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	assert_non_null(
		strstr(http_rig_ask(&rig, fd, "GET http://host:80/where?a=b%20c HTTP/1.1\r\n\r\n"),
		       "GET /where a=b%20c"));
	assert_non_null(strstr(http_rig_ask(&rig, fd, "DELETE /%77here HTTP/1.1\r\n\r\n"),
			       "DELETE /where "));
	close(fd);
}

static void test_the_connection_ends_when_the_client_asks(void **state)
{
	static const char *const requests[] = {
		"GET /none HTTP/1.1\r\nConnection: foo, Close\r\n\r\n",
		"GET /none HTTP/1.0\r\n\r\n",
		"GET /close HTTP/1.1\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int fd = http_rig_connect(&rig);

		assert_string_equal(http_rig_ask(&rig, fd, requests[i]),
				    "HTTP/1.1 204 \r\nServer: Firecracker API\r\n"
				    "Connection: close\r\n\r\n (end)");
		close(fd);
	}
	int fd = http_rig_connect(&rig);

	assert_string_equal(
		http_rig_ask(&rig, fd, "GET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
		NONE);
	close(fd);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	assert_string_equal(http_rig_ask(&rig, fd,
					 "GET /ok HTTP/1.1\r\n\r\nPUT /later HTTP/1.1\r\n\r\n"
					 "GET /ok HTTP/1.1\r\n\r\n"),
			    OK);
	assert_int_equal(rig.nr_requests, 2);
	http_rig_answer(&rig);
	assert_string_equal(http_rig_recv(&rig, fd), NONE OK);
	close(fd);
}

static void test_a_thousand_pipelined_requests_are_all_answered(void **state)
{
	static char text[1000 * 32];
	size_t len = 0, nr = 0;
	int fd = http_rig_connect(&rig);

	(void)state;
	for (int i = 0; i < 1000; i++)
		len += (size_t)sprintf(text + len, "PUT /none HTTP/1.1\r\n\r\n");
	assert_int_equal(http_rig_send(&rig, fd, text, len), len);
	http_rig_run_ms(&rig, 50);
	for (const char *s = http_rig_recv(&rig, fd); (s = strstr(s, NONE)) != NULL; s++)
		nr++;
	assert_int_equal(nr, 1000);
	close(fd);
}

static void test_one_client_waiting_holds_up_no_other(void **state)
{
	int slow = http_rig_connect(&rig), quick = http_rig_connect(&rig);

	(void)state;
	assert_string_equal(http_rig_ask(&rig, slow, "PUT /later HTTP/1.1\r\n\r\n"), "");
	assert_string_equal(http_rig_ask(&rig, quick, "GET /ok HTTP/1.1\r\n\r\n"), OK);
	http_rig_answer(&rig);
	assert_string_equal(http_rig_recv(&rig, slow), NONE);
	close(slow);
	close(quick);
}

static void test_a_body_is_asked_for_when_the_client_expects_that(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	assert_string_equal(http_rig_ask(&rig, fd,
					 "PUT /echo HTTP/1.1\r\nContent-Length: 2\r\n"
					 "Expect: 100-continue\r\n\r\n"),
			    "HTTP/1.1 100 \r\n" HEAD "\r\n");
	assert_non_null(strstr(http_rig_ask(&rig, fd, "ab"), "\r\n\r\nab"));
	close(fd);
}

static void test_chunked_bodies_are_decoded(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	assert_non_null(strstr(http_rig_ask(&rig, fd,
					    "PUT /echo HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n"
					    "\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\n"
					    "Trailer: x\r\n\r\nGET /none HTTP/1.1\r\n\r\n"),
			       "Content-Length: 13\r\n\r\nabc0123456789" NONE));
	close(fd);
}

static void test_a_client_may_end_its_side_and_read_the_answer(void **state)
{
	static const char text[] = "PUT /later HTTP/1.1\r\n\r\nGET /ok HTTP/1.1\r\n\r\n";
	int fd = http_rig_connect(&rig);

	(void)state;
	http_rig_send(&rig, fd, text, strlen(text));
	shutdown(fd, SHUT_WR);
	http_rig_turn(&rig);
	http_rig_answer(&rig);
	assert_string_equal(http_rig_recv(&rig, fd), NONE OK " (end)");
	close(fd);
}

static void test_an_answer_without_a_client_is_dropped(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	http_rig_ask(&rig, fd, "PUT /later HTTP/1.1\r\n\r\n");
	close(fd);
	http_rig_turn(&rig);
	assert_int_equal(rig.nr_finished, 0);
	http_rig_answer(&rig);
	assert_int_equal(rig.nr_finished, 1);
	fd = http_rig_connect(&rig);
	assert_string_equal(http_rig_ask(&rig, fd, "GET /ok HTTP/1.1\r\n\r\n"), OK);
	close(fd);
}

static void test_requests_outlive_the_server(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	http_rig_ask(&rig, fd, "PUT /later HTTP/1.1\r\n\r\n");
	http_server_free(rig.server);
	rig.server = NULL;
	http_rig_answer(&rig);
	assert_string_equal(http_rig_recv(&rig, fd), " (end)");
	close(fd);
}

static void test_the_end_writes_what_was_answered(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	http_rig_ask(&rig, fd, "PUT /later HTTP/1.1\r\n\r\n");
	http_rig_answer(&rig);
	http_server_free(rig.server);
	rig.server = NULL;
	assert_string_equal(http_rig_recv(&rig, fd), NONE " (end)");
	close(fd);
}

static void test_each_request_is_reported_once(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	http_rig_ask(&rig, fd, "PUT /none HTTP/1.1\r\n\r\n");
	assert_int_equal(rig.nr_finished, 1);
	assert_int_equal(rig.last_status, 204);
	assert_string_equal(rig.last_route, "route");
	assert_int_equal(rig.last_peer.pid, getpid());
	assert_int_equal(rig.last_peer.uid, getuid());
	http_rig_ask(&rig, fd, "nonsense\r\n");
	assert_int_equal(rig.nr_finished, 2);
	assert_int_equal(rig.last_status, 400);
	assert_null(rig.last_route);
	close(fd);
}

#define STREAM_HEAD                                                         \
	"HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: close\r\n" \
	"Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"

static void test_events_reach_all_subscribers(void **state)
{
	int fds[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fds[i] = http_rig_connect(&rig);
		assert_string_equal(http_rig_ask(&rig, fds[i], "GET /stream HTTP/1.1\r\n\r\n"),
				    STREAM_HEAD "Transfer-Encoding: chunked\r\n\r\n");
	}
	close(fds[1]);
	http_rig_turn(&rig);
	assert_null(rig.streams[1].stream);
	assert_int_equal(rig.streams[1].nr_closes, 1);
	for (size_t i = 0; i < 3; i += 2) {
		assert_int_equal(http_stream_send(rig.streams[i].stream, "data: 1\n\n", 9), 0);
		assert_string_equal(http_rig_recv(&rig, fds[i]), "9\r\ndata: 1\n\n\r\n");
	}
	http_stream_end(rig.streams[0].stream);
	rig.streams[0].stream = NULL;
	assert_string_equal(http_rig_recv(&rig, fds[0]), "0\r\n\r\n (end)");
	assert_int_equal(rig.streams[0].nr_closes, 0);
	close(fds[0]);
	http_server_free(rig.server);
	rig.server = NULL;
	assert_int_equal(rig.streams[2].nr_closes, 1);
	close(fds[2]);
}

static void test_an_old_client_gets_its_events_without_chunks(void **state)
{
	int fd = http_rig_connect(&rig);

	(void)state;
	assert_string_equal(http_rig_ask(&rig, fd, "GET /stream HTTP/1.0\r\n\r\n"),
			    STREAM_HEAD "\r\n");
	http_stream_send(rig.streams[0].stream, "data: 1\n\n", 9);
	assert_string_equal(http_rig_recv(&rig, fd), "data: 1\n\n");
	close(fd);
}

static void test_streams_leave_room_for_requests(void **state)
{
	int fds[6];

	(void)state;
	for (size_t i = 0; i < 6; i++)
		fds[i] = http_rig_connect(&rig);
	for (size_t i = 0; i < 5; i++)
		http_rig_ask(&rig, fds[i], "GET /stream HTTP/1.1\r\n\r\n");
	assert_non_null(strstr(http_rig_ask(&rig, fds[5], "GET /stream HTTP/1.1\r\n\r\n"),
			       "HTTP/1.1 503 \r\n"));
	for (size_t i = 0; i < 6; i++)
		close(fds[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers_have_firecrackers_form),
		TEST(test_the_target_reaches_the_handler_in_parts),
		TEST(test_the_connection_ends_when_the_client_asks),
		TEST(test_pipelined_requests_are_answered_in_order),
		TEST(test_a_thousand_pipelined_requests_are_all_answered),
		TEST(test_one_client_waiting_holds_up_no_other),
		TEST(test_a_body_is_asked_for_when_the_client_expects_that),
		TEST(test_chunked_bodies_are_decoded),
		TEST(test_a_client_may_end_its_side_and_read_the_answer),
		TEST(test_an_answer_without_a_client_is_dropped),
		TEST(test_requests_outlive_the_server),
		TEST(test_the_end_writes_what_was_answered),
		TEST(test_each_request_is_reported_once),
		TEST(test_events_reach_all_subscribers),
		TEST(test_an_old_client_gets_its_events_without_chunks),
		TEST(test_streams_leave_room_for_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

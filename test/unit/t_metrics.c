/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics as their readers get them: totals and differences, whatever a machine writes to its page
 * and however slowly the lines are read. That the names are Firecracker's, and that Prometheus
 * takes the text, is tested in test/cli/test_metrics.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "control/metrics.h"
#include "control/metrics_page.h"

struct rig {
	struct event_base *base;
	struct metrics *metrics;
	struct machine_metrics *page; /* as machine has it */
	int page_fd;
	char path[64]; /* of the lines */
	int reader_fd;
	char text[524288];
};

static int setup(void **state)
{
	static struct machine_config config = { .cpu_count = 2, .drive_count = 2 };
	struct rig *r = calloc(1, sizeof(*r));

	if (!r)
		return -1;
	strcpy(config.drives[0].id, "root");
	strcpy(config.drives[1].id, "da\"ta\\\n");
	signal(SIGPIPE, SIG_IGN);
	r->reader_fd = -1;
	r->base = event_base_new();
	if (metrics_new(&r->metrics, r->base, "vm-7", 1, NULL) < 0)
		return -1;
	r->page_fd = metrics_new_page(r->metrics, &config, NULL);
	r->page = mmap(NULL, sizeof(*r->page), PROT_READ | PROT_WRITE, MAP_SHARED, r->page_fd, 0);
	snprintf(r->path, sizeof(r->path), "/tmp/t_metrics.%d", (int)getpid());
	*state = r;
	return r->page == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	metrics_free(r->metrics);
	event_base_free(r->base);
	munmap(r->page, sizeof(*r->page));
	cleanup_fd(&r->page_fd);
	cleanup_fd(&r->reader_fd);
	unlink(r->path);
	free(r);
	return 0;
}

static void configure(struct rig *r, bool is_fifo)
{
	const struct metrics_value value = { .path = r->path };

	if (is_fifo)
		assert_int_equal(mkfifo(r->path, 0600), 0);
	assert_int_equal(metrics_configure(r->metrics, &value, NULL), 0);
	r->reader_fd = open(r->path, O_RDONLY | O_NONBLOCK);
	assert_true(r->reader_fd >= 0);
}

/* What has been written since the last call. */
static char *take_text(struct rig *r)
{
	const ssize_t n = read(r->reader_fd, r->text, sizeof(r->text) - 1);

	r->text[n > 0 ? n : 0] = '\0';
	return r->text;
}

/* One more line, as JSON, which is the caller's. */
static json_t *flush(struct rig *r)
{
	json_error_t error;
	json_t *json;

	assert_int_equal(metrics_flush(r->metrics), 0);
	json = json_loads(take_text(r), JSON_REJECT_DUPLICATES, &error);
	if (!json)
		fail_msg("%s: %s", error.text, r->text);
	return json;
}

static json_int_t number(const json_t *json, const char *group, const char *name)
{
	const json_t *value = json_object_get(json_object_get(json, group), name);

	if (!json_is_integer(value))
		fail_msg("%s.%s is missing", group, name);
	return json_integer_value(value);
}

static const char *prometheus(struct rig *r)
{
	struct evbuffer *out = evbuffer_new();
	ssize_t n;

	assert_int_equal(metrics_write_prometheus(r->metrics, out), 0);
	n = evbuffer_copyout(out, r->text, sizeof(r->text) - 1);
	r->text[n] = '\0';
	evbuffer_free(out);
	return r->text;
}

static void assert_line(struct rig *r, const char *line)
{
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	if (!strstr(prometheus(r), wanted))
		fail_msg("no line '%s' in %s", line, r->text);
}

static void test_page_is_sealed(void **state)
{
	struct rig *r = *state;

	assert_int_equal(ftruncate(r->page_fd, 0), -1); /* control would get SIGBUS */
	assert_int_equal(ftruncate(r->page_fd, 1 << 30), -1);
	assert_int_equal(fcntl(r->page_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void test_totals(void **state)
{
	struct rig *r = *state;

	metric_add(&r->page->vcpus[1].kinds[EXIT_KIND_IO_OUT].count, 3);
	metric_add(&r->page->drives[1].read_bytes, 4096);
	metric_add_shared(&r->page->interrupts, 5);
	assert_line(r, "volt_vcpu_exits_total{vcpu=\"1\",reason=\"io_out\"} 3");
	assert_line(r, "volt_vcpu_exits_total{vcpu=\"0\",reason=\"io_out\"} 0");
	assert_line(r, "volt_drive_bytes_total{drive=\"da\\\"ta\\\\?\",operation=\"read\"} 4096");
	assert_line(r, "volt_interrupts_total 5");
	assert_line(r, "volt_interrupts_total 5"); /* a scrape changes nothing */
	assert_null(strstr(r->text, "vcpu=\"2\""));
}

static void test_lines_hold_differences(void **state)
{
	struct rig *r = *state;
	json_t *json;

	configure(r, false);
	r->page->drives[0].reads = 7;
	r->page->drives[1].reads = 1;
	metrics_set_latency(r->metrics, METRICS_PAUSE_VM, 55);
	json = flush(r);
	assert_int_equal(number(json, "block", "read_count"), 8);
	assert_int_equal(number(json, "block_root", "read_count"), 7);
	assert_int_equal(number(json, "latencies_us", "pause_vm"), 55);
	json_decref(json);
	r->page->drives[0].reads = 9;
	json = flush(r);
	assert_int_equal(number(json, "block", "read_count"), 2);
	assert_int_equal(number(json, "block_root", "read_count"), 2);
	assert_int_equal(number(json, "block_da\"ta\\?", "read_count"), 0);
	assert_int_equal(number(json, "latencies_us", "pause_vm"), 55); /* stays */
	json_decref(json);
}

static void test_timed_exits_stand_for_all(void **state)
{
	struct rig *r = *state;
	struct timed_metrics *e = r->page->vcpus[0].kinds;
	const json_t *sum;
	json_t *json;

	configure(r, false);
	e[EXIT_KIND_MMIO_READ] = (struct timed_metrics){ 640, 10, 30000, 2000, 9000 };
	json = flush(r);
	sum = json_object_get(json_object_get(json, "vcpu"), "exit_mmio_read_agg");
	assert_int_equal(json_integer_value(json_object_get(sum, "min_us")), 2);
	assert_int_equal(json_integer_value(json_object_get(sum, "max_us")), 9);
	assert_int_equal(json_integer_value(json_object_get(sum, "sum_us")), 640 * 3);
	assert_int_equal(number(json, "vcpu", "exit_mmio_read"), 640);
	json_decref(json);
}

static void test_times_of_drives(void **state)
{
	struct rig *r = *state;
	const json_t *times;
	json_t *json;

	configure(r, false);
	r->page->drives[0].reads = 32;
	r->page->drives[0].read_times = (struct timed_metrics){ 33, 2, 30000, 11000, 19000 };
	r->page->drives[1].reads = 16;
	r->page->drives[1].read_times = (struct timed_metrics){ 16, 1, 90000, 90000, 90000 };
	json = flush(r);
	times = json_object_get(json_object_get(json, "block_root"), "read_agg");
	assert_int_equal(json_integer_value(json_object_get(times, "min_us")), 11);
	assert_int_equal(json_integer_value(json_object_get(times, "max_us")), 19);
	assert_int_equal(json_integer_value(json_object_get(times, "sum_us")), 32 * 15);
	times = json_object_get(json_object_get(json, "block"), "read_agg");
	assert_int_equal(json_integer_value(json_object_get(times, "max_us")), 90);
	assert_int_equal(json_integer_value(json_object_get(times, "sum_us")), 48 * 40);
	times = json_object_get(json_object_get(json, "block"), "write_agg");
	assert_int_equal(json_integer_value(json_object_get(times, "sum_us")), 0);
	json_decref(json);
}

static void test_a_page_of_anything(void **state)
{
	struct rig *r = *state;
	unsigned int seed = 1;

	configure(r, false);
	for (int round = 0; round < 300; round++) {
		uint8_t *bytes = (uint8_t *)r->page;

		for (size_t i = 0; i < sizeof(*r->page) && round > 2;
		     i += 1 + (size_t)rand_r(&seed) % 64)
			bytes[i] = (uint8_t)rand_r(&seed);
		if (round <= 2)
			memset(bytes,
			       round == 0   ? 0xff
			       : round == 1 ? 0x80
					    : 0x7f,
			       sizeof(*r->page));
		json_decref(flush(r));
		prometheus(r);
		assert_null(strstr(r->text, "nan\n"));
		assert_null(strstr(r->text, "inf\n"));
	}
}

static void test_a_counter_that_goes_back_begins_anew(void **state)
{
	struct rig *r = *state;
	json_t *json;

	configure(r, false);
	r->page->interrupts = 1000;
	json_decref(flush(r));
	r->page->interrupts = 4;
	json = flush(r);
	assert_int_equal(number(json, "interrupts", "triggers"), 4);
	json_decref(json);
}

static void test_requests(void **state)
{
	struct rig *r = *state;
	json_t *json;

	configure(r, false);
	metrics_count_request(r->metrics, "PUT", "/drives/{id}", 204, 90);
	metrics_count_request(r->metrics, "PUT", "/drives/{id}", 400, 2000000);
	metrics_count_request(r->metrics, "GET", "/", 200, 1);
	metrics_count_request(r->metrics, "GET", "/v1/metrics", 200, 1);
	metrics_count_request(r->metrics, "GET", "/mmds", 200, 1);
	metrics_count_request(r->metrics, "PUT", "/mmds/config", 204, 1);
	metrics_count_request(r->metrics, NULL, NULL, 400, 1);
	assert_line(r, "volt_api_requests_total{method=\"PUT\",route=\"/drives/{id}\","
		       "status=\"400\"} 1");
	assert_line(r, "volt_api_requests_total{method=\"\",route=\"none\",status=\"400\"} 1");
	assert_line(r, "volt_api_request_duration_seconds_bucket{method=\"PUT\","
		       "route=\"/drives/{id}\",le=\"0.0001\"} 1");
	assert_line(r, "volt_api_request_duration_seconds_bucket{method=\"PUT\","
		       "route=\"/drives/{id}\",le=\"5\"} 2");
	json = flush(r);
	assert_int_equal(number(json, "put_api_requests", "drive_count"), 2);
	assert_int_equal(number(json, "put_api_requests", "drive_fails"), 1);
	assert_int_equal(number(json, "put_api_requests", "mmds_count"), 1);
	assert_int_equal(number(json, "get_api_requests", "instance_info_count"), 1);
	assert_int_equal(number(json, "get_api_requests", "mmds_count"), 1);
	json_decref(json);
}

static void test_more_routes_and_statuses_than_places(void **state)
{
	static char routes[300][16];
	struct rig *r = *state;

	for (int i = 0; i < 300; i++) {
		snprintf(routes[i], sizeof(routes[i]), "/r%d", i);
		metrics_count_request(r->metrics, "GET", routes[i], 200 + i, UINT64_MAX);
		metrics_count_request(r->metrics, "GET", routes[0], 200 + i, 1);
	}
	assert_line(r, "volt_api_request_duration_seconds_count{method=\"GET\",route=\"/r0\"} 301");
	assert_line(r, "volt_api_request_duration_seconds_count{method=\"\",route=\"other\"} 205");
}

/* All lines in @text, which must be whole; how many interrupts they tell of in all. */
static json_int_t sum_triggers(char *text)
{
	json_int_t sum = 0;
	char *line;

	while ((line = strsep(&text, "\n")) && *line) {
		json_t *json = json_loads(line, 0, NULL);

		if (!json)
			fail_msg("not a line: %s", line);
		sum += number(json, "interrupts", "triggers");
		json_decref(json);
	}
	return sum;
}

static void test_fifo_without_reader_loses_lines_but_no_counts(void **state)
{
	struct rig *r = *state;
	char *end = r->text;
	int lost = 0;

	configure(r, true);
	for (int i = 0; i < 40; i++) {
		metric_add(&r->page->interrupts, 1);
		lost += metrics_flush(r->metrics) < 0;
	}
	assert_true(lost > 10);
	/* The rest of the line that was cut comes when there is room. */
	for (int i = 0; i < 3; i++) {
		const ssize_t n = read(r->reader_fd, end, 200000);

		end += n > 0 ? n : 0;
		event_base_loop(r->base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(metrics_flush(r->metrics), 0);
	end += read(r->reader_fd, end, 200000);
	*end = '\0';
	assert_int_equal(sum_triggers(r->text), 40);
}

static void test_configured_once(void **state)
{
	struct rig *r = *state;
	const struct metrics_value value = { .path = r->path };
	char folder[] = "/";
	const struct metrics_value bad = { .path = folder };
	struct err e = { 0 };

	assert_int_equal(metrics_flush(r->metrics), 0); /* nobody wants it */
	assert_int_equal(metrics_configure(r->metrics, &bad, &e), -EISDIR);
	configure(r, false);
	assert_int_equal(metrics_configure(r->metrics, &value, &e), -EALREADY);
	json_decref(flush(r));
}

static void test_id_and_properties(void **state)
{
	struct rig *r = *state;
	char properties[] = "{\"customer\":\"1\"}";
	const struct metrics_value value = { .path = r->path,
					     .has_instance_id = true,
					     .properties = properties };
	json_t *json;

	assert_int_equal(metrics_configure(r->metrics, &value, NULL), 0);
	r->reader_fd = open(r->path, O_RDONLY);
	json = flush(r);
	assert_string_equal(json_string_value(json_object_get(json, "id")), "vm-7");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(json, "properties"), "customer")),
		"1");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_page_is_sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_totals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines_hold_differences, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timed_exits_stand_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_times_of_drives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_page_of_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_counter_that_goes_back_begins_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_routes_and_statuses_than_places, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_fifo_without_reader_loses_lines_but_no_counts,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_configured_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_id_and_properties, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

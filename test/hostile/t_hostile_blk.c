/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All attacks on virtio-blk, in this process. With --table: what must come out, one line for each
 * attack, which is also what the guest of the same name prints.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "test/hostile/attacks.h"
#include "test/hostile/host.h"

/* What a device may write to the host's log in all its life, with room for a drive's own lines. */
enum { LOG_LINES_MAX = 24 };

static atomic_uint log_lines;

static void count_line(void *opaque, const struct log_site *site, const char *line)
{
	(void)opaque;
	(void)site;
	(void)line;
	atomic_fetch_add(&log_lines, 1);
}

static uint32_t run_list(struct driver *d, const struct attack_list *list)
{
	uint32_t failures = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct attack *a = &list->attacks[i];
		const enum outcome outcome = attack_run(d, a);

		if (outcome == a->expected)
			continue;
		failures++;
		print_error("%s: %s at line %u, not %s\n", a->name, attack_outcome_name(outcome),
			    d->where, attack_outcome_name(a->expected));
	}
	return failures;
}

/* On the last queue. */
static void run_all(enum host_kind kind, uint32_t queue_count)
{
	struct host *h =
		host_new(&(struct host_options){ .kind = kind, .queue_count = queue_count });
	struct driver d = { .port = host_port(h), .n = queue_count - 1 };
	uint32_t failures = 0;
	bool is_whole;

	atomic_store(&log_lines, 0);
	for (size_t i = 0; i < ATTACK_LISTS; i++) {
		/* A reset by another CPU would wait for a loop that runs on this one. */
		if (kind != HOST_PUMPED_SLOW || attack_lists[i] != &attacks_race)
			failures += run_list(&d, attack_lists[i]);
	}
	is_whole = host_disk_is_whole(h);
	host_free(h);
	assert_int_equal(failures, 0);
	assert_true(is_whole);
	assert_true(atomic_load(&log_lines) <= LOG_LINES_MAX);
}

static void test_one_thread(void **state)
{
	(void)state;
	run_all(HOST_PUMPED, 1);
}

static void test_one_thread_slow_disk(void **state)
{
	(void)state;
	run_all(HOST_PUMPED_SLOW, 1);
}

static void test_loop_beside_vcpu(void **state)
{
	(void)state;
	run_all(HOST_THREADED, 1);
}

static void test_requests_in_flight(void **state)
{
	(void)state;
	run_all(HOST_THREADED_SLOW, 1);
}

static void test_last_of_eight_queues(void **state)
{
	(void)state;
	run_all(HOST_PUMPED, 8);
	run_all(HOST_THREADED_SLOW, 8);
}

/*
 * A disk is what the host says it is: a guest that writes the header of an image format, with some
 * file of the host behind it, finds its own bytes there when the VM comes back.
 */
static void test_formats_are_not_guessed(void **state)
{
	static const char headers[][32] = {
		"QFI\xfb\0\0\0\3\0\0\0\0\0\0\1\0\0\0\0\013/etc/passwd",
		"QED\0\0\0\1\0",
		"KDMV\1\0\0\0\3\0\0\0",
		"# Disk DescriptorFile\n",
		"conectix\0\0\0\2\0\1",
		"vhdxfile",
		"LUKS\xba\xbe\0\1",
	};
	struct host *h = host_new(&(struct host_options){ .kind = HOST_PUMPED });
	struct driver d = { .port = host_port(h) };
	char *data = d.port->ram(d.port, DRIVER_DATA, VIRTIO_BLK_SECTOR_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		driver_start(&d);
		memset(data, 0, VIRTIO_BLK_SECTOR_BYTES);
		memcpy(data, headers[i], sizeof(headers[i]));
		assert_int_equal(driver_request(&d, VIRTIO_BLK_T_OUT, 0, 512), OUTCOME_DONE);
		host_reopen(h);
		memset(data, 0xff, VIRTIO_BLK_SECTOR_BYTES);
		assert_true(driver_start(&d));
		assert_int_equal(driver_read(&d, VIRTIO_MMIO_CONFIG), PORT_DISK_SECTORS);
		assert_int_equal(driver_request(&d, VIRTIO_BLK_T_IN, 0, 512), OUTCOME_DONE);
		assert_memory_equal(data, headers[i], sizeof(headers[i]));
		assert_true(driver_reads_well(&d));
	}
	host_free(h);
}

static void test_read_only(void **state)
{
	struct host *h = host_new(&(struct host_options){ .is_read_only = true });
	struct driver d = { .port = host_port(h) };
	const uint32_t failures = run_list(&d, &attacks_read_only);
	const bool is_whole = host_disk_is_whole(h);

	(void)state;
	host_free(h);
	assert_int_equal(failures, 0);
	assert_true(is_whole);
}

/* Nothing is lost between the lists: a name is found once. */
static void test_names_are_unique(void **state)
{
	const char *names[1024];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < ATTACK_LISTS; i++) {
		for (size_t n = 0; n < attack_lists[i]->count; n++) {
			assert_true(count < 1024);
			names[count++] = attack_lists[i]->attacks[n].name;
		}
	}
	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < i; n++)
			assert_string_not_equal(names[i], names[n]);
}

static void print_list(const struct attack_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		printf("%s: %s\n", list->attacks[i].name,
		       attack_outcome_name(list->attacks[i].expected));
}

static int print_table(void)
{
	for (size_t i = 0; i < ATTACK_LISTS; i++)
		print_list(attack_lists[i]);
	print_list(&attacks_read_only);
	return 0;
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_unique),
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_one_thread_slow_disk),
		cmocka_unit_test(test_loop_beside_vcpu),
		cmocka_unit_test(test_requests_in_flight),
		cmocka_unit_test(test_last_of_eight_queues),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_formats_are_not_guessed),
	};

	if (argc == 2 && strcmp(argv[1], "--table") == 0)
		return print_table();
	log_set_sink(count_line, NULL, LOG_LEVEL_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

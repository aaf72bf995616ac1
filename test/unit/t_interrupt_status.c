/* SPDX-License-Identifier: Apache-2.0 */
/* InterruptStatus when acknowledgements come through an eventfd: nothing is lost in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/eventfd.h>

#include "machine/virtio/abi.h"
#include "machine/virtio/interrupt_status.h"

enum { USED = VIRTIO_INTERRUPT_USED, CONFIG = VIRTIO_INTERRUPT_CONFIG };

static struct interrupt_status s;

static int setup(void **state)
{
	(void)state;
	s = (struct interrupt_status){ 0 };
	return interrupt_status_init(&s);
}

static int teardown(void **state)
{
	(void)state;
	interrupt_status_release(&s);
	interrupt_status_release(&s);
	return 0;
}

/* What KVM does with a write of USED to InterruptACK. */
static void ack_without_exit(void)
{
	assert_int_equal(eventfd_write(s.ack_fd, 1), 0);
}

static void test_read_and_acknowledged(void **state)
{
	(void)state;
	assert_int_equal(interrupt_status_read(&s), 0);
	interrupt_status_set(&s, USED);
	assert_int_equal(interrupt_status_read(&s), USED);
	assert_int_equal(interrupt_status_read(&s), USED);
	ack_without_exit();
	assert_int_equal(interrupt_status_read(&s), 0);
}

static void test_raised_between_read_and_acknowledgement(void **state)
{
	(void)state;
	interrupt_status_set(&s, USED);
	assert_int_equal(interrupt_status_read(&s), USED);
	interrupt_status_set(&s, USED);
	ack_without_exit();
	assert_int_equal(interrupt_status_read(&s), USED);
	ack_without_exit();
	assert_int_equal(interrupt_status_read(&s), 0);
}

static void test_raised_after_the_acknowledgement(void **state)
{
	(void)state;
	interrupt_status_set(&s, USED);
	interrupt_status_read(&s);
	ack_without_exit();
	interrupt_status_set(&s, USED);
	assert_int_equal(interrupt_status_peek(&s), USED);
	assert_int_equal(interrupt_status_read(&s), USED);
}

static void test_acknowledged_unread(void **state)
{
	(void)state;
	interrupt_status_set(&s, USED);
	ack_without_exit();
	assert_int_equal(interrupt_status_read(&s), USED);
	ack_without_exit();
	assert_int_equal(interrupt_status_read(&s), 0);
}

static void test_configuration_changes_are_apart(void **state)
{
	(void)state;
	interrupt_status_set(&s, USED | CONFIG);
	assert_int_equal(interrupt_status_read(&s), USED | CONFIG);
	ack_without_exit();
	assert_int_equal(interrupt_status_read(&s), CONFIG);
	interrupt_status_ack(&s, CONFIG);
	assert_int_equal(interrupt_status_read(&s), 0);
	interrupt_status_set(&s, USED | CONFIG);
	interrupt_status_ack(&s, USED | CONFIG);
	assert_int_equal(interrupt_status_read(&s), 0);
}

static void test_load(void **state)
{
	(void)state;
	interrupt_status_set(&s, USED);
	ack_without_exit();
	interrupt_status_load(&s, 0);
	assert_int_equal(interrupt_status_read(&s), 0);
	interrupt_status_load(&s, USED | CONFIG);
	assert_int_equal(interrupt_status_read(&s), USED | CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_and_acknowledged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_raised_between_read_and_acknowledgement, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_raised_after_the_acknowledgement, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_acknowledged_unread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configuration_changes_are_apart, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_load, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

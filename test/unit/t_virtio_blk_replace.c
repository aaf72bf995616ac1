/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: another file, or another size, under a running guest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "machine/virtio/mmio.h"
#include "test/unit/blk_rig.h"
#include "test/unit/fake_backend.h"

struct outcome {
	uint32_t calls;
	int result;
	uint64_t capacity_bytes;
	char message[ERR_MSG_BYTES];
};

struct rig {
	struct blk_rig *blk;
	struct fake_backend disk;
	struct outcome outcome;
};

static void on_replaced(void *opaque, int result, uint64_t capacity_bytes, const struct err *e)
{
	struct outcome *o = opaque;

	o->calls++;
	o->result = result;
	o->capacity_bytes = capacity_bytes;
	memcpy(o->message, e->msg, sizeof(o->message));
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	void *blk;

	blk_rig_setup(&blk);
	r->blk = blk;
	fake_backend_init(&r->disk, DISK_BYTES);
	r->disk.next_capacity_bytes = 2 * DISK_BYTES;
	blk_rig_use(r->blk, &r->disk.backend);
	*state = r;
	return 0;
}

static int setup_on_file(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	void *blk;

	blk_rig_setup(&blk);
	r->blk = blk;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	void *blk = r->blk;

	log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
	blk_rig_teardown(&blk);
	free(r);
	return 0;
}

static int replace(struct rig *r, int fd)
{
	return virtio_blk_replace(r->blk->blk, fd, on_replaced, &r->outcome);
}

/* A descriptor that is open, so that whether it stays so can be asked. */
static int some_fd(void)
{
	return memfd_create("next", MFD_CLOEXEC);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool is_over(void *opaque)
{
	const struct rig *r = opaque;

	return r->outcome.calls > 0;
}

/* Long enough for an event that should not come. */
static void let_time_pass(struct rig *r)
{
	const struct timespec pause = { 0, 3000000 };

	nanosleep(&pause, NULL);
	fake_guest_run(&r->blk->g);
}

static uint64_t guest_capacity(struct rig *r)
{
	return le64_get(blk_rig_config(r->blk).capacity_sectors);
}

/* What the driver goes by: a configuration interrupt, another generation, the new capacity. */
static void test_guest_sees_it(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;
	const int fd = some_fd();
	uint32_t generation;

	fake_guest_start(g, BLK_FEATURES);
	fake_guest_run(g);
	fake_guest_interrupts(g);
	generation = fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION);
	assert_int_equal(replace(r, fd), 0);
	blk_rig_wait(r->blk, is_over, r);
	assert_int_equal(r->outcome.result, 0);
	assert_int_equal(r->outcome.capacity_bytes, 2 * DISK_BYTES);
	assert_int_equal(r->disk.replaced_fd, fd);
	assert_int_equal(fake_guest_interrupts(g), 1);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_INTERRUPT_CONFIG);
	assert_int_not_equal(fake_guest_read(g, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	assert_int_equal(guest_capacity(r), 2 * DISK_SECTORS);
	/* The new end is where it says, and the driver goes on without a reset. */
	r->disk.finish = FAKE_IN_SUBMIT;
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 2 * DISK_SECTORS - 1, 512),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 2 * DISK_SECTORS, 512),
			 VIRTIO_BLK_S_IOERR);
	close(fd);
}

static void test_smaller(void **state)
{
	struct rig *r = *state;

	fake_guest_start(&r->blk->g, BLK_FEATURES);
	r->disk.next_capacity_bytes = 512;
	r->disk.finish = FAKE_IN_SUBMIT;
	assert_int_equal(replace(r, -1), 0);
	blk_rig_wait(r->blk, is_over, r);
	assert_int_equal(guest_capacity(r), 1);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, 1, 512), VIRTIO_BLK_S_IOERR);
	blk_rig_range(r->blk, 0, 0, 2, 0);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_DISCARD, 0, 16), VIRTIO_BLK_S_IOERR);
}

static void test_before_the_driver(void **state)
{
	struct rig *r = *state;

	fake_guest_interrupts(&r->blk->g);
	assert_int_equal(replace(r, -1), 0);
	blk_rig_wait(r->blk, is_over, r);
	assert_int_equal(r->outcome.result, 0);
	assert_int_equal(guest_capacity(r), 2 * DISK_SECTORS);
	assert_int_equal(fake_guest_interrupts(&r->blk->g), 0);
}

/* The old file is used to the last request; new ones see the new file. */
static void test_in_flight(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	fake_guest_start(g, FAKE_F_RING); /* write-through */
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, 0, 512), -1);
	assert_int_equal(replace(r, -1), 0);
	assert_int_equal(replace(r, 5), -EBUSY);
	let_time_pass(r);
	assert_int_equal(r->disk.replaced, 0);
	/* Held back: beyond the end of the old file. */
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, DISK_SECTORS, 512), -1);
	assert_int_equal(r->disk.nr_pending, 1);
	fake_backend_end(&r->disk, 0, 0);
	let_time_pass(r);
	assert_int_equal(r->disk.replaced, 0); /* the flush of the write */
	assert_int_equal(r->disk.nr_pending, 1);
	assert_int_equal(r->outcome.calls, 0);
	fake_backend_end(&r->disk, 0, 0);
	fake_guest_run(g);
	assert_int_equal(r->disk.replaced, 1);
	assert_int_equal(r->outcome.calls, 1);
	assert_int_equal(fake_guest_used_idx(g), 1);
	/* And without another kick what was held back goes on. */
	assert_int_equal(r->disk.nr_pending, 1);
	assert_int_equal(r->disk.pending[0]->offset_bytes, DISK_BYTES);
	fake_backend_end(&r->disk, 0, 0);
	fake_guest_run(g);
	assert_int_equal(fake_guest_used_idx(g), 2);
	let_time_pass(r);
	assert_int_equal(r->outcome.calls, 1);
}

static void test_failure(void **state)
{
	struct rig *r = *state;
	const int fd = some_fd();
	struct block_counters c;

	fake_guest_start(&r->blk->g, BLK_FEATURES);
	fake_guest_run(&r->blk->g);
	fake_guest_interrupts(&r->blk->g);
	r->disk.next_capacity_bytes = 0;
	r->disk.finish = FAKE_IN_SUBMIT;
	assert_int_equal(replace(r, fd), 0);
	blk_rig_wait(r->blk, is_over, r);
	assert_int_equal(r->outcome.result, -EINVAL);
	assert_string_equal(r->outcome.message, "not a disk");
	assert_int_equal(r->outcome.capacity_bytes, DISK_BYTES);
	assert_false(is_open(fd));
	assert_int_equal(fake_guest_interrupts(&r->blk->g), 0);
	assert_int_equal(guest_capacity(r), DISK_SECTORS);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	virtio_blk_get_counters(r->blk->blk, &c);
	assert_int_equal(c.replace_failures, 1);
	assert_int_equal(c.replaced, 0);
	/* It can be tried again. */
	r->disk.next_capacity_bytes = DISK_BYTES;
	r->outcome.calls = 0;
	assert_int_equal(replace(r, -1), 0);
	blk_rig_wait(r->blk, is_over, r);
	assert_int_equal(r->outcome.result, 0);
}

static void *reset(void *opaque)
{
	fake_guest_write(opaque, VIRTIO_MMIO_STATUS, 0);
	return NULL;
}

/* A reset and a replacement wait for the same request; then both come about. */
static void test_reset_meanwhile(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;
	pthread_t thread;

	fake_guest_start(g, BLK_FEATURES);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), -1);
	assert_int_equal(replace(r, -1), 0);
	assert_int_equal(pthread_create(&thread, NULL, reset, g), 0);
	let_time_pass(r);
	assert_int_equal(r->outcome.calls, 0);
	fake_backend_end(&r->disk, 0, 0);
	fake_guest_run(g);
	pthread_join(thread, NULL);
	assert_int_equal(r->outcome.calls, 1);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_STATUS), 0);
	fake_guest_start(g, BLK_FEATURES);
	r->disk.finish = FAKE_IN_SUBMIT;
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, DISK_SECTORS, 512),
			 VIRTIO_BLK_S_OK);
}

/* While the limit holds the guest back, the host's wish is not held back. */
static void test_while_throttled(void **state)
{
	const struct rate_limiter_config limit = { .ops = { 1, 1000000, 0 } };
	struct rig *r = *state;

	virtio_blk_set_limit(r->blk->blk, &limit, true, true);
	fake_guest_start(&r->blk->g, BLK_FEATURES);
	r->disk.finish = FAKE_IN_SUBMIT;
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512), -1);
	assert_int_equal(replace(r, -1), 0);
	blk_rig_wait(r->blk, is_over, r);
	assert_int_equal(r->outcome.result, 0);
	let_time_pass(r);
	assert_int_equal(fake_guest_used_idx(&r->blk->g), 1);
	virtio_blk_set_limit(r->blk->blk, &(struct rate_limiter_config){ 0 }, true, true);
	for (int i = 0; i < 1000 && fake_guest_used_idx(&r->blk->g) == 1; i++)
		let_time_pass(r);
	assert_int_equal(fake_guest_used_idx(&r->blk->g), 2);
}

/* The machine ends before the old file is free. */
static void test_never(void **state)
{
	struct rig *r = *state;
	const int fd = some_fd();

	assert_int_equal(replace(r, fd), 0);
	fake_guest_detach(&r->blk->g);
	virtio_blk_free(r->blk->blk);
	assert_int_equal(r->outcome.calls, 1);
	assert_int_equal(r->outcome.result, -ECANCELED);
	assert_non_null(strstr(r->outcome.message, "drive 'root'"));
	assert_false(is_open(fd));
	assert_int_equal(virtio_blk_new(&r->blk->blk, r->blk->backend, &r->blk->options, NULL), 0);
	fake_guest_attach(&r->blk->g, &virtio_blk_ops, r->blk->blk);
}

struct caller {
	struct rig *rig;
	uint32_t rounds;
};

/* What an API does, from its own thread. */
static void *call(void *opaque)
{
	const struct rate_limiter_config limit = { .ops = { 1000, 1, 0 } };
	struct caller *c = opaque;
	struct block_counters counters;

	for (uint32_t i = 0; i < c->rounds; i++) {
		while (replace(c->rig, -1) < 0)
			;
		virtio_blk_set_limit(c->rig->blk->blk, &limit, true, true);
		virtio_blk_get_counters(c->rig->blk->blk, &counters);
	}
	return NULL;
}

static void test_from_another_thread(void **state)
{
	struct rig *r = *state;
	struct caller c = { r, 300 };
	pthread_t thread;

	fake_guest_start(&r->blk->g, BLK_FEATURES);
	assert_int_equal(pthread_create(&thread, NULL, call, &c), 0);
	while (r->outcome.calls < c.rounds) {
		blk_rig_build(r->blk, VIRTIO_BLK_T_IN, 0, 512);
		fake_guest_offer(&r->blk->g, 0);
		fake_guest_kick(&r->blk->g);
		while (r->disk.nr_pending > 0 || r->disk.nr_ready > 0) {
			fake_backend_end_all(&r->disk, 0);
			fake_guest_run(&r->blk->g);
		}
		fake_guest_run(&r->blk->g);
	}
	pthread_join(thread, NULL);
	fake_guest_run(&r->blk->g);
	fake_backend_end_all(&r->disk, 0);
	fake_guest_run(&r->blk->g);
	assert_int_equal(r->disk.replaced, c.rounds);
	assert_int_equal(fake_guest_used_idx(&r->blk->g), r->blk->g.offered);
}

/* The same file, longer than before; then another one with other bytes. */
static void test_on_files(void **state)
{
	struct rig *r = *state;
	struct blk_rig *b = r->blk;
	const int other = memfd_create("other", MFD_CLOEXEC);
	const int odd = memfd_create("odd", MFD_CLOEXEC);
	const uint8_t *data = fake_guest_ram(&b->g, BLK_DATA, 512);

	blk_rig_truncate(b, DISK_BYTES + 512);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, DISK_SECTORS, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(replace(r, dup(b->disk_fd)), 0);
	blk_rig_wait(b, is_over, r);
	assert_int_equal(r->outcome.result, 0);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_OUT, DISK_SECTORS, 512), VIRTIO_BLK_S_OK);

	assert_int_equal(ftruncate(other, 1024), 0);
	assert_int_equal(pwrite(other, "other", 5, 512), 5);
	r->outcome.calls = 0;
	assert_int_equal(replace(r, other), 0);
	blk_rig_wait(b, is_over, r);
	assert_int_equal(r->outcome.capacity_bytes, 1024);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 1, 512), VIRTIO_BLK_S_OK);
	assert_memory_equal(data, "other", 5);
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 2, 512), VIRTIO_BLK_S_IOERR);

	r->outcome.calls = 0;
	assert_int_equal(ftruncate(odd, 1000), 0);
	assert_int_equal(replace(r, odd), 0);
	blk_rig_wait(b, is_over, r);
	assert_true(r->outcome.result < 0);
	assert_non_null(strstr(r->outcome.message, "drive 'root'"));
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, 1, 512), VIRTIO_BLK_S_OK);
}

/* A file that is empty keeps the place of a disk to come: it has no sector to read or write. */
static void test_empty(void **state)
{
	static const uint64_t sectors[] = { 0, 1, UINT64_MAX / 512, UINT64_MAX };
	struct rig *r = *state;
	struct blk_rig *b = r->blk;

	fake_guest_start(&b->g, BLK_FEATURES);
	assert_int_equal(replace(r, memfd_create("empty", MFD_CLOEXEC)), 0);
	blk_rig_wait(b, is_over, r);
	assert_int_equal(r->outcome.result, 0);
	assert_int_equal(guest_capacity(r), 0);
	for (size_t i = 0; i < ARRAY_LEN(sectors); i++) {
		assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_IN, sectors[i], 512),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_OUT, sectors[i], 512),
				 VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(blk_rig_request(b, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_guest_sees_it),
		CASE(test_smaller),
		CASE(test_before_the_driver),
		CASE(test_in_flight),
		CASE(test_failure),
		CASE(test_reset_meanwhile),
		CASE(test_while_throttled),
		CASE(test_never),
		CASE(test_from_another_thread),
		cmocka_unit_test_setup_teardown(test_on_files, setup_on_file, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup_on_file, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

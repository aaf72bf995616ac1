/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk on a backend that finishes later: out of order, with errors, during a reset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "machine/virtio/mmio.h"
#include "machine/virtio/transport.h"
#include "test/unit/blk_rig.h"
#include "test/unit/fake_backend.h"

struct rig {
	struct blk_rig *blk;
	struct fake_backend later;
};

static struct rig rig;

static int setup(void **state)
{
	void *blk;

	blk_rig_setup(&blk);
	rig.blk = blk;
	fake_backend_init(&rig.later, DISK_BYTES);
	blk_rig_use(rig.blk, &rig.later.backend);
	fake_guest_start(&rig.blk->g, BLK_FEATURES);
	fake_guest_interrupts(&rig.blk->g);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	void *blk = r->blk;

	log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
	return blk_rig_teardown(&blk);
}

/* Ends pending request @at with @result, and lets the device see it. */
static void finish(struct rig *r, uint32_t at, int result)
{
	fake_backend_end(&r->later, at, result);
	fake_guest_run(&r->blk->g);
}

static uint32_t flushes(const struct rig *r)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < r->later.nr_log; i++)
		count += r->later.log[i].op == BLOCK_FLUSH;
	return count;
}

/* Requests at heads 0, 3, 6, ... each with its own data and status. */
static void offer(struct rig *r, uint32_t n, uint32_t type)
{
	const uint32_t direction = type == VIRTIO_BLK_T_OUT ? 0 : VIRTQ_DESC_F_WRITE;
	const uint64_t status = BLK_STATUS + n;

	blk_rig_header(r->blk, type, n);
	memcpy(fake_guest_ram(&r->blk->g, BLK_HEADER + 16 * (n + 1), 16),
	       fake_guest_ram(&r->blk->g, BLK_HEADER, 16), 16);
	*(uint8_t *)fake_guest_ram(&r->blk->g, status, 1) = 0xee;
	fake_guest_desc(&r->blk->g, 3 * n, BLK_HEADER + 16 * (n + 1), 16, VIRTQ_DESC_F_NEXT,
			3 * n + 1);
	fake_guest_desc(&r->blk->g, 3 * n + 1, BLK_DATA + 512 * n, 512,
			VIRTQ_DESC_F_NEXT | direction, 3 * n + 2);
	fake_guest_desc(&r->blk->g, 3 * n + 2, status, 1, VIRTQ_DESC_F_WRITE, 0);
	fake_guest_offer(&r->blk->g, 3 * n);
}

static uint8_t status_of(struct rig *r, uint32_t n)
{
	return *(uint8_t *)fake_guest_ram(&r->blk->g, BLK_STATUS + n, 1);
}

static void test_out_of_order_with_errors(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	for (uint32_t n = 0; n < 3; n++)
		offer(r, n, VIRTIO_BLK_T_IN);
	fake_guest_kick(g);
	assert_int_equal(r->later.nr_pending, 3);
	assert_int_equal(fake_guest_used_idx(g), 0);
	assert_int_equal(fake_guest_interrupts(g), 0);
	for (uint32_t n = 0; n < 3; n++) {
		assert_int_equal(r->later.pending[n]->offset_bytes, 512 * n);
		assert_int_equal(r->later.pending[n]->len_bytes, 512);
	}
	finish(r, 1, -ENOSPC);
	assert_int_equal(fake_guest_used_id(g, 0), 3);
	assert_int_equal(fake_guest_used_len(g, 0), 0);
	assert_int_equal(status_of(r, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake_guest_interrupts(g), 1);
	finish(r, 1, 0);
	finish(r, 0, -EIO);
	assert_int_equal(fake_guest_used_id(g, 1), 6);
	assert_int_equal(fake_guest_used_len(g, 1), 513);
	assert_int_equal(status_of(r, 2), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_guest_used_id(g, 2), 0);
	assert_int_equal(status_of(r, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake_guest_read(g, VIRTIO_MMIO_STATUS), 15);
}

/* 5.2.6.2: without FLUSH, a write is finished only when it is stable. */
static void test_write_through_without_flush(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	fake_guest_start(g, FAKE_F_RING);
	offer(r, 0, VIRTIO_BLK_T_OUT);
	fake_guest_kick(g);
	assert_int_equal(flushes(r), 0);
	finish(r, 0, 0);
	assert_int_equal(flushes(r), 1);
	assert_int_equal(fake_guest_used_idx(g), 0);
	finish(r, 0, 0);
	assert_int_equal(fake_guest_used_idx(g), 1);
	assert_int_equal(status_of(r, 0), VIRTIO_BLK_S_OK);
	/* The flush may fail: then so did the write. */
	offer(r, 1, VIRTIO_BLK_T_OUT);
	fake_guest_kick(g);
	finish(r, 0, 0);
	finish(r, 0, -EIO);
	assert_int_equal(status_of(r, 1), VIRTIO_BLK_S_IOERR);
	/* With FLUSH, none of that. */
	fake_guest_start(g, BLK_FEATURES);
	fake_backend_clear(&r->later);
	offer(r, 0, VIRTIO_BLK_T_OUT);
	fake_guest_kick(g);
	finish(r, 0, 0);
	assert_int_equal(flushes(r), 0);
	assert_int_equal(status_of(r, 0), VIRTIO_BLK_S_OK);
}

/* The backend may trust its ranges: those that wrap are stopped before it. */
static void test_bad_range_does_not_reach_the_backend(void **state)
{
	static const uint64_t sectors[] = {
		DISK_SECTORS,
		(UINT64_C(1) << 55) - 1,
		UINT64_C(1) << 55,
		UINT64_MAX,
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(sectors); i++) {
		assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, sectors[i], 512),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, sectors[i], 512),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(r->later.nr_pending, 0);
	}
}

/* The request was copied and checked: what the guest writes over it meanwhile changes nothing. */
static void test_header_rewritten_in_flight(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	offer(r, 0, VIRTIO_BLK_T_IN);
	fake_guest_kick(g);
	memset(fake_guest_ram(g, BLK_HEADER, 64), 0xff, 64);
	fake_guest_desc(g, 0, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
	fake_guest_desc(g, 1, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
	fake_guest_desc(g, 2, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
	assert_ptr_equal(r->later.pending[0]->iov[0].iov_base, fake_guest_ram(g, BLK_DATA, 512));
	assert_int_equal(r->later.pending[0]->iov[0].iov_len, 512);
	finish(r, 0, 0);
	assert_int_equal(status_of(r, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_guest_used_id(g, 0), 0);
	assert_int_equal(fake_guest_used_len(g, 0), 513);
}

/* What is ready together is told once, and what was submitted in one turn is one batch. */
static void test_batches(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	fake_guest_run(g);
	fake_backend_clear(&r->later);
	for (uint32_t n = 0; n < 32; n++)
		offer(r, n, VIRTIO_BLK_T_IN);
	fake_guest_kick(g);
	assert_int_equal(r->later.submits, 32);
	assert_int_equal(r->later.commits, 1);
	fake_backend_end_all(&r->later, 0);
	fake_guest_run(g);
	assert_int_equal(fake_guest_used_idx(g), 32);
	assert_int_equal(fake_guest_interrupts(g), 1);
	/* Nothing is left behind uncommitted by what is submitted later. */
	fake_guest_start(g, FAKE_F_RING);
	offer(r, 0, VIRTIO_BLK_T_OUT);
	fake_guest_kick(g);
	assert_int_equal(r->later.unsubmitted, 0);
	finish(r, 0, 0);
	finish(r, 0, 0);
	assert_int_equal(fake_guest_used_idx(g), 1);
}

/* A backend that finishes while the batch is handed over. */
static void test_finish_inside_commit(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	r->later.finish = FAKE_IN_COMMIT;
	fake_guest_start(g,
			 FAKE_F_RING); /* so write-through: a flush from done() inside commit() */
	for (uint32_t n = 0; n < 3; n++)
		offer(r, n, n == 1 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
	fake_guest_interrupts(g);
	fake_guest_kick(g);
	assert_int_equal(fake_guest_used_idx(g), 3);
	assert_int_equal(flushes(r), 1);
	assert_int_equal(fake_guest_interrupts(g), 1);
	r->later.result = -ENOSPC;
	offer(r, 3, VIRTIO_BLK_T_OUT);
	fake_guest_kick(g);
	assert_int_equal(status_of(r, 3), VIRTIO_BLK_S_IOERR);
}

/* A flush, a discard, zeroes: nobody knows how long they take, so each is a turn of its own. */
static void test_a_flush_is_a_turn(void **state)
{
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	fake_guest_run(g);
	fake_backend_clear(&r->later);
	offer(r, 0, VIRTIO_BLK_T_IN);
	offer(r, 1, VIRTIO_BLK_T_FLUSH);
	offer(r, 2, VIRTIO_BLK_T_IN);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	blk_rig_one_turn(r->blk);
	assert_int_equal(r->later.submits, 2);
	assert_int_equal(r->later.commits, 1);
	fake_guest_run(g);
	assert_int_equal(r->later.submits, 3);
	fake_backend_end_all(&r->later, 0);
	fake_guest_run(g);
}

/*
 * The class of a monitor that is kept busy by one request: 128 MiB in a chain that the queue layer
 * accepts. No driver that respects size_max and seg_max can ask for that.
 */
static void test_transfer_has_a_maximum(void **state)
{
	const uint32_t max = 64 << 20;
	struct rig *r = *state;
	struct fake_guest *g = &r->blk->g;

	r->later.backend.capacity_bytes = UINT64_C(1) << 40;
	for (uint32_t i = 0; i < 2; i++) {
		blk_rig_header(r->blk, VIRTIO_BLK_T_IN, 0);
		fake_guest_desc(g, 0, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 1);
		fake_guest_desc(g, 1, 0x100000, max / 2, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 2);
		fake_guest_desc(g, 2, 0x100000, max / 2 + i * 512,
				VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 3);
		fake_guest_desc(g, 3, BLK_STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
		if (i == 1) {
			assert_int_equal(blk_rig_submit(r->blk, 0), VIRTIO_BLK_S_IOERR);
			assert_int_equal(r->later.nr_pending, 0);
			return;
		}
		assert_int_equal(blk_rig_submit(r->blk, 0), -1);
		assert_int_equal(r->later.nr_pending, 1);
		assert_int_equal(r->later.pending[0]->len_bytes, max);
		finish(r, 0, 0);
	}
}

/* A disk of larger sectors says so, and lets nothing smaller through to the backend. */
static void test_alignment(void **state)
{
	struct rig *r = *state;
	struct virtio_blk_config config;

	fake_guest_write(&r->blk->g, VIRTIO_MMIO_STATUS, 0);
	fake_guest_run(&r->blk->g);
	rig.later.backend.request_align_bytes = 4096;
	rig.later.backend.physical_block_bytes = 16384;
	fake_guest_detach(&r->blk->g);
	virtio_blk_free(r->blk->blk);
	assert_int_equal(virtio_blk_new(&r->blk->blk, r->blk->backend, &r->blk->options, NULL), 0);
	fake_guest_attach(&r->blk->g, &virtio_blk_ops, r->blk->blk);
	fake_guest_start(&r->blk->g, BLK_FEATURES);
	config = blk_rig_config(r->blk);
	assert_int_equal(le32_get(config.blk_size), 4096);
	assert_int_equal(config.topology.physical_block_exp, 2);
	assert_int_equal(le16_get(config.topology.min_io_size), 4);
	assert_int_equal(le32_get(config.discard_sector_alignment), 32);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 1, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, 8, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 8, 4096 + 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(r->later.nr_log, 0);
	assert_int_equal(blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 8, 8192), -1);
	finish(r, 0, 0);
	assert_int_equal(fake_guest_read(&r->blk->g, VIRTIO_MMIO_STATUS), 15);
}

static void test_counters(void **state)
{
	struct rig *r = *state;
	struct block_counters c;

	r->later.finish = FAKE_IN_SUBMIT;
	blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 4096);
	blk_rig_request(r->blk, VIRTIO_BLK_T_OUT, 0, 512);
	blk_rig_request(r->blk, VIRTIO_BLK_T_FLUSH, 0, 0);
	blk_rig_range(r->blk, 0, 0, 8, 0);
	blk_rig_request(r->blk, VIRTIO_BLK_T_DISCARD, 0, 16);
	blk_rig_request(r->blk, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16);
	blk_rig_request(r->blk, VIRTIO_BLK_T_IN, DISK_SECTORS, 512);
	blk_rig_request(r->blk, 77, 0, 0);
	r->later.result = -EIO;
	blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512);
	virtio_blk_get_counters(r->blk->blk, &c);
	assert_int_equal(c.reads, 1);
	assert_int_equal(c.read_bytes, 4096);
	assert_int_equal(c.writes, 1);
	assert_int_equal(c.write_bytes, 512);
	assert_int_equal(c.flushes, 1);
	assert_int_equal(c.discards, 1);
	assert_int_equal(c.discard_bytes, 4096);
	assert_int_equal(c.write_zeroes, 1);
	assert_int_equal(c.write_zeroes_bytes, 4096);
	assert_int_equal(c.refused, 2);
	assert_int_equal(c.failed, 1);
	assert_true(c.kicks >= 9);
	fake_guest_desc(&r->blk->g, 0, BLK_HEADER, 15, 0, 0);
	fake_guest_offer(&r->blk->g, 0);
	fake_guest_kick(&r->blk->g);
	virtio_blk_get_counters(r->blk->blk, &c);
	assert_int_equal(c.faults, 1);
}

/* The first of so many, in flight for that long, and no other; a failed one has no time. */
static void test_times(void **state)
{
	struct rig *r = *state;
	struct block_counters c;

	offer(r, 0, VIRTIO_BLK_T_IN);
	fake_guest_kick(&r->blk->g);
	usleep(2000);
	finish(r, 0, 0);
	virtio_blk_get_counters(r->blk->blk, &c);
	assert_int_equal(c.read_times.timed, 1);
	assert_true(c.read_times.timed_ns >= 2000000);
	assert_int_equal(c.read_times.min_ns, c.read_times.timed_ns);
	assert_int_equal(c.read_times.max_ns, c.read_times.timed_ns);
	r->later.finish = FAKE_IN_SUBMIT;
	for (int i = 1; i < 2 * METRIC_TIMED_REQUESTS; i++)
		blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512);
	r->later.result = -EIO;
	blk_rig_request(r->blk, VIRTIO_BLK_T_IN, 0, 512);
	virtio_blk_get_counters(r->blk->blk, &c);
	assert_int_equal(c.read_times.timed, 2);
	assert_true(c.read_times.min_ns < c.read_times.max_ns);
	assert_true(c.read_times.max_ns >= 2000000);
	assert_int_equal(c.write_times.count, 0);
	assert_int_equal(c.write_times.timed, 0);
}

struct resetter {
	struct fake_guest *g;
	atomic_bool is_over;
};

static void *reset(void *opaque)
{
	struct resetter *v = opaque;

	fake_guest_write(v->g, VIRTIO_MMIO_STATUS, 0);
	atomic_store(&v->is_over, true);
	return NULL;
}

/* The class of CVE-2026-45782: request memory given up while the host still uses it. */
static void test_reset_drains(void **state)
{
	const struct timespec pause = { 0, 50000000 };
	struct rig *r = *state;
	struct resetter v = { .g = &r->blk->g };
	pthread_t thread;

	offer(r, 0, VIRTIO_BLK_T_IN);
	offer(r, 1, VIRTIO_BLK_T_OUT);
	fake_guest_kick(v.g);
	assert_int_equal(r->later.nr_pending, 2);
	assert_int_equal(pthread_create(&thread, NULL, reset, &v), 0);
	nanosleep(&pause, NULL);
	finish(r, 0, 0);
	nanosleep(&pause, NULL);
	assert_false(atomic_load(&v.is_over));
	finish(r, 0, 0);
	pthread_join(thread, NULL);
	assert_int_equal(fake_guest_read(v.g, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(fake_guest_used_idx(v.g), 2);
}

static void count_line(void *opaque, const struct log_site *site, const char *line)
{
	uint32_t *lines = opaque;

	(void)site;
	assert_non_null(strstr(line, "drive 'root'"));
	(*lines)++;
}

static void test_host_errors_are_logged_once(void **state)
{
	struct rig *r = *state;
	uint32_t lines = 0;

	log_set_sink(count_line, &lines, LOG_LEVEL_DEBUG);
	for (uint32_t i = 0; i < 10; i++) {
		offer(r, i, VIRTIO_BLK_T_IN);
		fake_guest_kick(&r->blk->g);
		finish(r, 0, -EIO);
	}
	assert_int_equal(lines, 1);
}

struct faults {
	uint32_t io_errors;
	uint32_t resets;
	char why[128];
};

static void note_fault(void *opaque, enum device_fault fault, const char *why)
{
	struct faults *faults = opaque;

	faults->io_errors += fault == DEVICE_FAULT_IO_ERROR;
	faults->resets += fault == DEVICE_FAULT_NEEDS_RESET;
	snprintf(faults->why, sizeof(faults->why), "%s", why);
}

/* The user learns of host errors and of a driver that broke the protocol, but not without end. */
static void test_faults_are_reported(void **state)
{
	struct rig *r = *state;
	struct faults faults = { 0 };
	time_t begin = time(NULL);

	virtio_device_on_fault(virtio_mmio_device(r->blk->g.mmio), note_fault, &faults);
	offer(r, 0, VIRTIO_BLK_T_IN);
	fake_guest_kick(&r->blk->g);
	finish(r, 0, -EIO);
	assert_int_equal(faults.io_errors, 1);
	assert_string_equal(faults.why, "read of 512 bytes at 0 failed: Input/output error");
	for (uint32_t i = 1; i < 100; i++) {
		offer(r, i % 8, VIRTIO_BLK_T_IN);
		fake_guest_kick(&r->blk->g);
		finish(r, 0, -EIO);
	}
	assert_in_range(faults.io_errors, VIRTIO_FAULTS_PER_S,
			(uint64_t)(time(NULL) - begin + 2) * VIRTIO_FAULTS_PER_S);
	assert_int_equal(faults.resets, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_out_of_order_with_errors),
		CASE(test_write_through_without_flush),
		CASE(test_bad_range_does_not_reach_the_backend),
		CASE(test_header_rewritten_in_flight),
		CASE(test_reset_drains),
		CASE(test_host_errors_are_logged_once),
		CASE(test_faults_are_reported),
		CASE(test_batches),
		CASE(test_finish_inside_commit),
		CASE(test_a_flush_is_a_turn),
		CASE(test_transfer_has_a_maximum),
		CASE(test_alignment),
		CASE(test_counters),
		CASE(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

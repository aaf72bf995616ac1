/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A saved virtio device from an attacker: the input is loaded into a fresh device. Refused, the
 * device is as fresh as before. Taken, it saves to the same bytes, survives traffic, and works
 * after a reset.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <event2/event.h>

#include "machine/virtio/mmio.h"
#include "machine/virtio/transport.h"
#include "test/unit/toy_device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STATE_MAX = 4096 };

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* No library rewrites what it takes, so what it saves is what it was given. */
static void check_saves_the_same(struct toy *t, const uint8_t *data, size_t size)
{
	uint8_t bytes[STATE_MAX];
	struct state s;

	state_init_save(&s, bytes, sizeof(bytes));
	virtio_mmio_state(t->g.mmio, &s);
	must(state_finish(&s, "toy", NULL) == 0);
	must(state_size(&s) == size && memcmp(bytes, data, size) == 0);
}

/* A bounded number of turns: rings that overlap can feed themselves for ever. */
static void run_turns(struct toy *t)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(t->g.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void run_traffic(struct toy *t)
{
	virtio_device_wake(t->device);
	run_turns(t);
	for (uint32_t i = 0; i < 8; i++)
		fake_guest_offer(&t->g, i);
	fake_guest_write(&t->g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	fake_guest_write(&t->g, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	run_turns(t);
}

static void check_works(struct toy *t)
{
	const uint32_t handled = t->handled;

	must(fake_guest_start(&t->g, FAKE_F_RING) == DRIVER_OK);
	fake_guest_desc(&t->g, 0, FAKE_DATA, 1, 0, 0);
	fake_guest_offer(&t->g, 0);
	fake_guest_kick(&t->g);
	must(t->handled == handled + 1 && fake_guest_used_idx(&t->g) == 1);
	fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
	must(toy_status(t) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void *state;
	struct toy *t;
	struct state s;

	if (!state)
		toy_setup(&state);
	t = state;
	toy_renew(t);
	fake_guest_clear_rings(&t->g);
	for (uint32_t i = 0; i < 8; i++)
		fake_guest_desc(&t->g, i, FAKE_DATA, 16, i & 3, i + 1);
	state_init_load(&s, data, size);
	virtio_mmio_state(t->g.mmio, &s);
	if (state_is_ok(&s)) {
		check_saves_the_same(t, data, state_size(&s));
		run_traffic(t);
		fake_guest_write(&t->g, VIRTIO_MMIO_STATUS, 0);
	} else {
		must(toy_status(t) == 0 && virtio_device_is_idle(t->device));
	}
	check_works(t);
	madvise(t->g.mem.mapping, t->g.mem.mapping_bytes, MADV_DONTNEED);
	return 0;
}

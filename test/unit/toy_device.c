/* SPDX-License-Identifier: Apache-2.0 */
/* The simplest virtio device: see toy_device.h. */
#include "test/unit/toy_device.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

/* Rings that overlap can feed themselves for ever. */
enum { TURN_CHAINS = 512 };

static void toy_describe(const void *impl, struct virtio_device_info *info)
{
	const struct toy *t = impl;

	*info = (struct virtio_device_info){
		.device_id = 42,
		.name = "toy",
		.features = F_TOY,
		.queue_count = 2,
		.queue_size_max = FAKE_QUEUE_SIZE,
		.segments_max = 4,
		.config = t->config,
		.config_bytes = sizeof(t->config),
	};
}

static void finish_held(struct toy *t)
{
	while (t->nr_held > 0)
		virtq_done(virtio_device_queue(t->device, 0), t->held[--t->nr_held], 0);
}

static void toy_ready(void *impl)
{
	struct toy *t = impl;
	eventfd_t count;

	if (eventfd_read(t->done_fd, &count) == 0)
		finish_held(t);
}

static int toy_attach(void *impl, struct virtio_device *device)
{
	struct toy *t = impl;

	t->device = device;
	return virtio_device_watch(device, t->done_fd, toy_ready);
}

static void toy_activate(void *impl, struct virtio_device *device, uint64_t features)
{
	struct toy *t = impl;

	t->device = device;
	t->features = features;
	t->activations++;
}

static bool toy_process(void *impl, uint32_t n)
{
	struct toy *t = impl;
	struct virtq *q = virtio_device_queue(t->device, n);

	virtq_kick_disable(q);
	for (int i = 0; i < TURN_CHAINS; i++) {
		struct virtq_chain *chain;
		int r = virtq_next(q, &chain);

		if (r < 0) {
			virtio_device_fail(t->device, virtq_fault(q));
			return false;
		}
		if (r == 0) {
			if (!virtq_kick_enable(q))
				return false;
			continue;
		}
		t->handled++;
		if (t->is_holding && t->nr_held < TOY_HELD_MAX)
			t->held[t->nr_held++] = chain;
		else
			virtq_done(q, chain, 0);
	}
	return true;
}

static void toy_reset(void *impl)
{
	struct toy *t = impl;

	if (t->nr_held > 0)
		abort(); /* the one thing a reset promises */
	t->resets++;
}

static void toy_config_write(void *impl, uint32_t offset, const void *data, uint32_t len)
{
	struct toy *t = impl;

	memcpy(t->config + offset, data, len);
}

static void toy_state(void *impl, struct state *s)
{
	struct toy *t = impl;
	struct state_section section;

	state_section_begin(s, &section, "toy", 1);
	state_u32(s, &t->note);
	state_check(s, t->note <= TOY_NOTE_MAX, "the note is out of range");
	state_section_end(s, &section);
}

const struct virtio_device_ops toy_ops = {
	.describe = toy_describe,
	.attach = toy_attach,
	.activate = toy_activate,
	.process = toy_process,
	.reset = toy_reset,
	.config_write = toy_config_write,
	.state = toy_state,
};

static void count_line(void *opaque, const struct log_site *site, const char *line)
{
	struct toy *t = opaque;

	(void)site;
	t->log_lines += strstr(line, "toy") ? 1 : 1000;
}

int toy_setup(void **state)
{
	struct toy *t = calloc(1, sizeof(*t));

	for (size_t i = 0; i < sizeof(t->config); i++)
		t->config[i] = (uint8_t)(0x10 + i);
	t->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_guest_init(&t->g);
	fake_guest_attach(&t->g, &toy_ops, t);
	log_set_sink(count_line, t, LOG_LEVEL_DEBUG);
	*state = t;
	return 0;
}

int toy_teardown(void **state)
{
	struct toy *t = *state;

	log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
	fake_guest_release(&t->g);
	close(t->done_fd);
	free(t);
	return 0;
}

uint32_t toy_status(struct toy *t)
{
	return fake_guest_read(&t->g, VIRTIO_MMIO_STATUS);
}

void toy_finish_held(struct toy *t)
{
	virtio_device_enter(t->device);
	finish_held(t);
	virtio_device_leave(t->device);
}

void toy_signal_done(struct toy *t)
{
	if (eventfd_write(t->done_fd, 1) < 0)
		abort();
}

void toy_change_config(struct toy *t, uint8_t value)
{
	virtio_device_enter(t->device);
	memset(t->config, value, sizeof(t->config));
	virtio_device_config_changed(t->device);
	virtio_device_leave(t->device);
}

void toy_renew(struct toy *t)
{
	fake_guest_detach(&t->g);
	fake_guest_attach(&t->g, &toy_ops, t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is saved of a virtio device and loaded into a fresh one: see transport.h. */
#include <errno.h>

#include "machine/virtio/abi.h"
#include "machine/virtio/device_impl.h"
#include "machine/virtio/transport.h"

enum { DEVICE_STATE_VERSION = 1 };

/* What must be the same on both sides. */
static void identity_state(const struct virtio_device *d, struct state *s)
{
	uint32_t device_id = d->info.device_id;
	uint32_t queue_count = d->info.queue_count;
	uint32_t queue_size_max = d->info.queue_size_max;

	state_u32(s, &device_id);
	state_check(s, device_id == d->info.device_id, "another kind of device was saved");
	state_u32(s, &queue_count);
	state_check(s, queue_count == d->info.queue_count, "another number of queues was saved");
	state_u32(s, &queue_size_max);
	state_check(s, queue_size_max == d->info.queue_size_max,
		    "longer or shorter queues were saved");
}

/* Combinations that a driver can bring about with a device that keeps to transport.h. */
static bool status_is_possible(const struct virtio_device *d)
{
	const bool is_driver_ok = d->status & VIRTIO_STATUS_DRIVER_OK;

	if (!virtio_device_steps_are_ok(d->status))
		return false;
	if ((d->status & VIRTIO_STATUS_FEATURES_OK) && !virtio_device_features_are_ok(d))
		return false;
	if (d->is_activated)
		return is_driver_ok;
	return !is_driver_ok || (d->status & VIRTIO_STATUS_STOPPED);
}

static void driver_state(struct virtio_device *d, struct state *s)
{
	const uint32_t known = VIRTIO_INTERRUPT_USED | VIRTIO_INTERRUPT_CONFIG;
	uint32_t interrupts = interrupt_status_peek(&d->interrupts);

	state_u32(s, &d->status);
	state_bool(s, &d->is_activated);
	state_u64(s, &d->accepted);
	state_bool(s, &d->accepts_beyond_64);
	state_check(s, status_is_possible(d), "status and features do not go together");
	state_u32(s, &interrupts);
	state_check(s, !(interrupts & ~known), "an unknown interrupt is pending");
	state_u32(s, &d->config_generation);
	if (state_is_loading(s))
		interrupt_status_load(&d->interrupts, interrupts & known);
}

/* In the guest's own words, so nothing to check: virtq_start() does, as it did for the guest. */
static void setup_state(struct virtq_setup *setup, struct state *s)
{
	state_u32(s, &setup->size);
	state_bool(s, &setup->is_ready);
	state_u64(s, &setup->desc.v);
	state_u64(s, &setup->driver.v);
	state_u64(s, &setup->device.v);
}

static void device_state(struct virtio_device *d, struct state *s)
{
	identity_state(d, s);
	driver_state(d, s);
	for (uint32_t n = 0; n < d->info.queue_count; n++)
		setup_state(&d->queues[n].setup, s);
	if (d->is_activated && state_is_loading(s) && state_is_ok(s) &&
	    virtio_device_activate(d) < 0)
		state_refuse(s, -EINVAL, "a queue was saved that is not valid");
	for (uint32_t n = 0; n < d->info.queue_count; n++) {
		if (d->is_activated && state_is_ok(s) && virtq_is_started(d->queues[n].vq))
			virtq_state(d->queues[n].vq, s);
	}
	if (d->ops->state && state_is_ok(s))
		d->ops->state(d->impl, s);
}

/* Chains in flight are virtq_state()'s to refuse. */
static bool is_ready_for(const struct virtio_device *d, const struct state *s)
{
	if (d->is_resetting || d->is_abandoned)
		return false;
	return !state_is_loading(s) || d->status == 0;
}

void virtio_device_state(struct virtio_device *d, struct state *s)
{
	struct state_section section;

	pthread_mutex_lock(&d->lock);
	if (is_ready_for(d, s)) {
		state_section_begin(s, &section, "virtio-device", DEVICE_STATE_VERSION);
		device_state(d, s);
		state_section_end(s, &section);
		if (state_is_loading(s) && !state_is_ok(s))
			virtio_device_clear(d);
	} else {
		state_refuse(s, -EBUSY, "the device is in use");
	}
	pthread_mutex_unlock(&d->lock);
}

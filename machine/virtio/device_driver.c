/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver does to a virtio device: features, status, queue set-up, configuration space. */
#include <errno.h>
#include <string.h>

#include "machine/virtio/abi.h"
#include "machine/virtio/device_impl.h"
#include "machine/virtio/transport.h"

uint32_t virtio_device_id(const struct virtio_device *d)
{
	return d->info.device_id;
}

uint32_t virtio_device_queue_count(const struct virtio_device *d)
{
	return d->info.queue_count;
}

uint32_t virtio_device_features(const struct virtio_device *d, uint32_t word)
{
	return word < 2 ? (uint32_t)(d->offered >> (32 * word)) : 0;
}

/* Waits out a reset that another vCPU began. The lock is held then, even if it says "ignore it". */
static bool lock_for_register(struct virtio_device *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->is_resetting && !d->is_abandoned)
		pthread_cond_wait(&d->reset_progress, &d->lock);
	return !d->is_abandoned;
}

/* True between the status bits @from and @to: the one time when some registers may be written. */
static bool is_between_locked(const struct virtio_device *d, uint32_t from, uint32_t to)
{
	return (d->status & from) && !(d->status & (to | VIRTIO_STATUS_STOPPED));
}

static void log_ignored_locked(struct virtio_device *d, const char *why)
{
	virtio_device_log_once(d, &d->has_logged_write, "ignored a register write", why);
}

static void accept_features_locked(struct virtio_device *d, uint32_t word, uint32_t bits)
{
	if (!is_between_locked(d, VIRTIO_STATUS_DRIVER, VIRTIO_STATUS_FEATURES_OK)) {
		log_ignored_locked(d, "features out of turn");
	} else if (word < 2) {
		const uint64_t mask = (uint64_t)UINT32_MAX << (32 * word);

		d->accepted = (d->accepted & ~mask) | (uint64_t)bits << (32 * word);
	} else if (bits != 0) {
		d->accepts_beyond_64 = true;
	}
}

void virtio_device_accept_features(struct virtio_device *d, uint32_t word, uint32_t bits)
{
	if (lock_for_register(d))
		accept_features_locked(d, word, bits);
	pthread_mutex_unlock(&d->lock);
}

uint32_t virtio_device_status(struct virtio_device *d)
{
	uint32_t status;

	pthread_mutex_lock(&d->lock);
	status = d->status;
	pthread_mutex_unlock(&d->lock);
	return status;
}

void virtio_device_clear(struct virtio_device *d)
{
	d->ops->reset(d->impl);
	for (uint32_t n = 0; n < d->info.queue_count; n++) {
		virtq_stop(d->queues[n].vq);
		d->queues[n].is_deferred = false;
		d->queues[n].setup = (struct virtq_setup){ 0 };
	}
	d->status = 0;
	d->is_activated = false;
	d->accepted = 0;
	d->accepts_beyond_64 = false;
	d->has_logged_fault = false;
	d->has_logged_write = false;
	interrupt_status_load(&d->interrupts, 0);
}

static void reset_locked(struct virtio_device *d)
{
	d->is_resetting = true;
	while (virtio_device_in_flight(d) > 0 && !d->is_abandoned)
		pthread_cond_wait(&d->reset_progress, &d->lock);
	if (!d->is_abandoned)
		virtio_device_clear(d);
	d->is_resetting = false;
	pthread_cond_broadcast(&d->reset_progress);
}

int virtio_device_activate(struct virtio_device *d)
{
	for (uint32_t n = 0; n < d->info.queue_count; n++) {
		struct queue *queue = &d->queues[n];

		if (!queue->setup.is_ready)
			continue;
		if (virtq_start(queue->vq, d->mem, &queue->setup, d->accepted) < 0) {
			virtio_device_fail(d, virtq_fault(queue->vq));
			return -EINVAL;
		}
	}
	d->is_activated = true;
	d->ops->activate(d->impl, d, d->accepted);
	return 0;
}

bool virtio_device_features_are_ok(const struct virtio_device *d)
{
	return !(d->accepted & ~d->offered) && !d->accepts_beyond_64 &&
	       (d->accepted & VIRTIO_F_VERSION_1);
}

bool virtio_device_steps_are_ok(uint32_t status)
{
	const uint32_t ack = VIRTIO_STATUS_ACKNOWLEDGE;
	const uint32_t driver = ack | VIRTIO_STATUS_DRIVER;
	const uint32_t features_ok = driver | VIRTIO_STATUS_FEATURES_OK;
	const uint32_t driver_ok = features_ok | VIRTIO_STATUS_DRIVER_OK;
	const uint32_t steps = status & driver_ok;

	if (status & ~(driver_ok | VIRTIO_STATUS_STOPPED))
		return false;
	return steps == 0 || steps == ack || steps == driver || steps == features_ok ||
	       steps == driver_ok;
}

/* 3.1.1: none of the driver's bits is taken back but by a reset. */
static bool status_is_legal(uint32_t now, uint32_t value)
{
	return virtio_device_steps_are_ok(value) && !(now & ~value & ~VIRTIO_STATUS_NEEDS_RESET);
}

static void advance_locked(struct virtio_device *d, uint32_t value)
{
	const uint32_t fresh = value & ~d->status;

	if (d->status & VIRTIO_STATUS_STOPPED) {
		d->status |= value & VIRTIO_STATUS_FAILED;
		return;
	}
	d->status |= value &
		     (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FAILED);
	if (fresh & VIRTIO_STATUS_FEATURES_OK) {
		/* Else the bit does not stick, which the driver reads back (3.1.1 step 6). */
		if (!virtio_device_features_are_ok(d))
			return;
		d->status |= VIRTIO_STATUS_FEATURES_OK;
	}
	if (fresh & VIRTIO_STATUS_DRIVER_OK) {
		d->status |= VIRTIO_STATUS_DRIVER_OK;
		/* Buffers may be there already: a kick before now was not heard. */
		if (!(d->status & VIRTIO_STATUS_FAILED) && virtio_device_activate(d) == 0)
			virtio_device_notify_all(d);
	}
}

void virtio_device_set_status(struct virtio_device *d, uint32_t value)
{
	if (lock_for_register(d)) {
		if (value == 0)
			reset_locked(d);
		else if (status_is_legal(d->status, value))
			advance_locked(d, value);
		else
			log_ignored_locked(d, "status bits out of order");
	}
	pthread_mutex_unlock(&d->lock);
}

uint32_t virtio_device_interrupts(struct virtio_device *d)
{
	return interrupt_status_read(&d->interrupts);
}

void virtio_device_ack_interrupts(struct virtio_device *d, uint32_t bits)
{
	interrupt_status_ack(&d->interrupts, bits);
}

int virtio_device_ack_fd(const struct virtio_device *d)
{
	return d->interrupts.ack_fd;
}

uint32_t virtio_device_queue_size_max(const struct virtio_device *d, uint32_t n)
{
	return n < d->info.queue_count ? d->info.queue_size_max : 0;
}

bool virtio_device_queue_is_ready(struct virtio_device *d, uint32_t n)
{
	bool is_ready = false;

	pthread_mutex_lock(&d->lock);
	if (n < d->info.queue_count)
		is_ready = d->queues[n].setup.is_ready;
	pthread_mutex_unlock(&d->lock);
	return is_ready;
}

static void set_low(struct gpa *gpa, uint32_t value)
{
	gpa->v = (gpa->v & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(struct gpa *gpa, uint32_t value)
{
	gpa->v = (gpa->v & UINT32_MAX) | (uint64_t)value << 32;
}

static void setup_write(struct virtq_setup *setup, enum virtio_queue_field field, uint32_t value)
{
	switch (field) {
	case VIRTIO_QUEUE_SIZE:
		setup->size = value;
		break;
	case VIRTIO_QUEUE_READY:
		setup->is_ready = value & 1;
		break;
	case VIRTIO_QUEUE_DESC_LOW:
		set_low(&setup->desc, value);
		break;
	case VIRTIO_QUEUE_DESC_HIGH:
		set_high(&setup->desc, value);
		break;
	case VIRTIO_QUEUE_DRIVER_LOW:
		set_low(&setup->driver, value);
		break;
	case VIRTIO_QUEUE_DRIVER_HIGH:
		set_high(&setup->driver, value);
		break;
	case VIRTIO_QUEUE_DEVICE_LOW:
		set_low(&setup->device, value);
		break;
	case VIRTIO_QUEUE_DEVICE_HIGH:
		set_high(&setup->device, value);
		break;
	}
}

static void set_queue_locked(struct virtio_device *d, struct virtq_setup *setup,
			     enum virtio_queue_field field, uint32_t value)
{
	/* What drivers do to every queue after a reset: it is stopped already. */
	if (field == VIRTIO_QUEUE_READY && !(value & 1) && !setup->is_ready)
		return;
	if (is_between_locked(d, VIRTIO_STATUS_FEATURES_OK, VIRTIO_STATUS_DRIVER_OK))
		setup_write(setup, field, value);
	else
		log_ignored_locked(d, "queue set-up out of turn");
}

void virtio_device_set_queue(struct virtio_device *d, uint32_t n, enum virtio_queue_field field,
			     uint32_t value)
{
	if (n >= d->info.queue_count)
		return;
	if (lock_for_register(d))
		set_queue_locked(d, &d->queues[n].setup, field, value);
	pthread_mutex_unlock(&d->lock);
}

uint32_t virtio_device_config_generation(struct virtio_device *d)
{
	uint32_t generation;

	pthread_mutex_lock(&d->lock);
	generation = d->config_generation;
	pthread_mutex_unlock(&d->lock);
	return generation;
}

static bool config_has(const struct virtio_device *d, uint64_t offset, uint32_t len)
{
	return offset <= d->info.config_bytes && len <= d->info.config_bytes - offset;
}

void virtio_device_config_read(struct virtio_device *d, uint64_t offset, void *data, uint32_t len)
{
	memset(data, 0, len);
	if (!config_has(d, offset, len))
		return;
	pthread_mutex_lock(&d->lock);
	memcpy(data, (const uint8_t *)d->info.config + offset, len);
	pthread_mutex_unlock(&d->lock);
}

void virtio_device_config_write(struct virtio_device *d, uint64_t offset, const void *data,
				uint32_t len)
{
	if (!d->ops->config_write || !config_has(d, offset, len))
		return;
	if (lock_for_register(d))
		d->ops->config_write(d->impl, (uint32_t)offset, data, len);
	pthread_mutex_unlock(&d->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The common part of every virtio device, its life and its thread: see device.h, transport.h. */
#include "machine/virtio/device.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "machine/virtio/abi.h"
#include "machine/virtio/device_impl.h"
#include "machine/virtio/transport.h"

/* A guest that fails and resets for ever may not fill the host's log. */
enum { LOG_LINES_MAX = 16 };

uint32_t virtio_device_in_flight(const struct virtio_device *d)
{
	uint32_t sum = 0;

	for (uint32_t n = 0; n < d->info.queue_count; n++)
		sum += virtq_in_flight(d->queues[n].vq);
	return sum;
}

void virtio_device_log_once(struct virtio_device *d, bool *has_logged, const char *what,
			    const char *why)
{
	if (*has_logged || d->log_lines == LOG_LINES_MAX)
		return;
	*has_logged = true;
	d->log_lines++;
	log_warn("%s: %s: %s%s", d->info.name, what, why,
		 d->log_lines == LOG_LINES_MAX ? " (further faults are not logged)" : "");
}

/*
 * The line is raised even when @bit is set already and the guest has not acknowledged it. That edge
 * is often one too many: Linux acknowledges first and looks at the rings then, so it would find
 * what was given back before the acknowledgement. But 4.2.3.4.1 has drivers look first, some never
 * acknowledge at all, and an edge that met a masked pin is gone for good: for all of those, a line
 * that waits for the acknowledgement stays silent for ever. It would save little, too: edges merge
 * in the guest's interrupt controller, and a driver that is behind suppresses them (2.7.7).
 */
void virtio_device_raise(struct virtio_device *d, uint32_t bit)
{
	interrupt_status_set(&d->interrupts, bit);
	irq_raise(&d->irq);
}

bool virtio_device_is_active(const struct virtio_device *d)
{
	return d->is_activated && !(d->status & VIRTIO_STATUS_STOPPED) && !d->is_resetting &&
	       !d->is_abandoned && d->nr_holds == 0;
}

void virtio_device_on_fault(struct virtio_device *d,
			    void (*fn)(void *opaque, enum device_fault fault, const char *why),
			    void *opaque)
{
	d->on_fault = fn;
	d->on_fault_opaque = opaque;
}

void virtio_device_report(struct virtio_device *d, enum device_fault fault, const char *why)
{
	struct timespec now;

	if (!d->on_fault)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != d->fault_second)
		d->faults_in_second = 0;
	d->fault_second = now.tv_sec;
	if (d->faults_in_second == VIRTIO_FAULTS_PER_S)
		return;
	d->faults_in_second++;
	d->on_fault(d->on_fault_opaque, fault, why);
}

void virtio_device_fail(struct virtio_device *d, const char *why)
{
	virtio_device_log_once(d, &d->has_logged_fault, "stopped until the guest resets it", why);
	if (d->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	d->status |= VIRTIO_STATUS_NEEDS_RESET;
	virtio_device_report(d, DEVICE_FAULT_NEEDS_RESET, why);
	/* 2.1.2: the driver learns of it by a configuration change. */
	if (d->status & VIRTIO_STATUS_DRIVER_OK)
		virtio_device_raise(d, VIRTIO_INTERRUPT_CONFIG);
}

void virtio_device_config_changed(struct virtio_device *d)
{
	d->config_generation++;
	if (d->status & VIRTIO_STATUS_DRIVER_OK)
		virtio_device_raise(d, VIRTIO_INTERRUPT_CONFIG);
}

struct virtq *virtio_device_queue(struct virtio_device *d, uint32_t n)
{
	assert(n < d->info.queue_count);
	return d->queues[n].vq;
}

void virtio_device_defer(struct virtio_device *d, uint32_t n, bool is_deferred)
{
	assert(n < d->info.queue_count);
	d->queues[n].is_deferred = is_deferred;
}

void virtio_device_enter(struct virtio_device *d)
{
	pthread_mutex_lock(&d->lock);
}

void virtio_device_leave(struct virtio_device *d)
{
	const bool may_defer = virtio_device_is_active(d);
	bool is_wanted = false;

	for (uint32_t n = 0; n < d->info.queue_count; n++) {
		const struct queue *queue = &d->queues[n];

		if (!may_defer || !queue->is_deferred)
			is_wanted |= virtq_should_notify(queue->vq);
	}
	if (is_wanted)
		virtio_device_raise(d, VIRTIO_INTERRUPT_USED);
	if (d->is_resetting && virtio_device_in_flight(d) == 0)
		pthread_cond_broadcast(&d->reset_progress);
	pthread_mutex_unlock(&d->lock);
}

/* A doorbell rang. Thread: the device's. */
static void on_notify(evutil_socket_t fd, short what, void *opaque)
{
	struct queue *queue = opaque;
	struct virtio_device *d = queue->device;
	bool has_more = false;
	uint64_t rings;
	ssize_t n;

	(void)what;
	/* Silence it first: a kick from here on rings again. */
	n = read(fd, &rings, sizeof(rings));
	(void)n;
	virtio_device_enter(d);
	if (virtio_device_is_active(d) && virtq_is_started(queue->vq))
		has_more = d->ops->process(d->impl, queue->n);
	virtio_device_leave(d);
	/* Through the descriptor, not event_active(): other events get their turn first. */
	if (has_more)
		virtio_device_notify(d, queue->n);
}

/* Thread: the device's. */
static void on_watch(evutil_socket_t fd, short what, void *opaque)
{
	struct watch *watch = opaque;

	(void)fd;
	(void)what;
	virtio_device_enter(watch->device);
	watch->ready(watch->device->impl);
	virtio_device_leave(watch->device);
}

int virtio_device_watch(struct virtio_device *d, int fd, void (*ready)(void *impl))
{
	struct watch *watch = &d->watches[d->nr_watches];

	assert(d->nr_watches < VIRTIO_WATCHES_MAX);
	watch->device = d;
	watch->ready = ready;
	watch->event = event_new(d->base, fd, EV_READ | EV_PERSIST, on_watch, watch);
	if (!watch->event)
		return -ENOMEM;
	d->nr_watches++;
	return event_add(watch->event, NULL) < 0 ? -ENOMEM : 0;
}

static int queue_init(struct virtio_device *d, uint32_t n)
{
	struct queue *queue = &d->queues[n];

	queue->device = d;
	queue->n = n;
	if (virtq_new(&queue->vq, d->info.queue_size_max, d->info.segments_max) < 0)
		return -ENOMEM;
	queue->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->notify_fd < 0)
		return -errno;
	queue->notify_event =
		event_new(d->base, queue->notify_fd, EV_READ | EV_PERSIST, on_notify, queue);
	if (!queue->notify_event || event_add(queue->notify_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int virtio_device_new(struct virtio_device **out, const struct virtio_device_ops *ops, void *impl,
		      const struct mem *mem, struct irq irq, struct event_base *base, struct err *e)
{
	struct virtio_device *d = calloc(1, sizeof(*d));
	int r = 0;

	if (!d)
		return err_set(e, -ENOMEM, "no memory for a virtio device");
	d->ops = ops;
	d->impl = impl;
	d->mem = mem;
	d->irq = irq;
	d->base = base;
	ops->describe(impl, &d->info);
	assert(d->info.queue_count > 0 && d->info.queue_count <= VIRTIO_QUEUES_MAX);
	d->offered = d->info.features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
		     VIRTIO_F_INDIRECT_DESC;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->reset_progress, NULL);
	for (uint32_t n = 0; n < VIRTIO_QUEUES_MAX; n++)
		d->queues[n].notify_fd = -1;
	r = interrupt_status_init(&d->interrupts);
	for (uint32_t n = 0; n < d->info.queue_count && r == 0; n++)
		r = queue_init(d, n);
	if (r == 0 && ops->attach)
		r = ops->attach(impl, d);
	if (r < 0) {
		err_errno(e, r, "%s: cannot make the device", d->info.name);
		virtio_device_free(d);
		return r;
	}
	*out = d;
	return 0;
}

void virtio_device_free(struct virtio_device *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->nr_watches; i++)
		event_free(d->watches[i].event);
	for (uint32_t n = 0; n < VIRTIO_QUEUES_MAX; n++) {
		struct queue *queue = &d->queues[n];

		if (queue->notify_event)
			event_free(queue->notify_event);
		if (queue->notify_fd >= 0)
			close(queue->notify_fd);
		virtq_free(queue->vq);
	}
	interrupt_status_release(&d->interrupts);
	pthread_cond_destroy(&d->reset_progress);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int virtio_device_notify_fd(const struct virtio_device *d, uint32_t n)
{
	return n < d->info.queue_count ? d->queues[n].notify_fd : -1;
}

void virtio_device_notify(const struct virtio_device *d, uint32_t n)
{
	const uint64_t one = 1;
	ssize_t r;

	if (n >= d->info.queue_count)
		return;
	/* Fails only when the counter would overflow: it is ringing already then. */
	r = write(d->queues[n].notify_fd, &one, sizeof(one));
	(void)r;
}

void virtio_device_notify_all(struct virtio_device *d)
{
	for (uint32_t n = 0; n < d->info.queue_count; n++)
		virtio_device_notify(d, n);
}

void virtio_device_hold(struct virtio_device *d)
{
	/* Whoever holds it may save it: then nothing may be left to tell. */
	virtio_device_enter(d);
	d->nr_holds++;
	virtio_device_leave(d);
}

void virtio_device_unhold(struct virtio_device *d)
{
	pthread_mutex_lock(&d->lock);
	assert(d->nr_holds > 0);
	d->nr_holds--;
	if (d->nr_holds == 0)
		virtio_device_notify_all(d);
	pthread_mutex_unlock(&d->lock);
}

bool virtio_device_is_idle(struct virtio_device *d)
{
	bool is_idle;

	pthread_mutex_lock(&d->lock);
	is_idle = !d->is_resetting && virtio_device_in_flight(d) == 0;
	pthread_mutex_unlock(&d->lock);
	return is_idle;
}

void virtio_device_abandon(struct virtio_device *d)
{
	pthread_mutex_lock(&d->lock);
	d->is_abandoned = true;
	pthread_cond_broadcast(&d->reset_progress);
	pthread_mutex_unlock(&d->lock);
}

void virtio_device_wake(struct virtio_device *d)
{
	pthread_mutex_lock(&d->lock);
	virtio_device_notify_all(d);
	if (interrupt_status_peek(&d->interrupts) != 0)
		irq_raise(&d->irq);
	pthread_mutex_unlock(&d->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of every virtio device, as a transport sees it: the state machine of virtio 1.2
 * sections 2.1, 2.2 and 3.1, whatever the registers look like.
 *
 *	reset -> ACKNOWLEDGE -> DRIVER -> FEATURES_OK -> DRIVER_OK
 *
 * Driver features are accepted between DRIVER and FEATURES_OK, queue set-up between FEATURES_OK and
 * DRIVER_OK, and neither at any other time: what DRIVER_OK has validated can never change under the
 * device. A write out of turn is ignored and logged once until the next reset. That includes a 0
 * written to QueueReady of a live queue: it keeps reading 1, as the queue lives until the device is
 * reset (3.3), and so the device never works on a queue that is not ready by its own account
 * (4.2.2.1).
 *
 * Reset. A vCPU writes 0 while the device's thread may be working, and drivers take their memory
 * back as soon as that write returns (Linux does not poll the status of an MMIO device). So the
 * write waits: for the lock, and then until no chain is in flight. With a backend that finishes
 * inside submit() there never is one. With an asynchronous backend the device's thread must keep
 * running for the wait to end: whoever stops a VM must not block that thread on a vCPU. Either the
 * loop runs on until virtio_device_is_idle(), or virtio_device_abandon() ends the wait.
 *
 * A snapshot. The vCPUs are stopped; virtio_device_hold(); the device's thread runs on until
 * virtio_device_is_idle(); virtio_device_state() saves; virtio_device_unhold() goes on. To restore:
 * virtio_device_new(), virtio_device_state() loads, and once everything else is loaded as well, the
 * interrupt controllers above all, virtio_device_wake().
 *
 * Thread: any, unless said otherwise; the functions take the device's lock themselves. All
 * arguments may come straight from the guest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "machine/irq.h"
#include "machine/mem.h"
#include "machine/snap/state.h"
#include "machine/virtio/device.h"

struct event_base;

/* The registers of one queue that a driver sets up, in 32-bit pieces. */
enum virtio_queue_field {
	VIRTIO_QUEUE_SIZE,
	VIRTIO_QUEUE_READY,
	VIRTIO_QUEUE_DESC_LOW,
	VIRTIO_QUEUE_DESC_HIGH,
	VIRTIO_QUEUE_DRIVER_LOW,
	VIRTIO_QUEUE_DRIVER_HIGH,
	VIRTIO_QUEUE_DEVICE_LOW,
	VIRTIO_QUEUE_DEVICE_HIGH,
};

/*
 * Makes the common part of @impl. @base watches its doorbells: the thread that runs it is the
 * device's. @impl, @mem, @base and the descriptor in @irq stay the caller's and outlive the device.
 * 0 or -errno with @e filled. Thread: any, before vCPUs run and before another thread runs @base.
 */
int virtio_device_new(struct virtio_device **out, const struct virtio_device_ops *ops, void *impl,
		      const struct mem *mem, struct irq irq, struct event_base *base,
		      struct err *e);

/*
 * Has @fn called when something goes wrong: virtio_device_report(). On any thread, with the
 * device's lock held, so it must not wait. Before vCPUs run.
 */
void virtio_device_on_fault(struct virtio_device *device,
			    void (*fn)(void *opaque, enum device_fault fault, const char *why),
			    void *opaque);

/* Accepts NULL. Nobody uses the device or runs its event base any more; nothing is in flight. */
void virtio_device_free(struct virtio_device *device);

/*
 * Takes no more chains until as many calls of unhold, which rings the doorbells. What is in flight
 * goes on to its end, and registers work as ever.
 */
void virtio_device_hold(struct virtio_device *device);
void virtio_device_unhold(struct virtio_device *device);

/* Whether nothing is in flight and no vCPU waits in a reset. Stays so only while held. */
bool virtio_device_is_idle(struct virtio_device *device);

/*
 * The VM is ending: no chain is taken and no register written any more, and a vCPU that waits in a
 * reset goes on at once, the reset not done. For a thread that is about to wait for vCPUs. What is
 * in flight still is, and must end before virtio_device_free(). There is no way back.
 */
void virtio_device_abandon(struct virtio_device *device);

/*
 * Saves the device, or loads it into one that is fresh from virtio_device_new() on the same guest
 * memory: registers, queues, and the model's own. All that is loaded is checked as if the guest had
 * written it; after an error (in @s) the device is as fresh as before. -EBUSY when something is in
 * flight, or when loading into a device that the guest has touched. What a driver was told of the
 * host, the features and the configuration space, is the model's to keep the same.
 */
void virtio_device_state(struct virtio_device *device, struct state *s);

/*
 * Rings every doorbell, and raises the line again if an interrupt is not acknowledged: a kick or an
 * edge may have been on its way when the state was saved. One too many does no harm.
 */
void virtio_device_wake(struct virtio_device *device);

uint32_t virtio_device_id(const struct virtio_device *device);
uint32_t virtio_device_queue_count(const struct virtio_device *device);

/* The doorbell of queue @n as an eventfd, the device's own; -1 when there is no such queue. */
int virtio_device_notify_fd(const struct virtio_device *device, uint32_t n);

/* Word 0 or 1 of the features offered; 0 for other words. */
uint32_t virtio_device_features(const struct virtio_device *device, uint32_t word);
void virtio_device_accept_features(struct virtio_device *device, uint32_t word, uint32_t bits);

uint32_t virtio_device_status(struct virtio_device *device);
void virtio_device_set_status(struct virtio_device *device, uint32_t value);

/* VIRTIO_INTERRUPT_ bits. No lock. */
uint32_t virtio_device_interrupts(struct virtio_device *device);
void virtio_device_ack_interrupts(struct virtio_device *device, uint32_t bits);

/* An eventfd, the device's own: signalling it acknowledges VIRTIO_INTERRUPT_USED. */
int virtio_device_ack_fd(const struct virtio_device *device);

/* 0 when there is no such queue. */
uint32_t virtio_device_queue_size_max(const struct virtio_device *device, uint32_t n);
bool virtio_device_queue_is_ready(struct virtio_device *device, uint32_t n);
void virtio_device_set_queue(struct virtio_device *device, uint32_t n,
			     enum virtio_queue_field field, uint32_t value);

/* Changes with the configuration space: 4.2.2.1. */
uint32_t virtio_device_config_generation(struct virtio_device *device);

/* An access that is not whole within the configuration space reads 0 and writes nothing. */
void virtio_device_config_read(struct virtio_device *device, uint64_t offset, void *data,
			       uint32_t len);
void virtio_device_config_write(struct virtio_device *device, uint64_t offset, const void *data,
				uint32_t len);

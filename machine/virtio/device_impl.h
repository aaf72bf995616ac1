/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the common virtio device share, and nobody else: device.c has its life and its
 * thread, device_driver.c what a driver does to it, device_state.c what is saved.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "machine/irq.h"
#include "machine/mem.h"
#include "machine/virtio/device.h"
#include "machine/virtio/interrupt_status.h"

struct event;
struct event_base;

struct queue {
	struct virtio_device *device; /* borrowed: contains us */
	uint32_t n;
	struct virtq *vq; /* owned; under the lock */
	bool is_deferred; /* under the lock: its interrupts stay away while the device is active */
	struct virtq_setup setup; /* under the lock; frozen from DRIVER_OK to reset */
	int notify_fd; /* owned eventfd */
	struct event *notify_event; /* owned */
};

struct watch {
	struct virtio_device *device; /* borrowed: contains us */
	void (*ready)(void *impl);
	struct event *event; /* owned */
};

struct virtio_device {
	/* Constant after virtio_device_new(). */
	const struct virtio_device_ops *ops;
	void *impl; /* borrowed: outlives us */
	const struct mem *mem; /* borrowed: outlives us */
	struct irq irq; /* its descriptor is borrowed */
	struct event_base *base; /* borrowed: outlives us */
	struct virtio_device_info info;
	uint64_t offered; /* features */
	void (*on_fault)(void *opaque, enum device_fault fault, const char *why); /* or NULL */
	void *on_fault_opaque; /* borrowed: outlives us */
	struct watch watches[VIRTIO_WATCHES_MAX];
	uint32_t nr_watches;

	struct interrupt_status interrupts; /* set under the lock, cleared by anyone */

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t reset_progress; /* nothing in flight any more, a reset is over, abandoned */
	bool is_resetting;
	bool is_abandoned;
	uint32_t nr_holds;
	bool has_logged_fault; /* since the last reset, like the next */
	bool has_logged_write;
	uint32_t log_lines;
	time_t fault_second; /* of the last report, and how many there were in it */
	uint32_t faults_in_second;
	uint32_t config_generation; /* goes on through resets */
	uint32_t status;
	bool is_activated; /* since DRIVER_OK; false when the queues were refused */
	uint64_t accepted; /* features; constant from FEATURES_OK to reset */
	bool accepts_beyond_64; /* likewise: a feature above 63; none is offered */
	struct queue queues[VIRTIO_QUEUES_MAX];
};

/* The status bits that end all work until a reset. */
#define VIRTIO_STATUS_STOPPED (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED)

/* All below: lock held. */

uint32_t virtio_device_in_flight(const struct virtio_device *d);

/* Logs a line for the first time since *@has_logged was cleared; a guest cannot fill the log. */
void virtio_device_log_once(struct virtio_device *d, bool *has_logged, const char *what,
			    const char *why);

/* Sets @bit of InterruptStatus and raises the line. */
void virtio_device_raise(struct virtio_device *d, uint32_t bit);

/* Rings every doorbell: for kicks that may have gone unheard. */
void virtio_device_notify_all(struct virtio_device *d);

/* 2.2.2 and 6.1: whether the features accepted were offered and are not the legacy interface. */
bool virtio_device_features_are_ok(const struct virtio_device *d);

/* 3.1.1: whether @status has each of the driver's bits only with all those before it. */
bool virtio_device_steps_are_ok(uint32_t status);

/* Starts the ready queues and the model. -EINVAL, with NEEDS_RESET set, when a queue is refused. */
int virtio_device_activate(struct virtio_device *d);

/* Back to what virtio_device_new() made; nothing is in flight. */
void virtio_device_clear(struct virtio_device *d);

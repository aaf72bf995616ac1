/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtio device model (block, network, ...) is to the rest, and what it may call.
 *
 * A model implements `struct virtio_device_ops` and holds only what is its own. Everything that
 * devices have in common is behind transport.h: status, feature negotiation, queue set-up and its
 * freeze at DRIVER_OK, notification, failing, reset, saving. A transport turns register accesses
 * into calls on that common part, so no transport can forget a check.
 *
 * One lock per device. Each operation below is called with it held: `process` and whatever a model
 * watches on the device's thread, which runs the event base that the device was made with, the
 * others on whichever thread wrote the register. So a model needs no lock of its own, and must be
 * brief: a vCPU that touches the device's registers waits meanwhile. (The two registers that a
 * driver touches for each interrupt, and the doorbell, take no lock.) Devices may run on different
 * threads; nothing here assumes the main one.
 *
 * A model that finishes requests later watches the descriptor that says so: virtio_device_watch().
 * Any other work outside the operations stands between virtio_device_enter() and
 * virtio_device_leave(), where the guest is told once of all that was given back in between.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/wire.h"
#include "machine/snap/state.h"
#include "machine/virtio/queue.h"

enum { VIRTIO_QUEUES_MAX = 8, VIRTIO_WATCHES_MAX = 4, VIRTIO_FAULTS_PER_S = 4 };

struct virtio_device;

/* Constant from attach on. Pointers are the model's and outlive the device. */
struct virtio_device_info {
	uint32_t device_id; /* virtio 1.2 section 5 */
	const char *name; /* for log lines: "drive 'root'" */
	uint64_t features; /* the type's own; those of rings and transport are added */
	uint32_t queue_count; /* 1 to VIRTIO_QUEUES_MAX */
	uint32_t queue_size_max; /* of each queue: a power of two, up to VIRTQ_SIZE_MAX */
	uint32_t segments_max; /* of each chain */
	const void *config; /* the configuration space, in guest byte order; under the lock */
	uint32_t config_bytes;
};

/* Those that say so may be NULL. */
struct virtio_device_ops {
	/* Called once, at attach, before anything else; without the lock. */
	void (*describe)(const void *impl, struct virtio_device_info *info);

	/*
	 * Called once, at attach: the model may keep @device, and call virtio_device_watch(). 0 or
	 * -errno. May be NULL.
	 */
	int (*attach)(void *impl, struct virtio_device *device);

	/* DRIVER_OK, or a load of that state: queues are set up and @features negotiated. */
	void (*activate)(void *impl, struct virtio_device *device, uint64_t features);

	/*
	 * A kick on queue @n of an active device. Takes a bounded number of chains, so that the
	 * loop stays fair, and returns true when some may be left: it is called again soon. Before
	 * it returns false, virtq_kick_enable() must have been false.
	 */
	bool (*process)(void *impl, uint32_t n);

	/*
	 * The guest resets the device; nothing is in flight any more. Called for devices that were
	 * never activated, too.
	 */
	void (*reset)(void *impl);

	/*
	 * A write to the configuration space that lies within it. NULL: such writes are ignored.
	 */
	void (*config_write)(void *impl, uint32_t offset, const void *data, uint32_t len);

	/*
	 * Saves or loads what is the model's own, in a section of its own (state.h). Nothing is in
	 * flight. When loading, the device has been activated if it was when it was saved, and each
	 * value must be checked as if the guest had written it: state_check(). If the load fails,
	 * here or elsewhere, reset() follows. NULL: nothing to save.
	 */
	void (*state)(void *impl, struct state *s);
};

/* Queue @n, below queue_count. Valid as long as the device. Lock held. */
struct virtq *virtio_device_queue(struct virtio_device *device, uint32_t n);

/* Whether chains may be taken: `process` is called only then. Lock held. */
bool virtio_device_is_active(const struct virtio_device *device);

/* Rings the doorbell of queue @n, so that `process` is called if the device is active. No lock. */
void virtio_device_notify(const struct virtio_device *device, uint32_t n);

/*
 * While @is_deferred no interrupt tells the guest of what queue @n gives back; when it no longer is,
 * one tells of all. For an active device only: one that is held, resets or has failed tells at
 * once. A reset ends it. Lock held.
 */
void virtio_device_defer(struct virtio_device *device, uint32_t n, bool is_deferred);

/*
 * Calls @ready on the device's thread, lock held, between enter and leave, whenever @fd is
 * readable, active or not: it reads @fd empty and finishes what is done. @fd stays the caller's and
 * open until the device is freed. At most VIRTIO_WATCHES_MAX, only from `attach`. 0 or -ENOMEM.
 */
int virtio_device_watch(struct virtio_device *device, int fd, void (*ready)(void *impl));

/*
 * The configuration space has changed: call it before the lock is given back. Whoever read some of
 * it before and some after sees two values of ConfigGeneration (2.5.2, 4.2.2.1), and an active
 * driver gets a configuration interrupt. Lock held.
 */
void virtio_device_config_changed(struct virtio_device *device);

/*
 * The guest broke the protocol: the device stops until it is reset (2.1 DEVICE_NEEDS_RESET), and
 * the guest is told. @why goes to the log, the first time until a reset. Lock held.
 */
void virtio_device_fail(struct virtio_device *device, const char *why);

/*
 * Tells the VM's user of a fault: at most VIRTIO_FAULTS_PER_S times in a second, since a guest can
 * make them for ever. virtio_device_fail() does it by itself. Lock held.
 */
void virtio_device_report(struct virtio_device *device, enum device_fault fault, const char *why);

/*
 * Takes the device's lock for work outside the operations, and gives it back: then the guest is
 * told of the chains given back in between, and a waiting reset goes on. Thread: any.
 */
void virtio_device_enter(struct virtio_device *device);
void virtio_device_leave(struct virtio_device *device);

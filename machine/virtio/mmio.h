/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO, version 2 (virtio 1.2, 4.2): one page of registers per device on the MMIO bus.
 *
 * This file decodes registers; what they do is in transport.h. Only aligned 4-byte accesses reach a
 * register (4.2.2.2), others read 0 and write nothing; the configuration space takes 1, 2, 4 or 8
 * bytes at any offset within it.
 *
 * The doorbell (QueueNotify, offset 0x50) should never get here: give KVM an ioeventfd for it for
 * each queue, 4 bytes wide, datamatch the queue's number, descriptor virtio_mmio_notify_fd().
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "machine/bus.h"
#include "machine/irq.h"
#include "machine/mem.h"
#include "machine/snap/state.h"
#include "machine/virtio/device.h"

struct event_base;
struct virtio_mmio;

/*
 * Makes a transport with the device @dev behind it: the same as virtio_device_new(). @dev, @mem,
 * @base and the descriptor in @irq stay the caller's and outlive the transport. 0 or -errno with @e
 * filled.
 */
int virtio_mmio_new(struct virtio_mmio **out, const struct virtio_device_ops *ops, void *dev,
		    const struct mem *mem, struct irq irq, struct event_base *base, struct err *e);

/* Accepts NULL. The same as virtio_device_free(). */
void virtio_mmio_free(struct virtio_mmio *mmio);

/* The common part, for those calls in transport.h that stop or save a device. */
struct virtio_device *virtio_mmio_device(const struct virtio_mmio *mmio);

/* virtio_device_state() and the selectors. */
void virtio_mmio_state(struct virtio_mmio *mmio, struct state *s);

/* For a range of VIRTIO_MMIO_BYTES on a bus, with a struct virtio_mmio. Thread: any vCPU. */
extern const struct bus_ops virtio_mmio_bus_ops;

uint32_t virtio_mmio_queue_count(const struct virtio_mmio *mmio);

/* The doorbell of queue @n as an eventfd that stays the transport's; -1 for a wrong @n. */
int virtio_mmio_notify_fd(const struct virtio_mmio *mmio, uint32_t n);

/* To be signalled by a write of VIRTIO_INTERRUPT_USED, 4 bytes wide, to InterruptACK. */
int virtio_mmio_ack_fd(const struct virtio_mmio *mmio);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without a vCPU: RAM, a bus with one virtio-mmio device, an event loop, and hands to build
 * rings and write registers with, right or wrong. The device sees what it would see under KVM with
 * doorbells that exit instead of an ioeventfd.
 *
 * Queue 0 lies at the FAKE_ addresses; tests may put things anywhere else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"
#include "machine/irq.h"
#include "machine/mem.h"
#include "machine/virtio/abi.h"
#include "machine/virtio/device.h"
#include "machine/virtio/queue.h"

enum {
	FAKE_QUEUE_SIZE = 256,
	FAKE_DESC = 0x1000,
	FAKE_AVAIL = 0x3000,
	FAKE_USED = 0x4000,
	FAKE_TABLE = 0x6000, /* an indirect table */
	FAKE_DATA = 0x10000,
};

/* More than 3 GiB, so that there is a hole and RAM above it. Nothing is touched. */
#define FAKE_MEM_BYTES (3 * GIB + 16 * MIB)
#define FAKE_LOW_END (3 * GIB)
#define FAKE_HIGH_START (4 * GIB)
#define FAKE_HIGH_END (4 * GIB + 16 * MIB)

#define FAKE_F_RING (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC)

struct event_base;
struct virtio_mmio;

struct fake_guest {
	struct mem mem;
	struct bus bus;
	struct irq irq;
	struct event_base *base; /* owned */
	struct virtio_mmio *mmio; /* owned; NULL when nothing is attached */
	uint16_t offered; /* the available index */
};

/* Both end the test program when the host fails them. */
void fake_guest_init(struct fake_guest *g);
void fake_guest_attach(struct fake_guest *g, const struct virtio_device_ops *ops, void *dev);

/* Takes the device away; memory stays as it is, and another may be attached. */
void fake_guest_detach(struct fake_guest *g);

void fake_guest_release(struct fake_guest *g);

uint32_t fake_guest_read(struct fake_guest *g, uint64_t reg);
void fake_guest_write(struct fake_guest *g, uint64_t reg, uint32_t value);

/* An access of @len bytes, 1, 2, 4 or 8; what was read, or is to be written, in the low bytes. */
uint64_t fake_guest_read_len(struct fake_guest *g, uint64_t offset, uint32_t len);
void fake_guest_write_len(struct fake_guest *g, uint64_t offset, uint64_t value, uint32_t len);

/* Features, and the status up to FEATURES_OK; returns the status. */
uint32_t fake_guest_negotiate(struct fake_guest *g, uint64_t features);

/* Writes all registers of queue @n. */
void fake_guest_set_queue(struct fake_guest *g, uint32_t n, const struct virtq_setup *setup);

/* Reset, negotiation, queue 0 in its place with empty rings, DRIVER_OK; returns the status. */
uint32_t fake_guest_start(struct fake_guest *g, uint64_t features);

/* The set-up that fake_guest_start() writes. */
struct virtq_setup fake_guest_queue(void);

/* Zeroes the rings of queue 0. */
void fake_guest_clear_rings(struct fake_guest *g);

void fake_guest_desc(struct fake_guest *g, uint32_t at, uint64_t addr, uint32_t len, uint32_t flags,
		     uint32_t next);
void fake_guest_table_desc(struct fake_guest *g, uint32_t at, uint64_t addr, uint32_t len,
			   uint32_t flags, uint32_t next);

/* Makes the chain at @head available on queue 0. */
void fake_guest_offer(struct fake_guest *g, uint32_t head);

/* Rings doorbell 0 through its register and runs the loop until it is idle. */
void fake_guest_kick(struct fake_guest *g);
void fake_guest_run(struct fake_guest *g);

/* Queue 0: the used index, and entry @at of the used ring. */
uint16_t fake_guest_used_idx(const struct fake_guest *g);
uint32_t fake_guest_used_id(const struct fake_guest *g, uint16_t at);
uint32_t fake_guest_used_len(const struct fake_guest *g, uint16_t at);

void fake_guest_set_used_event(struct fake_guest *g, uint16_t event);
uint16_t fake_guest_avail_event(const struct fake_guest *g);

/* Interrupt edges since the last call. */
uint64_t fake_guest_interrupts(struct fake_guest *g);

/* @len bytes of RAM at @addr, which must be RAM. */
void *fake_guest_ram(const struct fake_guest *g, uint64_t addr, uint64_t len);

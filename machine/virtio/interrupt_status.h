/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InterruptStatus and InterruptACK of a device (virtio 1.2, 4.2.2), so that the usual acknowledgement
 * costs no exit: KVM turns a write of VIRTIO_INTERRUPT_USED to InterruptACK into a signal on ack_fd,
 * and nobody is woken by it. It is looked at when the status is read the next time.
 *
 * By then something new may have been given back. An acknowledgement says "I know what I have read",
 * so used buffers are counted: what was counted when the guest read the status is acknowledged, what
 * came later is not. A guest that acknowledges without having read, by that way, has acknowledged
 * nothing, and may see the bit once more than needed; never once less.
 *
 * Thread: any; no lock. Two vCPUs that read and acknowledge at once may see a bit too long.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct interrupt_status {
	int ack_fd; /* owned eventfd; -1: none, acknowledgements come by interrupt_status_ack() */
	_Atomic uint32_t config; /* VIRTIO_INTERRUPT_CONFIG or 0 */
	_Atomic uint32_t raised; /* how often there were used buffers; wraps */
	_Atomic uint32_t seen; /* `raised` when the guest read the status last */
	_Atomic uint32_t acked; /* `raised` as far as the guest has acknowledged */
};

/* 0 or -errno. */
int interrupt_status_init(struct interrupt_status *s);

/* May be called twice. */
void interrupt_status_release(struct interrupt_status *s);

/* VIRTIO_INTERRUPT_ bits. */
void interrupt_status_set(struct interrupt_status *s, uint32_t bits);

/* The register as the guest reads it, and the same without the guest having read it. */
uint32_t interrupt_status_read(struct interrupt_status *s);
uint32_t interrupt_status_peek(struct interrupt_status *s);

/* An acknowledgement that did not come through ack_fd: of all there is. */
void interrupt_status_ack(struct interrupt_status *s, uint32_t bits);

/* Only @bits are pending. No vCPU is at these registers. */
void interrupt_status_load(struct interrupt_status *s, uint32_t bits);

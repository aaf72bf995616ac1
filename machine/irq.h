/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One interrupt line of a device: an eventfd that KVM turns into an edge on an I/O APIC pin
 * (irqfd), so that a device knows nothing of KVM and raises its line from any thread without a
 * lock.
 */
#pragma once

#include <stdint.h>

struct irq {
	int fd; /* owned eventfd; -1 when not connected */
	uint32_t gsi;
	uint64_t *raised; /* borrowed: counts edges, of other lines too; NULL: nobody does */
};

/* Raises an edge. Safe on an unconnected line. Thread: any. */
void irq_raise(const struct irq *irq);

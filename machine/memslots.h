/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM as KVM knows it: one memory slot for each region, with KVM's log of written pages when
 * it is wanted (it costs a fault for each first write, so it is off by default).
 *
 * Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "machine/kvm.h"
#include "machine/mem.h"

struct memslots {
	struct kvm_memory slots[MEM_MAX_REGIONS];
	size_t nr_slots;
	bool has_dirty_log;
};

/* -ERANGE when RAM ends beyond the guest-physical addresses that @cpuid's host can express. */
int memslots_check(const struct mem *mem, const struct kvm_cpuid2 *cpuid, struct err *e);

/* Gives the regions of @mem to KVM. Before kvm_create_irqchip(): a later slot waits. */
int memslots_add(struct memslots *slots, const struct kvm *kvm, const struct mem *mem,
		 bool has_dirty_log, struct err *e);

/*
 * Logs how many pages the guest wrote since the last call. Nothing without a log of written pages.
 */
void memslots_log_dirty(const struct memslots *slots, const struct kvm *kvm);

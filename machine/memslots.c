/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM as KVM knows it: see memslots.h. */
#include "machine/memslots.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"

/* AMD APM vol. 3, E.4.7 and Intel SDM: address sizes, physical in bits 0 to 7 of EAX. */
#define CPUID_ADDRESS_SIZES 0x80000008u
#define DEFAULT_ADDRESS_BITS 36u /* of a CPU that does not say */

int memslots_check(const struct mem *mem, const struct kvm_cpuid2 *cpuid, struct err *e)
{
	uint32_t bits = DEFAULT_ADDRESS_BITS;

	for (uint32_t i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == CPUID_ADDRESS_SIZES)
			bits = cpuid->entries[i].eax & 0xff;
	}
	if (bits < 64 && mem_end(mem) > UINT64_C(1) << bits)
		return err_set(e, -ERANGE,
			       "%" PRIu64 " MiB of guest memory end beyond the %" PRIu32
			       " address bits of this host; give the VM less (--memory)",
			       mem->mapping_bytes / MIB, bits);
	return 0;
}

int memslots_add(struct memslots *slots, const struct kvm *kvm, const struct mem *mem,
		 bool has_dirty_log, struct err *e)
{
	int r = 0;

	*slots = (struct memslots){ .has_dirty_log = has_dirty_log };
	for (size_t i = 0; r == 0 && i < mem->nr_regions; i++) {
		const struct mem_region *region = &mem->regions[i];

		slots->slots[i] = (struct kvm_memory){
			.slot = (uint32_t)i,
			.gpa = region->start,
			.len_bytes = region->len_bytes,
			.host = region->host,
			.has_dirty_log = has_dirty_log,
		};
		slots->nr_slots++;
		r = kvm_set_memory(kvm, &slots->slots[i], e);
	}
	return r;
}

void memslots_log_dirty(const struct memslots *slots, const struct kvm *kvm)
{
	int64_t pages = 0;

	if (!slots->has_dirty_log)
		return;
	for (size_t i = 0; i < slots->nr_slots; i++) {
		int64_t n = kvm_count_dirty(kvm, &slots->slots[i]);

		if (n < 0) {
			log_warn("KVM does not tell which pages were written: %s",
				 strerror((int)-n));
			return;
		}
		pages += n;
	}
	log_info("the guest wrote %" PRIi64 " pages since the last look", pages);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* KVM ioctls: see kvm.h. */
#include "machine/kvm.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "machine/x86/layout.h"

enum {
	PAGE_BYTES = 4096,
};

static const struct {
	int cap;
	const char *name;
} required_caps[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER" },
};

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int r;

	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int kvm_cap(const struct kvm *kvm, int cap)
{
	/* CHECK_EXTENSION takes its argument by value, in the pointer's place. */
	int r = kvm_ioctl(kvm->sys_fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)cap);

	return r < 0 ? 0 : r;
}

static int check_host(const struct kvm *kvm, struct err *e)
{
	int version = kvm_ioctl(kvm->sys_fd, KVM_GET_API_VERSION, NULL);

	if (version < 0)
		return err_errno(e, version, "/dev/kvm does not answer as KVM");
	if (version != KVM_API_VERSION)
		return err_set(e, -ENOTSUP, "KVM has API version %d, volt-vmm needs %d", version,
			       KVM_API_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(required_caps); i++) {
		if (kvm_cap(kvm, required_caps[i].cap) <= 0)
			return err_set(e, -ENOTSUP,
				       "this host's KVM lacks %s, which volt-vmm needs",
				       required_caps[i].name);
	}
	return 0;
}

int kvm_open(struct kvm *kvm, int sys_fd, struct err *e)
{
	int r;

	*kvm = (struct kvm){ .sys_fd = sys_fd, .vm_fd = -1 };
	r = check_host(kvm, e);
	if (r < 0)
		goto fail;
	r = kvm_ioctl(sys_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (r < (int)sizeof(struct kvm_run)) {
		r = err_set(e, r < 0 ? r : -EIO, "KVM gives no usable vCPU mapping size");
		goto fail;
	}
	kvm->run_bytes = (size_t)r;
	r = kvm_ioctl(sys_fd, KVM_CREATE_VM, NULL);
	if (r < 0) {
		err_errno(e, r, "KVM cannot create a VM");
		goto fail;
	}
	kvm->vm_fd = r;
	return 0;
fail:
	kvm_close(kvm);
	return r;
}

void kvm_close(struct kvm *kvm)
{
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	if (kvm->sys_fd >= 0)
		close(kvm->sys_fd);
	kvm->vm_fd = -1;
	kvm->sys_fd = -1;
}

int kvm_set_memory(const struct kvm *kvm, const struct kvm_memory *memory, struct err *e)
{
	struct kvm_userspace_memory_region region = {
		.slot = memory->slot,
		.flags = memory->has_dirty_log ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = memory->gpa,
		.memory_size = memory->len_bytes,
		.userspace_addr = (uintptr_t)memory->host,
	};
	int r = kvm_ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);

	if (r < 0)
		return err_errno(e, r, "KVM does not take %" PRIu64 " MiB of memory at 0x%" PRIx64,
				 memory->len_bytes / MIB, memory->gpa);
	return 0;
}

int64_t kvm_count_dirty(const struct kvm *kvm, const struct kvm_memory *memory)
{
	/* One bit for each page, in words of 64 (KVM API, 4.8). */
	const size_t words = (size_t)(align_up(memory->len_bytes / PAGE_BYTES, 64) / 64);
	auto_free uint64_t *bitmap = calloc(words, sizeof(*bitmap));
	struct kvm_dirty_log log = { .slot = memory->slot, .dirty_bitmap = bitmap };
	int64_t count = 0;
	int r;

	if (!bitmap)
		return -ENOMEM;
	r = kvm_ioctl(kvm->vm_fd, KVM_GET_DIRTY_LOG, &log);
	if (r < 0)
		return r;
	for (size_t i = 0; i < words; i++)
		count += __builtin_popcountll(bitmap[i]);
	return count;
}

int kvm_create_pit(const struct kvm *kvm, struct err *e)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int r = kvm_ioctl(kvm->vm_fd, KVM_CREATE_PIT2, &config);

	return r < 0 ? err_errno(e, r, "KVM cannot create the 8254 timer") : 0;
}

int kvm_create_irqchip(const struct kvm *kvm, struct err *e)
{
	uint64_t identity_map = LAYOUT_KVM_IDENTITY_MAP;
	int r;

	r = kvm_ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	if (r < 0)
		return err_errno(e, r, "KVM does not take the identity-map page");
	r = kvm_ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)LAYOUT_KVM_TSS);
	if (r < 0)
		return err_errno(e, r, "KVM does not take the TSS pages");
	r = kvm_ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, NULL);
	if (r < 0)
		return err_errno(e, r, "KVM cannot create its interrupt controllers");
	return 0;
}

int kvm_add_irqfd(const struct kvm *kvm, int fd, uint32_t gsi, struct err *e)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = gsi };
	int r = kvm_ioctl(kvm->vm_fd, KVM_IRQFD, &irqfd);

	if (r < 0)
		return err_errno(e, r, "KVM cannot connect interrupt line %" PRIu32, gsi);
	return 0;
}

int kvm_add_ioeventfd(const struct kvm *kvm, int fd, uint64_t addr, uint32_t value, struct err *e)
{
	struct kvm_ioeventfd ioeventfd = {
		.datamatch = value,
		.addr = addr,
		.len = 4,
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	int r = kvm_ioctl(kvm->vm_fd, KVM_IOEVENTFD, &ioeventfd);

	if (r < 0)
		return err_errno(e, r, "KVM cannot watch the doorbell at 0x%" PRIx64, addr);
	return 0;
}

/* struct kvm_msrs with one entry; its own array has no length. */
struct one_msr {
	uint32_t nmsrs;
	uint32_t padding;
	struct kvm_msr_entry entry;
};

static_assert(offsetof(struct one_msr, entry) == offsetof(struct kvm_msrs, entries), "KVM ABI");

int kvm_get_msr(int fd, uint32_t index, uint64_t *value)
{
	struct one_msr msr = { .nmsrs = 1, .entry.index = index };
	int r = kvm_ioctl(fd, KVM_GET_MSRS, &msr);

	if (r != 1) /* the number of MSRs that were read */
		return r < 0 ? r : -EINVAL;
	*value = msr.entry.data;
	return 0;
}

int kvm_set_msr(int vcpu_fd, uint32_t index, uint64_t value)
{
	struct one_msr msr = { .nmsrs = 1, .entry = { .index = index, .data = value } };
	int r = kvm_ioctl(vcpu_fd, KVM_SET_MSRS, &msr);

	if (r != 1)
		return r < 0 ? r : -EINVAL;
	return 0;
}

struct kvm_cpuid2 *kvm_supported_cpuid(const struct kvm *kvm, struct err *e)
{
	struct kvm_cpuid2 *cpuid;
	int r;

	cpuid = calloc(1, sizeof(*cpuid) + KVM_CPUID_CAPACITY * sizeof(cpuid->entries[0]));
	if (!cpuid) {
		err_errno(e, -ENOMEM, "cannot hold the CPUID table");
		return NULL;
	}
	cpuid->nent = KVM_CPUID_CAPACITY;
	r = kvm_ioctl(kvm->sys_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (r < 0) {
		err_errno(e, r, "KVM does not say which CPUID leaves it supports");
		free(cpuid);
		return NULL;
	}
	return cpuid;
}

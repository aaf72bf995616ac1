/* SPDX-License-Identifier: Apache-2.0 */
/* Register state at kernel entry: see regs.h. */
#include "machine/x86/regs.h"

#include <errno.h>
#include <string.h>

#include <linux/kvm.h>

#include "base/bytes.h"
#include "machine/kvm.h"
#include "machine/x86/layout.h"

#define CR0_PE (UINT64_C(1) << 0)
#define CR0_ET (UINT64_C(1) << 4)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PAE (UINT64_C(1) << 5)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)

#define RFLAGS_RESERVED UINT64_C(0x2) /* bit 1 is always set */

#define MSR_IA32_TSC 0x10u
#define MSR_IA32_SYSENTER_CS 0x174u
#define MSR_IA32_SYSENTER_ESP 0x175u
#define MSR_IA32_SYSENTER_EIP 0x176u
#define MSR_IA32_MISC_ENABLE 0x1a0u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SYSCALL_MASK 0xc0000084u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define MISC_ENABLE_FAST_STRING UINT64_C(1)
#define MTRR_ENABLE_WRITE_BACK UINT64_C(0x806) /* enabled, default type write-back */

#define APIC_LVT0 0x350u
#define APIC_LVT1 0x360u
#define APIC_MODE_MASK 0x700u
#define APIC_MODE_NMI 0x400u
#define APIC_MODE_EXTINT 0x700u

/* Page-table entries (SDM vol. 3, 4.5): present and writable; in a directory also 2 MiB large. */
#define PTE_TABLE UINT64_C(0x03)
#define PTE_LARGE UINT64_C(0x83)
#define PAGE 4096u

/* Selectors that the Linux 64-bit protocol fixes (__BOOT_CS, __BOOT_DS), used for PVH as well. */
#define SELECTOR_CODE 0x10u
#define SELECTOR_DATA 0x18u
#define SELECTOR_TSS 0x20u

#define GDT_CODE32 UINT64_C(0x00cf9b000000ffff)
#define GDT_CODE64 UINT64_C(0x00af9b000000ffff)
#define GDT_DATA UINT64_C(0x00cf93000000ffff)
#define GDT_TSS UINT64_C(0x00008b0000000067)

int regs_set_msrs(int vcpu_fd, struct err *e)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} boot_msrs[] = {
		{ MSR_IA32_SYSENTER_CS, 0 },
		{ MSR_IA32_SYSENTER_ESP, 0 },
		{ MSR_IA32_SYSENTER_EIP, 0 },
		{ MSR_STAR, 0 },
		{ MSR_CSTAR, 0 },
		{ MSR_KERNEL_GS_BASE, 0 },
		{ MSR_SYSCALL_MASK, 0 },
		{ MSR_LSTAR, 0 },
		{ MSR_IA32_TSC, 0 },
		{ MSR_IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRING },
		{ MSR_MTRR_DEF_TYPE, MTRR_ENABLE_WRITE_BACK },
	};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[ARRAY_LEN(boot_msrs)];
	} msrs = { .head.nmsrs = ARRAY_LEN(boot_msrs) };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(boot_msrs); i++) {
		msrs.entries[i].index = boot_msrs[i].index;
		msrs.entries[i].data = boot_msrs[i].value;
	}
	r = kvm_ioctl(vcpu_fd, KVM_SET_MSRS, &msrs);
	if (r < 0)
		return err_errno(e, r, "KVM does not take the boot MSRs");
	if ((size_t)r != ARRAY_LEN(boot_msrs))
		return err_set(e, -EINVAL, "KVM does not take the boot MSR 0x%x",
			       boot_msrs[r].index);
	return 0;
}

int regs_set_fpu(int vcpu_fd, struct err *e)
{
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };
	int r = kvm_ioctl(vcpu_fd, KVM_SET_FPU, &fpu);

	return r < 0 ? err_errno(e, r, "KVM does not take the FPU state") : 0;
}

static void lapic_set_mode(struct kvm_lapic_state *lapic, uint32_t reg, uint32_t mode)
{
	uint32_t v;

	memcpy(&v, &lapic->regs[reg], sizeof(v));
	v = (v & ~APIC_MODE_MASK) | mode;
	memcpy(&lapic->regs[reg], &v, sizeof(v));
}

int regs_set_lapic(int vcpu_fd, struct err *e)
{
	struct kvm_lapic_state lapic;
	int r = kvm_ioctl(vcpu_fd, KVM_GET_LAPIC, &lapic);

	if (r < 0)
		return err_errno(e, r, "KVM does not give the local APIC's state");
	lapic_set_mode(&lapic, APIC_LVT0, APIC_MODE_EXTINT);
	lapic_set_mode(&lapic, APIC_LVT1, APIC_MODE_NMI);
	r = kvm_ioctl(vcpu_fd, KVM_SET_LAPIC, &lapic);
	return r < 0 ? err_errno(e, r, "KVM does not take the local APIC's state") : 0;
}

/*
 * Identity map of the first 4 GiB, and its first 2 GiB once more at the top of the address space,
 * where an uncompressed kernel is linked (0xffffffff80000000). 2 MiB pages. Seven tables in a row:
 * PML4, PDPT of the low half, PDPT of the high half, four directories of 1 GiB each.
 */
static int write_page_tables(const struct mem *mem)
{
	static const uint64_t directories = LAYOUT_PAGE_TABLES + 3 * PAGE;
	const struct gpa pml4 = { LAYOUT_PAGE_TABLES };
	le64 *t = mem_ptr(mem, pml4, 7 * (uint64_t)PAGE);

	if (!t)
		return -EFAULT;
	t[0] = le64_put((LAYOUT_PAGE_TABLES + PAGE) | PTE_TABLE);
	t[511] = le64_put((LAYOUT_PAGE_TABLES + 2 * PAGE) | PTE_TABLE);
	for (size_t i = 0; i < 4; i++)
		t[512 + i] = le64_put((directories + i * PAGE) | PTE_TABLE);
	for (size_t i = 0; i < 2; i++)
		t[2 * 512 + 510 + i] = le64_put((directories + i * PAGE) | PTE_TABLE);
	for (size_t i = 0; i < 4 * (size_t)512; i++)
		t[3 * 512 + i] = le64_put(i * 2 * MIB | PTE_LARGE);
	return 0;
}

static int write_gdt(const struct mem *mem, enum boot_protocol protocol)
{
	const le64 gdt[] = {
		le64_put(0),
		le64_put(0),
		le64_put(protocol == BOOT_PROTOCOL_PVH ? GDT_CODE32 : GDT_CODE64),
		le64_put(GDT_DATA),
		le64_put(GDT_TSS),
	};

	return mem_write(mem, (struct gpa){ LAYOUT_GDT }, gdt, sizeof(gdt));
}

static void set_segments(struct kvm_sregs *s, enum boot_protocol protocol)
{
	const bool is_long = protocol == BOOT_PROTOCOL_LINUX64;
	const struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = SELECTOR_CODE,
		.type = 0xb, /* execute, read, accessed */
		.present = 1,
		.s = 1,
		.l = is_long,
		.db = !is_long,
		.g = 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = SELECTOR_DATA,
		.type = 0x3, /* read, write, accessed */
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	const struct kvm_segment tss = {
		.limit = 0x67,
		.selector = SELECTOR_TSS,
		.type = 0xb, /* busy 32- or 64-bit TSS */
		.present = 1,
	};

	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = tss;
	s->gdt.base = LAYOUT_GDT;
	s->gdt.limit = 5 * 8 - 1;
	s->idt.base = 0;
	s->idt.limit = 0;
}

int regs_set_entry(int vcpu_fd, const struct mem *mem, enum boot_protocol protocol,
		   struct gpa entry, struct gpa info, struct err *e)
{
	struct kvm_regs regs = { .rip = entry.v, .rflags = RFLAGS_RESERVED };
	struct kvm_sregs sregs;
	int r = kvm_ioctl(vcpu_fd, KVM_GET_SREGS, &sregs);

	if (r < 0)
		return err_errno(e, r, "KVM does not give the boot CPU's registers");
	r = write_gdt(mem, protocol);
	if (r == 0 && protocol == BOOT_PROTOCOL_LINUX64)
		r = write_page_tables(mem);
	if (r < 0)
		return err_set(e, r, "the guest has too little memory for the boot tables");
	set_segments(&sregs, protocol);
	sregs.cr0 = CR0_PE | CR0_ET;
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (protocol == BOOT_PROTOCOL_LINUX64) {
		sregs.cr0 |= CR0_PG;
		sregs.cr3 = LAYOUT_PAGE_TABLES;
		sregs.cr4 = CR4_PAE;
		sregs.efer = EFER_LME | EFER_LMA;
		regs.rsi = info.v;
		regs.rsp = LAYOUT_BOOT_STACK;
	} else {
		regs.rbx = info.v;
	}
	r = kvm_ioctl(vcpu_fd, KVM_SET_SREGS, &sregs);
	if (r < 0)
		return err_errno(e, r, "KVM does not take the boot CPU's segment registers");
	r = kvm_ioctl(vcpu_fd, KVM_SET_REGS, &regs);
	if (r < 0)
		return err_errno(e, r, "KVM does not take the boot CPU's registers");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints CPUID leaves and the MSRs that the monitor sets, for each of as many CPUs as the number on
 * the command line says, one CPU after the other:
 *
 *	cpu APIC-ID
 *	cpuid LEAF SUBLEAF EAX EBX ECX EDX
 *	msr INDEX VALUE, or "msr INDEX fault"
 */
#include <stdbool.h>

#include "test/guest/lib/apic.h"
#include "test/guest/lib/cpu.h"
#include "test/guest/lib/guest.h"
#include "test/guest/lib/idt.h"
#include "test/guest/lib/print.h"
#include "test/guest/lib/smp.h"
#include "test/guest/lib/start_info.h"

#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint32_t leaves[] = {
	0x0,	    0x1,	0x6,	    0xa,	0x40000000, 0x80000000, 0x80000001,
	0x80000002, 0x80000003, 0x80000004, 0x80000007, 0x80000008, 0x8000001e,
};

static const struct {
	uint32_t leaf;
	uint32_t nr_subleaves;
} lists[] = { { 0x4, 8 }, { 0x7, 2 }, { 0xb, 3 }, { 0x1f, 3 }, { 0x8000001d, 8 } };

static const uint32_t msrs[] = {
	0x10,	    0x174,	0x175,	    0x176,	0x1a0,	    0x2ff,
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102,
};

static volatile bool has_faulted;
static volatile bool is_done;

/* RDMSR is two bytes long: go on behind it. */
__attribute__((interrupt)) static void on_gp(struct interrupt_frame *frame, uint64_t error)
{
	(void)error;
	has_faulted = true;
	frame->rip += 2;
}

static void dump_leaf(uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid r = cpuid(leaf, subleaf);
	const uint32_t values[] = { leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx };

	put_string("cpuid");
	for (unsigned int i = 0; i < NR_OF(values); i++) {
		put_char(' ');
		put_hex(values[i], 8);
	}
	put_char('\n');
}

static void dump_msr(uint32_t index)
{
	uint64_t value;

	has_faulted = false;
	value = rdmsr(index);
	put_string("msr ");
	put_hex(index, 8);
	put_char(' ');
	if (has_faulted)
		put_string("fault");
	else
		put_hex(value, 16);
	put_char('\n');
}

static void dump(void)
{
	put_string("cpu ");
	put_decimal(apic_id());
	put_char('\n');
	for (unsigned int i = 0; i < NR_OF(leaves); i++)
		dump_leaf(leaves[i], 0);
	for (unsigned int i = 0; i < NR_OF(lists); i++)
		for (uint32_t subleaf = 0; subleaf < lists[i].nr_subleaves; subleaf++)
			dump_leaf(lists[i].leaf, subleaf);
	for (unsigned int i = 0; i < NR_OF(msrs); i++)
		dump_msr(msrs[i]);
	is_done = true;
}

int guest_main(uint64_t start_info)
{
	uint32_t nr_cpus = start_info_number((const struct start_info *)start_info);

	idt_set_with_error(VECTOR_GP, on_gp);
	idt_load();
	apic_enable();
	dump();
	for (uint32_t id = 1; id < nr_cpus; id++) {
		is_done = false;
		smp_start(id, dump);
		while (!is_done)
			pause();
	}
	return 0;
}

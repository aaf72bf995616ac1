/* SPDX-License-Identifier: Apache-2.0 */
/* Faults with an empty interrupt table: the fault of the fault handler, three times. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty_idt;

	(void)start_info;
	__asm__ volatile("lidt %0; ud2" : : "m"(empty_idt));
	for (;;)
		halt();
}

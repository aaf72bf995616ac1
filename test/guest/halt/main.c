/* SPDX-License-Identifier: Apache-2.0 */
/* Halts with interrupts off: nothing in the guest can ever wake this CPU. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	(void)start_info;
	put_string("halting\n");
	__asm__ volatile("cli");
	for (;;)
		halt();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Powers off as ACPI says: sleep type 5 and the enable bit in the sleep control register. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	(void)start_info;
	outb(GUEST_PORT_SLEEP, 5 << 2 | 1 << 5);
	for (;;)
		halt();
}

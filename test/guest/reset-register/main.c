/* SPDX-License-Identifier: Apache-2.0 */
/* Reboots through the ACPI reset register. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	(void)start_info;
	outb(GUEST_PORT_RESET, 1);
	for (;;)
		halt();
}

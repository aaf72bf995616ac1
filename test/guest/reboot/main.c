/* SPDX-License-Identifier: Apache-2.0 */
/* Reboots through the keyboard controller. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	(void)start_info;
	outb(GUEST_PORT_I8042, 0xfe);
	for (;;)
		halt();
}

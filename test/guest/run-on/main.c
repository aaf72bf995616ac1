/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the VM with status 9, and speaks on: none of it may be heard. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	(void)start_info;
	outb(GUEST_PORT_EXIT, 9);
	for (;;)
		put_string("still here\n");
}

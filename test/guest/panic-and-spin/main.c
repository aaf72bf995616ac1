/* SPDX-License-Identifier: Apache-2.0 */
/* Says that its kernel has panicked and a crash kernel takes over, and runs on. */
#include "test/guest/lib/guest.h"
#include "test/guest/lib/io.h"

enum { CRASH_LOADED = 2 };

int guest_main(uint64_t start_info)
{
	(void)start_info;
	outb(GUEST_PORT_PVPANIC, CRASH_LOADED);
	for (;;)
		;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Says that it runs, then never ends by itself: for tests that kill processes. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	(void)start_info;
	put_string("spinning\n");
	for (;;)
		__asm__ volatile("pause");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Jumps to the first address after RAM (the VM must have 16 MiB), where no instruction can be. */
#include "test/guest/lib/guest.h"

#define RAM_END 0x1000000ul

int guest_main(uint64_t start_info)
{
	(void)start_info;
	put_string("jumping\n");
	((void (*)(void))RAM_END)();
	return 1;
}

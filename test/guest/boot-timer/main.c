/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the boot timer that the guest has booted: in ways that do not count, then in the one that
 * does, and again. Prints what reading gives.
 */
#include "test/guest/lib/guest.h"
#include "test/guest/lib/io.h"
#include "test/guest/lib/print.h"

#define BOOT_TIMER 0xc0000000u
#define BOOTED 123

int guest_main(uint64_t start_info)
{
	(void)start_info;
	mmio_write(BOOT_TIMER, 1, BOOTED + 1);
	mmio_write(BOOT_TIMER + 1, 1, BOOTED);
	mmio_write(BOOT_TIMER, 4, BOOTED);
	for (int i = 0; i < 100; i++)
		mmio_write(BOOT_TIMER, 1, BOOTED);
	put_hex(mmio_read(BOOT_TIMER, 1), 2);
	put_char(' ');
	put_hex(mmio_read(BOOT_TIMER + 0xffc, 4), 8);
	put_char('\n');
	return 0;
}

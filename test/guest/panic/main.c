/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says through the pvpanic port that its kernel has panicked, many times, and reboots. What the port
 * knows is told first.
 */
#include "test/guest/lib/guest.h"
#include "test/guest/lib/io.h"
#include "test/guest/lib/print.h"

enum { PANICS = 10000, PANICKED = 1 };

int guest_main(uint64_t start_info)
{
	(void)start_info;
	put_string("knows ");
	put_hex(inb(GUEST_PORT_PVPANIC), 2);
	put_char('\n');
	outb(GUEST_PORT_PVPANIC, 0x80); /* nothing that the port knows */
	put_string("panic\n");
	for (int i = 0; i < PANICS; i++)
		outb(GUEST_PORT_PVPANIC, PANICKED);
	outb(GUEST_PORT_I8042, 0xfe);
	for (;;)
		halt();
}
